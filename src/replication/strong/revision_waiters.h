// Reads that wait until this replica has applied what their session has seen elsewhere.
#pragma once

#include <cstddef>
#include <map>

#include "async/deadline.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"

namespace kvstore::replication {

// Lifetime    Owned by its group. fail_all() before destruction, when anybody waits.
// Runs on     The core of its group.
// Invariants  each waiter is told once, and at most kCountMax wait
class RevisionWaiters {
public:
    static constexpr std::size_t kCountMax = 10'000;

    explicit RevisionWaiters(env::Env& env) : env_(env) {}
    RevisionWaiters(const RevisionWaiters&) = delete;
    RevisionWaiters& operator=(const RevisionWaiters&) = delete;

    // Suspends: until on_applied() names `revision` or a later one.
    // Errors:   kDeadlineExceeded; kOverloaded: too many wait; what fail_all() said.
    async::Task<Status> wait(Revision revision, async::Deadline deadline);

    void on_applied(Revision revision);
    void fail_all(const Status& why);
    [[nodiscard]] std::size_t count() const { return waiters_.size(); }

private:
    struct Waiter {
        explicit Waiter(async::Scheduler& scheduler) : told(scheduler) {}
        async::OneShot<Status> told;
        env::TimerId timer;
    };
    using Waiters = std::multimap<Revision, Waiter*>;

    void tell(Waiters::iterator place, const Status& status);

    env::Env& env_;
    Waiters waiters_;
};

}  // namespace kvstore::replication
