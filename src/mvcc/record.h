// What is stored for a key: etcd's model of a value with the stamp of a hybrid logical clock.
//
// Layout in the engine's kCurrent table (varints are LEB128):
//
//     1 byte   kind and flags: bits 0-3 the value's kind, bit 4 expires, bit 5 lease
//     8 bytes  version, little-endian
//     varint   mod_revision
//     varint   mod_revision - create_revision
//     varint   version_count
//     varint   expires_at, ms since 1970 (only with bit 4)
//     varint   lease (only with bit 5)
//     rest     value
//
// Changing this layout: a new kind or flag bit is enough for additions; readers refuse what they do
// not know with kCorruption.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/coding.h"
#include "base/hlc.h"
#include "base/id.h"

namespace kvstore::mvcc {

// What a value is. Collections come later as further kinds.
enum class ValueKind : std::uint8_t { kString = 0 };

struct Record {
    ByteView value;
    ValueKind kind = ValueKind::kString;
    Version version;
    Revision create_revision;
    Revision mod_revision;
    std::uint64_t version_count = 0;  // 1 when created, rising with each put until deleted
    std::uint64_t lease = 0;          // 0: none
    std::uint64_t expires_at_ms = 0;  // 0: never

    // Whether the record has run out at `now_ms`, whether or not that was logged already.
    [[nodiscard]] bool has_expired(std::uint64_t now_ms) const {
        return expires_at_ms != 0 && expires_at_ms <= now_ms;
    }
};

// Everything but the value, ready to stand before it.
class RecordHead {
public:
    explicit RecordHead(const Record& record);
    [[nodiscard]] ByteView bytes() const { return {raw_.data(), size_}; }

private:
    std::array<char, 1 + 8 + 5 * kVarintBytesMax> raw_;
    std::size_t size_ = 0;
};

// The value is a view into `stored`. Nullopt when `stored` is not a record.
[[nodiscard]] std::optional<Record> decode_record(ByteView stored) noexcept;

}  // namespace kvstore::mvcc
