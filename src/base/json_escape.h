// Text made safe to stand between the quotes of a JSON string.
#pragma once

#include <string>
#include <string_view>

namespace kvstore {

// Bytes that are not UTF-8 come out as U+FFFD, so the result is always valid JSON.
void append_json_escaped(std::string& to, std::string_view text);

// True where every byte belongs to well-formed UTF-8 (no surrogates, nothing overlong).
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace kvstore
