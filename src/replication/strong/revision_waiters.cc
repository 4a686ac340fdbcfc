#include "replication/strong/revision_waiters.h"

namespace kvstore::replication {

async::Task<Status> RevisionWaiters::wait(Revision revision, async::Deadline deadline) {
    if (waiters_.size() >= kCountMax) {
        co_return Status(Code::kOverloaded, "too many reads wait for this replica; try again");
    }
    Waiter waiter(env_.scheduler);
    const auto place = waiters_.emplace(revision, &waiter);
    if (deadline.at != MonotonicTime::max()) {
        waiter.timer = env_.clock.start_timer(deadline.at, [this, place] {
            place->second->timer = env::TimerId();
            tell(place,
                 Status(Code::kDeadlineExceeded,
                        "this replica did not catch up with the session in time"));
        });
    }
    co_return co_await waiter.told;
}

void RevisionWaiters::on_applied(Revision revision) {
    while (!waiters_.empty() && waiters_.begin()->first <= revision) {
        tell(waiters_.begin(), Status());
    }
}

void RevisionWaiters::fail_all(const Status& why) {
    while (!waiters_.empty()) {
        tell(waiters_.begin(), why);
    }
}

void RevisionWaiters::tell(Waiters::iterator place, const Status& status) {
    Waiter& waiter = *place->second;
    waiters_.erase(place);
    env_.clock.cancel_timer(waiter.timer);
    waiter.told.set(status);
}

}  // namespace kvstore::replication
