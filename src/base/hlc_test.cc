#include "base/hlc.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore {
namespace {

constexpr WallTime at(std::uint64_t milliseconds) {
    return from_unix_ms(milliseconds);
}

TEST(Version, HoldsMillisecondsAboveACounter) {
    const Version version(5, 7);

    EXPECT_EQ(version.milliseconds(), 5U);
    EXPECT_EQ(version.counter(), 7U);
    EXPECT_EQ(version.raw(), (5U << 16U) + 7U);
    EXPECT_LT(Version(5, 65'535), Version(6, 0));
}

TEST(HybridClock, FollowsTheWallClock) {
    HybridClock clock;

    EXPECT_EQ(clock.tick(at(100)), Version(100, 0));
    EXPECT_EQ(clock.tick(at(101)), Version(101, 0));
}

TEST(HybridClock, CountsWithinAMillisecond) {
    HybridClock clock;
    clock.tick(at(100));

    EXPECT_EQ(clock.tick(at(100)), Version(100, 1));
    EXPECT_EQ(clock.tick(at(100)), Version(100, 2));
}

TEST(HybridClock, GoesOnWhenTheWallClockGoesBack) {
    HybridClock clock;
    clock.tick(at(100));

    EXPECT_EQ(clock.tick(at(10)), Version(100, 1));
}

TEST(HybridClock, CarriesAFullCounterIntoTheMilliseconds) {
    HybridClock clock;
    clock.restore(Version(100, 65'535));

    EXPECT_EQ(clock.tick(at(100)), Version(101, 0));
}

TEST(HybridClock, TicksAfterWhatItHasSeen) {
    HybridClock clock;

    EXPECT_TRUE(clock.observe(Version(300, 9), at(100)).ok());

    EXPECT_EQ(clock.tick(at(100)), Version(300, 10));
}

TEST(HybridClock, RefusesStampsTooFarAheadAndForgetsThem) {
    HybridClock clock;

    EXPECT_TRUE(clock.observe(Version(600, 0), at(100)).ok());
    const Version before = clock.last();
    const Status refused = clock.observe(Version(601, 0), at(100));

    EXPECT_EQ(refused.code(), Code::kOutOfRange);
    EXPECT_EQ(clock.last(), before);
}

TEST(HybridClock, TrustsItsOwnLogHoweverFarAhead) {
    HybridClock clock;

    clock.restore(Version(1'000'000, 0));

    EXPECT_EQ(clock.tick(at(100)), Version(1'000'000, 1));
}

TEST(HybridClock, IgnoresOlderStamps) {
    HybridClock clock;
    clock.tick(at(100));

    EXPECT_TRUE(clock.observe(Version(50, 3), at(100)).ok());

    EXPECT_EQ(clock.last(), Version(100, 0));
}

TEST(HybridClock, TakesAWallClockBefore1970ForZero) {
    HybridClock clock;

    EXPECT_EQ(clock.tick(WallTime(std::chrono::milliseconds(-5))), Version(0, 1));
}

TEST(HybridClock, NeverRepeatsNorGoesBackWhateverTheWallClockDoes) {
    Random random(1);
    HybridClock clock;
    Version last;
    for (int i = 0; i < 10'000; ++i) {
        const WallTime now = at(1'000 + random.below(1'000));
        if (random.chance(1, 4)) {
            (void)clock.observe(Version(random.below(3'000), 0), now);
        }
        const Version next = clock.tick(now);
        ASSERT_GT(next, last);
        last = next;
    }
}

}  // namespace
}  // namespace kvstore
