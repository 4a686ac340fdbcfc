// What env::Clock promises. See env_suite.h. On a real clock it takes some 50 ms.
#pragma once

#include <string>

#include "env/testing/env_suite.h"

namespace kvstore::env {

template <typename Fixture>
class EnvClockSuite : public EnvSuite<Fixture> {
protected:
    [[nodiscard]] Clock& clock() { return this->env().clock; }
    TimerId start(Duration span, char mark) {
        return clock().start_timer(clock().now() + span, [this, mark] { fired_ += mark; });
    }
    // The marks of the timers that have fired, in order.
    std::string fired_;
};

TYPED_TEST_SUITE_P(EnvClockSuite);

TYPED_TEST_P(EnvClockSuite, SleepsAtLeastAsLongAsAsked) {
    const auto sleep = [](Clock* clock) -> async::Task<Duration> {
        const MonotonicTime begin = clock->now();
        co_await clock->sleep(std::chrono::milliseconds(3));
        co_return clock->now() - begin;
    };

    EXPECT_GE(this->run(sleep(&this->clock())), std::chrono::milliseconds(3));
}

TYPED_TEST_P(EnvClockSuite, FiresTimersInTheOrderOfTheirTimes) {
    this->start(std::chrono::milliseconds(6), 'c');
    this->start(std::chrono::milliseconds(2), 'a');
    this->start(std::chrono::milliseconds(4), 'b');

    EXPECT_TRUE(this->run_until([this] { return this->fired_.size() == 3; }));

    EXPECT_EQ(this->fired_, "abc");
}

TYPED_TEST_P(EnvClockSuite, FiresNoTimerBeforeItsTime) {
    const MonotonicTime when = this->clock().now() + std::chrono::milliseconds(3);
    MonotonicTime fired_at{};
    this->clock().start_timer(when, [this, &fired_at] { fired_at = this->clock().now(); });

    EXPECT_TRUE(this->run_until([&fired_at] { return fired_at != MonotonicTime{}; }));

    EXPECT_GE(fired_at, when);
}

TYPED_TEST_P(EnvClockSuite, FiresTimersOfThePastSoonButNotAtOnce) {
    this->start(-std::chrono::seconds(1), 'a');
    EXPECT_EQ(this->fired_, "");

    EXPECT_TRUE(this->run_until([this] { return this->fired_ == "a"; }));
}

TYPED_TEST_P(EnvClockSuite, FiresNoTimerThatWasCancelled) {
    const TimerId cancelled = this->start(std::chrono::milliseconds(1), 'x');
    this->start(std::chrono::milliseconds(3), 'a');

    EXPECT_TRUE(this->clock().cancel_timer(cancelled));
    EXPECT_FALSE(this->clock().cancel_timer(cancelled));

    EXPECT_TRUE(this->run_until([this] { return !this->fired_.empty(); }));
    EXPECT_EQ(this->fired_, "a");
}

TYPED_TEST_P(EnvClockSuite, CancelsNothingThatHasFiredOrNeverWas) {
    const TimerId fired = this->start(Duration::zero(), 'a');
    EXPECT_TRUE(this->run_until([this] { return !this->fired_.empty(); }));

    EXPECT_FALSE(this->clock().cancel_timer(fired));
    EXPECT_FALSE(this->clock().cancel_timer(TimerId(0)));
    EXPECT_FALSE(this->clock().cancel_timer(TimerId(123'456'789)));
}

TYPED_TEST_P(EnvClockSuite, LetsOneTimerCancelAnotherOfTheSameTime) {
    const MonotonicTime when = this->clock().now() + std::chrono::milliseconds(1);
    TimerId second;
    this->clock().start_timer(when, [this, &second] {
        this->fired_ += this->clock().cancel_timer(second) ? "cancelled" : "too late";
    });
    second = this->clock().start_timer(when, [this] { this->fired_ += "fired"; });
    this->start(std::chrono::milliseconds(3), '.');

    EXPECT_TRUE(this->run_until([this] { return this->fired_.ends_with('.'); }));

    // Told "cancelled", its owner may be gone: it must not fire after that.
    EXPECT_EQ(this->fired_, "cancelled.");
}

TYPED_TEST_P(EnvClockSuite, FiresTimersWithinATurnOfTheCore) {
    const async::Scheduler* during = nullptr;
    bool has_fired = false;
    this->clock().start_timer(this->clock().now(), [&] {
        during = async::Scheduler::current();
        has_fired = true;
    });

    EXPECT_TRUE(this->run_until([&has_fired] { return has_fired; }));

    EXPECT_EQ(during, &this->env().scheduler);
}

TYPED_TEST_P(EnvClockSuite, TellsAPlausibleWallTime) {
    EXPECT_GT(to_unix_ms(this->clock().wall_now()), 1'600'000'000'000U);
}

TYPED_TEST_P(EnvClockSuite, GivesChanceThatDiffers) {
    EXPECT_NE(this->env().entropy.next(), this->env().entropy.next());
}

REGISTER_TYPED_TEST_SUITE_P(EnvClockSuite,
                            SleepsAtLeastAsLongAsAsked,
                            FiresTimersInTheOrderOfTheirTimes,
                            FiresNoTimerBeforeItsTime,
                            FiresTimersOfThePastSoonButNotAtOnce,
                            FiresNoTimerThatWasCancelled,
                            CancelsNothingThatHasFiredOrNeverWas,
                            LetsOneTimerCancelAnotherOfTheSameTime,
                            FiresTimersWithinATurnOfTheCore,
                            TellsAPlausibleWallTime,
                            GivesChanceThatDiffers);

}  // namespace kvstore::env
