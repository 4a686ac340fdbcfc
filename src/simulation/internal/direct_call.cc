#include "simulation/internal/direct_call.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "simulation/internal/plan.h"

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

// What stood there before is as of the command's stamp, which reads of a key that runs out do not
// follow.
bool tells_previous(const history::Operation& question) {
    return question.kind == OperationKind::kWrite &&
           place_of(question.key).key.front() != kExpiring;
}

// A view into `expected`.
mvcc::Condition condition_on(const history::MaybeValue& expected) {
    mvcc::Condition condition;
    condition.kind = expected ? mvcc::ConditionKind::kValue : mvcc::ConditionKind::kAbsent;
    if (expected) {
        condition.value = *expected;
    }
    return condition;
}

// Views into `question`.
mvcc::Operation operation_of(const history::Operation& question) {
    mvcc::Operation operation;
    operation.kind = stored_kind(question.kind);
    operation.key = question.key;
    operation.delta = question.delta;
    operation.wants_previous = tells_previous(question);
    if (question.argument) {
        operation.argument = *question.argument;
    }
    if (question.kind == OperationKind::kCompareAndSet) {
        operation.condition = condition_on(question.expected);
    }
    return operation;
}

history::MaybeValue value_of(const std::optional<kv::OwnedRecord>& record) {
    return record ? history::MaybeValue(record->value) : history::MaybeValue();
}

Answer answer_of(const history::Operation& question, const kv::OperationOutcome& done) {
    Answer answer{.outcome = history::Outcome::kOk};
    switch (question.kind) {
        case OperationKind::kCompareAndSet:
            answer.is_matched = done.code != Code::kConflict;
            if (!answer.is_matched) {
                answer.observed = value_of(done.previous);
            }
            break;
        case OperationKind::kWrite:
            if (tells_previous(question)) {
                answer.observed = value_of(done.previous);
            }
            break;
        case OperationKind::kDelete:
        case OperationKind::kIncrement:
        case OperationKind::kAppend: answer.number = done.number; break;
        case OperationKind::kRead: break;
    }
    return answer;
}

kv::KeyspaceHandle keyspace_of(const kv::Kv& kv, std::string_view name) {
    return name.empty() ? kv.default_keyspace() : kv.find_keyspace(name);
}

Status not_here_yet() {
    return {Code::kNotFound, "the keyspace is not made yet"};
}

void show(Answer& answer, const std::optional<kv::OwnedRecord>& record) {
    answer.outcome = history::Outcome::kOk;
    answer.observed = value_of(record);
    if (record) {
        answer.revision = record->record.mod_revision;
    }
}

std::vector<Bytes> keys_of(const WideAttempt& attempt) {
    std::vector<Bytes> keys;
    for (const history::Operation& question : attempt.questions) {
        keys.push_back(question.key);
    }
    return keys;
}

// ---- several keys ----

async::Task<void> read_many(kv::Kv* kv,
                            kv::KeyspaceHandle keyspace,
                            std::shared_ptr<WideAttempt> attempt) {
    std::vector<Bytes> keys = keys_of(*attempt);
    const auto found =
        co_await kv->get_many(attempt->context, std::move(keyspace), std::move(keys));
    if (!found.ok()) {
        attempt->finish(found.status());
        co_return;
    }
    std::vector<Answer> answers(attempt->questions.size());
    std::string oddity;
    if (found->size() != answers.size()) {
        oddity = "several keys were asked for, and other many answers came";
    }
    for (std::size_t i = 0; i < std::min(answers.size(), found->size()); ++i) {
        show(answers[i], (*found)[i]);
    }
    attempt->finish(std::move(answers), std::move(oddity));
}

async::Task<void> write_batch(kv::Kv* kv,
                              kv::KeyspaceHandle keyspace,
                              std::shared_ptr<WideAttempt> attempt) {
    std::vector<mvcc::Operation> operations;
    for (const history::Operation& question : attempt->questions) {
        operations.push_back(operation_of(question));
    }
    const auto outcome =
        co_await kv->execute_batch(attempt->context, std::move(keyspace), &operations);
    if (!outcome.ok()) {
        attempt->finish(outcome.status());
        co_return;
    }
    std::vector<Answer> answers;
    for (std::size_t i = 0; i < attempt->questions.size(); ++i) {
        const history::Operation& question = attempt->questions[i];
        const Result<kv::OperationOutcome>& done = outcome->operations[i];
        answers.push_back(done.ok() ? answer_of(question, *done)
                                    : internal::answer_of(done.status(), question.kind));
    }
    attempt->finish(std::move(answers));
}

