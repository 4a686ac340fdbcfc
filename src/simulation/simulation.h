// A whole cluster on virtual time: nodes as the server starts them, clients over three ways in, and
// faults by seed; and the judgement whether every promise was kept.
//
// Checked: linearizability of each key with unknown outcomes, weaker reads, sessions, durability of
// what was acknowledged, counters (no increment lost or doubled); that every node serves again soon
// after the last fault; that replicas with the same applied index have the same digest, all the
// time; that what a node stores passes its own verification; that a graceful stop ends.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/callback.h"
#include "base/time.h"
#include "simulation/fault_kind.h"
#include "simulation/options.h"

namespace kvstore::simulation {

struct Report {
    // Empty when every promise held; else what did not, for people.
    std::string violation;
    // Over everything that happened. The same seed and options give the same on every machine.
    std::uint64_t trace_hash = 0;
    std::uint32_t nodes = 0;
    Duration virtual_time{};
    std::uint64_t operations_ok = 0;
    std::uint64_t operations_failed = 0;  // certainly without effect
    std::uint64_t operations_unknown = 0;
    std::array<std::uint64_t, kFaultKinds> faults{};
    std::uint64_t elections = 0;
    std::uint64_t starts = 0;          // of nodes
    std::uint64_t refused_starts = 0;  // damage that was found
    std::uint64_t digests_compared = 0;
    std::uint64_t keys_undecided = 0;  // the checker gave up on them
    Duration longest_recovery{};       // from the last fault until every node served
};

// Told how far the virtual time has come, now and then.
using Progress = Callback<void(Duration done, Duration total)>;

// Runs one seed. What crashed processes held stays in memory until this process ends, so run many
// seeds in several processes. An assertion of the product ends the process.
[[nodiscard]] Report run(std::uint64_t seed, const Options& options, Progress progress = {});

}  // namespace kvstore::simulation
