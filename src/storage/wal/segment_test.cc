#include "storage/wal/segment.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "storage/wal/record.h"

namespace kvstore::storage {
namespace {

TEST(WalSegment, NamesHaveSixteenDigitsAndReadBack) {
    using Kind = SegmentName::Kind;
    EXPECT_EQ(segment_name({.kind = Kind::kUsed, .number = 7}), "wal-0000000000000007");
    EXPECT_EQ(segment_name({.kind = Kind::kFree, .number = 7}), "wal-free-0000000000000007");
    EXPECT_EQ(segment_name({.kind = Kind::kNew, .number = 7}), "wal-new-0000000000000007");
    for (const Kind kind : {Kind::kUsed, Kind::kFree, Kind::kNew}) {
        const auto name = find_segment_name(segment_name({.kind = kind, .number = 123}));
        ASSERT_TRUE(name.has_value());
        EXPECT_EQ(name->kind, kind);
        EXPECT_EQ(name->number, 123U);
    }
    for (const std::string_view other :
         {"wal-1", "wal-000000000000000x", "LOCK", "wal-free-", ""}) {
        EXPECT_FALSE(find_segment_name(other).has_value()) << other;
    }
}

TEST(WalSegment, EveryFlippedBitOfAHeaderIsFound) {
    const auto header = encode_segment_header({.alignment = kBufferedAlignment,
                                               .number = 5,
                                               .salt = 77,
                                               .first_sequence = Sequence(8),
                                               .size = 1U << 20U});
    const Bytes whole(header.data(), header.size());
    const auto read = decode_segment_header(whole);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read.value().number, 5U);
    EXPECT_EQ(read.value().salt, 77U);
    EXPECT_EQ(read.value().first_sequence, Sequence(8));
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        Bytes flipped = whole;
        flipped[bit / 8] =
            static_cast<char>(static_cast<unsigned char>(flipped[bit / 8]) ^ (1U << (bit % 8)));
        EXPECT_EQ(decode_segment_header(flipped).status().code(), Code::kCorruption) << bit;
    }
    EXPECT_EQ(decode_segment_header(whole.substr(0, 63)).status().code(), Code::kCorruption);
    EXPECT_EQ(decode_segment_header("").status().code(), Code::kCorruption);
}

// The segment of the example in docs/internals/wal.md.
Bytes example_segment() {
    const SegmentHeader header{.alignment = kBufferedAlignment,
                               .number = 7,
                               .salt = 0x0123456789abcdef,
                               .first_sequence = Sequence(41),
                               .size = 1U << 20U};
    const auto encoded = encode_segment_header(header);
    Bytes segment(encoded.data(), encoded.size());
    segment.resize(kSegmentHeaderSize);

    GroupCheckpoint checkpoint;
    checkpoint.group = GroupId(2);
    checkpoint.last = Index(300);
    checkpoint.state =
        LogState{.group = GroupId(2), .term = Term(5), .vote = NodeId(1), .commit = Index(299)};
    const LogEntry entry{
        .group = GroupId(2), .term = Term(5), .index = Index(301), .kind = 1, .data = "hello"};
    std::uint32_t previous = 0x600dcafe;
    for (std::uint64_t sequence = 41; sequence <= 42; ++sequence) {
        Bytes record(kRecordHeaderSize + 200, '\0');
        char* begin = record.data() + kRecordHeaderSize;
        const char* end =
            sequence == 41 ? store_checkpoint(begin, checkpoint) : store_entry(begin, entry);
        RecordHeader sealed;
        sealed.sequence = Sequence(sequence);
        sealed.durable = Sequence(sequence - 1);
        sealed.length = static_cast<std::uint32_t>(end - begin);
        sealed.previous = previous;
        seal_record(record.data(),
                    sealed,
                    {.salt = header.salt, .segment = header.number, .offset = segment.size()});
        previous = sealed.checksum;
        record.resize(round_up(sealed.size(), header.alignment));
        segment += record;
    }
    return segment;
}

// Sixteen bytes a line, without lines of zeros.
std::string to_hex(ByteView bytes) {
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 16) {
        const ByteView line = bytes.substr(at, 16);
        if (line.find_first_not_of('\0') == ByteView::npos) {
            continue;
        }
        std::array<char, 16> raw{};
        std::snprintf(raw.data(), raw.size(), "%06zx ", at);
        text += raw.data();
        for (const char byte : line) {
            std::snprintf(raw.data(), raw.size(), " %02x", static_cast<unsigned char>(byte));
            text += raw.data();
        }
        text += '\n';
    }
    return text;
}

// Holds docs/internals/wal.md true: a log of version 1 looks like this for ever.
TEST(WalSegment, VersionOneLooksAsItIsDocumented) {
    const std::string path = std::string(KVSTORE_MODULE_DIR) + "/wal/testdata/segment-v1.hex";
    const std::string written = to_hex(example_segment());
    if (std::getenv("KVSTORE_REWRITE") != nullptr) {
        std::ofstream(path) << written;
    }
    std::ifstream file(path);
    std::stringstream golden;
    golden << file.rdbuf();
    EXPECT_EQ(written, golden.str());
}

}  // namespace
}  // namespace kvstore::storage
