// Commands on the value of a string.
#include <algorithm>
#include <optional>

#include "base/parse.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"

namespace kvstore::resp {
namespace {

using mvcc::Operation;
using mvcc::OperationKind;
using mvcc::OperationResult;

constexpr std::string_view kTooLong =
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
constexpr std::int64_t kStringBytesMax = 512LL << 20U;

void reply_value(ReplyWriter& reply, const std::optional<mvcc::Record>& record) {
    if (record) {
        reply.bulk(record->value);
    } else {
        reply.null();
    }
}

// ---- outcomes ----

constexpr Finisher kReplyOk = {[](Answer& answer, std::size_t, const OperationResult& result) {
    if (result.code == Code::kOk) {
        answer.reply.ok();
    } else {
        answer.reply.null();
    }
}};

constexpr Finisher kReplyDone = {[](Answer& answer, std::size_t, const OperationResult& result) {
    answer.reply.integer(result.code == Code::kOk ? 1 : 0);
}};

constexpr Finisher kReplyPrevious = {
    [](Answer& answer, std::size_t, const OperationResult& result) {
        reply_value(answer.reply, result.previous);
    }};

constexpr Finisher kReplyLength = {[](Answer& answer, std::size_t, const OperationResult& result) {
    if (result.code == Code::kOk) {
        answer.reply.integer(result.number);
    } else if (result.code == Code::kOutOfRange) {
        answer.reply.error("ERR offset is out of range");
    } else {
        answer.reply.error(kTooLong);
    }
}};

constexpr Finisher kReplyOkAtEnd = {
    [](Answer&, std::size_t, const OperationResult&) {},
    [](Answer& answer, bool) { answer.reply.ok(); },
};

constexpr Finisher kReplyHeld = {
    [](Answer& answer, std::size_t, const OperationResult& result) {
        answer.number &= result.code == Code::kOk ? 1 : 0;
    },
    [](Answer& answer, bool conditions_held) {
        answer.reply.integer(conditions_held ? answer.number : 0);
    },
};

// ---- options of SET and GETEX ----

struct StringOptions {
    bool is_get = false;
    bool is_persist = false;
    mvcc::ConditionKind condition = mvcc::ConditionKind::kNone;
    mvcc::ExpiryMode expiry = mvcc::ExpiryMode::kClear;
    TimeForm form = TimeForm::kSeconds;
    ByteView time;
};

enum class OptionsOf : std::uint8_t { kSet, kGetex };

std::optional<TimeForm> time_form(ByteView word) {
    if (equals_ignoring_case(word, "ex")) {
        return TimeForm::kSeconds;
    }
    if (equals_ignoring_case(word, "px")) {
        return TimeForm::kMilliseconds;
    }
    if (equals_ignoring_case(word, "exat")) {
        return TimeForm::kAtSeconds;
    }
    if (equals_ignoring_case(word, "pxat")) {
        return TimeForm::kAtMilliseconds;
    }
    return std::nullopt;
}

// Only one option about expiry may stand; the same one may be repeated.
bool take_expiry_option(Call& call, std::size_t& at, OptionsOf of, StringOptions& options) {
    const ByteView word = call[at];
    const bool has_time = options.expiry == mvcc::ExpiryMode::kAt;
    if (const auto form = time_form(word)) {
        const bool is_other = has_time && options.form != *form;
        if (is_other || options.is_persist || options.expiry == mvcc::ExpiryMode::kKeep ||
            at + 1 >= call.size()) {
            return false;
        }
        options.expiry = mvcc::ExpiryMode::kAt;
        options.form = *form;
        options.time = call[++at];
        return true;
    }
    if (has_time) {
        return false;
    }
    if (of == OptionsOf::kSet && equals_ignoring_case(word, "keepttl")) {
        options.expiry = mvcc::ExpiryMode::kKeep;
        return true;
    }
    if (of == OptionsOf::kGetex && equals_ignoring_case(word, "persist")) {
        options.is_persist = true;
        return true;
    }
    return false;
}

bool take_option(Call& call, std::size_t& at, OptionsOf of, StringOptions& options) {
    const ByteView word = call[at];
    if (of == OptionsOf::kSet) {
        if (equals_ignoring_case(word, "get")) {
            options.is_get = true;
            return true;
        }
        const bool is_nx = equals_ignoring_case(word, "nx");
        if (is_nx || equals_ignoring_case(word, "xx")) {
            const auto wanted =
                is_nx ? mvcc::ConditionKind::kAbsent : mvcc::ConditionKind::kPresent;
            const bool is_free =
                options.condition == mvcc::ConditionKind::kNone || options.condition == wanted;
            options.condition = wanted;
            return is_free;
        }
    }
    return take_expiry_option(call, at, of, options);
}

// Nullopt: the error was replied.
std::optional<std::uint64_t> take_time(Call& call, ByteView text, TimeForm form) {
    const auto number = parse_int64(text);
    if (!number) {
        call.fail(kNotAnInteger);
        return std::nullopt;
    }
    const auto at = *number > 0 ? expiry_of(*number, form, call.now_ms()) : std::nullopt;
    if (!at || *at <= 0) {
        call.fail(invalid_expiry_text(call));
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(*at);
}

Operation put_operation(ByteView key, ByteView value) {
    Operation operation;
    operation.kind = OperationKind::kPut;
    operation.key = key;
    operation.argument = value;
    return operation;
}

Outcome set_with_time(Call& call, TimeForm form) {
    const auto at = take_time(call, call[2], form);
    if (!at) {
        return Outcome::kReplied;
    }
    Operation operation = put_operation(call[1], call[3]);
    operation.expiry_mode = mvcc::ExpiryMode::kAt;
    operation.expires_at_ms = *at;
    return call.write(operation, kReplyOk);
}

Outcome set_many(Call& call, mvcc::ConditionKind condition, const Finisher& finisher) {
    if (call.size() % 2 == 0) {
        return call.fail("ERR wrong number of arguments for '" + std::string(call.name()) +
                         "' command");
    }
    mvcc::Command& command = call.scratch_command();
    for (std::size_t i = 1; i < call.size(); i += 2) {
        command.operations.push_back(put_operation(call[i], call[i + 1]));
        if (condition != mvcc::ConditionKind::kNone) {
            command.conditions.push_back(
                {.key = call[i], .condition = {.kind = condition, .revision = {}, .value = {}}});
        }
    }
    return call.write(command, finisher, 1);
}

}  // namespace

// ---- read ----

Outcome get_command(Call& call) {
    mvcc::Record record;
    switch (call.find(0, call[1], &record)) {
        case storage::Lookup::kFound: call.reply().bulk(record.value); break;
        case storage::Lookup::kAbsent: call.reply().null(); break;
        case storage::Lookup::kMustLoad: return Outcome::kMustLoad;
    }
    return Outcome::kReplied;
}

Outcome mget_command(Call& call) {
    call.reply().array(call.size() - 1);
    for (std::size_t i = 1; i < call.size(); ++i) {
        mvcc::Record record;
        switch (call.find(i - 1, call[i], &record)) {
            case storage::Lookup::kFound: call.reply().bulk(record.value); break;
            case storage::Lookup::kAbsent: call.reply().null(); break;
            case storage::Lookup::kMustLoad: return Outcome::kMustLoad;
        }
    }
    return Outcome::kReplied;
}

Outcome strlen_command(Call& call) {
    mvcc::Record record;
    const storage::Lookup found = call.find(0, call[1], &record);
    if (found == storage::Lookup::kMustLoad) {
        return Outcome::kMustLoad;
    }
    const bool present = found == storage::Lookup::kFound;
    return call.integer(present ? static_cast<std::int64_t>(record.value.size()) : 0);
}

Outcome getrange_command(Call& call) {
    const auto from = parse_int64(call[2]);
    const auto to = parse_int64(call[3]);
    if (!from || !to) {
        return call.fail(kNotAnInteger);
    }
    mvcc::Record record;
    switch (call.find(0, call[1], &record)) {
        case storage::Lookup::kFound: break;
        case storage::Lookup::kAbsent: call.reply().bulk({}); return Outcome::kReplied;
        case storage::Lookup::kMustLoad: return Outcome::kMustLoad;
    }
    const auto size = static_cast<std::int64_t>(record.value.size());
    const bool is_empty = size == 0 || (*from < 0 && *to < 0 && *from > *to);
    const std::int64_t first = std::max<std::int64_t>(*from < 0 ? size + *from : *from, 0);
    const std::int64_t last =
        std::min(std::max<std::int64_t>(*to < 0 ? size + *to : *to, 0), size - 1);
    if (is_empty || first > last) {
        call.reply().bulk({});
        return Outcome::kReplied;
    }
    call.reply().bulk(record.value.substr(static_cast<std::size_t>(first),
                                          static_cast<std::size_t>(last - first + 1)));
    return Outcome::kReplied;
}

// ---- write ----

Outcome set_command(Call& call) {
    if (call.size() == 3) {
        return call.write(put_operation(call[1], call[2]), kReplyOk);
    }
    StringOptions options;
    for (std::size_t at = 3; at < call.size(); ++at) {
        if (!take_option(call, at, OptionsOf::kSet, options)) {
            return call.syntax_error();
        }
    }
    Operation operation = put_operation(call[1], call[2]);
    operation.condition.kind = options.condition;
    operation.wants_previous = options.is_get;
    operation.expiry_mode = options.expiry;
    if (options.expiry == mvcc::ExpiryMode::kAt) {
        const auto at = take_time(call, options.time, options.form);
        if (!at) {
            return Outcome::kReplied;
        }
        operation.expires_at_ms = *at;
    }
    return call.write(operation, options.is_get ? kReplyPrevious : kReplyOk);
}

Outcome setnx_command(Call& call) {
    Operation operation = put_operation(call[1], call[2]);
    operation.condition.kind = mvcc::ConditionKind::kAbsent;
    return call.write(operation, kReplyDone);
}

Outcome setex_command(Call& call) {
    return set_with_time(call, TimeForm::kSeconds);
}

Outcome psetex_command(Call& call) {
    return set_with_time(call, TimeForm::kMilliseconds);
}

Outcome mset_command(Call& call) {
    return set_many(call, mvcc::ConditionKind::kNone, kReplyOkAtEnd);
}

Outcome msetnx_command(Call& call) {
    if (call.is_in_transaction()) {
        return call.fail("ERR MSETNX is not supported inside MULTI");
    }
    return set_many(call, mvcc::ConditionKind::kAbsent, kReplyHeld);
}

Outcome getset_command(Call& call) {
    Operation operation = put_operation(call[1], call[2]);
    operation.wants_previous = true;
    return call.write(operation, kReplyPrevious);
}

Outcome getdel_command(Call& call) {
    Operation operation;
    operation.kind = OperationKind::kDelete;
    operation.key = call[1];
    operation.wants_previous = true;
    return call.write(operation, kReplyPrevious);
}

Outcome getex_command(Call& call) {
    StringOptions options;
    for (std::size_t at = 2; at < call.size(); ++at) {
        if (!take_option(call, at, OptionsOf::kGetex, options)) {
            return call.syntax_error();
        }
    }
    Operation operation;
    operation.key = call[1];
    operation.wants_previous = true;
    if (options.expiry == mvcc::ExpiryMode::kAt) {
        const auto at = take_time(call, options.time, options.form);
        if (!at) {
            return Outcome::kReplied;
        }
        operation.kind = OperationKind::kSetExpiry;
        operation.expiry_mode = mvcc::ExpiryMode::kAt;
        operation.expires_at_ms = *at;
    } else if (options.is_persist) {
        operation.kind = OperationKind::kSetExpiry;
    }
    return call.write(operation, kReplyPrevious);
}

Outcome append_command(Call& call) {
    Operation operation;
    operation.kind = OperationKind::kAppend;
    operation.expiry_mode = mvcc::ExpiryMode::kKeep;
    operation.key = call[1];
    operation.argument = call[2];
    return call.write(operation, kReplyLength);
}

Outcome setrange_command(Call& call) {
    const auto offset = parse_int64(call[2]);
    if (!offset) {
        return call.fail(kNotAnInteger);
    }
    if (*offset < 0) {
        return call.fail("ERR offset is out of range");
    }
    const auto size = static_cast<std::int64_t>(call[3].size());
    if (size > 0 && *offset > kStringBytesMax - size) {
        return call.fail(kTooLong);
    }
    Operation operation;
    operation.kind = OperationKind::kSetRange;
    operation.expiry_mode = mvcc::ExpiryMode::kKeep;
    operation.key = call[1];
    operation.argument = call[3];
    operation.delta = *offset;
    return call.write(operation, kReplyLength);
}

}  // namespace kvstore::resp
