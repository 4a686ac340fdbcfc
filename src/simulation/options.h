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

// How often each operation comes, relative to the others.
struct Mix {
    std::uint32_t read = 40;
    std::uint32_t write = 30;
    std::uint32_t remove = 6;
    std::uint32_t compare_and_set = 8;
    std::uint32_t increment = 12;
    std::uint32_t append = 4;
};

struct Options {
    // In the end; some may join later. 0: the seed decides, mostly for three.
    std::uint32_t nodes = 0;
    // While faults come; what follows (healing, judging) takes its own time.
    Duration length = std::chrono::minutes(1);
    std::uint32_t clients = 0;  // 0: the seed decides
    std::uint32_t keys = 0;     // at a time; 0: the seed decides
    Mix mix;
    // The kinds that may come; nullopt: each seed draws its own. Empty: none.
    std::optional<std::vector<FaultKind>> faults;
    // Between two operations of a client, on average; 0: the seed decides.
    Duration pause{};
    // When all faults have ended, every node serves a linearizable write and read within this time.
    Duration recovery_max = std::chrono::seconds(10);
};

}  // namespace kvstore::simulation
