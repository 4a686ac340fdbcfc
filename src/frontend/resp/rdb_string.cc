#include "frontend/resp/rdb_string.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/coding.h"

namespace kvstore::resp {
namespace {

constexpr std::uint16_t kVersion = 10;
constexpr std::size_t kFooterSize = 10;
constexpr std::uint8_t kTypeString = 0;
constexpr std::size_t kValueBytesMax = 512U << 20U;

// The two high bits of a length's first byte.
constexpr unsigned kLength6 = 0;
constexpr unsigned kLength14 = 1;
constexpr unsigned kLengthLong = 2;
constexpr std::uint8_t kLength32 = 0x80;
constexpr std::uint8_t kLength64 = 0x81;
constexpr std::uint8_t kInteger8 = 0xc0;
constexpr std::uint8_t kInteger16 = 0xc1;
constexpr std::uint8_t kInteger32 = 0xc2;
constexpr std::uint8_t kCompressed = 0xc3;

// ---- CRC-64, polynomial of Jones, reflected ----

constexpr std::array<std::uint64_t, 256> make_crc_table() {
    constexpr std::uint64_t kPolynomial = 0x95ac9329ac4bc9b5ULL;
    std::array<std::uint64_t, 256> table{};
    for (std::uint64_t i = 0; i < table.size(); ++i) {
        std::uint64_t crc = i;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc & 1U) != 0 ? (crc >> 1U) ^ kPolynomial : crc >> 1U;
        }
        table[i] = crc;
    }
    return table;
}

std::uint64_t crc64(ByteView data) {
    static constexpr std::array<std::uint64_t, 256> kTable = make_crc_table();
    std::uint64_t crc = 0;
    for (const char c : data) {
        crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xffU] ^ (crc >> 8U);
    }
    return crc;
}

// ---- LZF ----

// Literal runs and back references; `size` is what must come out.
std::optional<Bytes> decompress(ByteView packed, std::size_t size) {
    Bytes out;
    std::size_t at = 0;
    while (at < packed.size()) {
        const auto control = static_cast<unsigned char>(packed[at++]);
        if (control < 32) {
            const std::size_t run = control + 1U;
            if (run > packed.size() - at || run > size - out.size()) {
                return std::nullopt;
            }
            out.append(packed.substr(at, run));
            at += run;
            continue;
        }
        std::size_t length = control >> 5U;
        if (length == 7) {
            if (at == packed.size()) {
                return std::nullopt;
            }
            length += static_cast<unsigned char>(packed[at++]);
        }
        if (at == packed.size()) {
            return std::nullopt;
        }
        length += 2;
        const std::size_t back =
            ((control & 0x1fU) << 8U) + static_cast<unsigned char>(packed[at++]) + 1U;
        if (back > out.size() || length > size - out.size()) {
            return std::nullopt;
        }
        for (std::size_t i = 0; i < length; ++i) {
            out.push_back(out[out.size() - back]);
        }
    }
    return out.size() == size ? std::optional(std::move(out)) : std::nullopt;
}

// ---- the value ----

class Reader {
public:
    explicit Reader(ByteView rest) : rest_(rest) {}

    std::optional<Bytes> string() {
        const auto first = peek();
        if (!first) {
            return std::nullopt;
        }
        switch (*first) {
            case kInteger8: return number<std::int8_t>();
            case kInteger16: return number<std::int16_t>();
            case kInteger32: return number<std::int32_t>();
            case kCompressed: return compressed();
            default: break;
        }
        const auto size = length();
        return size ? bytes(*size) : std::nullopt;
    }
    [[nodiscard]] bool at_end() const { return rest_.empty(); }

private:
    [[nodiscard]] std::optional<std::uint8_t> peek() const {
        return rest_.empty() ? std::nullopt
                             : std::optional(static_cast<std::uint8_t>(rest_.front()));
    }

