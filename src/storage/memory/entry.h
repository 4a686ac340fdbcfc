// What lies in the arena for one key: varint key size, varint value size, key, value. Immutable
// once it can be found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/coding.h"

namespace kvstore::storage::memory {

struct Entry {
    ByteView key;
    ByteView value;
};

[[nodiscard]] constexpr std::size_t varint_bytes(std::uint64_t value) noexcept {
    std::size_t bytes = 1;
    while (value >= 0x80) {
        value >>= 7U;
        ++bytes;
    }
    return bytes;
}

[[nodiscard]] constexpr std::size_t entry_bytes(std::size_t key_size,
                                                std::size_t value_size) noexcept {
    return varint_bytes(key_size) + varint_bytes(value_size) + key_size + value_size;
}

inline char* append_bytes(char* to, ByteView bytes) noexcept {
    if (!bytes.empty()) {
        std::memcpy(to, bytes.data(), bytes.size());
    }
    return to + bytes.size();
}

// Writes an entry of entry_bytes() at `to`; its value is `head` followed by `tail`.
inline void write_entry(char* to, ByteView key, ByteView head, ByteView tail) noexcept {
    to = store_varint(to, key.size());
    to = store_varint(to, head.size() + tail.size());
    to = append_bytes(to, key);
    to = append_bytes(to, head);
    append_bytes(to, tail);
}

// Reads a varint that we wrote ourselves, and moves `at` behind it.
[[nodiscard]] inline std::size_t read_own_varint(const char*& at) noexcept {
    std::size_t value = static_cast<unsigned char>(*at++);
    if (value < 0x80) [[likely]] {
        return value;
    }
    value &= 0x7fU;
    for (unsigned shift = 7;; shift += 7) {
        const auto byte = static_cast<unsigned char>(*at++);
        value |= static_cast<std::size_t>(byte & 0x7fU) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
}

[[nodiscard]] inline Entry read_entry(const char* at) noexcept {
    const std::size_t key_size = read_own_varint(at);
    const std::size_t value_size = read_own_varint(at);
    return {.key = {at, key_size}, .value = {at + key_size, value_size}};
}

}  // namespace kvstore::storage::memory
