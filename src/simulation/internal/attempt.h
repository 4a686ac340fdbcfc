// One operation of a client on its way to a node.
#pragma once

#include <cstdint>
#include <optional>

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
    // Called at most once; empty once the client has given up.
    Callback<void(Answer answer)> done;

    void finish(Answer answer) {
        if (Callback<void(Answer)> told = std::move(done)) {
            done = {};
            told(std::move(answer));
        }
    }
};

}  // namespace kvstore::simulation::internal
