// Text that people write to values, and back: integers, durations, sizes, base64; nearest spelling.
// Everything here answers nullopt rather than guess.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"

namespace kvstore {

// Decimal, no blanks, no plus, no leading zeros but "0" itself, as Redis reads integers.
[[nodiscard]] std::optional<std::int64_t> parse_int64(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::uint64_t> parse_uint64(std::string_view text) noexcept;

// "250ms", "10s", "1h30m", "7d"; units ns us ms s m h d. A bare number has no unit and is refused,
// except 0.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text) noexcept;
[[nodiscard]] std::string format_duration(Duration duration);

// "64MiB", "1GB", "512", "16k"; KiB/MiB/GiB/TiB are powers of 1024, kB/MB/GB/TB of 1000, and
// k/m/g/t alone of 1024.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;
// Largest binary unit that keeps it whole or with one decimal: "64 MiB".
[[nodiscard]] std::string format_size(std::uint64_t bytes);

// RFC 4648 with padding. decode takes both alphabets (base64 and base64url), padded or not.
[[nodiscard]] std::string base64_encode(ByteView data);
[[nodiscard]] std::optional<Bytes> base64_decode(std::string_view text);

// The candidate that is most likely meant, or empty when none is near enough (edit distance at most
// a third of the length, at least 1).
[[nodiscard]] std::string_view nearest_spelling(std::string_view word,
                                                std::span<const std::string_view> candidates);

}  // namespace kvstore
