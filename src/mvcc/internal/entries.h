// The values of the tables beside kCurrent.
//
//     kLog     1 byte kind (Change::Kind), key (length-prefixed), stored record
//     kIndex   1 byte kind (IndexEntry::Kind), then
//              put, delete: number in the log (varint)
//              base: the stored record itself
//     kMeta    "shard": ShardState; "sweep": where the next slice of a compaction begins (a log
//     key)
//
// A base stands for a record that is older than the retained log: it is written when such a record
// is first changed, so that reads as of a revision before the change still find it. A record that
// was not changed since needs no base: kCurrent has it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "mvcc/shard.h"

namespace kvstore::mvcc::internal {

// What stands before the stored record in a log entry.
void make_log_head(Change::Kind kind, ByteView key, Bytes& to);

struct LogEntry {
    Change::Kind kind = Change::Kind::kPut;
    ByteView key;
    ByteView stored;
    Record record;
};
[[nodiscard]] std::optional<LogEntry> decode_log_entry(ByteView value) noexcept;

struct IndexEntry {
    enum class Kind : std::uint8_t { kPut = 1, kDelete = 2, kBase = 3 };
    Kind kind = Kind::kPut;
    std::uint32_t number = 0;  // in the log; not of a base
    ByteView stored;           // of a base
};
inline constexpr ByteView kBaseHead{"\x03", 1};

void make_index_value(IndexEntry::Kind kind, std::uint32_t number, Bytes& to);
[[nodiscard]] std::optional<IndexEntry> decode_index_entry(ByteView value) noexcept;

// The state and the index up to which it has been applied.
inline constexpr std::size_t kStateBytes = 1 + (8 * sizeof(std::uint64_t));
[[nodiscard]] std::array<char, kStateBytes> encode_state(const ShardState& state, Index applied);

struct StoredState {
    ShardState state;
    Index applied;
};
[[nodiscard]] std::optional<StoredState> decode_state(ByteView value) noexcept;

// The hash of one entry of kCurrent; ShardState::digest is the sum of them all.
[[nodiscard]] std::uint64_t entry_hash(std::uint64_t key_hash,
                                       ByteView head,
                                       ByteView value) noexcept;

// `what`, and the key in a form that is safe to print.
[[nodiscard]] Status corruption(ByteView what, ByteView key);

}  // namespace kvstore::mvcc::internal
