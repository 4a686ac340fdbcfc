#include "cluster_storm.h"

#include <cstdio>
#include <cstdlib>

#include <sys/wait.h>
#include <unistd.h>

#include "simulation/simulation.h"

namespace kvstore::storm {

bool holds_in_process(std::uint64_t seed, const simulation::Options& options) {
    (void)std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        const bool holds = simulation::run(seed, options).violation.empty();
        std::_Exit(holds ? 0 : 1);
    }
    int status = -1;
    const bool is_ended = pid > 0 && ::waitpid(pid, &status, 0) == pid;
    return is_ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::optional<std::uint64_t> first_that_fails(std::uint64_t first,
                                              std::uint64_t count,
                                              const simulation::Options& options) {
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        if (!holds_in_process(seed, options)) {
            return seed;
        }
    }
    return std::nullopt;
}

}  // namespace kvstore::storm
