// One node under every fault its disk and its power can have, by seed: a store on the memory engine
// in the simulator, clients that remember what they were told, and the question after each restart
// whether it still holds.
#pragma once

#include <cstdint>
#include <string>

namespace kvstore::storm {

struct StormOptions {
    std::uint32_t round_count = 5;  // lives of the node
    std::uint32_t client_count = 4;
    std::uint32_t operations_per_client = 60;  // in each life
};

struct StormReport {
    // Empty when every promise held; else what did not, for people.
    std::string violation;
    std::uint64_t trace_hash = 0;
    std::uint64_t operation_count = 0;
    std::uint64_t crash_count = 0;
    std::uint64_t fault_count = 0;          // disk faults and flipped bits
    std::uint64_t refused_start_count = 0;  // damage that was found
};

// Runs one seed. The same seed gives the same report.
StormReport run_storm(std::uint64_t seed, const StormOptions& options);

}  // namespace kvstore::storm
