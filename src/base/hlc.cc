#include "base/hlc.h"

#include <string>

namespace kvstore {

Version HybridClock::tick(WallTime now) noexcept {
    const Version wall(to_unix_ms(now), 0);
    // The counter carries into the milliseconds when it overflows: the stamp stays greater.
    last_ = wall > last_ ? wall : Version(last_.raw() + 1);
    return last_;
}

Status HybridClock::observe(Version seen, WallTime now) {
    if (seen.milliseconds() > to_unix_ms(now) + kSkewMsMax) {
        return {Code::kOutOfRange,
                "stamp is " + std::to_string(seen.milliseconds() - to_unix_ms(now)) +
                    " ms ahead of this clock; check time synchronization"};
    }
    restore(seen);
    return {};
}

void HybridClock::restore(Version seen) noexcept {
    if (seen > last_) {
        last_ = seen;
    }
}

}  // namespace kvstore
