// Commands on the number in a string.
#include <cstdint>
#include <limits>

#include "base/parse.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"

namespace kvstore::resp {
namespace {

constexpr Finisher kReplySum = {
    [](Answer& answer, std::size_t, const mvcc::OperationResult& result) {
        if (result.code == Code::kOk) {
            answer.reply.integer(result.number);
        } else if (result.code == Code::kOutOfRange) {
            answer.reply.error("ERR increment or decrement would overflow");
        } else {
            answer.reply.error(kNotAnInteger);
        }
    }};

constexpr Finisher kReplyFloat = {
    [](Answer& answer, std::size_t, const mvcc::OperationResult& result) {
        if (result.code == Code::kOk) {
            answer.reply.bulk(result.text);
        } else if (result.code == Code::kOutOfRange) {
            answer.reply.error("ERR increment would produce NaN or Infinity");
        } else {
            answer.reply.error("ERR value is not a valid float");
        }
    }};

Outcome add(Call& call, std::int64_t delta) {
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kIncrement;
    operation.expiry_mode = mvcc::ExpiryMode::kKeep;
    operation.key = call[1];
    operation.delta = delta;
    return call.write(operation, kReplySum);
}

}  // namespace

Outcome incr_command(Call& call) {
    return add(call, 1);
}

Outcome decr_command(Call& call) {
    return add(call, -1);
}

Outcome incrby_command(Call& call) {
    const auto delta = parse_int64(call[2]);
    return delta ? add(call, *delta) : call.fail(kNotAnInteger);
}

Outcome decrby_command(Call& call) {
    const auto delta = parse_int64(call[2]);
    if (!delta) {
        return call.fail(kNotAnInteger);
    }
    if (*delta == std::numeric_limits<std::int64_t>::min()) {
        return call.fail("ERR decrement would overflow");
    }
    return add(call, -*delta);
}

Outcome incrbyfloat_command(Call& call) {
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kIncrementFloat;
    operation.expiry_mode = mvcc::ExpiryMode::kKeep;
    operation.key = call[1];
    operation.argument = call[2];
    return call.write(operation, kReplyFloat);
}

}  // namespace kvstore::resp
