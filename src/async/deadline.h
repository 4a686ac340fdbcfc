// When a request's time is up; set at the edge and passed down with every wait.
#pragma once

#include "base/time.h"

namespace kvstore::async {

struct Deadline {
    MonotonicTime at = MonotonicTime::max();

    [[nodiscard]] static constexpr Deadline never() { return {}; }
    [[nodiscard]] static constexpr Deadline after(MonotonicTime now, Duration span) {
        return Deadline{now + span};
    }
    [[nodiscard]] constexpr bool has_passed(MonotonicTime now) const { return now >= at; }
};

}  // namespace kvstore::async
