// sim_storm --seeds N --start SEED [--plant BUG] [--verbose]
//
// Runs seeds of the storm, prints one line for each that fails, and ends with
// `N passed, N failed`. One seed in fifty runs twice and must give the same trace.
#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>

#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/planted_bug.h"
#include "storm.h"

namespace {

struct Arguments {
    std::uint64_t seeds = 100;
    std::uint64_t start = 1;
    std::string plant;
    bool is_verbose = false;
};

bool read_arguments(int argc, char** argv, Arguments& arguments) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--verbose") {
            arguments.is_verbose = true;
            continue;
        }
        if (i + 1 == argc) {
            return false;
        }
        const std::string_view value = argv[++i];
        const auto number = kvstore::parse_uint64(value);
        if (name == "--seeds" && number) {
            arguments.seeds = *number;
        } else if (name == "--start" && number) {
            arguments.start = *number;
        } else if (name == "--plant") {
            arguments.plant = value;
        } else {
            return false;
        }
    }
    return true;
}

bool plant(const std::string& name) {
#ifdef KVSTORE_PLANTED_BUGS
    const auto bug = kvstore::find_planted_bug(name);
    if (bug) {
        kvstore::plant_bug(*bug);
    }
    return bug.has_value();
#else
    return name.empty();
#endif
}

// What a crash leaves in memory is kept until the process ends (sim/morgue.h), so seeds run in
// processes of their own, a few dozen each.
constexpr std::uint64_t kSeedsPerProcess = 40;
constexpr unsigned kProcesses = 2;

struct Totals {
    std::uint64_t failed = 0;
    std::uint64_t operations = 0;
    std::uint64_t crashes = 0;
    std::uint64_t faults = 0;
    std::uint64_t refused_starts = 0;
};

Totals run_seeds(std::uint64_t first, std::uint64_t end) {
    const kvstore::storm::StormOptions options;
    Totals totals;
    for (std::uint64_t seed = first; seed < end; ++seed) {
        kvstore::storm::StormReport report = kvstore::storm::run_storm(seed, options);
        if (report.violation.empty() && seed % 50 == 0 &&
            kvstore::storm::run_storm(seed, options).trace_hash != report.trace_hash) {
            report.violation = "the same seed gave another trace";
        }
        if (!report.violation.empty()) {
            ++totals.failed;
            (void)std::printf("seed %" PRIu64 ": %s\n", seed, report.violation.c_str());
            (void)std::fflush(stdout);
        }
        totals.operations += report.operation_count;
        totals.crashes += report.crash_count;
        totals.faults += report.fault_count;
        totals.refused_starts += report.refused_start_count;
    }
    return totals;
}

// A child process at work on some seeds, and the pipe on which its totals come.
struct Child {
    pid_t pid = -1;
    int pipe = -1;
    std::uint64_t seed_count = 0;
};

Child start_child(std::uint64_t first, std::uint64_t end) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) {
        std::abort();
    }
    (void)std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::close(ends[0]);
        const Totals totals = run_seeds(first, end);
        const bool told = ::write(ends[1], &totals, sizeof totals) == sizeof totals;
        // Nothing that a crash left behind is destroyed.
        std::_Exit(told ? 0 : 1);
    }
    ::close(ends[1]);
    return {.pid = pid, .pipe = ends[0], .seed_count = end - first};
}

// A child that died without its totals counts as all failed.
void await_child(const Child& child, Totals& totals) {
    Totals told;
    int status = 0;
    const bool whole = ::read(child.pipe, &told, sizeof told) == sizeof told;
    ::close(child.pipe);
    if (::waitpid(child.pid, &status, 0) != child.pid || !whole) {
        (void)std::printf("a process died in its seeds (wait status %d)\n", status);
        told = {.failed = child.seed_count};
    }
    totals.failed += told.failed;
    totals.operations += told.operations;
    totals.crashes += told.crashes;
    totals.faults += told.faults;
    totals.refused_starts += told.refused_starts;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!read_arguments(argc, argv, arguments) ||
        (!arguments.plant.empty() && !plant(arguments.plant))) {
        (void)std::fprintf(stderr,
                           "usage: sim_storm --seeds N --start SEED [--plant BUG] [--verbose]\n");
        return 2;
    }
    kvstore::set_log_level(arguments.is_verbose ? kvstore::LogLevel::kInfo
                                                : kvstore::LogLevel::kOff);
    Totals totals;
    std::deque<Child> children;
    const std::uint64_t end = arguments.start + arguments.seeds;
    for (std::uint64_t seed = arguments.start; seed < end; seed += kSeedsPerProcess) {
        if (children.size() == kProcesses) {
            await_child(children.front(), totals);
            children.pop_front();
        }
        children.push_back(start_child(seed, std::min(seed + kSeedsPerProcess, end)));
    }
    for (const Child& child : children) {
        await_child(child, totals);
    }
    (void)std::printf("%" PRIu64 " operations, %" PRIu64 " crashes, %" PRIu64 " faults, %" PRIu64
                      " damaged starts refused\n",
                      totals.operations,
                      totals.crashes,
                      totals.faults,
                      totals.refused_starts);
    (void)std::printf(
        "%" PRIu64 " passed, %" PRIu64 " failed\n", arguments.seeds - totals.failed, totals.failed);
    return totals.failed == 0 ? 0 : 1;
}
