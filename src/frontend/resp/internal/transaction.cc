#include "frontend/resp/internal/transaction.h"

#include <utility>

#include "base/assert.h"
#include "frontend/resp/internal/core.h"

namespace kvstore::resp {

// ---- queue ----

void TransactionQueue::add(const CommandSpec& spec, Arguments arguments) {
    TransactionStep& step = steps_.emplace_back();
    step.spec = &spec;
    step.arguments.assign(arguments);
    has_keys_ = has_keys_ || spec.kind == CommandKind::kWrite ||
                (spec.kind == CommandKind::kRead && spec.first_key != 0);
    byte_count_ += step.arguments.byte_count() + sizeof(TransactionStep);
}

void TransactionQueue::watch(kv::KeyspaceHandle keyspace, ByteView key, Revision mod_revision) {
    if (watches(*keyspace, key)) {
        return;  // the first look counts
    }
    watched_.push_back(
        {.keyspace = std::move(keyspace), .key = Bytes(key), .mod_revision = mod_revision});
}

bool TransactionQueue::watches(const kv::Keyspace& keyspace, ByteView key) const {
    for (const WatchedKey& watched : watched_) {
        if (watched.keyspace.get() == &keyspace && watched.key == key) {
            return true;
        }
    }
    return false;
}

void TransactionQueue::close() {
    is_open_ = false;
    is_spoiled_ = false;
    has_keys_ = false;
    byte_count_ = 0;
    steps_.clear();
    watched_.clear();
}

// ---- plan ----

void TransactionStep::plan(const mvcc::Operation& operation,
                           const Finisher& how,
                           std::int64_t with_number) {
    command->operations.push_back(operation);
    ++operation_count;
    finisher = &how;
    number = with_number;
}

Transaction::Transaction(Core& core, Session& session, TransactionQueue& queue)
    : core_(core),
      keyspace_(session.keyspace()),
      protocol_(session.protocol()),
      steps_(queue.take_steps()),
      watched_(queue.take_watched()),
      has_keys_(queue.has_keys()) {}

bool Transaction::plan(Session& session) {
    for (const WatchedKey& watched : watched_) {
        if (watched.keyspace == keyspace_) {
            command_.conditions.push_back({.key = watched.key,
                                           .condition = {.kind = mvcc::ConditionKind::kModRevision,
                                                         .revision = watched.mod_revision,
                                                         .value = {}}});
            continue;
        }
        mvcc::Record record;
        const storage::Lookup found = core_.kv().find(*watched.keyspace, watched.key, &record);
        const Revision now = found == storage::Lookup::kFound ? record.mod_revision : Revision();
        // What only the disk knows counts as changed: the client will try again.
        if (found == storage::Lookup::kMustLoad || now != watched.mod_revision) {
            return false;
        }
    }
    for (TransactionStep& step : steps_) {
        plan_step(session, step);
    }
    return true;
}

void Transaction::plan_step(Session& session, TransactionStep& step) {
    step.command = &command_;
    step.first_operation = command_.operations.size();
    if (step.spec->kind != CommandKind::kWrite) {
        plan_reads(step);
        return;
    }
    Call call(core_,
              session,
              *step.spec,
              step.arguments.views(),
              ReplyWriter(step.reply, protocol_, &core_));
    call.use_step(&step);
    const Outcome outcome = step.spec->handler(call);
    KVSTORE_ASSERT(outcome == Outcome::kReplied || outcome == Outcome::kSubmitted);
    step.is_done = outcome == Outcome::kReplied;
    has_awaited_ = has_awaited_ || step.awaited != nullptr;
    core_.count_call(*step.spec);
}

void Transaction::plan_reads(TransactionStep& step) {
    const Arguments arguments = step.arguments.views();
    const KeyPositions positions(*step.spec, arguments.size());
    const bool reads = step.spec->kind == CommandKind::kRead;
    for (std::size_t i = 0; reads && i < positions.count(); ++i) {
        mvcc::Operation operation;
        operation.kind = mvcc::OperationKind::kGet;
        operation.key = arguments[positions.at(i)];
        command_.operations.push_back(operation);
    }
    // What reads no key runs when the operation before it was done. Where there is none, one that
    // does nothing is put in its place.
    if (command_.operations.empty() && has_keys_) {
        mvcc::Operation operation;
        operation.kind = mvcc::OperationKind::kGet;
        operation.key = first_key();
        command_.operations.push_back(operation);
    }
    step.operation_count = command_.operations.size() - step.first_operation;
}

// Some key of the transaction: what reads it goes to the shard of the others.
ByteView Transaction::first_key() const {
    for (const mvcc::KeyCondition& condition : command_.conditions) {
        return condition.key;
    }
    for (const TransactionStep& step : steps_) {
        const Arguments arguments = step.arguments.views();
        const KeyPositions positions(*step.spec, arguments.size());
        if (positions.count() > 0) {
            return arguments[positions.at(0)];
        }
    }
    return {};
}

// ---- outcome ----

void Transaction::on_operation(Session* session,
                               std::size_t at,
                               const mvcc::OperationResult& result) {
    if (session == nullptr) {
        return;
    }
    run_steps_without_operations(*session);
    TransactionStep& step = steps_[next_step_];
    const bool is_last = at + 1 == step.first_operation + step.operation_count;
    if (step.finisher != nullptr) {
        Answer answer{.reply = ReplyWriter(step.reply, protocol_, &core_), .number = step.number};
        step.finisher->on_operation(answer, at - step.first_operation, result);
        if (is_last && step.finisher->on_end != nullptr) {
            step.finisher->on_end(answer, true);
        }
        step.number = answer.number;
    } else {
        take_record(step, result);
        if (is_last) {
            run_step(*session, step);
        }
    }
    if (is_last) {
        note_done(step);
        ++next_step_;
        run_steps_without_operations(*session);
    }
}

// A single record is shown where it is; of several, the first must outlast its callback.
void Transaction::take_record(TransactionStep& step, const mvcc::OperationResult& result) {
    LoadedRecord& record = step.records.emplace_back();
    if (!result.previous) {
        return;
    }
    record = {.present = true, .record = *result.previous};
    if (step.operation_count > 1) {
        const Bytes& kept = step.values.emplace_back(result.previous->value);
        record.record.value = kept;
    }
}

void Transaction::run_steps_without_operations(Session& session) {
    while (next_step_ < steps_.size() && steps_[next_step_].operation_count == 0) {
        TransactionStep& step = steps_[next_step_++];
        if (!step.is_done) {
            run_step(session, step);
            note_done(step);
        }
    }
}

void Transaction::run_step(Session& session, TransactionStep& step) {
    Call call(core_,
              session,
              *step.spec,
              step.arguments.views(),
              ReplyWriter(step.reply, protocol_, &core_));
    call.use_step(&step);
    call.use_loaded(step.records);
    if (step.awaited == nullptr) {
        step.spec->handler(call);
        core_.count_call(*step.spec);
    }
    has_awaited_ = has_awaited_ || step.awaited != nullptr;
}

void Transaction::note_done(TransactionStep& step) {
    step.is_done = true;
    if (!step.reply.empty() && step.reply.front() == '-') {
        ++core_.statistics_of(*step.spec).failed_calls;
    }
}

void Transaction::on_end(Session* session, bool conditions_held) {
    conditions_held_ = conditions_held;
    if (conditions_held && session != nullptr) {
        run_steps_without_operations(*session);
    }
}

void Transaction::write_reply(ReplyWriter& reply) {
    if (!conditions_held_) {
        reply.null_array();
        return;
    }
    reply.array(steps_.size());
    for (const TransactionStep& step : steps_) {
        reply.raw(step.reply);
    }
}

}  // namespace kvstore::resp
