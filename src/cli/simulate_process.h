// One seed in a process of its own: what crashed nodes held is given back with it, and an assertion
// of the product is a finding like any other.
#pragma once

#include <cstdint>

#include <sys/types.h>

#include "base/status.h"
#include "simulation/simulation.h"

namespace kvstore::cli {

struct SeedProcess {
    pid_t pid = -1;
    int pipe = -1;
    std::uint64_t seed = 0;
};

enum class SeedRuns : std::uint8_t {
    kOnce,
    kTwice,  // and the trace must be the same
};

// Errors: kUnavailable: there is no room for another process.
Result<SeedProcess> start_seed(std::uint64_t seed,
                               const simulation::Options& options,
                               SeedRuns runs,
                               bool shows_progress);

// Waits for any child to end. Returns: its process id; -1 when there is none.
pid_t wait_any_child(int* status);

// What the process that ended with `status` found. Closes its pipe.
simulation::Report take_report(const SeedProcess& process, int status);

}  // namespace kvstore::cli
