// Commands on keys as a whole.
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"

namespace kvstore::resp {
namespace {

constexpr Finisher kReplyCount = {
    [](Answer& answer, std::size_t, const mvcc::OperationResult& result) {
        answer.number += result.number;
    },
    [](Answer& answer, bool) { answer.reply.integer(answer.number); },
};

constexpr Finisher kReplyOne = {
    [](Answer& answer, std::size_t, const mvcc::OperationResult& result) {
        answer.reply.integer(result.number);
    },
};

mvcc::Operation delete_operation(ByteView key) {
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kDelete;
    operation.key = key;
    return operation;
}

}  // namespace

Outcome del_command(Call& call) {
    if (call.size() == 2) {
        return call.write(delete_operation(call[1]), kReplyOne);
    }
    mvcc::Command& command = call.scratch_command();
    for (std::size_t i = 1; i < call.size(); ++i) {
        command.operations.push_back(delete_operation(call[i]));
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

}  // namespace kvstore::resp
