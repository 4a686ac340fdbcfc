// Time, as one of the four doors to the world.
#pragma once

#include <cstdint>

#include "async/task.h"
#include "base/callback.h"
#include "base/id.h"
#include "base/time.h"

namespace kvstore::env {

// 0 names no timer.
using TimerId = StrongId<struct TimerIdTag>;

// Runs on   One core; each core has its own.
class Clock {
public:
    virtual ~Clock() = default;

    // Never goes back. May be cached for the length of one loop turn.
    [[nodiscard]] virtual MonotonicTime now() const = 0;
    // May jump either way. May be cached as now() is.
    [[nodiscard]] virtual WallTime wall_now() const = 0;

    // Calls `action` on this core once, not before `when`.
    virtual TimerId start_timer(MonotonicTime when, Callback<void()> action) = 0;
    // False when it has fired already or never was.
    virtual bool cancel_timer(TimerId timer) = 0;

    // Suspends: for `span` or a little longer.
    async::Task<void> sleep(Duration span);
};

}  // namespace kvstore::env
