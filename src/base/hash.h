// 64-bit hashes: XXH3 for tables in memory and digests. Stable across runs and machines.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace kvstore {

[[nodiscard]] std::uint64_t hash64(ByteView data) noexcept;
[[nodiscard]] std::uint64_t hash64(ByteView data, std::uint64_t seed) noexcept;

// Spreads an integer over 64 bits (finalizer of splitmix64).
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t value) noexcept {
    value ^= value >> 30U;
    value *= 0xbf58476d1ce4e5b9ULL;
    value ^= value >> 27U;
    value *= 0x94d049bb133111ebULL;
    return value ^ (value >> 31U);
}

}  // namespace kvstore
