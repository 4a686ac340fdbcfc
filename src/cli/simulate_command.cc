#include "cli/simulate_command.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/parse.h"
#include "cli/arguments.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/simulate_process.h"
#include "posix/runtime.h"
#include "simulation/simulation.h"
#include "simulation/workload.h"

namespace kvstore::cli {
namespace {

constexpr std::array<FlagSpec, 8> kFlags{{
    {.name = "seed", .value = "N", .help = "the run, or the first of several [by chance]"},
    {.name = "seeds", .value = "N", .help = "run so many seeds, two at a time [1]"},
    {.name = "nodes", .value = "N", .help = "nodes of the cluster, 1 to 7 [by seed]"},
    {.name = "minutes", .value = "N", .help = "virtual time under faults [1]"},
    {.name = "workload", .value = "FILE", .help = "clients, operations and faults"},
    {.name = "verbose", .value = "", .help = "what the nodes log, on stderr"},
    {.name = "help", .value = "", .help = "this text"},
    {.name = "h", .value = "", .help = "this text"},
}};

constexpr std::string_view kUsage =
    "Usage: kvstore simulate [flags]\n\n"
    "Runs whole clusters on virtual time: nodes, clients, and the faults that the seed draws.\n"
    "Judges what the clients were told: linearizability, durability, counters, sessions, equal\n"
    "replicas, recovery. The same seed gives the same run everywhere.\n"
    "docs/reference/simulate.md tells what a workload FILE says.\n\n"
    "Exit codes: 0 every promise held, 1 one did not, 2 wrong arguments, 3 a wrong workload.\n\n";

constexpr std::size_t kProcesses = 2;
constexpr std::uint64_t kTwiceOneIn = 50;
constexpr std::uint64_t kSeedsMax = 10'000'000;
constexpr std::uint64_t kMinutesMax = 60 * 24 * 365;

struct Plan {
    std::uint64_t first = 0;
    std::uint64_t count = 1;
    simulation::Options options;
    std::string how;  // flags that repeat a run, but the seed
    bool is_verbose = false;
};

Result<std::uint64_t> bounded_flag(const Arguments& arguments,
                                   std::string_view name,
                                   std::uint64_t fallback,
                                   std::uint64_t most) {
    KVSTORE_TRY(const std::uint64_t number, number_flag(arguments, name, fallback));
    if (arguments.has(name) && (number == 0 || number > most)) {
        return Status(Code::kInvalidArgument,
                      "--" + std::string(name) + " must be from 1 to " + std::to_string(most));
    }
    return number;
}

Result<Plan> read_plan(const Arguments& arguments, posix::Runtime& runtime) {
    if (!arguments.words().empty()) {
        return Status(Code::kInvalidArgument, "'" + arguments.words().front() + "' is no flag");
    }
    Plan plan;
    // Short enough to be typed again.
    const std::uint64_t fresh = runtime.env().entropy.next() % 1'000'000'000;
    KVSTORE_TRY(plan.first, number_flag(arguments, "seed", fresh));
    KVSTORE_TRY(plan.count, bounded_flag(arguments, "seeds", 1, kSeedsMax));
    plan.is_verbose = arguments.has("verbose");
    return plan;
}

// Flags win over the workload.
Status apply_flags(const Arguments& arguments, Plan& plan) {
    KVSTORE_TRY(const std::uint64_t nodes,
                bounded_flag(arguments, "nodes", plan.options.nodes, simulation::kNodesMax));
    KVSTORE_TRY(const std::uint64_t minutes, bounded_flag(arguments, "minutes", 0, kMinutesMax));
    plan.options.nodes = static_cast<std::uint32_t>(nodes);
    if (minutes > 0) {
        plan.options.length = std::chrono::minutes(minutes);
    }
    for (const std::string_view flag : {"nodes", "minutes", "workload"}) {
        if (const auto value = arguments.value(flag)) {
            plan.how += " --" + std::string(flag) + " " + *value;
        }
    }
    return {};
}

Status apply_file(const std::string& path, simulation::Options& options) {
    KVSTORE_TRY(LineReader reader, LineReader::open(path));
    std::string text;
    while (true) {
        KVSTORE_TRY(const std::optional<std::string> line, reader.next());
        if (!line) {
            return simulation::apply_workload(options, text).with_context(path);
        }
        text += *line + "\n";
    }
}

std::string plural(std::uint64_t count, const std::string& noun) {
    return with_thousands(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string faults_text(const std::array<std::uint64_t, simulation::kFaultKinds>& faults) {
    std::string text;
    for (std::size_t i = 0; i < faults.size(); ++i) {
        if (faults[i] > 0) {
            text += (text.empty() ? "" : ", ") +
                    std::string(simulation::fault_name(static_cast<simulation::FaultKind>(i))) +
                    " " + with_thousands(faults[i]);
        }
    }
    return text.empty() ? "none" : text;
}

// Sums over seeds; what is the longest or the largest of one stays that.
struct Totals {
    simulation::Report sum;
    std::uint64_t passed = 0;
    std::vector<std::uint64_t> failed;

    void add(std::uint64_t seed, const simulation::Report& report) {
        if (report.violation.empty()) {
            ++passed;
        } else {
            failed.push_back(seed);
        }
        sum.trace_hash ^= report.trace_hash;
        sum.nodes = report.nodes;
        sum.virtual_time += report.virtual_time;
        sum.operations_ok += report.operations_ok;
        sum.operations_failed += report.operations_failed;
        sum.operations_unknown += report.operations_unknown;
        sum.elections += report.elections;
        sum.starts += report.starts;
        sum.refused_starts += report.refused_starts;
        sum.digests_compared += report.digests_compared;
        sum.keys_undecided += report.keys_undecided;
        sum.longest_recovery = std::max(sum.longest_recovery, report.longest_recovery);
        for (std::size_t i = 0; i < sum.faults.size(); ++i) {
            sum.faults[i] += report.faults[i];
        }
    }
};

std::string totals_text(const Plan& plan, const Totals& totals, Duration wall) {
    const auto milliseconds = [](Duration span) {
        return format_duration(std::chrono::floor<std::chrono::milliseconds>(span));
    };
    const simulation::Report& sum = totals.sum;
    std::array<char, 17> hash{};
    (void)std::snprintf(
        hash.data(), hash.size(), "%016llx", static_cast<unsigned long long>(sum.trace_hash));
    std::string text;
    if (plan.count == 1) {
        text += "nodes       " + std::to_string(sum.nodes) + "\n";
    }
    text += "time        " + milliseconds(sum.virtual_time) + " of virtual time in " +
            milliseconds(wall) + "\n";
    text += "operations  " + with_thousands(sum.operations_ok) + " ok, " +
            with_thousands(sum.operations_failed) + " without effect, " +
            with_thousands(sum.operations_unknown) + " of unknown outcome\n";
    text += "faults      " + faults_text(sum.faults) + "\n";
    text += "nodes began " + plural(sum.starts, "time") + ", " +
            plural(sum.refused_starts, "damaged start") + " refused, " +
            plural(sum.elections, "election") + "\n";
    text += "recovery    " + milliseconds(sum.longest_recovery) + " at most after the last fault\n";
    text += "replicas    " + plural(sum.digests_compared, "comparison") + " of digests\n";
    if (sum.keys_undecided > 0) {
        text += "undecided   " + plural(sum.keys_undecided, "key") + "\n";
    }
    return text + "trace       " + hash.data() + "\n";
}

void tell_violation(const Plan& plan, std::uint64_t seed, const simulation::Report& report) {
    write_output("seed " + std::to_string(seed) + ": " + report.violation +
                 "\n  repeat it: kvstore simulate --seed " + std::to_string(seed) + plan.how +
                 "\n");
}

// The loop's clock stands still between its turns.
MonotonicTime now(posix::Runtime& runtime) {
    runtime.block_on(runtime.env().clock.sleep(Duration(0)));
    return runtime.env().clock.now();
}

// Errors: kUnavailable.
Status run_seeds(const Plan& plan, Totals& totals) {
    std::map<pid_t, SeedProcess> children;
    std::uint64_t started = 0;
    const bool is_terminal = is_error_terminal();
    while (started < plan.count || !children.empty()) {
        if (started < plan.count && children.size() < kProcesses) {
            const std::uint64_t seed = plan.first + started;
            const bool twice = plan.count > 1 && started % kTwiceOneIn == 0;
            auto child = start_seed(seed,
                                    plan.options,
                                    twice ? SeedRuns::kTwice : SeedRuns::kOnce,
                                    is_terminal && plan.count == 1 && !plan.is_verbose);
            if (!child.ok()) {
                return child.status();
            }
            children.emplace(child->pid, *child);
            ++started;
            continue;
        }
        int status = 0;
        const auto ended = children.extract(wait_any_child(&status));
        if (ended.empty()) {
            return {Code::kUnavailable, "a process was lost"};
        }
        const SeedProcess& process = ended.mapped();
        const simulation::Report report = take_report(process, status);
        totals.add(process.seed, report);
        if (!report.violation.empty()) {
            tell_violation(plan, process.seed, report);
        }
        if (is_terminal && plan.count > 1) {
            write_error("\r" + with_thousands(totals.passed) + " of " + with_thousands(plan.count) +
                        " seeds held\x1b[K");
        }
    }
    if (is_terminal && plan.count > 1) {
        write_error("\r\x1b[K");
    }
    return {};
}

ExitCode refuse(const Status& why, ExitCode code) {
    write_error("kvstore simulate: " + std::string(why.message()) +
                (code == ExitCode::kUsage ? "\n  `kvstore simulate --help` tells more\n"
                                          : "\n  docs/reference/simulate.md tells what a workload "
                                            "says\n"));
    return code;
}

}  // namespace

ExitCode run_simulate(const std::vector<std::string>& arguments) {
    const auto parsed = parse_arguments(kFlags, arguments);
    if (parsed.ok() && (parsed->has("help") || parsed->has("h"))) {
        write_output(std::string(kUsage) + flags_help(kFlags));
        return ExitCode::kOk;
    }
    posix::RuntimeOptions runtime_options;
    runtime_options.use_io_uring = false;
    posix::Runtime runtime(runtime_options);
    auto plan = parsed.ok() ? read_plan(*parsed, runtime) : Result<Plan>(parsed.status());
    if (!plan.ok()) {
        return refuse(plan.status(), ExitCode::kUsage);
    }
    if (const auto file = parsed->value("workload")) {
        const Status applied = apply_file(*file, plan->options);
        if (!applied.ok()) {
            return refuse(applied, ExitCode::kConfigInvalid);
        }
    }
    const Status flags = apply_flags(*parsed, *plan);
    if (!flags.ok()) {
        return refuse(flags, ExitCode::kUsage);
    }
    set_log_level(plan->is_verbose ? LogLevel::kInfo : LogLevel::kOff);
    write_output(plan->count == 1 ? "seed        " + std::to_string(plan->first) + "\n"
                                  : "seeds       " + std::to_string(plan->first) + " to " +
                                        std::to_string(plan->first + plan->count - 1) + "\n");
    const MonotonicTime begin = now(runtime);
    Totals totals;
    const Status ran = run_seeds(*plan, totals);
    write_output(totals_text(*plan, totals, now(runtime) - begin));
    if (!ran.ok()) {
        write_error("kvstore simulate: " + std::string(ran.message()) + "\n");
        return ExitCode::kError;
    }
    write_output(std::to_string(totals.passed) + " passed, " +
                 std::to_string(totals.failed.size()) + " failed\n");
    return totals.failed.empty() ? ExitCode::kOk : ExitCode::kError;
}

}  // namespace kvstore::cli
