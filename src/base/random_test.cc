#include "base/random.h"

#include <array>

#include <gtest/gtest.h>

namespace kvstore {
namespace {

// Computed by an independent implementation of splitmix64 and xoshiro256**. A change of these
// numbers makes every recorded seed mean another run.
TEST(Random, GivesTheSameNumbersOnEveryMachine) {
    Random random(42);

    EXPECT_EQ(random.next(), 1'546'998'764'402'558'742U);
    EXPECT_EQ(random.next(), 6'990'951'692'964'543'102U);
    EXPECT_EQ(random.next(), 12'544'586'762'248'559'009U);
    EXPECT_EQ(random.next(), 17'057'574'109'182'124'193U);
}

TEST(Random, IsUsableWithSeedZero) {
    Random random(0);

    EXPECT_NE(random.next(), random.next());
}

TEST(Random, StaysWithinItsBounds) {
    Random random(1);
    for (int i = 0; i < 1'000; ++i) {
        EXPECT_LT(random.below(7), 7U);
        EXPECT_EQ(random.below(1), 0U);
        const std::uint64_t number = random.between(10, 12);
        EXPECT_TRUE(number >= 10 && number <= 12);
        const double real = random.real();
        EXPECT_TRUE(real >= 0.0 && real < 1.0);
    }
}

TEST(Random, ReachesEveryValueAboutEquallyOften) {
    Random random(3);
    std::array<int, 8> counts{};
    for (int i = 0; i < 8'000; ++i) {
        ++counts[static_cast<std::size_t>(random.below(counts.size()))];
    }
    for (const int count : counts) {
        EXPECT_NEAR(count, 1'000, 150);
    }
}

TEST(Random, ObeysChances) {
    Random random(4);
    int hits = 0;
    for (int i = 0; i < 10'000; ++i) {
        hits += random.chance(1, 4) ? 1 : 0;
    }

    EXPECT_NEAR(hits, 2'500, 200);
    EXPECT_FALSE(random.chance(0, 10));
    EXPECT_TRUE(random.chance(10, 10));
}

TEST(RandomDeathTest, RefusesAnEmptyRange) {
    EXPECT_DEATH((void)Random(1).below(0), "assertion failed");
}

}  // namespace
}  // namespace kvstore
