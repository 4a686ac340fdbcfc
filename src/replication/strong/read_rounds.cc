#include "replication/strong/read_rounds.h"

#include <algorithm>
#include <utility>

#include "base/planted_bug.h"

namespace kvstore::replication {

async::Task<Status> ReadRounds::wait(async::Deadline deadline) {
    Waiter waiter(scheduler_);
    waiter.deadline = deadline;
    gathered_.push_back(&waiter);
    co_return co_await waiter.told;
}

void ReadRounds::begin(raft::ReadToken token, MonotonicTime now) {
    asked_.push_back({.token = token, .asked = now, .waiters = std::exchange(gathered_, {})});
}

void ReadRounds::fail_gathered(const Status& why) {
    tell(gathered_, why);
}

void ReadRounds::confirm(raft::ReadToken token, Index at) {
    const auto found = std::find_if(
        asked_.begin(), asked_.end(), [token](const Asked& asked) { return asked.token == token; });
    if (found == asked_.end()) {
        return;  // asked again under another token meanwhile
    }
    if (planted_bug(PlantedBug::kGroupReadsBeforeApplied)) {
        at = Index();
    }
    confirmed_.push_back({.at = at, .asked = found->asked, .waiters = std::move(found->waiters)});
    asked_.erase(found);
}

void ReadRounds::on_applied(Index applied) {
    for (Confirmed& confirmed : confirmed_) {
        if (confirmed.at <= applied) {
            fresh_as_of_ = std::max(fresh_as_of_.value_or(confirmed.asked), confirmed.asked);
            tell(confirmed.waiters, Status());
        }
    }
    std::erase_if(confirmed_, [](const Confirmed& confirmed) { return confirmed.waiters.empty(); });
}

bool ReadRounds::retry(MonotonicTime now, MonotonicTime asked_before) {
    tell_late(gathered_, now);
    for (Confirmed& confirmed : confirmed_) {
        tell_late(confirmed.waiters, now);
    }
    for (Asked& asked : asked_) {
        tell_late(asked.waiters, now);
        if (asked.asked < asked_before) {
            gathered_.insert(gathered_.end(), asked.waiters.begin(), asked.waiters.end());
            asked.waiters.clear();
        }
    }
    std::erase_if(asked_, [](const Asked& asked) { return asked.waiters.empty(); });
    std::erase_if(confirmed_, [](const Confirmed& confirmed) { return confirmed.waiters.empty(); });
    return !gathered_.empty();
}

void ReadRounds::fail_all(const Status& why) {
    tell(gathered_, why);
    for (Asked& asked : std::exchange(asked_, {})) {
        tell(asked.waiters, why);
    }
    for (Confirmed& confirmed : std::exchange(confirmed_, {})) {
        tell(confirmed.waiters, why);
    }
}

void ReadRounds::tell(Waiters& waiters, const Status& status) {
    for (Waiter* const waiter : std::exchange(waiters, {})) {
        waiter->told.set(status);
    }
}

void ReadRounds::tell_late(Waiters& waiters, MonotonicTime now) {
    std::erase_if(waiters, [now](Waiter* waiter) {
        if (!waiter->deadline.has_passed(now)) {
            return false;
        }
        waiter->told.set(
            Status(Code::kDeadlineExceeded, "the read could not be confirmed in time"));
        return true;
    });
}

}  // namespace kvstore::replication
