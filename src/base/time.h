// Time as types. Monotonic time measures spans and deadlines; wall time is what people and expiry
// mean by "when". Both come from env::Clock alone.
#pragma once

#include <chrono>
#include <cstdint>

namespace kvstore {

using Duration = std::chrono::nanoseconds;

struct MonotonicClock {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<MonotonicClock>;
    static constexpr bool is_steady = true;
};

// Since an arbitrary beginning that one process, or one simulation, shares.
using MonotonicTime = MonotonicClock::time_point;

// Milliseconds since 1970-01-01 UTC.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// A clock that stands before 1970 counts as 0, not as the far future.
[[nodiscard]] constexpr std::uint64_t to_unix_ms(WallTime time) {
    const auto count = time.time_since_epoch().count();
    return count < 0 ? 0 : static_cast<std::uint64_t>(count);
}
[[nodiscard]] constexpr WallTime from_unix_ms(std::uint64_t milliseconds) {
    return WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds)));
}

}  // namespace kvstore
