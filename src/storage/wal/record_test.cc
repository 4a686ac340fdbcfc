#include "storage/wal/record.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/random.h"
#include "storage/wal/internal/record_buffer.h"

namespace kvstore::storage {
namespace {

constexpr RecordPlace kPlace{.salt = 0x1122334455667788, .segment = 3, .offset = 4096};

RecordHeader header_for(std::size_t length) {
    RecordHeader header;
    header.sequence = Sequence(17);
    header.durable = Sequence(16);
    header.length = static_cast<std::uint32_t>(length);
    header.previous = 0xcafe;
    return header;
}

Bytes make_record(ByteView payload, const RecordPlace& place = kPlace) {
    Bytes record(kRecordHeaderSize, '\0');
    record += payload;
    RecordHeader header = header_for(payload.size());
    seal_record(record.data(), header, place);
    return record;
}

bool is_valid(ByteView bytes, const RecordPlace& place) {
    const auto header = find_record_header(bytes, place);
    return header && bytes.size() >= header->size() && is_record_whole(bytes, *header);
}

// Writes down what it is shown.
class Lister final : public RecordVisitor {
public:
    Status on_entry(const LogEntry& entry) override {
        return add(
            "entry", entry.group, entry.term.value(), entry.index.value(), entry.kind, entry.data);
    }
    Status on_state(const LogState& state) override {
        return add(
            "state", state.group, state.term.value(), state.vote.value(), state.commit.value(), "");
    }
    Status on_start(GroupId group, Term term, Index index) override {
        return add("start", group, term.value(), index.value(), 0, "");
    }
    Status on_drop(GroupId group) override { return add("drop", group, 0, 0, 0, ""); }
    Status on_checkpoint(const GroupCheckpoint& checkpoint) override {
        seen.push_back(checkpoint);
        return add("checkpoint",
                   checkpoint.group,
                   checkpoint.last.value(),
                   checkpoint.state.has_value(),
                   checkpoint.start.has_value(),
                   "");
    }

