// Numbers and times in arguments, read as Redis reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "frontend/resp/command.h"

namespace kvstore::resp {

inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kSyntaxError = "ERR syntax error";

// Units and starting points of a time that a client gives.
enum class TimeForm : std::uint8_t { kSeconds, kMilliseconds, kAtSeconds, kAtMilliseconds };

// Milliseconds since 1970; nullopt where they leave the range of 64 bits. Times in the past are
// times too.
[[nodiscard]] std::optional<std::int64_t> expiry_of(std::int64_t time,
                                                    TimeForm form,
                                                    std::uint64_t now_ms);

// "ERR invalid expire time in 'set' command"
[[nodiscard]] std::string invalid_expiry_text(const Call& call);

}  // namespace kvstore::resp
