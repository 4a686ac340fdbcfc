#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "posix/internal/posix_clock.h"
#include "posix/runtime.h"
#include "posix/testing/socket_client.h"

namespace kvstore::posix {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::ElementsAre;

TEST(PosixClock, FiresDueTimersByTimeThenByStart) {
    PosixClock clock;
    std::vector<int> fired;
    const MonotonicTime now = clock.now();
    clock.start_timer(now, [&] { fired.push_back(3); });
    clock.start_timer(now - milliseconds(2), [&] { fired.push_back(1); });
    clock.start_timer(now + hours(1), [&] { fired.push_back(9); });
    clock.start_timer(now - milliseconds(1), [&] { fired.push_back(2); });
    clock.start_timer(now, [&] { fired.push_back(4); });

    clock.fire_due_timers();

    EXPECT_THAT(fired, ElementsAre(1, 2, 3, 4));
}

TEST(PosixClock, CancelledTimerDoesNotFire) {
    PosixClock clock;
    int fired = 0;
    const env::TimerId timer = clock.start_timer(clock.now(), [&] { ++fired; });

    EXPECT_TRUE(clock.cancel_timer(timer));
    EXPECT_FALSE(clock.cancel_timer(timer));
    clock.fire_due_timers();

    EXPECT_EQ(fired, 0);
    EXPECT_FALSE(clock.until_next_timer().has_value());
}

TEST(PosixClock, CancelSaysThatATimerHasFired) {
    PosixClock clock;
    const env::TimerId timer = clock.start_timer(clock.now(), [] {});

    clock.fire_due_timers();

    EXPECT_FALSE(clock.cancel_timer(timer));
    EXPECT_FALSE(clock.cancel_timer(env::TimerId()));
}

TEST(PosixClock, IdOfAFiredTimerDoesNotCancelItsSuccessor) {
    PosixClock clock;
    int fired = 0;
    const env::TimerId old = clock.start_timer(clock.now(), [] {});
    clock.fire_due_timers();
    clock.start_timer(clock.now(), [&] { ++fired; });

    EXPECT_FALSE(clock.cancel_timer(old));
    clock.fire_due_timers();

    EXPECT_EQ(fired, 1);
}

TEST(PosixClock, TimerMayCancelAnotherThatIsDue) {
    PosixClock clock;
    int fired = 0;
    env::TimerId second;
    clock.start_timer(clock.now() - milliseconds(1),
                      [&] { EXPECT_TRUE(clock.cancel_timer(second)); });
    second = clock.start_timer(clock.now(), [&] { ++fired; });

    clock.fire_due_timers();

    EXPECT_EQ(fired, 0);
}

TEST(PosixClock, TimerStartedByATimerWaitsForTheNextTurn) {
    PosixClock clock;
    int fired = 0;
    clock.start_timer(clock.now(), [&] { clock.start_timer(clock.now(), [&] { ++fired; }); });

    clock.fire_due_timers();
    EXPECT_EQ(fired, 0);
    clock.fire_due_timers();

    EXPECT_EQ(fired, 1);
}

TEST(PosixClock, ManyTimersStartedAndCancelledInAnyOrderKeepTheirTimes) {
    PosixClock clock;
    const std::uint64_t seed = 20240607;
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    std::vector<env::TimerId> timers;
    std::vector<MonotonicTime> fired;
    std::size_t cancelled = 0;
    constexpr std::size_t kCount = 10'000;

    for (std::size_t i = 0; i < kCount; ++i) {
        const MonotonicTime when = clock.now() - milliseconds(random.below(1000));
        timers.push_back(clock.start_timer(when, [&fired, when] { fired.push_back(when); }));
        if (random.below(3) > 0) {
            cancelled += clock.cancel_timer(timers[random.below(timers.size())]) ? 1U : 0U;
        }
    }
    clock.fire_due_timers();

    EXPECT_EQ(fired.size(), kCount - cancelled);
    EXPECT_TRUE(std::ranges::is_sorted(fired));
}

TEST(PosixClock, LoopWakesForATimerAndNotBeforeIt) {
    Runtime runtime(RuntimeOptions{});
    env::Clock& clock = runtime.env().clock;
    const MonotonicTime when = clock.now() + milliseconds(5);
    MonotonicTime fired_at;
    clock.start_timer(when, [&] {
        fired_at = clock.now();
        runtime.stop();
    });

    runtime.run();

    EXPECT_GE(fired_at, when);
}

TEST(PosixClock, WallTimeIsThisCentury) {
    const PosixClock clock;

    EXPECT_GT(to_unix_ms(clock.wall_now()), 1'600'000'000'000U);
}

}  // namespace
}  // namespace kvstore::posix