    std::vector<std::string> lines;
    std::vector<GroupCheckpoint> seen;

private:
    Status add(std::string_view what,
               GroupId group,
               std::uint64_t a,
               std::uint64_t b,
               std::uint64_t c,
               ByteView data) {
        lines.push_back(std::string(what) + " " + std::to_string(group.value()) + " " +
                        std::to_string(a) + " " + std::to_string(b) + " " + std::to_string(c) +
                        " " + std::string(data));
        return {};
    }
};

Bytes items() {
    RecordBuffer buffer;
    buffer.grown(store_entry(
        buffer.room(kEntryHeadBytesMax + 5),
        {.group = GroupId(1), .term = Term(2), .index = Index(300), .kind = 4, .data = "value"}));
    buffer.grown(store_state(
        buffer.room(kStateBytesMax),
        {.group = GroupId(1), .term = Term(2), .vote = NodeId(~0ULL), .commit = Index(299)}));
    buffer.grown(store_start(buffer.room(kStartBytesMax), GroupId(9), Term(5), Index(60)));
    buffer.grown(store_drop(buffer.room(kDropBytesMax), GroupId(8)));
    return Bytes(buffer.data() + kRecordHeaderSize, buffer.payload_size());
}

TEST(WalRecord, ItemsReadBackAsTheyWereWritten) {
    Lister lister;
    ASSERT_TRUE(visit_items(items(), lister).ok());
    EXPECT_EQ(lister.lines,
              (std::vector<std::string>{"entry 1 2 300 4 value",
                                        "state 1 2 18446744073709551615 299 ",
                                        "start 9 5 60 0 ",
                                        "drop 8 0 0 0 "}));
}

TEST(WalRecord, CheckpointsReadBackWithAndWithoutTheirParts) {
    for (const bool has_state : {false, true}) {
        for (const bool has_start : {false, true}) {
            GroupCheckpoint checkpoint;
            checkpoint.group = GroupId(~0ULL);
            checkpoint.last = Index(~0ULL);
            if (has_state) {
                checkpoint.state = LogState{.group = checkpoint.group,
                                            .term = Term(~0ULL),
                                            .vote = NodeId(~0ULL),
                                            .commit = Index(~0ULL)};
            }
            if (has_start) {
                checkpoint.start =
                    GroupCheckpoint::Start{.term = Term(~0ULL), .index = Index(~0ULL)};
            }
            Bytes raw(kCheckpointGroupBytesMax, '\0');
            const char* end = store_checkpoint(raw.data(), checkpoint);
            raw.resize(static_cast<std::size_t>(end - raw.data()));
            Lister lister;
            ASSERT_TRUE(visit_items(raw, lister).ok());
            EXPECT_TRUE(lister.seen == std::vector<GroupCheckpoint>{checkpoint});
        }
    }
}

TEST(WalRecord, ACheckpointIsToldFromAMark) {
    Bytes none(1, '\0');
    ASSERT_EQ(store_no_groups(none.data()), none.data() + 1);
    EXPECT_TRUE(begins_with_checkpoint(none));
    Lister lister;
    EXPECT_TRUE(visit_items(none, lister).ok());
    EXPECT_TRUE(lister.seen.empty());
    EXPECT_FALSE(begins_with_checkpoint(""));
    EXPECT_FALSE(begins_with_checkpoint(items()));
}

TEST(WalRecord, ItemsCutAnywhereAreCorruptOrEndBetweenTwo) {
    const Bytes whole = items();
    std::size_t ok_count = 0;
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        Lister lister;
        const Status read = visit_items(whole.substr(0, size), lister);
        ok_count += read.ok() ? 1 : 0;
        EXPECT_TRUE(read.ok() || read.code() == Code::kCorruption);
    }
    EXPECT_EQ(ok_count, 5U);
    Lister lister;
    EXPECT_EQ(visit_items("\x07", lister).code(), Code::kCorruption);
}

TEST(WalRecord, EveryFlippedBitIsFound) {
    const Bytes record = make_record(items());
    ASSERT_TRUE(is_valid(record, kPlace));
    for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
        Bytes flipped = record;
        flipped[bit / 8] =
            static_cast<char>(static_cast<unsigned char>(flipped[bit / 8]) ^ (1U << (bit % 8)));
        EXPECT_FALSE(is_valid(flipped, kPlace)) << bit;
    }
}

TEST(WalRecord, IsValidInItsPlaceOnly) {
    const Bytes record = make_record(items());
    for (const RecordPlace& other :
         {RecordPlace{.salt = kPlace.salt + 1, .segment = 3, .offset = 4096},
          RecordPlace{.salt = kPlace.salt, .segment = 4, .offset = 4096},
          RecordPlace{.salt = kPlace.salt, .segment = 3, .offset = 8192}}) {
        EXPECT_FALSE(is_valid(record, other));
    }
}

TEST(WalRecord, ALengthBeyondTheBoundIsNoRecord) {
    Bytes record = make_record("");
    store_fixed<std::uint32_t>(record.data() + 24, kRecordPayloadMax + 1);
    EXPECT_FALSE(find_record_header(record, kPlace).has_value());
    EXPECT_FALSE(find_record_header(record.substr(0, 31), kPlace).has_value());
    EXPECT_FALSE(find_record_header(Bytes(4096, '\0'), {}).has_value());
}

TEST(WalRecord, ABufferKeepsItsContentAsItGrowsAndGivesLargeMemoryBack) {
    RecordBuffer buffer;
    Bytes expected;
    Random random(1);
    for (int i = 0; i < 200; ++i) {
        const Bytes piece(random.below(60'000), static_cast<char>(i));
        char* to = buffer.room(piece.size());
        buffer.grown(std::copy(piece.begin(), piece.end(), to));
        expected += piece;
    }
    EXPECT_EQ(ByteView(buffer.data() + kRecordHeaderSize, buffer.payload_size()), expected);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % env::kSectorSize, 0U);
    EXPECT_EQ(buffer.padded(4096).size() % 4096, 0U);
    buffer.clear();
    EXPECT_EQ(buffer.capacity(), 0U);
    EXPECT_EQ(buffer.payload_size(), 0U);
}

}  // namespace
}  // namespace kvstore::storage
