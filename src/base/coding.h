// Integers to bytes and back: little-endian fixed width, big-endian where byte order must be key
// order, and LEB128 varints. Decoding never reads past the end and never asserts.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/bytes.h"

namespace kvstore {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian");

template <typename Integer>
void store_fixed(char* to, Integer value) noexcept {
    std::memcpy(to, &value, sizeof(value));
}

template <typename Integer>
[[nodiscard]] Integer load_fixed(const char* from) noexcept {
    Integer value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}

template <typename Integer>
void put_fixed(Bytes& to, Integer value) {
    std::array<char, sizeof(Integer)> raw;
    store_fixed(raw.data(), value);
    to.append(raw.data(), raw.size());
}

inline void put_big_endian64(Bytes& to, std::uint64_t value) {
    put_fixed(to, __builtin_bswap64(value));
}
inline void put_big_endian32(Bytes& to, std::uint32_t value) {
    put_fixed(to, __builtin_bswap32(value));
}
[[nodiscard]] inline std::uint64_t load_big_endian64(const char* from) noexcept {
    return __builtin_bswap64(load_fixed<std::uint64_t>(from));
}
[[nodiscard]] inline std::uint32_t load_big_endian32(const char* from) noexcept {
    return __builtin_bswap32(load_fixed<std::uint32_t>(from));
}

inline constexpr std::size_t kVarintBytesMax = 10;

// Writes `value` at `to`, which has kVarintBytesMax bytes of room; returns the place after it.
inline char* store_varint(char* to, std::uint64_t value) noexcept {
    while (value >= 0x80) {
        *to++ = static_cast<char>(value | 0x80);
        value >>= 7;
    }
    *to++ = static_cast<char>(value);
    return to;
}

inline void put_varint(Bytes& to, std::uint64_t value) {
    std::array<char, kVarintBytesMax> raw;
    const char* end = store_varint(raw.data(), value);
    to.append(raw.data(), static_cast<std::size_t>(end - raw.data()));
}

// Signed integers with small magnitudes stay short.
[[nodiscard]] constexpr std::uint64_t zigzag_encode(std::int64_t value) noexcept {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
[[nodiscard]] constexpr std::int64_t zigzag_decode(std::uint64_t value) noexcept {
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

inline void put_length_prefixed(Bytes& to, ByteView value) {
    put_varint(to, value.size());
    to.append(value);
}

// Reads a buffer from front to back. After the first failure every further read fails too, so a
// decoder may read all fields and ask ok() once.
class Decoder {
public:
    explicit Decoder(ByteView input) noexcept : input_(input) {}

    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] bool at_end() const noexcept { return ok_ && input_.empty(); }
    [[nodiscard]] ByteView rest() const noexcept { return input_; }

    template <typename Integer>
    Integer fixed() noexcept {
        if (!ok_ || input_.size() < sizeof(Integer)) {
            ok_ = false;
            return Integer{};
        }
        Integer value = load_fixed<Integer>(input_.data());
        input_.remove_prefix(sizeof(Integer));
        return value;
    }

    std::uint64_t big_endian64() noexcept { return __builtin_bswap64(fixed<std::uint64_t>()); }

    std::uint64_t varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (!ok_ || input_.empty()) {
                break;
            }
            const auto byte = static_cast<unsigned char>(input_.front());
            input_.remove_prefix(1);
            if (shift == 63 && byte > 1) {
                break;
            }
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) {
                return value;
            }
        }
        ok_ = false;
        return 0;
    }

    ByteView bytes(std::size_t size) noexcept {
        if (!ok_ || input_.size() < size) {
            ok_ = false;
            return {};
        }
        ByteView value = input_.substr(0, size);
        input_.remove_prefix(size);
        return value;
    }

    ByteView length_prefixed() noexcept {
        const std::uint64_t size = varint();
        if (size > input_.size()) {
            ok_ = false;
            return {};
        }
        return bytes(static_cast<std::size_t>(size));
    }

private:
    ByteView input_;
    bool ok_ = true;
};

}  // namespace kvstore
