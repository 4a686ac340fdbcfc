// What a simulated run is like, as far as its seed is not to decide.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "simulation/fault_kind.h"

namespace kvstore::simulation {

inline constexpr std::uint32_t kNodesMax = 7;
inline constexpr std::uint32_t kClientsMax = 64;
inline constexpr std::uint32_t kKeysMax = 1'000;
inline constexpr std::uint32_t kKeyspacesMax = 5;

// How often each operation comes, relative to the others.
struct Mix {
    std::uint32_t read = 40;
    std::uint32_t write = 30;
    std::uint32_t remove = 6;
    std::uint32_t compare_and_set = 8;
    std::uint32_t increment = 12;
    std::uint32_t append = 4;
    std::uint32_t expire = 8;       // a write that runs out
    std::uint32_t scan = 3;         // of several keys, page by page, both ways
    std::uint32_t read_many = 3;    // several keys at once
    std::uint32_t batch = 3;        // independent writes and deletes
    std::uint32_t conditional = 4;  // a write that depends on another key
};

struct Options {
    // In the end; some may join later. 0: the seed decides, mostly for three.
    std::uint32_t nodes = 0;
    // While faults come; what follows (healing, judging) takes its own time.
    Duration length = std::chrono::minutes(1);
    std::uint32_t clients = 0;  // 0: the seed decides
    std::uint32_t keys = 0;     // at a time; 0: the seed decides
    // With `default`; the others may have several shards. 0: the seed decides.
    std::uint32_t keyspaces = 0;
    Mix mix;
    // The kinds that may come; nullopt: each seed draws its own. Empty: none.
    std::optional<std::vector<FaultKind>> faults;
    // Between two operations of a client, on average; 0: the seed decides.
    Duration pause{};
    // When all faults have ended, every node serves a linearizable write and read within this time.
    Duration recovery_max = std::chrono::seconds(10);
};

}  // namespace kvstore::simulation
