#include "cli/stress_command.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "async/sync.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/embedded_node.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/stress_load.h"
#include "posix/runtime.h"

namespace kvstore::cli {
namespace {

constexpr std::array<FlagSpec, 16> kFlags{{
    {.name = "workload",
     .value = "read-heavy|write-heavy|mixed",
     .help = "90, 10 or 50 % reads [mixed]"},
    {.name = "distribution",
     .value = "uniform|hot-cold",
     .help = "hot-cold: 80 % on a fifth of the keys"},
    {.name = "keys", .value = "N", .help = "how many keys [10000]"},
    {.name = "key-bytes", .value = "N", .help = "[16]"},
    {.name = "value-bytes", .value = "N", .help = "[100]"},
    {.name = "clients", .value = "N", .help = "connections [16]"},
    {.name = "pipeline", .value = "N", .help = "commands on their way in each [1]"},
    {.name = "seconds", .value = "N", .help = "how long [10]"},
    {.name = "operations", .value = "N", .help = "how many, instead of --seconds"},
    {.name = "resp-addr", .value = "HOST:PORT", .help = "a running server, over RESP"},
    {.name = "embedded", .value = "", .help = "in this process (default)"},
    {.name = "engine", .value = "memory|lsm", .help = "embedded: [memory]"},
    {.name = "history", .value = "TIME", .help = "embedded: how long old versions are kept [0]"},
    {.name = "durability", .value = "memory|interval|always", .help = "embedded: [memory]"},
    {.name = "o", .value = "plain|json", .help = "how to print [plain]"},
    {.name = "help", .value = "", .help = "this text"},
}};

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

Status read_counts(const Arguments& arguments, StressPlan& plan) {
    struct Count {
        std::string_view flag;
        std::uint64_t* value;
        std::uint64_t max;
    };
    const std::array counts{Count{"keys", &plan.key_count, 1'000'000'000},
                            Count{"key-bytes", &plan.key_bytes, 1024},
                            Count{"value-bytes", &plan.value_bytes, 1U << 20U},
                            Count{"clients", &plan.client_count, 10'000},
                            Count{"pipeline", &plan.pipeline, 10'000}};
    for (const Count& count : counts) {
        KVSTORE_TRY(*count.value, number_flag(arguments, count.flag, *count.value));
        if (*count.value == 0 || *count.value > count.max) {
            return invalid("--" + std::string(count.flag) + " must be 1 to " +
                           std::to_string(count.max));
        }
    }
    return {};
}

Result<EmbeddedOptions> read_embedded(const Arguments& arguments) {
    EmbeddedOptions options;
    options.engine = replication::EngineKind::kMemory;
    const std::string engine = arguments.value("engine").value_or("memory");
    if (engine == "lsm") {
        options.engine = replication::EngineKind::kLsm;
    } else if (engine != "memory") {
        return invalid("--engine must be memory or lsm, not '" + engine + "'");
    }
    const std::string history = arguments.value("history").value_or("0");
    const auto span = parse_duration(history);
    if (!span) {
        return invalid("--history must be a time such as 10m or 0, not '" + history + "'");
    }
    options.history = *span;
    const std::string name = arguments.value("durability").value_or("memory");
    for (const auto durability : {storage::Durability::kMemory,
                                  storage::Durability::kInterval,
                                  storage::Durability::kAlways}) {
        if (server::durability_name(durability) == name) {
            options.durability = durability;
            return options;
        }
    }
    return invalid("--durability must be memory, interval or always, not '" + name + "'");
}

// Stops the run when its time is up, and says each second how it goes.
async::Task<void> watch_run(env::Env* env, StressRun* run) {
    std::uint64_t before = 0;
    while (!run->is_stopping()) {
        const Duration left = run->plan().span - run->elapsed();
        const bool is_timed = run->plan().operation_count == 0;
        if (is_timed && left.count() <= 0) {
            run->stop();
            break;
        }
        const Duration tick = std::chrono::milliseconds(is_timed ? 1000 : 200);
        co_await env->clock.sleep(is_timed ? std::min(tick, left) : tick);
        if (is_error_terminal()) {
            write_error("\r" + with_thousands(run->done_count() - before) + " operations, " +
                        with_thousands(run->done_count()) + " in all, " +
                        with_thousands(run->error_count()) + " errors\x1b[K");
        }
        before = run->done_count();
    }
    if (is_error_terminal()) {
        write_error("\r\x1b[K");
    }
}

async::Task<Status> measure(env::Env* env, async::Task<Status> load, StressRun* run) {
    async::Gate gate(env->scheduler);
    run->start_measuring();
    (void)gate.spawn(watch_run(env, run));
    const Status loaded = co_await std::move(load);
    run->end_measuring();
    run->stop();
    co_await gate.close();
    co_return loaded;
}

async::Task<Status> stress_server(env::Env* env, env::Address server, StressRun* run) {
    KVSTORE_CO_CHECK_OK(co_await fill_resp(env, server, run));
    co_return co_await measure(env, load_resp(env, server, run), run);
}

async::Task<Status> stress_embedded(env::Env* env, EmbeddedOptions options, StressRun* run) {
    auto started = co_await start_embedded_node(env, options);
    if (!started.ok()) {
        co_return started.status();
    }
    const std::unique_ptr<server::Node> node = *std::move(started);
    Status status = co_await fill_embedded(env, &node->kv(), run);
    if (status.ok()) {
        status = co_await measure(env, load_embedded(env, &node->kv(), run), run);
    }
    const Status stopped = co_await node->stop();
    co_return status.ok() ? stopped : status;
}

std::string where_text(const Arguments& arguments) {
    if (const auto address = arguments.value("resp-addr")) {
        return "server " + *address + " over RESP";
    }
    return "embedded, " + arguments.value("engine").value_or("memory") + " engine, durability " +
           arguments.value("durability").value_or("memory") + ", history " +
           arguments.value("history").value_or("0");
}

ExitCode report(const Arguments& arguments, const StressRun& run, const Status& status) {
    if (!status.ok()) {
        write_error("kvstore stress: " + status.to_string() +
                    "\n  start a server with `kvstore server`, or use --embedded\n");
        return client_exit_code(status);
    }
    if (arguments.value("o") == "json") {
        write_output(run.report_json());
    } else {
        const StressPlan& plan = run.plan();
        write_output("stress test: " + where_text(arguments) + "\n  " +
                     arguments.value("workload").value_or("mixed") + ", " +
                     arguments.value("distribution").value_or("uniform") + ", " +
                     with_thousands(plan.key_count) + " keys of " + std::to_string(plan.key_bytes) +
                     " bytes, values of " + std::to_string(plan.value_bytes) + " bytes, " +
                     std::to_string(plan.client_count) + " clients, pipeline " +
                     std::to_string(plan.pipeline) + "\n" + run.report_text());
    }
    return run.error_count() == 0 ? ExitCode::kOk : ExitCode::kError;
}

ExitCode run_plan(const Arguments& arguments, const StressPlan& plan) {
    set_log_level(LogLevel::kError);
    const auto embedded = read_embedded(arguments);
    const auto address = env::Address::parse(arguments.value("resp-addr").value_or("127.0.0.1:1"));
    if (!embedded.ok() || !address.ok()) {
        const Status why = embedded.ok() ? address.status() : embedded.status();
        write_error("kvstore stress: " + std::string(why.message()) + "\n");
        return ExitCode::kUsage;
    }
    const bool is_embedded = !arguments.has("resp-addr");
    std::string folder;
    if (is_embedded) {
        std::error_code error;
        folder = (std::filesystem::temp_directory_path(error) / "kvstore-stress-XXXXXX").string();
        if (::mkdtemp(folder.data()) == nullptr) {
            write_error("kvstore stress: cannot make the folder " + folder + "\n");
            return ExitCode::kError;
        }
    }
    StressRun run(plan, 1);
    Status status;
    {
        posix::RuntimeOptions options;
        options.root_directory = is_embedded ? folder : ".";
        posix::Runtime runtime(options);
        // What was measured so far is still reported.
        (void)runtime.on_signal(SIGINT, [&run] { run.stop(); });
        status = runtime.block_on(is_embedded ? stress_embedded(&runtime.env(), *embedded, &run)
                                              : stress_server(&runtime.env(), *address, &run));
    }
    if (is_embedded) {
        std::error_code error;
        std::filesystem::remove_all(folder, error);
    }
    return report(arguments, run, status);
}

}  // namespace

Result<StressPlan> read_stress_plan(const Arguments& arguments) {
    StressPlan plan;
    const std::string workload = arguments.value("workload").value_or("mixed");
    if (workload != "mixed" && workload != "read-heavy" && workload != "write-heavy") {
        return invalid("--workload must be read-heavy, write-heavy or mixed");
    }
    plan.workload = workload == "read-heavy"    ? Workload::kReadHeavy
                    : workload == "write-heavy" ? Workload::kWriteHeavy
                                                : Workload::kMixed;
    const std::string distribution = arguments.value("distribution").value_or("uniform");
    if (distribution != "uniform" && distribution != "hot-cold") {
        return invalid("--distribution must be uniform or hot-cold");
    }
    plan.distribution =
        distribution == "hot-cold" ? Distribution::kHotCold : Distribution::kUniform;
    KVSTORE_CHECK_OK(read_counts(arguments, plan));
    KVSTORE_TRY(const std::uint64_t seconds, number_flag(arguments, "seconds", 10));
    KVSTORE_TRY(plan.operation_count, number_flag(arguments, "operations", 0));
    if (seconds == 0 || seconds > 1'000'000) {
        return invalid("--seconds must be 1 to 1000000");
    }
    if (arguments.has("embedded") && arguments.has("resp-addr")) {
        return invalid("--embedded and --resp-addr exclude each other");
    }
    plan.span = std::chrono::seconds(static_cast<std::int64_t>(seconds));
    return plan;
}

ExitCode run_stress(const std::vector<std::string>& arguments) {
    const auto parsed = parse_arguments(kFlags, arguments);
    if (parsed.ok() && parsed->has("help")) {
        write_output("Usage: kvstore stress [flags]\n\n" + flags_help(kFlags));
        return ExitCode::kOk;
    }
    const auto plan = parsed.ok() ? read_stress_plan(*parsed) : parsed.status();
    if (!plan.ok() || !parsed->words().empty()) {
        write_error("kvstore stress: " +
                    (plan.ok() ? "takes flags only" : std::string(plan.status().message())) + "\n");
        return ExitCode::kUsage;
    }
    return run_plan(*parsed, *plan);
}

}  // namespace kvstore::cli
