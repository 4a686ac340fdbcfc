#include "metrics/histogram.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::metrics {
namespace {

TEST(Buckets, HoldEverySmallValueExactly) {
    for (std::uint64_t value = 0; value < 64; ++value) {
        EXPECT_EQ(bucket_low(bucket_of(value)), value);
        EXPECT_EQ(bucket_high(bucket_of(value)), value);
    }
}

TEST(Buckets, CoverAllNumbersWithoutGapOrOverlap) {
    EXPECT_EQ(bucket_low(0), 0U);
    for (std::size_t bucket = 1; bucket < kBuckets; ++bucket) {
        ASSERT_EQ(bucket_low(bucket), bucket_high(bucket - 1) + 1) << bucket;
        ASSERT_EQ(bucket_of(bucket_low(bucket)), bucket);
        ASSERT_EQ(bucket_of(bucket_high(bucket)), bucket);
    }
    EXPECT_EQ(bucket_high(kBuckets - 1), ~std::uint64_t{0});
}

TEST(Buckets, AreNoWiderThanOneThirtySecondOfTheirValues) {
    for (std::size_t bucket = kSubBuckets; bucket < kBuckets; ++bucket) {
        const std::uint64_t width = bucket_high(bucket) - bucket_low(bucket);
        ASSERT_LE(width, bucket_low(bucket) / 32) << bucket;
    }
}

TEST(Histogram, IsEmptyAtFirst) {
    const HistogramSnapshot empty = Histogram().snapshot();

    EXPECT_EQ(empty.count(), 0U);
    EXPECT_EQ(empty.quantile(0.5), 0U);
    EXPECT_EQ(empty.max(), 0U);
    EXPECT_EQ(empty.min(), 0U);
    EXPECT_EQ(empty.mean(), 0.0);
}

TEST(Histogram, GivesQuantilesNeverBelowAndAtMostOneThirtySecondAboveTheTrueOnes) {
    Random random(7);
    std::vector<std::uint64_t> values;
    Histogram histogram;
    for (int i = 0; i < 20'000; ++i) {
        // Spread over many powers of two, as latencies are.
        values.push_back(random.next() >> random.between(20, 60));
        histogram.record(values.back());
    }
    std::sort(values.begin(), values.end());

    const HistogramSnapshot taken = histogram.snapshot();
    for (const double fraction : {0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
        const double rank = std::ceil(fraction * static_cast<double>(values.size()));
        const std::uint64_t truth = values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
        EXPECT_GE(taken.quantile(fraction), truth) << fraction;
        EXPECT_LE(taken.quantile(fraction), truth + truth / 32) << fraction;
    }
    EXPECT_EQ(taken.count(), values.size());
}

TEST(Histogram, KeepsTheExactSumAndCount) {
    Histogram histogram;
    for (const std::uint64_t value : {10U, 1'000'000U, 7U}) {
        histogram.record(value);
    }

    EXPECT_EQ(histogram.snapshot().sum(), 1'000'017U);
    EXPECT_EQ(histogram.snapshot().count(), 3U);
    EXPECT_DOUBLE_EQ(histogram.snapshot().mean(), 1'000'017.0 / 3);
}

TEST(Histogram, TakesTheLargestNumber) {
    Histogram histogram;
    histogram.record(~std::uint64_t{0});

    EXPECT_EQ(histogram.snapshot().max(), ~std::uint64_t{0});
}

TEST(HistogramSnapshot, MergedEqualsOneThatRecordedAll) {
    Random random(3);
    Histogram one;
    Histogram other;
    Histogram both;
    for (int i = 0; i < 1'000; ++i) {
        const std::uint64_t value = random.below(1'000'000);
        (i % 3 == 0 ? one : other).record(value);
        both.record(value);
    }

    HistogramSnapshot merged = one.snapshot();
    merged.merge(other.snapshot());
    merged.merge(HistogramSnapshot());

    EXPECT_EQ(merged.count(), both.snapshot().count());
    EXPECT_EQ(merged.sum(), both.snapshot().sum());
    for (const double fraction : {0.1, 0.5, 0.99}) {
        EXPECT_EQ(merged.quantile(fraction), both.snapshot().quantile(fraction));
    }
}

TEST(HistogramSnapshot, TellsWhatCameSinceAnEarlierOne) {
    Histogram histogram;
    histogram.record(5);
    const HistogramSnapshot earlier = histogram.snapshot();
    histogram.record(20);

    const HistogramSnapshot since = histogram.snapshot().since(earlier);

    EXPECT_EQ(since.count(), 1U);
    EXPECT_EQ(since.sum(), 20U);
    EXPECT_EQ(since.quantile(0.5), 20U);
}

TEST(HistogramSnapshot, CountsValuesUpToABound) {
    Histogram histogram;
    for (const std::uint64_t value : {1U, 2U, 3U, 5'000U}) {
        histogram.record(value);
    }

    EXPECT_EQ(histogram.snapshot().count_up_to(0), 0U);
    EXPECT_EQ(histogram.snapshot().count_up_to(2), 2U);
    EXPECT_EQ(histogram.snapshot().count_up_to(5'000), 4U);
    EXPECT_EQ(HistogramSnapshot().count_up_to(5'000), 0U);
}

}  // namespace
}  // namespace kvstore::metrics
