// Log-linear histograms: every power of two is cut into 32 equal buckets, so a value is known to
// 1/32 of itself over the whole range of 64 bits. Values below 32 are exact.
//
// Values are whole numbers in the smallest unit that matters: nanoseconds, bytes, entries.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvstore::metrics {

inline constexpr unsigned kSubBucketBits = 5;
inline constexpr std::size_t kSubBuckets = std::size_t{1} << kSubBucketBits;
inline constexpr std::size_t kBuckets = kSubBuckets * (64 - kSubBucketBits + 1);

[[nodiscard]] constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < kSubBuckets) {
        return static_cast<std::size_t>(value);
    }
    const auto power = static_cast<unsigned>(std::bit_width(value)) - 1;
    const unsigned shift = power - kSubBucketBits;
    return (static_cast<std::size_t>(shift) << kSubBucketBits) +
           static_cast<std::size_t>(value >> shift);
}

// The smallest and the largest value of a bucket.
[[nodiscard]] constexpr std::uint64_t bucket_low(std::size_t bucket) noexcept {
    if (bucket < 2 * kSubBuckets) {
        return bucket;
    }
    const std::size_t shift = bucket / kSubBuckets - 1;
    return static_cast<std::uint64_t>(bucket % kSubBuckets + kSubBuckets) << shift;
}
[[nodiscard]] constexpr std::uint64_t bucket_high(std::size_t bucket) noexcept {
    return bucket + 1 < kBuckets ? bucket_low(bucket + 1) - 1 : ~std::uint64_t{0};
}

// What a histogram held at one moment; a value that can be merged, subtracted and asked.
class HistogramSnapshot {
public:
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }
    [[nodiscard]] double mean() const noexcept;
    // The largest value that was recorded, to the precision of its bucket.
    [[nodiscard]] std::uint64_t max() const noexcept;
    [[nodiscard]] std::uint64_t min() const noexcept;

    // The value that `fraction` of all values do not exceed: 0.5 is the median, 0.999 p99.9. Never
    // less than the true one, and at most 1/32 more. 0 where nothing was recorded.
    [[nodiscard]] std::uint64_t quantile(double fraction) const noexcept;

    // How many values are at most `value`; those in its own bucket count.
    [[nodiscard]] std::uint64_t count_up_to(std::uint64_t value) const noexcept;

    void merge(const HistogramSnapshot& other);
    // What was recorded since `earlier`. Requires: `earlier` was taken from the same histogram.
    [[nodiscard]] HistogramSnapshot since(const HistogramSnapshot& earlier) const;

private:
    friend class Histogram;

    std::vector<std::uint64_t> buckets_;  // empty, or kBuckets
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
};

// Counts values.
//
// Runs on   record() one thread, the owner; snapshot() any thread meanwhile. A snapshot taken while
//           the owner records may miss its latest values; it is never torn.
class Histogram {
public:
    void record(std::uint64_t value) noexcept {
        raise(buckets_[bucket_of(value)], 1);
        raise(sum_, value);
    }

    [[nodiscard]] HistogramSnapshot snapshot() const;

private:
    // A load and a store are cheaper than an atomic addition, and enough for one writer.
    static void raise(std::atomic<std::uint64_t>& number, std::uint64_t by) noexcept {
        number.store(number.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }

    std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
    std::atomic<std::uint64_t> sum_{0};
};

}  // namespace kvstore::metrics
