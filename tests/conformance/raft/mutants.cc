// The planted-bug museum. Switches on one historical mistake at a time and lets the
// storm loose on it, in several kinds of weather, until something notices:
//
//     raft_mutants [--seeds N] [--only NAME]
//
// Prints bug, what caught it, and after how many steps of the core. Each bug runs in a
// process of its own, since an assertion may be what notices.
#include "raft/internal/mutants.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raft/testing/storm.h"
#include "scenarios.h"

namespace kvstore::raft::conformance {

namespace {

// A storm takes milliseconds; one that takes this long goes round in circles.
constexpr unsigned kSecondsMax = 3;

struct Weather {
    const char* name;
    testing::StormOptions options;
};

std::array<Weather, 6> all_weathers() {
    std::array<Weather, 6> weathers{};
    weathers[0] = {"three members", {}};
    weathers[1] = {"five members", {}};
    weathers[1].options.voters = 5;
    weathers[2] = {"fixed group", {}};
    weathers[2].options.changes = false;
    weathers[2].options.snapshots = false;
    weathers[3] = {"leases", {}};
    weathers[3].options.reads = ReadMode::kLease;
    weathers[3].options.changes = false;
    weathers[4] = {"sleep", {}};
    weathers[4].options.hibernation = true;
    weathers[4].options.changes = false;
    weathers[5] = {"one member", {}};
    weathers[5].options.voters = 1;
    return weathers;
}

// What the child tells, in memory that outlives it.
struct Finding {
    std::uint64_t steps;
    std::uint64_t seed;
    std::array<char, 64> where;
    std::array<char, 256> what;
};

void tell(std::array<char, 256>& place, std::string_view text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    std::snprintf(place.data(), place.size(), "%.*s", static_cast<int>(line.size()), line.data());
}

// In the child: runs until something is found.
void search(Finding& finding, std::uint64_t seeds) {
    for (const Scenario& scenario : scenarios()) {
        std::snprintf(finding.where.data(), finding.where.size(), "scenario: %s", scenario.name);
        tell(finding.what, "an assertion");
        alarm(kSecondsMax);
        const std::string failure = scenario.run(finding.steps);
        tell(finding.what, failure);
        if (!failure.empty()) {
            return;
        }
    }
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        for (const Weather& weather : all_weathers()) {
            testing::StormOptions options = weather.options;
            options.seed = seed;
            finding.seed = seed;
            std::snprintf(finding.where.data(), finding.where.size(), "storm: %s", weather.name);
            tell(finding.what, "an assertion");
            alarm(kSecondsMax);
            const testing::StormReport report = testing::run_storm(options);
            finding.steps += report.steps;
            tell(finding.what, report.failure);
            if (!report.failure.empty()) {
                return;
            }
        }
    }
}

bool hunt(std::size_t number, Finding& finding, std::uint64_t seeds) {
    finding = Finding();
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        std::freopen("/dev/null", "w", stderr);
        active_mutant = static_cast<Mutant>(number);
        search(finding, seeds);
        _exit(finding.what[0] != '\0' ? 1 : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        tell(finding.what, "a member goes round in circles");
    }
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int run(int argc, char** argv) {
    std::uint64_t seeds = 400;
    std::string_view only;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::string_view(argv[i]) == "--seeds") {
            seeds = std::strtoull(argv[i + 1], nullptr, 10);
        } else {
            only = argv[i + 1];
        }
    }
    void* shared =
        mmap(nullptr, sizeof(Finding), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    Finding& finding = *static_cast<Finding*>(shared);
    std::size_t caught = 0;
    std::size_t all = 0;
    for (std::size_t number = 0; number < kMutantNames.size(); ++number) {
        const std::string name(kMutantNames[number]);
        if (!only.empty() && name.find(only) == std::string::npos) {
            continue;
        }
        const bool found = hunt(number, finding, seeds);
        if (number == 0) {
            if (found) {
                std::printf(
                    "without a planted bug: %s: %s\n", finding.where.data(), finding.what.data());
                return 1;
            }
            continue;
        }
        ++all;
        caught += found ? 1 : 0;
        if (found) {
            std::printf("%-38s %-28s seed %-4llu %9llu steps  %s\n",
                        name.c_str(),
                        finding.where.data(),
                        static_cast<unsigned long long>(finding.seed),
                        static_cast<unsigned long long>(finding.steps),
                        finding.what.data());
        } else {
            std::printf("%-38s NOT CAUGHT in %llu steps\n",
                        name.c_str(),
                        static_cast<unsigned long long>(finding.steps));
        }
    }
    std::printf("raft mutants: %zu of %zu caught\n", caught, all);
    return caught == all ? 0 : 1;
}

}  // namespace

}  // namespace kvstore::raft::conformance

int main(int argc, char** argv) {
    return kvstore::raft::conformance::run(argc, argv);
}
