// An operation of a client on its way to a node, and one that is about several keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "base/time.h"
#include "history/operation.h"
#include "kv/kv.h"

namespace kvstore::simulation::internal {

// What came back, as far as it adds to the record.
struct Answer {
    history::Outcome outcome = history::Outcome::kUnknown;
    std::optional<history::MaybeValue> observed{};
    std::optional<std::int64_t> number{};
    bool is_matched = true;
    std::optional<Revision> revision{};
};

// Of an error: reads have no effect, whatever happened to them.
[[nodiscard]] inline Answer answer_of(const Status& error, history::OperationKind kind) {
    const bool is_failed = error.effect() == Effect::kNone || kind == history::OperationKind::kRead;
    return {.outcome = is_failed ? history::Outcome::kFailed : history::Outcome::kUnknown};
}

// Lifetime  Shared by the client and whoever carries it out: a node that dies never lets go.
struct Attempt {
    history::Operation question;
    kv::CallContext context;
    std::optional<Duration> time_to_live{};  // of a write
    // Called at most once; empty once the client has given up.
    Callback<void(Answer answer)> done;

    void finish(Answer answer) {
        if (Callback<void(Answer)> told = std::move(done)) {
            done = {};
            told(std::move(answer));
        }
    }
};

enum class WideKind : std::uint8_t {
    kScan,
    kReadMany,
    kBatch,        // writes and deletes that know nothing of each other
    kConditional,  // the first is what the second depends on
};

// Lifetime  As an Attempt.
struct WideAttempt {
    WideKind kind = WideKind::kScan;
    std::string keyspace;                       // empty: default
    std::vector<history::Operation> questions;  // of one key each, by its bare name
    kv::CallContext context;
    // Of a scan, which goes from the lowest key to the highest: what else stands there is passed
    // over.
    bool is_reverse = false;
    std::size_t page_rows = 0;
    // Called at most once, with an answer to each question. `oddity`: what no store may answer,
    // whatever happened to it; empty: nothing.
    Callback<void(std::vector<Answer> answers, std::string oddity)> done;

    void finish(std::vector<Answer> answers, std::string oddity = {}) {
        if (auto told = std::move(done)) {
            done = {};
            told(std::move(answers), std::move(oddity));
        }
    }
    void finish(const Status& error) {
        std::vector<Answer> answers;
        answers.reserve(questions.size());
        for (const history::Operation& question : questions) {
            answers.push_back(answer_of(error, question.kind));
        }
        finish(std::move(answers));
    }
};

}  // namespace kvstore::simulation::internal
