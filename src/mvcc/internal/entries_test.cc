#include "mvcc/internal/entries.h"

#include <gtest/gtest.h>

#include "mvcc/internal/keys.h"

namespace kvstore::mvcc::internal {
namespace {

TEST(LogEntry, ComesBackAsItWas) {
    Record record;
    record.mod_revision = Revision(5);
    Bytes value;
    make_log_head(Change::Kind::kPut, "key", value);
    value.append(RecordHead(record).bytes());
    value.append("value");
    const auto entry = decode_log_entry(value);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->kind, Change::Kind::kPut);
    EXPECT_EQ(entry->key, "key");
    EXPECT_EQ(entry->record.value, "value");
    EXPECT_EQ(decode_record(entry->stored)->mod_revision, Revision(5));
}

TEST(LogEntry, IsRefusedWhenItIsNone) {
    Bytes value;
    make_log_head(Change::Kind::kPut, "key", value);
    EXPECT_FALSE(decode_log_entry(value)) << "no record";
    value.append(RecordHead(Record()).bytes());
    EXPECT_TRUE(decode_log_entry(value));
    EXPECT_FALSE(decode_log_entry(""));
    EXPECT_FALSE(decode_log_entry({"\x01\x05k", 3})) << "a key longer than the entry";
    for (const int kind : {0, 4}) {
        value[0] = static_cast<char>(kind);
        EXPECT_FALSE(decode_log_entry(value)) << kind;
    }
}

TEST(IndexEntry, ComesBackAsItWas) {
    Bytes value;
    make_index_value(IndexEntry::Kind::kDelete, 300, value);
    const auto entry = decode_index_entry(value);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->kind, IndexEntry::Kind::kDelete);
    EXPECT_EQ(entry->number, 300U);
    const auto base = decode_index_entry({"\x03record", 7});
    ASSERT_TRUE(base);
    EXPECT_EQ(base->kind, IndexEntry::Kind::kBase);
    EXPECT_EQ(base->stored, "record");
}

TEST(IndexEntry, IsRefusedWhenItIsNone) {
    EXPECT_FALSE(decode_index_entry(""));
    EXPECT_FALSE(decode_index_entry({"\x00\x01", 2}));
    EXPECT_FALSE(decode_index_entry({"\x04\x01", 2}));
    EXPECT_FALSE(decode_index_entry({"\x01", 1}));
    EXPECT_FALSE(decode_index_entry({"\x01\x01x", 3}));
    EXPECT_FALSE(decode_index_entry({"\x01\xff\xff\xff\xff\xff\x01", 7})) << "beyond 32 bits";
}

TEST(StoredState, ComesBackAsItWas) {
    const ShardState state{.revision = Revision(9),
                           .compacted_revision = Revision(4),
                           .last_stamp = Version(77),
                           .key_count = 3,
                           .expiring_key_count = 2,
                           .history_ms = 600,
                           .digest = 0xfeedU};
    const auto raw = encode_state(state, Index(12));
    const auto decoded = decode_state({raw.data(), raw.size()});
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->applied, Index(12));
    EXPECT_EQ(decoded->state.revision, state.revision);
    EXPECT_EQ(decoded->state.compacted_revision, state.compacted_revision);
    EXPECT_EQ(decoded->state.last_stamp, state.last_stamp);
    EXPECT_EQ(decoded->state.key_count, state.key_count);
    EXPECT_EQ(decoded->state.expiring_key_count, state.expiring_key_count);
    EXPECT_EQ(decoded->state.history_ms, state.history_ms);
    EXPECT_EQ(decoded->state.digest, state.digest);
}

TEST(StoredState, IsRefusedWhenItIsNone) {
    auto raw = encode_state(ShardState(), Index(1));
    const ByteView bytes(raw.data(), raw.size());
    EXPECT_TRUE(decode_state(bytes));
    EXPECT_FALSE(decode_state(""));
    EXPECT_FALSE(decode_state(bytes.substr(1)));
    EXPECT_FALSE(decode_state(Bytes(bytes) + "x"));
    raw[0] = 2;
    EXPECT_FALSE(decode_state(bytes)) << "another format";
    ShardState ahead;
    ahead.compacted_revision = Revision(1);
    const auto impossible = encode_state(ahead, Index(1));
    EXPECT_FALSE(decode_state({impossible.data(), impossible.size()}));
}

TEST(EntryHash, DependsOnKeyHeadValueAndTheirBorder) {
    const std::uint64_t hash = entry_hash(1, "head", "value");
    EXPECT_EQ(hash, entry_hash(1, "head", "value"));
    EXPECT_NE(hash, entry_hash(2, "head", "value"));
    EXPECT_NE(hash, entry_hash(1, "heaD", "value"));
    EXPECT_NE(hash, entry_hash(1, "head", "valuE"));
    EXPECT_NE(hash, entry_hash(1, "headv", "alue"));
}

TEST(Corruption, NamesTheKeyInPrintableForm) {
    EXPECT_EQ(corruption("bad key", {"a\0\"", 3}).to_string(),
              "corruption: bad key \"a\\u0000\\\"\"");
    EXPECT_LT(corruption("bad key", Bytes(5000, 'k')).message().size(), 300U);
}

}  // namespace
}  // namespace kvstore::mvcc::internal
