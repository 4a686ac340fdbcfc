// Commands on keys as a whole.
#include <algorithm>
#include <array>
#include <string>

#include "base/parse.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"
#include "frontend/resp/internal/session.h"
#include "frontend/resp/rdb_string.h"

namespace kvstore::resp {
namespace {

using mvcc::Operation;
using mvcc::OperationKind;
using mvcc::OperationResult;

constexpr std::size_t kEmbeddedBytesMax = 44;
constexpr std::size_t kIntegerDigitsMax = 20;

constexpr Finisher kReplyCount = {
    [](Answer& answer, std::size_t, const OperationResult& result) {
        answer.number += result.number;
    },
    [](Answer& answer, bool) { answer.reply.integer(answer.number); },
};

constexpr Finisher kReplyNumber = {[](Answer& answer, std::size_t, const OperationResult& result) {
    answer.reply.integer(result.number);
}};

constexpr Finisher kReplyMoved = {[](Answer& answer, std::size_t, const OperationResult& result) {
    if (result.code == Code::kOk) {
        answer.reply.ok();
    } else {
        answer.reply.error("ERR no such key");
    }
}};

constexpr Finisher kReplyMovedNew = {
    [](Answer& answer, std::size_t, const OperationResult& result) {
        if (result.code == Code::kNotFound) {
            answer.reply.error("ERR no such key");
        } else {
            answer.reply.integer(result.code == Code::kOk ? 1 : 0);
        }
    }};

constexpr Finisher kReplyDone = {[](Answer& answer, std::size_t, const OperationResult& result) {
    answer.reply.integer(result.code == Code::kOk ? 1 : 0);
}};

constexpr Finisher kReplyRestored = {
    [](Answer& answer, std::size_t, const OperationResult& result) {
        if (result.code == Code::kOk) {
            answer.reply.ok();
        } else {
            answer.reply.error("BUSYKEY Target key name already exists.");
        }
    }};

Operation operation_on(OperationKind kind, ByteView key, ByteView argument = {}) {
    Operation operation;
    operation.kind = kind;
    operation.key = key;
    operation.argument = argument;
    return operation;
}

// ---- COPY into another database ----

struct CopyOptions {
    bool replaces = false;
    unsigned database = 0;
};

// False: the error was replied.
bool take_copy_options(Arguments arguments,
                       unsigned databases,
                       ReplyWriter& reply,
                       CopyOptions& options) {
    for (std::size_t at = 3; at < arguments.size(); ++at) {
        if (equals_ignoring_case(arguments[at], "replace")) {
            options.replaces = true;
        } else if (equals_ignoring_case(arguments[at], "db") && at + 1 < arguments.size()) {
            const auto database = parse_int64(arguments[++at]);
            if (!database) {
                reply.error(kNotAnInteger);
                return false;
            }
            if (*database < 0 || *database >= static_cast<std::int64_t>(databases)) {
                reply.error("ERR DB index is out of range");
                return false;
            }
            options.database = static_cast<unsigned>(*database);
        } else {
            reply.error(kSyntaxError);
            return false;
        }
    }
    return true;
}

async::Task<void> copy_to_database(AwaitedCall* call) {
    const Arguments arguments = call->arguments();
    CopyOptions options;
    if (!take_copy_options(arguments, call->core.options().databases, call->reply, options)) {
        co_return;
    }
    kv::Kv& kv = call->core.kv();
    kv::CallContext context = call->context;
    context.consistency = kv::Consistency::kLinearizable;  // what is written is not of old
    auto target = co_await kv.ensure_keyspace(context, database_name(options.database));
    if (!target.ok()) {
        call->reply.status(target.status());
        co_return;
    }
    Bytes key(call->arguments()[1]);
    const auto found = co_await kv.get(context, call->keyspace, std::move(key), Revision());
    if (!found.ok()) {
        call->reply.status(found.status());
        co_return;
    }
    if (!found->has_value()) {
        call->reply.integer(0);
        co_return;
    }
    const kv::OwnedRecord& record = **found;
    mvcc::Command command;
    command.operations.push_back(
        operation_on(OperationKind::kPut, call->arguments()[2], record.value));
    Operation& put = command.operations.back();
    if (record.record.expires_at_ms != 0) {
        put.expiry_mode = mvcc::ExpiryMode::kAt;
        put.expires_at_ms = record.record.expires_at_ms;
    }
    if (!options.replaces) {
        put.condition.kind = mvcc::ConditionKind::kAbsent;
    }
    const auto outcome = co_await kv.execute(context, *target, &command);
    if (outcome.ok()) {
        call->reply.integer(outcome->operations.front().code == Code::kOk ? 1 : 0);
    } else {
        call->reply.status(outcome.status());
    }
}

// ---- RESTORE ----

struct RestoreOptions {
    bool replaces = false;
    bool is_absolute = false;
};

// False: the error was replied.
bool take_restore_options(Call& call, RestoreOptions& options) {
    for (std::size_t at = 4; at < call.size(); ++at) {
        const bool has_next = at + 1 < call.size();
        const bool is_idle = equals_ignoring_case(call[at], "idletime");
        if (equals_ignoring_case(call[at], "replace")) {
            options.replaces = true;
        } else if (equals_ignoring_case(call[at], "absttl")) {
            options.is_absolute = true;
        } else if (has_next && (is_idle || equals_ignoring_case(call[at], "freq"))) {
            const auto number = parse_int64(call[++at]);
            if (!number) {
                call.fail(kNotAnInteger);
                return false;
            }
            if (is_idle && *number < 0) {
                call.fail("ERR Invalid IDLETIME value, must be >= 0");
                return false;
            }
            if (!is_idle && (*number < 0 || *number > 255)) {
                call.fail("ERR Invalid FREQ value, must be >= 0 and <= 255");
                return false;
            }
        } else {
            call.syntax_error();
            return false;
        }
    }
    return true;
}

// ---- OBJECT ----

std::string_view encoding_of(ByteView value) {
    if (value.size() <= kIntegerDigitsMax && parse_int64(value)) {
        return "int";
    }
    return value.size() <= kEmbeddedBytesMax ? "embstr" : "raw";
}

Outcome object_help(Call& call) {
    static constexpr auto kLines = std::to_array<std::string_view>({
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        "HELP",
        "    Prints this help.",
    });
    call.reply().array(kLines.size());
    for (const std::string_view line : kLines) {
        call.reply().simple(line);
    }
    return Outcome::kReplied;
}

}  // namespace

std::string database_name(unsigned database) {
    return database == 0 ? "default" : "redis/" + std::to_string(database);
}

Outcome del_command(Call& call) {
    if (call.size() == 2) {
        return call.write(operation_on(OperationKind::kDelete, call[1]), kReplyNumber);
    }
    mvcc::Command& command = call.scratch_command();
    for (std::size_t i = 1; i < call.size(); ++i) {
        command.operations.push_back(operation_on(OperationKind::kDelete, call[i]));
    }
    return call.write(command, kReplyCount);
}

Outcome exists_command(Call& call) {
    std::int64_t count = 0;
    for (std::size_t i = 1; i < call.size(); ++i) {
        mvcc::Record record;
        switch (call.find(i - 1, call[i], &record)) {
            case storage::Lookup::kFound: ++count; break;
            case storage::Lookup::kAbsent: break;
            case storage::Lookup::kMustLoad: return Outcome::kMustLoad;
        }
    }
    return call.integer(count);
}

Outcome type_command(Call& call) {
    mvcc::Record record;
    switch (call.find(0, call[1], &record)) {
        case storage::Lookup::kFound: call.reply().simple("string"); break;
        case storage::Lookup::kAbsent: call.reply().simple("none"); break;
        case storage::Lookup::kMustLoad: return Outcome::kMustLoad;
    }
    return Outcome::kReplied;
}

Outcome rename_command(Call& call) {
    return call.write(operation_on(OperationKind::kMove, call[1], call[2]), kReplyMoved);
}

Outcome renamenx_command(Call& call) {
    Operation operation = operation_on(OperationKind::kMove, call[1], call[2]);
    operation.condition.kind = mvcc::ConditionKind::kAbsent;
    return call.write(operation, kReplyMovedNew);
}

Outcome copy_command(Call& call) {
    CopyOptions options{.replaces = false, .database = call.session().database()};
    if (!take_copy_options(
            call.arguments(), call.core().options().databases, call.reply(), options)) {
        return Outcome::kReplied;
    }
    if (options.database != call.session().database()) {
        return call.is_in_transaction()
                   ? call.fail("ERR COPY to another database is not supported inside MULTI")
                   : call.await(copy_to_database);
    }
    if (call[1] == call[2]) {
        return call.fail("ERR source and destination objects are the same");
    }
    Operation operation = operation_on(OperationKind::kCopy, call[1], call[2]);
    if (!options.replaces) {
        operation.condition.kind = mvcc::ConditionKind::kAbsent;
    }
    return call.write(operation, kReplyDone);
}

Outcome dump_command(Call& call) {
    mvcc::Record record;
    switch (call.find(0, call[1], &record)) {
        case storage::Lookup::kFound: call.reply().bulk(dump_string(record.value)); break;
        case storage::Lookup::kAbsent: call.reply().null(); break;
        case storage::Lookup::kMustLoad: return Outcome::kMustLoad;
    }
    return Outcome::kReplied;
}

Outcome restore_command(Call& call) {
    RestoreOptions options;
    if (!take_restore_options(call, options)) {
        return Outcome::kReplied;
    }
    const auto ttl = parse_int64(call[2]);
    if (!ttl) {
        return call.fail(kNotAnInteger);
    }
    if (*ttl < 0) {
        return call.fail("ERR Invalid TTL value, must be >= 0");
    }
    if (!dump_is_sound(call[3])) {
        return call.fail("ERR DUMP payload version or checksum are wrong");
    }
    const auto value = restore_string(call[3]);
    if (!value.ok()) {
        return call.fail("ERR " + std::string(value.status().message()));
    }
    Operation operation = operation_on(OperationKind::kPut, call[1], call.keep(*value));
    if (!options.replaces) {
        operation.condition.kind = mvcc::ConditionKind::kAbsent;
    }
    if (*ttl > 0) {
        const auto form = options.is_absolute ? TimeForm::kAtMilliseconds : TimeForm::kMilliseconds;
        const auto at = expiry_of(*ttl, form, call.now_ms());
        if (!at) {
            return call.fail(invalid_expiry_text(call));
        }
        operation.expiry_mode = mvcc::ExpiryMode::kAt;
        operation.expires_at_ms = static_cast<std::uint64_t>(*at);
    }
    return call.write(operation, kReplyRestored);
}

Outcome object_command(Call& call) {
    const std::string what = lower_case(call[1]);
    if (what == "help" && call.size() == 2) {
        return object_help(call);
    }
    const bool is_known =
        what == "refcount" || what == "encoding" || what == "idletime" || what == "freq";
    if (!is_known) {
        return unknown_subcommand(call);
    }
    if (call.size() != 3) {
        return call.fail("ERR wrong number of arguments for 'object|" + what + "' command");
    }
    mvcc::Record record;
    switch (call.find(0, call[2], &record)) {
        case storage::Lookup::kFound: break;
        case storage::Lookup::kAbsent: call.reply().null(); return Outcome::kReplied;
        case storage::Lookup::kMustLoad: return Outcome::kMustLoad;
    }
    if (what == "refcount") {
        return call.integer(1);
    }
    if (what == "encoding") {
        call.reply().bulk(encoding_of(record.value));
        return Outcome::kReplied;
    }
    if (what == "freq") {
        return call.fail(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please "
            "note that when switching between policies at runtime LRU and LFU data will take some "
            "time to adjust.");
    }
    // Reads leave no trace, so this is the time since the last write.
    constexpr std::uint64_t kMillisecondsPerSecond = 1000;
    const std::uint64_t now = call.now_ms();
    const std::uint64_t written = record.version.milliseconds();
    return call.integer(
        static_cast<std::int64_t>((now - std::min(now, written)) / kMillisecondsPerSecond));
}

}  // namespace kvstore::resp
