// When keys run out.
#include <algorithm>
#include <optional>
#include <string>

#include "base/parse.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"

namespace kvstore::resp {
namespace {

constexpr std::int64_t kNoKey = -2;
constexpr std::int64_t kNoExpiry = -1;

constexpr Finisher kReplyTaken = {
    [](Answer& answer, std::size_t, const mvcc::OperationResult& result) {
        answer.reply.integer(result.code == Code::kOk ? 1 : 0);
    }};

struct ExpireOptions {
    bool nx = false;
    bool xx = false;
    bool gt = false;
    bool lt = false;
};

// Nullopt: the error was replied.
std::optional<mvcc::ExpiryCondition> take_options(Call& call) {
    ExpireOptions options;
    for (std::size_t at = 3; at < call.size(); ++at) {
        const std::string word = lower_case(call[at]);
        if (word == "nx") {
            options.nx = true;
        } else if (word == "xx") {
            options.xx = true;
        } else if (word == "gt") {
            options.gt = true;
        } else if (word == "lt") {
            options.lt = true;
        } else {
            call.fail("ERR Unsupported option " + std::string(call[at]));
            return std::nullopt;
        }
    }
    if (options.nx && (options.xx || options.gt || options.lt)) {
        call.fail("ERR NX and XX, GT or LT options at the same time are not compatible");
        return std::nullopt;
    }
    if (options.gt && options.lt) {
        call.fail("ERR GT and LT options at the same time are not compatible");
        return std::nullopt;
    }
    if (options.gt) {
        return mvcc::ExpiryCondition::kOnlyIfGreater;  // holds for keys with an expiry only
    }
    if (options.lt) {
        return options.xx ? mvcc::ExpiryCondition::kOnlyIfSomeAndLess
                          : mvcc::ExpiryCondition::kOnlyIfLess;
    }
    if (options.nx) {
        return mvcc::ExpiryCondition::kOnlyIfNone;
    }
    return options.xx ? mvcc::ExpiryCondition::kOnlyIfSome : mvcc::ExpiryCondition::kAlways;
}

Outcome expire(Call& call, TimeForm form) {
    const auto condition = take_options(call);
    if (!condition) {
        return Outcome::kReplied;
    }
    const auto time = parse_int64(call[2]);
    if (!time) {
        return call.fail(kNotAnInteger);
    }
    const auto at = expiry_of(*time, form, call.now_ms());
    if (!at) {
        return call.fail(invalid_expiry_text(call));
    }
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kSetExpiry;
    operation.key = call[1];
    operation.expiry_mode = mvcc::ExpiryMode::kAt;
    operation.expiry_condition = *condition;
    operation.expires_at_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(*at, 1));
    return call.write(operation, kReplyTaken);
}

enum class Show : std::uint8_t { kLeft, kMoment };

// In milliseconds, or why not. Nullopt: the record must be loaded.
std::optional<std::int64_t> expiry_shown(Call& call, Show show) {
    mvcc::Record record;
    switch (call.find(0, call[1], &record)) {
        case storage::Lookup::kFound: break;
        case storage::Lookup::kAbsent: return kNoKey;
        case storage::Lookup::kMustLoad: return std::nullopt;
    }
    if (record.expires_at_ms == 0) {
        return kNoExpiry;
    }
    const auto at = static_cast<std::int64_t>(record.expires_at_ms);
    return show == Show::kMoment
               ? at
               : std::max<std::int64_t>(at - static_cast<std::int64_t>(call.now_ms()), 0);
}

Outcome show_milliseconds(Call& call, Show show) {
    const auto ms = expiry_shown(call, show);
    return ms ? call.integer(*ms) : Outcome::kMustLoad;
}

Outcome show_seconds(Call& call, Show show) {
    constexpr std::int64_t kHalfSecond = 500;
    constexpr std::int64_t kSecond = 1000;
    const auto ms = expiry_shown(call, show);
    if (!ms) {
        return Outcome::kMustLoad;
    }
    return call.integer(*ms < 0 ? *ms : (*ms + kHalfSecond) / kSecond);
}

}  // namespace

Outcome expire_command(Call& call) {
    return expire(call, TimeForm::kSeconds);
}

Outcome pexpire_command(Call& call) {
    return expire(call, TimeForm::kMilliseconds);
}

Outcome expireat_command(Call& call) {
    return expire(call, TimeForm::kAtSeconds);
}

Outcome pexpireat_command(Call& call) {
    return expire(call, TimeForm::kAtMilliseconds);
}

Outcome persist_command(Call& call) {
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kSetExpiry;
    operation.key = call[1];
    return call.write(operation, kReplyTaken);
}

Outcome ttl_command(Call& call) {
    return show_seconds(call, Show::kLeft);
}

Outcome pttl_command(Call& call) {
    return show_milliseconds(call, Show::kLeft);
}

Outcome expiretime_command(Call& call) {
    return show_seconds(call, Show::kMoment);
}

Outcome pexpiretime_command(Call& call) {
    return show_milliseconds(call, Show::kMoment);
}

}  // namespace kvstore::resp
