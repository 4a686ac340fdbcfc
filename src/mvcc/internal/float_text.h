// Decimal numbers as Redis' INCRBYFLOAT reads and prints them.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "base/bytes.h"

namespace kvstore::mvcc::internal {

// The longest text that is read; more than the longest that is written.
inline constexpr std::size_t kFloatTextMax = 5 * 1024;

using FloatText = std::array<char, kFloatTextMax>;

// What strtold takes, whole and without blanks before it: also hexadecimal, infinity; no NaN.
[[nodiscard]] std::optional<long double> parse_float(ByteView text);

// Up to 17 digits after the point, no zeros at the end, no exponent. The view is into `room`.
// Requires: `value` is finite.
[[nodiscard]] ByteView format_float(long double value, FloatText& room);

}  // namespace kvstore::mvcc::internal
