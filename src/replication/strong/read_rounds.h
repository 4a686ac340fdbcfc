// Reads that wait until this replica is known to be fresh enough (thesis 6.4). One round of
// confirmation serves every read that came in the same turn.
//
// A round's question can be lost on its way to the leader and back; it is asked again under a new
// token until it is answered or nobody waits any more.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "async/deadline.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "base/time.h"
#include "raft/types.h"

namespace kvstore::replication {

// Lifetime    Owned by its group. fail_all() before destruction, when anybody waits.
// Runs on     The core of its group.
// Invariants  each waiter is told once
class ReadRounds {
public:
    explicit ReadRounds(async::Scheduler& scheduler) : scheduler_(scheduler) {}
    ReadRounds(const ReadRounds&) = delete;
    ReadRounds& operator=(const ReadRounds&) = delete;

    // Joins the round that begins at the end of this turn.
    // Errors: kDeadlineExceeded; what fail_*() said.
    async::Task<Status> wait(async::Deadline deadline);

    [[nodiscard]] bool has_gathered() const { return !gathered_.empty(); }
    // The gathered reads ask under `token`.
    void begin(raft::ReadToken token, MonotonicTime now);
    void fail_gathered(const Status& why);

    // The core's answer: reads under `token` may be served once `at` is applied.
    void confirm(raft::ReadToken token, Index at);
    // Lets go whoever waits for an index up to here.
    void on_applied(Index applied);

    // Tells waiters whose deadline has passed, and gathers again those of rounds that were asked
    // before `asked_before` and are not confirmed. Returns: whether there is something to ask.
    bool retry(MonotonicTime now, MonotonicTime asked_before);

    // The beginning of the newest round that was confirmed and is applied: whatever was
    // acknowledged before it is applied here.
    [[nodiscard]] std::optional<MonotonicTime> fresh_as_of() const { return fresh_as_of_; }

    void fail_all(const Status& why);
    [[nodiscard]] bool empty() const {
        return gathered_.empty() && asked_.empty() && confirmed_.empty();
    }

private:
    struct Waiter {
        explicit Waiter(async::Scheduler& scheduler) : told(scheduler) {}
        async::OneShot<Status> told;
        async::Deadline deadline;
    };
    using Waiters = std::vector<Waiter*>;
    struct Asked {
        raft::ReadToken token;
        MonotonicTime asked;
        Waiters waiters;
    };
    struct Confirmed {
        Index at;
        MonotonicTime asked;
        Waiters waiters;
    };

    static void tell(Waiters& waiters, const Status& status);
    static void tell_late(Waiters& waiters, MonotonicTime now);

    async::Scheduler& scheduler_;
    Waiters gathered_;
    std::deque<Asked> asked_;
    std::deque<Confirmed> confirmed_;  // in the order in which they were confirmed
    std::optional<MonotonicTime> fresh_as_of_;
};

}  // namespace kvstore::replication
