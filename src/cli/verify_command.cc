#include "cli/verify_command.h"

#include <array>
#include <memory>
#include <utility>

#include "base/log.h"
#include "base/parse.h"
#include "cli/arguments.h"
#include "cli/embedded_node.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "mvcc/shard.h"
#include "posix/runtime.h"
#include "replication/shard_folder.h"
#include "storage/engines.h"

namespace kvstore::cli {
namespace {

constexpr std::array<FlagSpec, 2> kFlags{{
    {.name = "help", .value = "", .help = "this text"},
    {.name = "h", .value = "", .help = "this text"},
}};

constexpr std::string_view kUsage =
    "Usage: kvstore verify-data DIR\n\n"
    "Reads the log and every shard of a data directory that no server uses, and checks all\n"
    "checksums and every table against the others. Exit code 12: something is damaged.\n";

async::Task<Result<std::unique_ptr<storage::Engine>>> open_engine(
    env::Env* env, replication::ShardDescription description) {
    std::string folder = replication::shard_engine_folder(description.id);
    if (description.engine == replication::EngineKind::kMemory) {
        storage::MemoryEngineOptions options;
        options.shard = description.id;
        co_return co_await storage::open_memory_engine(env, std::move(folder), options);
    }
    storage::LsmEngineOptions options;
    options.shard = description.id;
    options.shared = storage::make_lsm_shared({});
    co_return co_await storage::open_lsm_engine(env, std::move(folder), options);
}

async::Task<Status> verify_tables(env::Env* env, storage::Engine* engine) {
    const std::unique_ptr<storage::View> view = engine->view();
    if (!engine->view_blocks()) {
        co_return mvcc::Shard::verify(view.get());
    }
    Status checked;
    Callback<void()> work([&checked, &view] { checked = mvcc::Shard::verify(view.get()); });
    co_await env->disk.run_blocking(std::move(work));
    co_return checked;
}

async::Task<Status> verify_engine(env::Env* env, storage::Engine* engine, ShardReport* report) {
    KVSTORE_CO_CHECK_OK(co_await engine->verify());
    auto opened = co_await mvcc::Shard::open(engine, report->description.history_ms);
    if (!opened.ok()) {
        co_return opened.status();
    }
    report->key_count = (*opened)->state().key_count;
    report->revision = (*opened)->state().revision;
    report->durable = engine->durable_index();
    // A shard that never had anything has no state to compare its tables with.
    if (engine->applied_index() == Index(0)) {
        co_return Status();
    }
    co_return co_await verify_tables(env, engine);
}

async::Task<ShardReport> verify_shard(env::Env* env, replication::ShardDescription description) {
    ShardReport report{.description = description, .revision = {}, .durable = {}, .status = {}};
    auto opened = co_await open_engine(env, std::move(description));
    if (!opened.ok()) {
        report.status = opened.status();
        co_return report;
    }
    report.status = co_await verify_engine(env, opened->get(), &report);
    const Status closed = co_await (*opened)->close();
    if (report.status.ok()) {
        report.status = closed;
    }
    co_return report;
}

std::string report_text(const DataReport& report) {
    std::string text = "log      " + std::to_string(report.wal.segment_count) + " segments, " +
                       with_thousands(report.wal.record_count) + " records, " +
                       with_thousands(report.wal.entry_count) + " entries: ";
    text += report.wal_status.ok() ? "ok" : report.wal_status.to_string();
    if (report.wal.torn_bytes > 0) {
        text += " (" + std::to_string(report.wal.torn_bytes) +
                " bytes of an unfinished last record, which no client was told of)";
    }
    text += "\n";
    for (const ShardReport& shard : report.shards) {
        text += "shard " + std::to_string(shard.description.id.value()) + "  " +
                shard.description.keyspace + ", " +
                (shard.description.engine == replication::EngineKind::kMemory ? "memory" : "lsm") +
                ", " + with_thousands(shard.key_count) + " keys, durable up to entry " +
                std::to_string(shard.durable.value()) + ": " +
                (shard.status.ok() ? "ok" : shard.status.to_string()) + "\n";
    }
    return text + (report.status().ok() ? "no damage found\n" : "DAMAGED\n");
}

}  // namespace

Status DataReport::status() const {
    if (!wal_status.ok()) {
        return wal_status;
    }
    for (const ShardReport& shard : shards) {
        if (!shard.status.ok()) {
            return shard.status;
        }
    }
    return {};
}

async::Task<Result<DataReport>> verify_data(env::Env* env) {
    const auto id = co_await read_node_id(&env->disk);
    if (!id.ok()) {
        co_return id.status();
    }
    // Also checks the file that says whose directory this is, and its version.
    auto directory = co_await server::open_data_directory(&env->disk, *id, server::FreshIdentity());
    if (!directory.ok()) {
        co_return directory.status();
    }
    DataReport report;
    const auto wal = co_await storage::verify_wal(env, "wal");
    report.wal_status = wal.status();
    if (wal.ok()) {
        report.wal = *wal;
    }
    auto listed = co_await replication::list_shard_folders(&env->disk);
    if (!listed.ok()) {
        co_return listed.status();
    }
    for (replication::ShardDescription& description : *listed) {
        ShardReport shard = co_await verify_shard(env, std::move(description));
        report.shards.push_back(std::move(shard));
    }
    co_return report;
}

ExitCode run_verify(const std::vector<std::string>& arguments) {
    const auto parsed = parse_arguments(kFlags, arguments);
    if (parsed.ok() && (parsed->has("help") || parsed->has("h"))) {
        write_output(kUsage);
        return ExitCode::kOk;
    }
    if (!parsed.ok() || parsed->words().size() != 1) {
        write_error(kUsage);
        return ExitCode::kUsage;
    }
    set_log_level(LogLevel::kError);
    const std::string& directory = parsed->words().front();
    posix::RuntimeOptions options;
    options.root_directory = directory;
    posix::Runtime runtime(options);
    const auto report = runtime.block_on(verify_data(&runtime.env()));
    if (!report.ok()) {
        write_error("kvstore verify-data: " + directory + ": " + report.status().to_string() +
                    "\n");
        return server_exit_code(report.status());
    }
    write_output(report_text(*report));
    const Status status = report->status();
    if (!status.ok()) {
        write_error("kvstore verify-data: " + directory + ": " + status.to_string() +
                    "\n  keep a copy of the directory, then restore the newest backup\n");
    }
    return server_exit_code(status);
}

}  // namespace kvstore::cli
