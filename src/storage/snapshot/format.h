// On-disk layout of a snapshot file, as pure functions over bytes.
//
// A file is a header, blocks of rows, and an end block; nothing stands after it.
//
//     header, 64 bytes
//     offset  size  field
//          0     8  magic      "kvsnapsh"
//          8     4  version    kSnapshotVersion
//         12     4  zeros
//         16     8  shard
//         24     8  applied    the index whose effects, and all before it, the rows show
//         32    28  zeros
//         60     4  checksum   CRC-32C of bytes 0 to 59
//
//     block
//          0     4  checksum   CRC-32C of the rest of the block, continuing that of the block
//          before
//                              (of the header, for the first block)
//          4     4  length     of the payload
//          8     8  offset     of this block in the file
//         16     4  kind       1: rows, 2: end
//         20     4  row count  in this block
//         24     n  payload
//
//     payload of rows, repeated: table (1 byte), key length (varint), key, value length, value
//     payload of the end:        row count, block count, digest (8 bytes each)
//
// The chain of checksums makes a block valid in one place of one file only. The digest is XXH3 over
// every block of rows in order, each seeded with the digest before it (the first with 0).
//
// Changing this layout: raise kSnapshotVersion, keep a reader for the old version, and add a file
// written by it to testdata/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "storage/snapshot/snapshot.h"

namespace kvstore::storage {

inline constexpr std::uint32_t kSnapshotVersion = 1;
inline constexpr std::size_t kSnapshotHeaderSize = 64;
inline constexpr std::size_t kBlockHeaderSize = 24;
// About so many bytes of rows make a block; one row is never cut.
inline constexpr std::size_t kBlockPayloadAim = 64U << 10U;
// Bounds what a corrupt length can ask for.
inline constexpr std::size_t kBlockPayloadMax = 64U << 20U;

struct SnapshotHeader {
    ShardId shard;
    Index applied;
};

[[nodiscard]] std::array<char, kSnapshotHeaderSize> encode_snapshot_header(
    const SnapshotHeader& header) noexcept;
// Errors: kCorruption.
[[nodiscard]] Result<SnapshotHeader> decode_snapshot_header(ByteView bytes);
// What the first block's checksum continues. Requires: `bytes` holds a header.
[[nodiscard]] std::uint32_t snapshot_chain_begin(ByteView bytes) noexcept;

enum class BlockKind : std::uint32_t { kRows = 1, kEnd = 2 };

struct BlockHeader {
    std::uint32_t checksum = 0;
    std::uint32_t length = 0;
    std::uint64_t offset = 0;
    BlockKind kind = BlockKind::kRows;
    std::uint32_t row_count = 0;

    [[nodiscard]] std::size_t size() const { return kBlockHeaderSize + length; }
};

// Appends one row to a block that begins with kBlockHeaderSize bytes of room.
void put_row(Bytes& block, Table table, ByteView key, ByteView value);

// Writes the header into the front of `block`. Returns: its checksum, which the next continues.
std::uint32_t seal_block(Bytes& block,
                         BlockKind kind,
                         std::uint32_t row_count,
                         std::uint64_t offset,
                         std::uint32_t chain) noexcept;

// The header at the front of `bytes`, when it can be one that stands at `offset`.
[[nodiscard]] std::optional<BlockHeader> find_block_header(ByteView bytes,
                                                           std::uint64_t offset) noexcept;
// Requires: `bytes` holds header.size() bytes.
[[nodiscard]] bool is_block_whole(ByteView bytes,
                                  const BlockHeader& header,
                                  std::uint32_t chain) noexcept;

// Shows the rows of a payload. Errors: kCorruption for bytes that are no rows or another number of
// them; the visitor's.
Status visit_rows(ByteView payload, std::uint32_t row_count, SnapshotVisitor& visitor);

struct SnapshotTotals {
    std::uint64_t row_count = 0;
    std::uint64_t block_count = 0;
    std::uint64_t digest = 0;
    friend bool operator==(const SnapshotTotals&, const SnapshotTotals&) = default;
};
// Counts a block of rows, header and payload.
void add_block(SnapshotTotals& totals, ByteView block, std::uint32_t row_count) noexcept;
void put_totals(Bytes& block, const SnapshotTotals& totals);
[[nodiscard]] std::optional<SnapshotTotals> find_totals(ByteView payload) noexcept;

}  // namespace kvstore::storage
