// One connect() under way: what its coroutine waits for, whoever brings it first.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "async/sync.h"
#include "posix/internal/endpoint.h"
#include "posix/internal/reactor.h"

namespace kvstore::posix {

// A wait of one coroutine that can be ended from several sides; only the first counts.
//
// Lifetime  Shared by the coroutine and a name lookup, which may outlive it.
class ConnectAttempt final : public Watcher {
public:
    explicit ConnectAttempt(async::Scheduler& scheduler) : scheduler_(scheduler) {}

    // Begins the next wait, unless the whole attempt has failed already.
    void rearm() { step_.emplace(scheduler_); }
    [[nodiscard]] async::OneShot<Status>& step() { return *step_; }

    void finish_step(Status outcome) {
        if (step_ && !step_->is_set()) {
            step_->set(std::move(outcome));
        }
    }
    // Ends this wait and those to come.
    void fail(Status reason) {
        if (failure_.ok()) {
            failure_ = reason;
        }
        finish_step(std::move(reason));
    }
    [[nodiscard]] const Status& failure() const { return failure_; }

    void on_ready(std::uint32_t /*events*/) override { finish_step(Status()); }

    std::vector<Endpoint> found;  // by the name lookup

private:
    async::Scheduler& scheduler_;
    std::optional<async::OneShot<Status>> step_;
    Status failure_;
};

}  // namespace kvstore::posix
