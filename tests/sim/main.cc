// sim_storm --seeds N --start SEED [--plant BUG] [--verbose]
//
// Runs seeds of the storm, prints one line for each that fails, and ends with
// `N passed, N failed`. One seed in fifty runs twice and must give the same trace.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

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
    const kvstore::storm::StormOptions options;
    kvstore::storm::StormReport total;
    std::uint64_t failed = 0;
    for (std::uint64_t seed = arguments.start; seed < arguments.start + arguments.seeds; ++seed) {
        kvstore::storm::StormReport report = kvstore::storm::run_storm(seed, options);
        if (report.violation.empty() && seed % 50 == 0 &&
            kvstore::storm::run_storm(seed, options).trace_hash != report.trace_hash) {
            report.violation = "the same seed gave another trace";
        }
        if (!report.violation.empty()) {
            ++failed;
            (void)std::printf(
                "seed %llu: %s\n",
                static_cast<unsigned long long>(seed),  // NOLINT(google-runtime-int): printf's type
                report.violation.c_str());
            (void)std::fflush(stdout);
        }
        total.operation_count += report.operation_count;
        total.crash_count += report.crash_count;
        total.fault_count += report.fault_count;
        total.refused_start_count += report.refused_start_count;
    }
    (void)std::printf(
        "%llu operations, %llu crashes, %llu faults, %llu damaged starts refused\n",
        static_cast<unsigned long long>(
            total.operation_count),                          // NOLINT(google-runtime-int): as above
        static_cast<unsigned long long>(total.crash_count),  // NOLINT(google-runtime-int): as above
        static_cast<unsigned long long>(total.fault_count),  // NOLINT(google-runtime-int): as above
        static_cast<unsigned long long>(
            total.refused_start_count));  // NOLINT(google-runtime-int): as above
    (void)std::printf(
        "%llu passed, %llu failed\n",
        static_cast<unsigned long long>(arguments.seeds -
                                        failed),   // NOLINT(google-runtime-int): as above
        static_cast<unsigned long long>(failed));  // NOLINT(google-runtime-int): as above
    return failed == 0 ? 0 : 1;
}
