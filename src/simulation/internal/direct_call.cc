#include "simulation/internal/direct_call.h"

#include <utility>

#include "base/assert.h"

namespace kvstore::simulation::internal {
namespace {

using history::OperationKind;

mvcc::OperationKind stored_kind(OperationKind kind) {
    switch (kind) {
        case OperationKind::kRead: return mvcc::OperationKind::kGet;
        case OperationKind::kWrite:
        case OperationKind::kCompareAndSet: return mvcc::OperationKind::kPut;
        case OperationKind::kDelete: return mvcc::OperationKind::kDelete;
        case OperationKind::kIncrement: return mvcc::OperationKind::kIncrement;
        case OperationKind::kAppend: return mvcc::OperationKind::kAppend;
    }
    return mvcc::OperationKind::kGet;
}

// Views into `question`.
mvcc::Operation operation_of(const history::Operation& question) {
    mvcc::Operation operation;
    operation.kind = stored_kind(question.kind);
    operation.key = question.key;
    operation.delta = question.delta;
    operation.wants_previous = question.kind == OperationKind::kWrite;
    if (question.argument) {
        operation.argument = *question.argument;
    }
    if (question.kind == OperationKind::kCompareAndSet) {
        operation.condition.kind =
            question.expected ? mvcc::ConditionKind::kValue : mvcc::ConditionKind::kAbsent;
        if (question.expected) {
            operation.condition.value = *question.expected;
        }
    }
    return operation;
}

history::MaybeValue value_of(const std::optional<kv::OwnedRecord>& record) {
    return record ? history::MaybeValue(record->value) : history::MaybeValue();
}

Answer answer_of(const history::Operation& question, const kv::CommandOutcome& outcome) {
    const kv::OperationOutcome& done = outcome.operations.front();
    Answer answer{.outcome = history::Outcome::kOk};
    switch (question.kind) {
        case OperationKind::kCompareAndSet:
            answer.is_matched = done.code != Code::kConflict;
            if (!answer.is_matched) {
                answer.observed = value_of(done.previous);
            }
            break;
        case OperationKind::kWrite: answer.observed = value_of(done.previous); break;
        case OperationKind::kDelete:
        case OperationKind::kIncrement:
        case OperationKind::kAppend: answer.number = done.number; break;
        case OperationKind::kRead: break;
    }
    if (done.changed && question.kind != OperationKind::kDelete) {
        answer.revision = outcome.revision;
    }
    return answer;
}

}  // namespace

async::Task<void> call_directly(kv::Kv* kv, std::shared_ptr<Attempt> attempt) {
    const history::Operation& question = attempt->question;
    if (question.kind == OperationKind::kRead) {
        const auto found =
            co_await kv->get(attempt->context, kv->default_keyspace(), question.key, Revision());
        if (!found.ok()) {
            attempt->finish(internal::answer_of(found.status(), question.kind));
            co_return;
        }
        Answer answer{.outcome = history::Outcome::kOk, .observed = history::MaybeValue()};
        if (found->has_value()) {
            answer.observed = history::MaybeValue((*found)->value);
            answer.revision = (*found)->record.mod_revision;
        }
        attempt->finish(std::move(answer));
        co_return;
    }
    mvcc::Command command;
    command.operations.push_back(operation_of(question));
    const auto outcome = co_await kv->execute(attempt->context, kv->default_keyspace(), &command);
    attempt->finish(outcome.ok() ? answer_of(question, *outcome)
                                 : internal::answer_of(outcome.status(), question.kind));
}

}  // namespace kvstore::simulation::internal
