#include "metrics/histogram.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace kvstore::metrics {

static_assert(bucket_of(~std::uint64_t{0}) == kBuckets - 1);
static_assert(bucket_of(bucket_low(700)) == 700 && bucket_of(bucket_high(700)) == 700);

double HistogramSnapshot::mean() const noexcept {
    return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

std::uint64_t HistogramSnapshot::max() const noexcept {
    return quantile(1.0);
}

std::uint64_t HistogramSnapshot::min() const noexcept {
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        if (buckets_[i] > 0) {
            return bucket_low(i);
        }
    }
    return 0;
}

std::uint64_t HistogramSnapshot::quantile(double fraction) const noexcept {
    const double clamped = std::clamp(fraction, 0.0, 1.0);
    const auto rank = static_cast<std::uint64_t>(std::ceil(clamped * static_cast<double>(count_)));
    const std::uint64_t wanted = std::max<std::uint64_t>(rank, 1);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen >= wanted) {
            return bucket_high(i);
        }
    }
    return 0;
}

std::uint64_t HistogramSnapshot::count_up_to(std::uint64_t value) const noexcept {
    const std::size_t end = std::min(buckets_.size(), bucket_of(value) + 1);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < end; ++i) {
        seen += buckets_[i];
    }
    return seen;
}

void HistogramSnapshot::merge(const HistogramSnapshot& other) {
    if (other.buckets_.empty()) {
        return;
    }
    buckets_.resize(kBuckets);
    for (std::size_t i = 0; i < kBuckets; ++i) {
        buckets_[i] += other.buckets_[i];
    }
    count_ += other.count_;
    sum_ += other.sum_;
}

HistogramSnapshot HistogramSnapshot::since(const HistogramSnapshot& earlier) const {
    HistogramSnapshot difference = *this;
    if (earlier.buckets_.empty()) {
        return difference;
    }
    KVSTORE_ASSERT(earlier.count_ <= count_);
    for (std::size_t i = 0; i < kBuckets; ++i) {
        difference.buckets_[i] -= earlier.buckets_[i];
    }
    difference.count_ -= earlier.count_;
    difference.sum_ -= earlier.sum_;
    return difference;
}

HistogramSnapshot Histogram::snapshot() const {
    HistogramSnapshot taken;
    taken.buckets_.resize(kBuckets);
    for (std::size_t i = 0; i < kBuckets; ++i) {
        taken.buckets_[i] = buckets_[i].load(std::memory_order_relaxed);
        taken.count_ += taken.buckets_[i];
    }
    taken.sum_ = sum_.load(std::memory_order_relaxed);
    return taken;
}

}  // namespace kvstore::metrics
