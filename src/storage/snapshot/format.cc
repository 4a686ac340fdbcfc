#include "storage/snapshot/format.h"

#include <cstring>
#include <string>

#include "base/assert.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/planted_bug.h"

namespace kvstore::storage {
namespace {

constexpr std::string_view kMagic = "kvsnapsh";
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kShardAt = 16;
constexpr std::size_t kAppliedAt = 24;
constexpr std::size_t kHeaderChecksumAt = 60;

constexpr std::size_t kLengthAt = 4;
constexpr std::size_t kOffsetAt = 8;
constexpr std::size_t kKindAt = 16;
constexpr std::size_t kRowCountAt = 20;

constexpr std::size_t kTotalsSize = 24;

}  // namespace

std::array<char, kSnapshotHeaderSize> encode_snapshot_header(
    const SnapshotHeader& header) noexcept {
    std::array<char, kSnapshotHeaderSize> bytes{};
    std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
    store_fixed(bytes.data() + kVersionAt, kSnapshotVersion);
    store_fixed(bytes.data() + kShardAt, header.shard.value());
    store_fixed(bytes.data() + kAppliedAt, header.applied.value());
    store_fixed(bytes.data() + kHeaderChecksumAt,
                crc32c(ByteView(bytes.data(), kHeaderChecksumAt)));
    return bytes;
}

Result<SnapshotHeader> decode_snapshot_header(ByteView bytes) {
    if (bytes.size() < kSnapshotHeaderSize || bytes.substr(0, kMagic.size()) != kMagic) {
        return Status(Code::kCorruption, "this is no snapshot");
    }
    if (snapshot_chain_begin(bytes) != crc32c(bytes.substr(0, kHeaderChecksumAt))) {
        return Status(Code::kCorruption, "the snapshot header fails its checksum");
    }
    const auto version = load_fixed<std::uint32_t>(bytes.data() + kVersionAt);
    if (version != kSnapshotVersion) {
        return Status(Code::kCorruption,
                      "snapshot version " + std::to_string(version) +
                          " was written by a newer kvstore; this one reads version " +
                          std::to_string(kSnapshotVersion));
    }
    return SnapshotHeader{.shard = ShardId(load_fixed<std::uint64_t>(bytes.data() + kShardAt)),
                          .applied = Index(load_fixed<std::uint64_t>(bytes.data() + kAppliedAt))};
}

std::uint32_t snapshot_chain_begin(ByteView bytes) noexcept {
    KVSTORE_ASSERT(bytes.size() >= kSnapshotHeaderSize);
    return load_fixed<std::uint32_t>(bytes.data() + kHeaderChecksumAt);
}

void put_row(Bytes& block, Table table, ByteView key, ByteView value) {
    block.push_back(static_cast<char>(table));
    put_length_prefixed(block, key);
    put_length_prefixed(block, value);
}

std::uint32_t seal_block(Bytes& block,
                         BlockKind kind,
                         std::uint32_t row_count,
                         std::uint64_t offset,
                         std::uint32_t chain) noexcept {
    KVSTORE_ASSERT(block.size() >= kBlockHeaderSize);
    KVSTORE_ASSERT(block.size() - kBlockHeaderSize <= kBlockPayloadMax);
    store_fixed(block.data() + kLengthAt,
                static_cast<std::uint32_t>(block.size() - kBlockHeaderSize));
    store_fixed(block.data() + kOffsetAt, offset);
    store_fixed(block.data() + kKindAt, static_cast<std::uint32_t>(kind));
    store_fixed(block.data() + kRowCountAt, row_count);
    const std::uint32_t checksum = crc32c(ByteView(block).substr(kLengthAt), chain);
    store_fixed(block.data(), checksum);
    return checksum;
}

std::optional<BlockHeader> find_block_header(ByteView bytes, std::uint64_t offset) noexcept {
    Decoder from(bytes);
    BlockHeader header;
    header.checksum = from.fixed<std::uint32_t>();
    header.length = from.fixed<std::uint32_t>();
    header.offset = from.fixed<std::uint64_t>();
    header.kind = static_cast<BlockKind>(from.fixed<std::uint32_t>());
    header.row_count = from.fixed<std::uint32_t>();
    const bool is_known = header.kind == BlockKind::kRows || header.kind == BlockKind::kEnd;
    if (!from.ok() || !is_known || header.offset != offset || header.length > kBlockPayloadMax) {
        return std::nullopt;
    }
    return header;
}

bool is_block_whole(ByteView bytes, const BlockHeader& header, std::uint32_t chain) noexcept {
    KVSTORE_ASSERT(bytes.size() >= header.size());
    if (planted_bug(PlantedBug::kSnapshotSkipBlockCheck)) {
        return true;
    }
    return crc32c(bytes.substr(kLengthAt, header.size() - kLengthAt), chain) == header.checksum;
}

Status visit_rows(ByteView payload, std::uint32_t row_count, SnapshotVisitor& visitor) {
    Decoder from(payload);
    for (std::uint32_t i = 0; i < row_count; ++i) {
        const auto table = from.fixed<std::uint8_t>();
        const ByteView key = from.length_prefixed();
        const ByteView value = from.length_prefixed();
        if (!from.ok() || table >= kTableCount) {
            return {Code::kCorruption, "a row that cannot be read, with a checksum that fits"};
        }
        KVSTORE_CHECK_OK(visitor.on_row(static_cast<Table>(table), key, value));
    }
    if (!from.at_end()) {
        return {Code::kCorruption, "bytes after the last row, with a checksum that fits"};
    }
    return {};
}

void add_block(SnapshotTotals& totals, ByteView block, std::uint32_t row_count) noexcept {
    totals.row_count += row_count;
    totals.block_count += 1;
    totals.digest = hash64(block, totals.digest);
}

void put_totals(Bytes& block, const SnapshotTotals& totals) {
    put_fixed(block, totals.row_count);
    put_fixed(block, totals.block_count);
    put_fixed(block, totals.digest);
}

std::optional<SnapshotTotals> find_totals(ByteView payload) noexcept {
    if (payload.size() != kTotalsSize) {
        return std::nullopt;
    }
    return SnapshotTotals{.row_count = load_fixed<std::uint64_t>(payload.data()),
                          .block_count = load_fixed<std::uint64_t>(payload.data() + 8),
                          .digest = load_fixed<std::uint64_t>(payload.data() + 16)};
}

}  // namespace kvstore::storage
