// MULTI, EXEC and what belongs to them.
#include "frontend/resp/internal/transaction.h"

#include <memory>
#include <utility>

#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"
#include "frontend/resp/internal/session.h"

namespace kvstore::resp {
namespace {

// As watch_command(), for records that must be loaded.
async::Task<void> watch(AwaitedCall* call) {
    for (std::size_t i = 1; i < call->arguments().size(); ++i) {
        Bytes key(call->arguments()[i]);
        const auto found =
            co_await call->core.kv().get(call->context, call->keyspace, std::move(key), Revision());
        if (!found.ok()) {
            call->reply.status(found.status());
            co_return;
        }
        if (call->session() == nullptr) {
            co_return;
        }
        const Revision revision = found->has_value() ? (*found)->record.mod_revision : Revision();
        call->session()->transaction().watch(call->keyspace, call->arguments()[i], revision);
    }
    call->reply.ok();
}

}  // namespace

Outcome multi_command(Call& call) {
    if (call.session().transaction().is_open()) {
        return call.fail("ERR MULTI calls can not be nested");
    }
    call.session().transaction().open();
    return call.ok();
}

Outcome discard_command(Call& call) {
    if (!call.session().transaction().is_open()) {
        return call.fail("ERR DISCARD without MULTI");
    }
    call.session().transaction().close();
    return call.ok();
}

Outcome exec_command(Call& call) {
    Session& session = call.session();
    TransactionQueue& queue = session.transaction();
    if (!queue.is_open()) {
        return call.fail("ERR EXEC without MULTI");
    }
    if (queue.is_spoiled()) {
        queue.close();
        return call.fail("EXECABORT Transaction discarded because of previous errors.");
    }
    // Without keys it is not ordered by the shard, so it waits for what is before it.
    if (!queue.has_keys() && session.has_slots()) {
        return Outcome::kNotNow;
    }
    auto transaction = std::make_unique<Transaction>(call.core(), session, queue);
    queue.close();
    if (!transaction->plan(session)) {
        call.reply().null_array();
        return Outcome::kReplied;
    }
    return session.propose(call.spec(), std::move(transaction));
}

Outcome watch_command(Call& call) {
    Session& session = call.session();
    if (session.transaction().is_open()) {
        return call.fail("ERR WATCH inside MULTI is not allowed");
    }
    // What it sees must include every write before it.
    if (session.has_slots()) {
        return Outcome::kNotNow;
    }
    for (std::size_t i = 1; i < call.size(); ++i) {
        mvcc::Record record;
        const storage::Lookup found = call.find(0, call[i], &record);
        if (found == storage::Lookup::kMustLoad) {
            return call.await(watch);
        }
        session.transaction().watch(
            session.keyspace(),
            call[i],
            found == storage::Lookup::kFound ? record.mod_revision : Revision());
    }
    return call.ok();
}

Outcome unwatch_command(Call& call) {
    call.session().transaction().unwatch();
    return call.ok();
}

}  // namespace kvstore::resp
