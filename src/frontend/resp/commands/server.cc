// Commands on the server and on databases as a whole.
#include <array>
#include <chrono>
#include <string>

#include "base/parse.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"
#include "frontend/resp/internal/session.h"

namespace kvstore::resp {
namespace {

constexpr std::uint64_t kMillisecondsPerSecond = 1000;

constexpr Finisher kReplyOk = {
    [](Answer&, std::size_t, const mvcc::OperationResult&) {},
    [](Answer& answer, bool) { answer.reply.ok(); },
};
constexpr Finisher kReplyNothing = {[](Answer&, std::size_t, const mvcc::OperationResult&) {
}};

mvcc::Operation delete_everything() {
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kDeleteRange;
    return operation;
}

bool is_database(std::string_view keyspace) {
    return keyspace == "default" || keyspace.starts_with("redis/");
}

bool flush_arguments_suit(Call& call) {
    return call.size() == 1 || (call.size() == 2 && (equals_ignoring_case(call[1], "async") ||
                                                     equals_ignoring_case(call[1], "sync")));
}

async::Task<void> flush_database(AwaitedCall* call) {
    const auto deleted =
        co_await call->core.kv().delete_range(call->context, call->keyspace, Bytes(), Bytes());
    if (deleted.ok()) {
        call->reply.ok();
    } else {
        call->reply.status(deleted.status());
    }
}

async::Task<void> count_keys(AwaitedCall* call) {
    const auto count = co_await call->core.kv().count_keys(call->context, call->keyspace);
    if (count.ok()) {
        call->reply.integer(static_cast<std::int64_t>(*count));
    } else {
        call->reply.status(count.status());
    }
}

async::Task<void> flush_all(AwaitedCall* call) {
    kv::Kv& kv = call->core.kv();
    const std::vector<kv::KeyspaceInfo> all = kv.keyspaces();
    for (const kv::KeyspaceInfo& info : all) {
        const kv::KeyspaceHandle keyspace =
            is_database(info.name) ? kv.find_keyspace(info.name) : nullptr;
        if (keyspace == nullptr) {
            continue;
        }
        const auto deleted = co_await kv.delete_range(call->context, keyspace, Bytes(), Bytes());
        if (!deleted.ok()) {
            call->reply.status(deleted.status());
            co_return;
        }
    }
    call->reply.ok();
}

async::Task<Status> persist(Core* core) {
    const Status persisted = co_await core->kv().host().persist_all();
    if (persisted.ok()) {
        core->last_save_ms() = core->now_ms();
    }
    co_return persisted;
}

async::Task<void> save(AwaitedCall* call) {
    const Status persisted = co_await persist(&call->core);
    if (persisted.ok()) {
        call->reply.ok();
    } else {
        call->reply.status(persisted);
    }
}

async::Task<void> save_in_background(AwaitedCall* call) {
    const Status persisted = co_await persist(&call->core);
    if (persisted.ok()) {
        call->reply.simple("Background saving started");
    } else {
        call->reply.status(persisted);
    }
}

async::Task<void> rewrite_in_background(AwaitedCall* call) {
    const Status persisted = co_await persist(&call->core);
    if (persisted.ok()) {
        call->reply.simple("Background append only file rewriting started");
    } else {
        call->reply.status(persisted);
    }
}

// ---- subcommands that say that there is nothing ----

Outcome say_ok(Call& call) {
    return call.ok();
}

Outcome say_zero(Call& call) {
    return call.integer(0);
}

Outcome say_empty(Call& call) {
    call.reply().array(0);
    return Outcome::kReplied;
}

Outcome say_empty_map(Call& call) {
    call.reply().map(0);
    return Outcome::kReplied;
}

Outcome latency_doctor(Call& call) {
    call.reply().verbatim(
        "Latency events are not recorded here. Latencies stand in the metrics of the server.\n");
    return Outcome::kReplied;
}

constexpr auto kFunctionSubcommands = std::to_array<Subcommand>({
    {"flush", -2, say_ok},
    {"list", -2, say_empty},
});

constexpr auto kLatencySubcommands = std::to_array<Subcommand>({
    {"doctor", 2, latency_doctor},
    {"histogram", -2, say_empty_map},
    {"history", 3, say_empty},
    {"latest", 2, say_empty},
    {"reset", -2, say_zero},
});

constexpr auto kSlowlogSubcommands = std::to_array<Subcommand>({
    {"get", -2, say_empty},
    {"len", 2, say_zero},
    {"reset", 2, say_ok},
});

// ---- MEMORY ----

// About what a key costs beside its bytes: its record's head, its places in the tables.
constexpr std::size_t kKeyOverheadBytes = 64;

Outcome memory_usage(Call& call) {
    for (std::size_t at = 3; at < call.size(); at += 2) {
        if (!equals_ignoring_case(call[at], "samples") || at + 1 >= call.size()) {
            return call.syntax_error();
        }
        if (!parse_int64(call[at + 1])) {
            return call.fail(kNotAnInteger);
        }
    }
    mvcc::Record record;
    switch (call.find(0, call[2], &record)) {
        case storage::Lookup::kFound: break;
        case storage::Lookup::kAbsent: call.reply().null(); return Outcome::kReplied;
        case storage::Lookup::kMustLoad: return Outcome::kMustLoad;
    }
    return call.integer(
        static_cast<std::int64_t>(call[2].size() + record.value.size() + kKeyOverheadBytes));
}

Outcome memory_doctor(Call& call) {
    call.reply().verbatim("Memory is not sampled here; see INFO memory.\n");
    return Outcome::kReplied;
}

constexpr auto kMemorySubcommands = std::to_array<Subcommand>({
    {"doctor", 2, memory_doctor},
    {"purge", 2, say_ok},
    {"usage", -3, memory_usage},
});

}  // namespace

Outcome dbsize_command(Call& call) {
    // It counts what every write before it has done.
    if (call.session().has_slots() && !call.is_in_transaction()) {
        return Outcome::kNotNow;
    }
    std::uint64_t keys = 0;
    for (const kv::ShardHandle& shard : call.keyspace()->shards()) {
        if (!shard->group().can_read_now()) {
            return call.await(count_keys);
        }
        keys += shard->group().shard().state().key_count;
    }
    return call.integer(static_cast<std::int64_t>(keys));
}

Outcome flushdb_command(Call& call) {
    if (!flush_arguments_suit(call)) {
        return call.syntax_error();
    }
    const bool is_divided = call.keyspace()->shards().size() > 1 && !call.is_in_transaction();
    return is_divided ? call.await(flush_database) : call.write(delete_everything(), kReplyOk);
}

Outcome flushall_command(Call& call) {
    if (!flush_arguments_suit(call)) {
        return call.syntax_error();
    }
    if (call.is_in_transaction()) {
        // This database within the transaction; the others, if any, behind it.
        call.write(delete_everything(), kReplyNothing);
    }
    return call.await(flush_all);
}

Outcome time_command(Call& call) {
    constexpr std::int64_t kMicrosecondsPerSecond = 1'000'000;
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
                         call.core().env().clock.wall_now().time_since_epoch())
                         .count();
    call.reply().array(2);
    call.reply().bulk(std::to_string(now / kMicrosecondsPerSecond));
    call.reply().bulk(std::to_string(now % kMicrosecondsPerSecond));
    return Outcome::kReplied;
}

