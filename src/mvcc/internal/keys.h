// The keys of the tables beside kCurrent, such that byte order is the order wanted.
//
//     kLog     revision (BE64), number (BE32)
//     kIndex   key with 0x00 written as 0x00 0xff, then 0x00 0x01, then ~revision (BE64): all of a
//              key's entries stand together, the newest first, and keys stand in their own order
//     kExpiry  expires_at_ms (BE64), key
//     kMeta    names
//
// The functions write into a string of the caller, which keeps its capacity from call to call.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/id.h"

namespace kvstore::mvcc::internal {

inline constexpr ByteView kStateKey = "shard";
inline constexpr ByteView kSweepKey = "sweep";

struct LogPosition {
    Revision revision;
    std::uint32_t number = 0;

    friend auto operator<=>(const LogPosition&, const LogPosition&) noexcept = default;
};

void make_log_key(LogPosition position, Bytes& to);
[[nodiscard]] std::optional<LogPosition> parse_log_key(ByteView log_key) noexcept;

// What all index keys of `key`, and only they, begin with.
void make_index_prefix(ByteView key, Bytes& to);
// Before this are all index keys of `key`, at it or after it those of the keys that follow.
void make_index_end(ByteView key, Bytes& to);
void make_index_key(ByteView key, Revision revision, Bytes& to);

// Whether `index_key` is one of the key that `prefix` was made for.
[[nodiscard]] bool is_index_key_of(ByteView index_key, ByteView prefix) noexcept;
// Requires: is_index_key_of() some prefix.
[[nodiscard]] Revision index_key_revision(ByteView index_key) noexcept;
// Splits an index key; false when it is none.
[[nodiscard]] bool parse_index_key(ByteView index_key, Bytes& key, Revision& revision);

void make_expiry_key(std::uint64_t expires_at_ms, ByteView key, Bytes& to);

struct ExpiryEntry {
    std::uint64_t expires_at_ms = 0;
    ByteView key;
};
[[nodiscard]] std::optional<ExpiryEntry> parse_expiry_key(ByteView expiry_key) noexcept;

}  // namespace kvstore::mvcc::internal
