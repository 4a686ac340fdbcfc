// A small, seeded, reproducible random generator (xoshiro256**, Blackman and Vigna 2018). The same
// seed gives the same numbers on every machine. Not for secrets.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "base/assert.h"
#include "base/hash.h"

namespace kvstore {

class Random {
public:
    explicit Random(std::uint64_t seed) noexcept {
        for (auto& word : state_) {
            seed += 0x9e3779b97f4a7c15ULL;
            word = mix64(seed);
        }
    }

    std::uint64_t next() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17U;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    // Uniform in [0, bound). Requires: bound > 0.
    std::uint64_t below(std::uint64_t bound) noexcept {
        KVSTORE_ASSERT(bound > 0);
        return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64U);
    }

    // Uniform in [low, high].
    std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept {
        return low + below(high - low + 1);
    }

    // True `numerator` times in `denominator`.
    bool chance(std::uint64_t numerator, std::uint64_t denominator) noexcept {
        return below(denominator) < numerator;
    }

    // Uniform in [0, 1).
    double real() noexcept { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }

private:
    __extension__ using Wide = unsigned __int128;

    std::array<std::uint64_t, 4> state_{};
};

}  // namespace kvstore
