#include "base/parse.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <vector>

namespace kvstore {
namespace {

template <typename Integer>
std::optional<Integer> parse_integer(std::string_view text) noexcept {
    const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
    if (digits.empty() || (digits.front() == '0' && (digits.size() > 1 || digits != text))) {
        return std::nullopt;
    }
    Integer value{};
    const char* end = text.data() + text.size();
    const auto [parsed, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || parsed != end) {
        return std::nullopt;
    }
    return value;
}

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array<Unit, 7> kDurationUnits{{
    {.name = "ns", .factor = 1},
    {.name = "us", .factor = 1'000},
    {.name = "ms", .factor = 1'000'000},
    {.name = "s", .factor = 1'000'000'000},
    {.name = "m", .factor = 60'000'000'000},
    {.name = "h", .factor = 3'600'000'000'000},
    {.name = "d", .factor = 86'400'000'000'000},
}};

constexpr std::array<Unit, 14> kSizeUnits{{
    {.name = "", .factor = 1},
    {.name = "b", .factor = 1},
    {.name = "k", .factor = 1ULL << 10U},
    {.name = "kib", .factor = 1ULL << 10U},
    {.name = "kb", .factor = 1'000},
    {.name = "m", .factor = 1ULL << 20U},
    {.name = "mib", .factor = 1ULL << 20U},
    {.name = "mb", .factor = 1'000'000},
    {.name = "g", .factor = 1ULL << 30U},
    {.name = "gib", .factor = 1ULL << 30U},
    {.name = "gb", .factor = 1'000'000'000},
    {.name = "t", .factor = 1ULL << 40U},
    {.name = "tib", .factor = 1ULL << 40U},
    {.name = "tb", .factor = 1'000'000'000'000},
}};

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') {
            c = static_cast<char>(c - 'A' + 'a');
        }
    }
    return result;
}

// A number at the front of `text`, which it is taken from.
std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
    std::uint64_t value = 0;
    const auto [parsed, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(parsed - text.data()));
    return value;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
            diagonal = above;
        }
    }
    return row[b.size()];
}

constexpr std::string_view kBase64Alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::uint32_t> base64_value(char c) noexcept {
    if (c == '-') {
        return 62;
    }
    if (c == '_') {
        return 63;
    }
    const std::size_t at = kBase64Alphabet.find(c);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(at);
}

}  // namespace

std::optional<std::int64_t> parse_int64(std::string_view text) noexcept {
    return parse_integer<std::int64_t>(text);
}

std::optional<std::uint64_t> parse_uint64(std::string_view text) noexcept {
    return parse_integer<std::uint64_t>(text);
}

std::optional<Duration> parse_duration(std::string_view text) noexcept {
    if (text == "0") {
        return Duration(0);
    }
    if (text.empty()) {
        return std::nullopt;
    }
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::uint64_t total = 0;
    while (!text.empty()) {
        const auto number = take_number(text);
        if (!number) {
            return std::nullopt;
        }
        const std::size_t unit_length = std::min(text.find_first_of("0123456789"), text.size());
        const std::string_view name = text.substr(0, unit_length);
        text.remove_prefix(unit_length);
        const auto* unit = std::ranges::find(kDurationUnits, name, &Unit::name);
        if (unit == kDurationUnits.end() || *number > (kMax - total) / unit->factor) {
            return std::nullopt;
        }
        total += *number * unit->factor;
    }
    return Duration(static_cast<std::int64_t>(total));
}

std::string format_duration(Duration duration) {
    if (duration.count() == 0) {
        return "0s";
    }
    std::string text = duration.count() < 0 ? "-" : "";
    // Negated as an unsigned number, which the smallest duration survives.
    auto rest = static_cast<std::uint64_t>(duration.count());
    rest = duration.count() < 0 ? 0 - rest : rest;
    for (auto unit = kDurationUnits.rbegin(); unit != kDurationUnits.rend(); ++unit) {
        if (rest >= unit->factor) {
            text += std::to_string(rest / unit->factor);
            text += unit->name;
            rest %= unit->factor;
        }
    }
    return text;
}

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
    const auto number = take_number(text);
    if (!number) {
        return std::nullopt;
    }
    if (text.starts_with(' ')) {
        text.remove_prefix(1);
    }
    const std::string name = lower(text);
    const auto* unit = std::ranges::find(kSizeUnits, std::string_view(name), &Unit::name);
    if (unit == kSizeUnits.end() ||
        *number > std::numeric_limits<std::uint64_t>::max() / unit->factor) {
        return std::nullopt;
    }
    return *number * unit->factor;
}

std::string format_size(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 5> kNames{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    std::uint64_t whole = bytes;
    std::uint64_t remainder = 0;
    while (whole >= 1024 && unit + 1 < kNames.size()) {
        remainder = whole % 1024;
        whole /= 1024;
        ++unit;
    }
    std::string text = std::to_string(whole);
    if (const std::uint64_t tenths = remainder * 10 / 1024; tenths > 0) {
        text += '.';
        text += std::to_string(tenths);
    }
    text += ' ';
    text += kNames[unit];
    return text;
}

std::string base64_encode(ByteView data) {
    std::string text;
    text.reserve((data.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < data.size(); at += 3) {
        const std::size_t count = std::min<std::size_t>(3, data.size() - at);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            bits = (bits << 8U) | (i < count ? static_cast<unsigned char>(data[at + i]) : 0U);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            text += i <= count ? kBase64Alphabet[(bits >> (18 - 6 * i)) & 63U] : '=';
        }
    }
    return text;
}

std::optional<Bytes> base64_decode(std::string_view text) {
    const std::size_t size = text.size();
    while (text.ends_with('=')) {
        text.remove_suffix(1);
    }
    // Padding is all there or not at all.
    const bool is_padded = text.size() < size;
    if (text.size() % 4 == 1 || (is_padded && (size % 4 != 0 || size - text.size() > 2))) {
        return std::nullopt;
    }
    Bytes data;
    data.reserve(text.size() * 3 / 4);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        const auto value = base64_value(c);
        if (!value) {
            return std::nullopt;
        }
        bits = (bits << 6U) | *value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            data += static_cast<char>((bits >> count) & 0xffU);
        }
    }
    // Left-over bits must be zero, or two texts would mean the same bytes.
    if ((bits & ((1U << count) - 1U)) != 0) {
        return std::nullopt;
    }
    return data;
}

std::string_view nearest_spelling(std::string_view word,
                                  std::span<const std::string_view> candidates) {
    std::string_view best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string_view candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

}  // namespace kvstore
