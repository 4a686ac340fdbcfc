// A seeded storm over a Cluster: everything that can go wrong with messages, disks and
// processes does, in an order that the seed decides; then the weather clears, and the
// group must come to rest with nothing lost.
#pragma once

#include <cstdint>
#include <string>

#include "raft/types.h"

namespace kvstore::raft::testing {

struct StormOptions {
    std::uint64_t seed = 1;
    std::size_t voters = 3;
    std::size_t steps = 1500;  // random choices before the weather clears
    bool changes = true;       // of membership
    bool snapshots = true;
    bool transfers = true;
    bool crashes = true;
    bool hibernation = false;
    ReadMode reads = ReadMode::kQuorum;
};

struct StormReport {
    std::string failure;  // empty when all went well
    std::uint64_t steps = 0;
    std::uint64_t commits = 0;
    std::uint64_t reads = 0;
    std::uint64_t leaders = 0;
};

[[nodiscard]] StormReport run_storm(const StormOptions& options);

}  // namespace kvstore::raft::testing
