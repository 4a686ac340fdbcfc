#include "cli/verify_history_command.h"

#include <array>
#include <filesystem>
#include <utility>

#include "base/parse.h"
#include "cli/arguments.h"
#include "cli/history_file.h"
#include "cli/history_report.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "history/verify.h"

namespace kvstore::cli {
namespace {

constexpr std::array<FlagSpec, 6> kFlags{{
    {.name = "consistency",
     .value = "LEVEL",
     .help = "what reads that name none were promised [linearizable]"},
    {.name = "budget",
     .value = "N",
     .help = "configurations to try for a key before it is undecided [1000000]"},
    {.name = "staleness-max", .value = "TIME", .help = "how far behind bounded reads may be"},
    {.name = "o", .value = "table|json", .help = "how to print [table]"},
    {.name = "help", .value = "", .help = "this text"},
    {.name = "h", .value = "", .help = "this text"},
}};

constexpr std::string_view kUsage =
    "Usage: kvstore verify FILE|- [flags]\n\n"
    "Reads what clients did and were answered, one JSON object a line\n"
    "(docs/reference/history-format.md), and decides whether a store that keeps its promises can\n"
    "have answered so. LEVEL is linearizable, causal, bounded or eventual.\n\n"
    "Exit codes: 0 all checks hold, 1 a violation, 2 wrong arguments or no history,\n"
    "7 undecided within the budget.\n\n";

constexpr std::size_t kLinesBetweenProgress = 20'000;
constexpr std::size_t kKeysBetweenProgress = 16;

struct Plan {
    std::string file;
    history::VerifyOptions options;
    bool is_json = false;
};

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

Result<Plan> read_plan(const Arguments& arguments) {
    if (arguments.words().size() != 1) {
        return invalid("one FILE, or - for stdin");
    }
    Plan plan;
    plan.file = arguments.words().front();
    const std::string level = arguments.value("consistency").value_or("linearizable");
    const auto consistency = history::find_consistency(level);
    if (!consistency) {
        return invalid("--consistency must be linearizable, causal, bounded or eventual, not '" +
                       level + "'");
    }
    plan.options.consistency = *consistency;
    KVSTORE_TRY(plan.options.budget, number_flag(arguments, "budget", plan.options.budget));
    if (const auto bound = arguments.value("staleness-max")) {
        plan.options.staleness_max = parse_duration(*bound);
        if (!plan.options.staleness_max) {
            return invalid("--staleness-max must be a time such as 5s, not '" + *bound + "'");
        }
    }
    const std::string format = arguments.value("o").value_or("table");
    if (format != "table" && format != "json") {
        return invalid("-o must be table or json, not '" + format + "'");
    }
    plan.is_json = format == "json";
    return plan;
}

// A line on stderr that the next one replaces; nothing where stderr is no terminal.
void show_progress(const std::string& text) {
    if (is_error_terminal()) {
        write_error("\r" + text + "\x1b[K");
    }
}

Result<HistoryFile> read_file(const std::string& path) {
    std::error_code error;
    if (path != "-" && std::filesystem::is_directory(path, error)) {
        return invalid("this is a directory; `kvstore verify-data` checks a data directory");
    }
    KVSTORE_TRY(LineReader reader, LineReader::open(path));
    auto file = read_history(reader, [](const HistoryFile& so_far) {
        if (so_far.history.size() % kLinesBetweenProgress == 0) {
            show_progress("read " + with_thousands(so_far.history.size()) + " operations");
        }
    });
    show_progress("");
    if (file.ok() && file->history.empty()) {
        return invalid("there is no operation in it");
    }
    return file;
}

history::Verification check(const history::History& history,
                            const history::VerifyOptions& options) {
    history::Verifier verifier(history, options);
    while (!verifier.is_done()) {
        if (verifier.keys_done() % kKeysBetweenProgress == 0) {
            show_progress("checked " + with_thousands(verifier.keys_done()) + " of " +
                          with_thousands(verifier.key_count()) + " keys");
        }
        verifier.check_next_key();
    }
    show_progress("");
    return verifier.verification();
}

ExitCode exit_code(history::Verdict verdict) {
    switch (verdict) {
        case history::Verdict::kHolds: return ExitCode::kOk;
        case history::Verdict::kViolated: return ExitCode::kError;
        case history::Verdict::kUndecided: return ExitCode::kUndecided;
    }
    return ExitCode::kError;
}

}  // namespace

ExitCode run_verify_history(const std::vector<std::string>& arguments) {
    const auto parsed = parse_arguments(kFlags, arguments);
    if (parsed.ok() && (parsed->has("help") || parsed->has("h"))) {
        write_output(std::string(kUsage) + flags_help(kFlags));
        return ExitCode::kOk;
    }
    const auto plan = parsed.ok() ? read_plan(*parsed) : Result<Plan>(parsed.status());
    if (!plan.ok()) {
        write_error("kvstore verify: " + std::string(plan.status().message()) +
                    "\n  `kvstore verify --help` tells more\n");
        return ExitCode::kUsage;
    }
    const auto file = read_file(plan->file);
    if (!file.ok()) {
        write_error("kvstore verify: " + plan->file + ": " + std::string(file.status().message()) +
                    "\n  docs/reference/history-format.md tells what a history is\n");
        return ExitCode::kUsage;
    }
    const history::Verification verification = check(file->history, plan->options);
    write_output(plan->is_json ? verification_json(*file, verification)
                               : verification_text(*file, verification));
    return exit_code(verification.verdict());
}

}  // namespace kvstore::cli
