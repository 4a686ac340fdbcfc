#include "frontend/resp/internal/slot.h"

#include "frontend/resp/internal/core.h"
#include "frontend/resp/internal/session.h"
#include "frontend/resp/internal/transaction.h"

namespace kvstore::resp {

Slot::Slot(Core& core)
    : answer{.reply = ReplyWriter(reply, Protocol::kResp2, &core)}, core_(core) {}

Slot::~Slot() = default;

void Slot::on_operation(std::size_t at, const mvcc::OperationResult& result) {
    if (transaction != nullptr) {
        transaction->on_operation(session, at, result);
        return;
    }
    finisher->on_operation(answer, at, result);
}

void Slot::on_command(const mvcc::CommandResult& result) {
    if (session != nullptr) {
        session->reads().session->note(shard, result.revision);
    }
    if (transaction != nullptr) {
        transaction->on_end(session, result.conditions_held);
        if (transaction->has_awaited() && session != nullptr) {
            session->finish_transaction(*this);
            return;
        }
        transaction->write_reply(answer.reply);
    } else if (finisher->on_end != nullptr) {
        finisher->on_end(answer, result.conditions_held);
    }
    finish();
}

void Slot::on_failed(const Status& why) {
    reply.clear();
    answer.reply.status(why);
    finish();
}

void Slot::finish() {
    if (!reply.empty() && reply.front() == '-') {
        ++core_.statistics_of(*spec).failed_calls;
    }
    if (session != nullptr) {
        session->on_slot_done(*this);
    } else {
        core_.release(*this);
    }
}

}  // namespace kvstore::resp