Outcome save_command(Call& call) {
    return call.await(save);
}

Outcome bgsave_command(Call& call) {
    const bool suits =
        call.size() == 1 || (call.size() == 2 && equals_ignoring_case(call[1], "schedule"));
    return suits ? call.await(save_in_background) : call.syntax_error();
}

Outcome bgrewriteaof_command(Call& call) {
    return call.await(rewrite_in_background);
}

Outcome lastsave_command(Call& call) {
    return call.integer(
        static_cast<std::int64_t>(call.core().last_save_ms() / kMillisecondsPerSecond));
}

Outcome shutdown_command(Call& call) {
    for (std::size_t at = 1; at < call.size(); ++at) {
        const std::string word = lower_case(call[at]);
        if (word == "abort") {
            return call.fail("ERR No shutdown in progress.");
        }
        if (word != "save" && word != "nosave" && word != "now" && word != "force") {
            return call.syntax_error();
        }
    }
    if (!call.core().options().on_shutdown) {
        return call.fail("ERR Errors trying to SHUTDOWN. Check logs.");
    }
    call.core().options().on_shutdown();
    call.session().close_after_replies();
    return Outcome::kReplied;
}

Outcome function_command(Call& call) {
    return run_subcommand(call, kFunctionSubcommands);
}

Outcome latency_command(Call& call) {
    return run_subcommand(call, kLatencySubcommands);
}

Outcome slowlog_command(Call& call) {
    return run_subcommand(call, kSlowlogSubcommands);
}

Outcome memory_command(Call& call) {
    return run_subcommand(call, kMemorySubcommands);
}

}  // namespace kvstore::resp
