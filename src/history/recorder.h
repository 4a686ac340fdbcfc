// Writes down what clients do as they do it, in one thread: for simulators and tests.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "history/operation.h"

namespace kvstore::history {

// Lifetime    Outlives the clients; a run, with all its restarts, has one.
// Invariants  No two times are equal, so that what happens in one turn of virtual time keeps its
//             order. What was begun and not ended is of unknown outcome, as after a crash.
class Recorder {
public:
    // The place of an operation in the history, for its end.
    using Ticket = std::size_t;

    Ticket begin(Operation operation, MonotonicTime now) {
        operation.outcome = Outcome::kUnknown;
        operation.called = stamp(now);
        operation.returned = operation.called;
        history_.push_back(std::move(operation));
        return history_.size() - 1;
    }

    // What was answered goes into at(ticket), before or after.
    void end(Ticket ticket, Outcome outcome, MonotonicTime now) {
        at(ticket).outcome = outcome;
        at(ticket).returned = stamp(now);
    }

    [[nodiscard]] Operation& at(Ticket ticket) {
        KVSTORE_ASSERT(ticket < history_.size());
        return history_[ticket];
    }
    [[nodiscard]] const History& history() const { return history_; }

private:
    MonotonicTime stamp(MonotonicTime now) {
        last_ = std::max(now, last_ + Duration(1));
        return last_;
    }

    History history_;
    MonotonicTime last_{Duration(-1)};
};

}  // namespace kvstore::history
