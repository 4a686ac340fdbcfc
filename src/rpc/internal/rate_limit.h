// Bytes a second that several writers share: a token bucket, as the time at which it is full again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace kvstore::rpc::internal {

class RateLimit {
public:
    // What may be sent at once after a pause.
    static constexpr Duration kBurst = std::chrono::milliseconds(50);

    // 0 limits nothing.
    explicit RateLimit(std::uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}

    // Takes `size` bytes. Returns: when they may be sent. Who asks first is served first.
    MonotonicTime reserve(std::size_t size, MonotonicTime now) {
        if (bytes_per_second_ == 0) {
            return now;
        }
        const double seconds = static_cast<double>(size) / static_cast<double>(bytes_per_second_);
        const MonotonicTime may_send = std::max(now, free_at_ - kBurst);
        free_at_ = std::max(free_at_, now) + Duration(static_cast<Duration::rep>(seconds * 1e9));
        return may_send;
    }

private:
    std::uint64_t bytes_per_second_;
    MonotonicTime free_at_{};  // when all that was taken has been paid for
};

}  // namespace kvstore::rpc::internal
