#include "storage/snapshot/format.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace kvstore::storage {
namespace {

// The file of the example in docs/internals/snapshot.md.
Bytes example_file() {
    const auto header = encode_snapshot_header({.shard = ShardId(7), .applied = Index(42)});
    Bytes file(header.data(), header.size());
    SnapshotTotals totals;

    Bytes rows(kBlockHeaderSize, '\0');
    put_row(rows, Table::kMeta, "id", "7");
    put_row(rows, Table::kCurrent, "key", "value");
    const std::uint32_t chain =
        seal_block(rows, BlockKind::kRows, 2, file.size(), snapshot_chain_begin(file));
    add_block(totals, rows, 2);
    file += rows;

    Bytes end(kBlockHeaderSize, '\0');
    put_totals(end, totals);
    static_cast<void>(seal_block(end, BlockKind::kEnd, 0, file.size(), chain));
    return file + end;
}

std::string to_hex(ByteView bytes) {
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 16) {
        std::array<char, 16> raw{};
        std::snprintf(raw.data(), raw.size(), "%06zx ", at);
        text += raw.data();
        for (const char byte : bytes.substr(at, 16)) {
            std::snprintf(raw.data(), raw.size(), " %02x", static_cast<unsigned char>(byte));
            text += raw.data();
        }
        text += '\n';
    }
    return text;
}

// Holds docs/internals/snapshot.md true: a snapshot of version 1 looks like this for ever.
TEST(SnapshotFormat, VersionOneLooksAsItIsDocumented) {
    const std::string path = std::string(KVSTORE_MODULE_DIR) + "/snapshot/testdata/snapshot-v1.hex";
    const std::string written = to_hex(example_file());
    if (std::getenv("KVSTORE_REWRITE") != nullptr) {
        std::ofstream(path) << written;
    }
    std::ifstream file(path);
    std::stringstream golden;
    golden << file.rdbuf();
    EXPECT_EQ(written, golden.str());
}

class Counter final : public SnapshotVisitor {
public:
    Status on_row(Table, ByteView, ByteView) override {
        ++count;
        return {};
    }
    int count = 0;
};

TEST(SnapshotFormat, RowsThatDoNotFitTheirCountAreCorrupt) {
    Bytes rows;
    put_row(rows, Table::kLog, "key", "value");
    Counter counter;
    EXPECT_TRUE(visit_rows(rows, 1, counter).ok());
    EXPECT_EQ(visit_rows(rows, 0, counter).code(), Code::kCorruption);
    EXPECT_EQ(visit_rows(rows, 2, counter).code(), Code::kCorruption);
    EXPECT_EQ(visit_rows(rows.substr(0, rows.size() - 1), 1, counter).code(), Code::kCorruption);
    rows[0] = static_cast<char>(kTableCount);
    EXPECT_EQ(visit_rows(rows, 1, counter).code(), Code::kCorruption);
}

TEST(SnapshotFormat, ABlockIsFoundAtItsOffsetOnly) {
    Bytes block(kBlockHeaderSize, '\0');
    put_row(block, Table::kLog, "key", "value");
    const std::uint32_t checksum = seal_block(block, BlockKind::kRows, 1, 64, 5);
    const auto header = find_block_header(block, 64);
    ASSERT_TRUE(header.has_value());
    EXPECT_EQ(header->checksum, checksum);
    EXPECT_TRUE(is_block_whole(block, *header, 5));
    EXPECT_FALSE(is_block_whole(block, *header, 6));
    EXPECT_FALSE(find_block_header(block, 65).has_value());
    EXPECT_FALSE(find_block_header(block.substr(0, 20), 64).has_value());
}

}  // namespace
}  // namespace kvstore::storage
