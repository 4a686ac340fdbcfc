#include "mvcc/internal/float_text.h"

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "base/assert.h"

namespace kvstore::mvcc::internal {
namespace {

constexpr int kDigitsAfterPoint = 17;

}  // namespace

std::optional<long double> parse_float(ByteView text) {
    FloatText room;
    if (text.empty() || text.size() >= room.size() ||
        std::isspace(static_cast<unsigned char>(text.front())) != 0) {
        return std::nullopt;
    }
    std::memcpy(room.data(), text.data(), text.size());
    room[text.size()] = '\0';

    char* end = nullptr;
    errno = 0;
    const long double value = std::strtold(room.data(), &end);
    const bool out_of_range = errno == ERANGE && (std::isinf(value) || value == 0.0L);
    if (end != room.data() + text.size() || out_of_range || std::isnan(value)) {
        return std::nullopt;
    }
    return value;
}

ByteView format_float(long double value, FloatText& room) {
    KVSTORE_ASSERT(std::isfinite(value));
    const auto [end, error] = std::to_chars(
        room.data(), room.data() + room.size(), value, std::chars_format::fixed, kDigitsAfterPoint);
    KVSTORE_ASSERT(error == std::errc());
    ByteView text(room.data(), static_cast<std::size_t>(end - room.data()));
    text.remove_suffix(text.size() - text.find_last_not_of('0') - 1);
    if (text.ends_with('.')) {
        text.remove_suffix(1);
    }
    return text == "-0" ? ByteView("0") : text;
}

}  // namespace kvstore::mvcc::internal
