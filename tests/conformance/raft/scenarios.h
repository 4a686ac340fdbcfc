// Short histories that lead straight to a known mistake, where chance would need long.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace kvstore::raft::conformance {

struct Scenario {
    const char* name;
    // Tells what is broken, or nothing.
    std::string (*run)(std::uint64_t& steps);
};

[[nodiscard]] std::span<const Scenario> scenarios();

}  // namespace kvstore::raft::conformance
