// The hybrid logical clock (Kulkarni et al. 2014): 48 bits of wall milliseconds, 16 of counter. A
// stamp is never behind one that was given or seen before, and close to wall time while clocks are.
#pragma once

#include <compare>
#include <cstdint>

#include "base/status.h"
#include "base/time.h"

namespace kvstore {

// The stamp of a value.
class Version {
public:
    constexpr Version() noexcept = default;
    constexpr explicit Version(std::uint64_t raw) noexcept : raw_(raw) {}
    constexpr Version(std::uint64_t milliseconds, std::uint16_t counter) noexcept
        : raw_((milliseconds << 16U) | counter) {}

    [[nodiscard]] constexpr std::uint64_t raw() const noexcept { return raw_; }
    [[nodiscard]] constexpr std::uint64_t milliseconds() const noexcept { return raw_ >> 16U; }
    [[nodiscard]] constexpr std::uint16_t counter() const noexcept {
        return static_cast<std::uint16_t>(raw_ & 0xffffU);
    }
    friend constexpr auto operator<=>(Version, Version) noexcept = default;

private:
    std::uint64_t raw_ = 0;
};

// Gives stamps for one core.
//
// Runs on   One core.
// Never     Goes back, even when the wall clock does.
class HybridClock {
public:
    // How far ahead of us a peer's stamp may be.
    static constexpr std::uint64_t kSkewMsMax = 500;

    // A stamp for something that happens now: greater than every stamp given or seen.
    Version tick(WallTime now) noexcept;

    // Takes in a stamp from elsewhere, so that later ticks are greater.
    //
    // Errors: kOutOfRange when it is more than kSkewMsMax ahead of `now`; nothing changes.
    Status observe(Version seen, WallTime now);

    // As observe(), for stamps from our own log, which are trusted whatever the wall clock says.
    void restore(Version seen) noexcept;

    [[nodiscard]] Version last() const noexcept { return last_; }

private:
    Version last_;
};

}  // namespace kvstore
