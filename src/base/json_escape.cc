#include "base/json_escape.h"

#include <cstddef>

namespace kvstore {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) noexcept {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
}

bool is_continuation(unsigned byte) noexcept {
    return (byte & 0xc0U) == 0x80U;
}

// The length of the well-formed sequence at `at` (Unicode 15, table 3-7), or 0.
std::size_t sequence_length(std::string_view text, std::size_t at) noexcept {
    const unsigned first = byte_at(text, at);
    const unsigned second = byte_at(text, at + 1);
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        return is_continuation(second) ? 2 : 0;
    }
    const bool third_ok = is_continuation(byte_at(text, at + 2));
    if (first >= 0xe0 && first <= 0xef) {
        const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
        const unsigned high = first == 0xed ? 0x9f : 0xbf;
        return second >= low && second <= high && third_ok ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        const unsigned low = first == 0xf0 ? 0x90 : 0x80;
        const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
        const bool fourth_ok = is_continuation(byte_at(text, at + 3));
        return second >= low && second <= high && third_ok && fourth_ok ? 4 : 0;
    }
    return 0;
}

void append_escaped_ascii(std::string& to, char c) {
    constexpr std::string_view kHex = "0123456789abcdef";
    switch (c) {
        case '"': to += "\\\""; return;
        case '\\': to += "\\\\"; return;
        case '\n': to += "\\n"; return;
        case '\r': to += "\\r"; return;
        case '\t': to += "\\t"; return;
        default: break;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
        to += "\\u00";
        to += kHex[byte >> 4U];
        to += kHex[byte & 0xfU];
        return;
    }
    to += c;
}

}  // namespace

void append_json_escaped(std::string& to, std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = sequence_length(text, at);
        if (length == 1) {
            append_escaped_ascii(to, text[at]);
        } else if (length == 0) {
            to += "\xef\xbf\xbd";
        } else {
            to.append(text, at, length);
        }
        at += length == 0 ? 1 : length;
    }
}

bool is_utf8(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = sequence_length(text, at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

}  // namespace kvstore
