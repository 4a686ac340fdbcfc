// The pause of a background loop, which can be cut short.
#pragma once

#include "async/sync.h"
#include "async/task.h"
#include "base/time.h"
#include "env/env.h"

namespace kvstore::cluster::internal {

// Lifetime  Outlives whoever waits. One waits at a time.
// Runs on   One core.
class Alarm {
public:
    explicit Alarm(env::Env& env) : env_(env), rung_(env.scheduler) {}

    // Ends the pause now, or the next one before it begins.
    void ring() { rung_.set(); }

    // Suspends: for `span`, or until ring().
    async::Task<void> wait(Duration span) {
        const env::TimerId timer =
            env_.clock.start_timer(env_.clock.now() + span, [this] { rung_.set(); });
        co_await rung_;
        env_.clock.cancel_timer(timer);
        rung_.reset();
    }

private:
    env::Env& env_;
    async::Event rung_;
};

}  // namespace kvstore::cluster::internal