// What the condition says of its key is an answer too.
async::Task<void> write_if(kv::Kv* kv,
                           kv::KeyspaceHandle keyspace,
                           std::shared_ptr<WideAttempt> attempt) {
    const history::Operation& known = attempt->questions[0];
    mvcc::Command command;
    mvcc::KeyCondition& condition = command.conditions.emplace_back();
    condition.key = known.key;
    condition.condition = condition_on(known.expected);
    command.operations.push_back(operation_of(attempt->questions[1]));
    const auto outcome = co_await kv->execute(attempt->context, std::move(keyspace), &command);
    if (!outcome.ok()) {
        attempt->finish(outcome.status());
        co_return;
    }
    std::vector<Answer> answers(2);
    answers[0] = {.outcome = history::Outcome::kOk, .is_matched = outcome->conditions_held};
    answers[1] = outcome->conditions_held
                     ? answer_of(attempt->questions[1], outcome->operations.front())
                     : Answer{.outcome = history::Outcome::kFailed};
    attempt->finish(std::move(answers));
}

std::string oddity_of(const std::vector<mvcc::ScanRow>& rows, const mvcc::ScanRequest& asked) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].key < asked.from || rows[i].key >= asked.to) {
            return "a scan shows a key that is not in its range: " + rows[i].key;
        }
        if (i > 0 &&
            (asked.reverse ? rows[i].key >= rows[i - 1].key : rows[i].key <= rows[i - 1].key)) {
            return "a scan shows " + rows[i].key + " behind " + rows[i - 1].key;
        }
    }
    return {};
}

async::Task<void> scan(kv::Kv* kv,
                       kv::KeyspaceHandle keyspace,
                       std::shared_ptr<WideAttempt> attempt) {
    const std::vector<Bytes> keys = keys_of(*attempt);
    mvcc::ScanRequest asked;
    asked.from = *std::ranges::min_element(keys);
    asked.to = *std::ranges::max_element(keys) + '\0';
    asked.reverse = attempt->is_reverse;
    asked.limit = attempt->page_rows;
    std::vector<mvcc::ScanRow> rows;
    mvcc::ScanRequest next = asked;
    for (bool has_more = true; has_more;) {
        auto page = co_await kv->scan(attempt->context, keyspace, next);
        if (!page.ok()) {
            attempt->finish(page.status());
            co_return;
        }
        std::ranges::move(page->rows, std::back_inserter(rows));
        has_more = page->has_more;
        (next.reverse ? next.to : next.from) = std::move(page->next);
    }
    std::vector<Answer> answers;
    for (const Bytes& key : keys) {
        const auto row = std::ranges::find(rows, key, &mvcc::ScanRow::key);
        Answer& answer = answers.emplace_back();
        answer.outcome = history::Outcome::kOk;
        answer.observed = history::MaybeValue();
        if (row != rows.end()) {
            answer.observed = history::MaybeValue(row->value);
            answer.revision = row->record.mod_revision;
        }
    }
    attempt->finish(std::move(answers), oddity_of(rows, asked));
}

}  // namespace

async::Task<void> call_directly(kv::Kv* kv, std::shared_ptr<Attempt> attempt) {
    const history::Operation& question = attempt->question;
    const Place place = place_of(question.key);
    const kv::KeyspaceHandle keyspace = keyspace_of(*kv, place.keyspace);
    if (keyspace == nullptr) {
        attempt->finish(internal::answer_of(not_here_yet(), question.kind));
        co_return;
    }
    if (question.kind == OperationKind::kRead) {
        Bytes key(place.key);
        const auto found = co_await kv->get(attempt->context, keyspace, std::move(key), Revision());
        if (!found.ok()) {
            attempt->finish(internal::answer_of(found.status(), question.kind));
            co_return;
        }
        Answer answer;
        show(answer, *found);
        attempt->finish(std::move(answer));
        co_return;
    }
    mvcc::Command command;
    mvcc::Operation& operation = command.operations.emplace_back(operation_of(question));
    operation.key = place.key;
    if (attempt->time_to_live) {
        operation.expiry_mode = mvcc::ExpiryMode::kAt;
        operation.expires_at_ms =
            kv->now_ms() +
            static_cast<std::uint64_t>(*attempt->time_to_live / std::chrono::milliseconds(1));
    }
    const auto outcome = co_await kv->execute(attempt->context, keyspace, &command);
    if (!outcome.ok()) {
        attempt->finish(internal::answer_of(outcome.status(), question.kind));
        co_return;
    }
    const kv::OperationOutcome& done = outcome->operations.front();
    Answer answer = answer_of(question, done);
    if (done.changed && question.kind != OperationKind::kDelete) {
        answer.revision = outcome->revision;
    }
    attempt->finish(std::move(answer));
}

async::Task<void> call_directly(kv::Kv* kv, std::shared_ptr<WideAttempt> attempt) {
    kv::KeyspaceHandle keyspace = keyspace_of(*kv, attempt->keyspace);
    if (keyspace == nullptr) {
        attempt->finish(not_here_yet());
        co_return;
    }
    switch (attempt->kind) {
        case WideKind::kScan: co_await scan(kv, std::move(keyspace), std::move(attempt)); break;
        case WideKind::kReadMany:
            co_await read_many(kv, std::move(keyspace), std::move(attempt));
            break;
        case WideKind::kBatch:
            co_await write_batch(kv, std::move(keyspace), std::move(attempt));
            break;
        case WideKind::kConditional:
            co_await write_if(kv, std::move(keyspace), std::move(attempt));
            break;
    }
}

}  // namespace kvstore::simulation::internal