    std::optional<Bytes> bytes(std::uint64_t size) {
        if (size > rest_.size()) {
            return std::nullopt;
        }
        Bytes taken(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return taken;
    }

    std::optional<std::uint64_t> big_endian(std::size_t size) {
        if (rest_.size() < size) {
            return std::nullopt;
        }
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) {
            value = (value << 8U) | static_cast<unsigned char>(rest_[i]);
        }
        rest_.remove_prefix(size);
        return value;
    }

    std::optional<std::uint64_t> length() {
        const auto first = peek();
        if (!first) {
            return std::nullopt;
        }
        switch (*first >> 6U) {
            case kLength6: rest_.remove_prefix(1); return *first & 0x3fU;
            case kLength14: {
                const auto both = big_endian(2);
                return both ? std::optional(*both & 0x3fffU) : std::nullopt;
            }
            case kLengthLong:
                rest_.remove_prefix(1);
                if (*first == kLength32) {
                    return big_endian(4);
                }
                return *first == kLength64 ? big_endian(8) : std::nullopt;
            default: return std::nullopt;
        }
    }

    template <typename T>
    std::optional<Bytes> number() {
        if (rest_.size() < 1 + sizeof(T)) {
            return std::nullopt;
        }
        T value{};
        static_assert(std::endian::native == std::endian::little);
        std::memcpy(&value, rest_.data() + 1, sizeof(T));
        rest_.remove_prefix(1 + sizeof(T));
        return std::to_string(static_cast<int>(value));
    }

    std::optional<Bytes> compressed() {
        rest_.remove_prefix(1);
        const auto packed_size = length();
        const auto size = length();
        if (!packed_size || !size || *packed_size > rest_.size() || *size > kValueBytesMax) {
            return std::nullopt;
        }
        const ByteView packed = rest_.substr(0, *packed_size);
        rest_.remove_prefix(*packed_size);
        return decompress(packed, *size);
    }

    ByteView rest_;
};

void put_length(std::size_t size, Bytes& to) {
    if (size < (1U << 6U)) {
        to.push_back(static_cast<char>(size));
    } else if (size < (1U << 14U)) {
        to.push_back(static_cast<char>((size >> 8U) | 0x40U));
        to.push_back(static_cast<char>(size & 0xffU));
    } else {
        to.push_back(static_cast<char>(kLength32));
        for (int shift = 24; shift >= 0; shift -= 8) {
            to.push_back(static_cast<char>((size >> static_cast<unsigned>(shift)) & 0xffU));
        }
    }
}

}  // namespace

Bytes dump_string(ByteView value) {
    Bytes dump;
    dump.reserve(value.size() + 16);
    dump.push_back(static_cast<char>(kTypeString));
    put_length(value.size(), dump);
    dump.append(value);
    put_fixed(dump, kVersion);
    put_fixed(dump, crc64(dump));
    return dump;
}

bool dump_is_sound(ByteView dump) {
    if (dump.size() < kFooterSize) {
        return false;
    }
    Decoder footer(dump.substr(dump.size() - kFooterSize));
    const auto version = footer.fixed<std::uint16_t>();
    const auto crc = footer.fixed<std::uint64_t>();
    return version <= kVersion && crc == crc64(dump.substr(0, dump.size() - 8));
}

Result<Bytes> restore_string(ByteView dump) {
    ByteView value = dump.substr(0, dump.size() - kFooterSize);
    if (value.empty()) {
        return Status(Code::kInvalidArgument, "Bad data format");
    }
    if (static_cast<std::uint8_t>(value.front()) != kTypeString) {
        return Status(Code::kUnimplemented, "only strings can be restored");
    }
    value.remove_prefix(1);
    Reader reader(value);
    auto restored = reader.string();
    if (!restored || !reader.at_end()) {
        return Status(Code::kInvalidArgument, "Bad data format");
    }
    return *std::move(restored);
}

}  // namespace kvstore::resp
