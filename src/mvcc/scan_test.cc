#include <string>

#include <gtest/gtest.h>

#include "mvcc/testing/shard_fixture.h"

namespace kvstore::mvcc {
namespace {

using storage::Table;
using testing::ShardFixture;

std::vector<Bytes> keys_of(const ScanPage& page) {
    std::vector<Bytes> keys;
    for (const ScanRow& row : page.rows) {
        keys.push_back(row.key);
    }
    return keys;
}

void put_letters(ShardFixture& fixture) {
    for (const ByteView key : {"a", "b", "c", "d", "e"}) {
        fixture.put(key, Bytes(key) + "-value");
    }
}

TEST(Scan, ShowsARangeInOrder) {
    ShardFixture fixture;
    put_letters(fixture);
    const auto page = fixture.scan({.from = "b", .to = "d"});
    EXPECT_EQ(keys_of(*page), (std::vector<Bytes>{"b", "c"}));
    EXPECT_EQ(page->rows[0].value, "b-value");
    EXPECT_EQ(page->rows[0].record.value, "");
    EXPECT_EQ(page->rows[0].record.mod_revision, Revision(2));
    EXPECT_EQ(page->count, 2U);
    EXPECT_FALSE(page->has_more);
    EXPECT_EQ(page->revision, Revision(5));
}

TEST(Scan, GoesBackwards) {
    ShardFixture fixture;
    put_letters(fixture);
    EXPECT_EQ(keys_of(*fixture.scan({.from = "b", .to = "d", .reverse = true})),
              (std::vector<Bytes>{"c", "b"}));
    EXPECT_EQ(keys_of(*fixture.scan({.from = "d", .reverse = true})),
              (std::vector<Bytes>{"e", "d"}));
}

TEST(Scan, GoesOnWhereThePageEnded) {
    ShardFixture fixture;
    put_letters(fixture);
    const auto first = fixture.scan({.limit = 2});
    EXPECT_EQ(keys_of(*first), (std::vector<Bytes>{"a", "b"}));
    EXPECT_TRUE(first->has_more);
    EXPECT_EQ(keys_of(*fixture.scan({.from = first->next, .limit = 3})),
              (std::vector<Bytes>{"c", "d", "e"}));
    EXPECT_FALSE(fixture.scan({.from = first->next, .limit = 3})->has_more);
    const auto last = fixture.scan({.reverse = true, .limit = 2});
    EXPECT_EQ(keys_of(*last), (std::vector<Bytes>{"e", "d"}));
    EXPECT_EQ(keys_of(*fixture.scan({.to = last->next, .reverse = true, .limit = 2})),
              (std::vector<Bytes>{"c", "b"}));
}

TEST(Scan, EndsAPageAtItsBytesButGivesOneRowAtLeast) {
    ShardFixture fixture;
    put_letters(fixture);
    EXPECT_EQ(fixture.scan({.bytes_max = 1})->rows.size(), 1U);
    EXPECT_EQ(fixture.scan({.bytes_max = 16})->rows.size(), 2U);
    EXPECT_TRUE(fixture.scan({.bytes_max = 16})->has_more);
    EXPECT_EQ(fixture.scan({.keys_only = true, .bytes_max = 4})->rows.size(), 4U);
    EXPECT_EQ(fixture.scan({.limit = 0})->rows.size(), 5U) << "0: no limit";
}

TEST(Scan, OfKeysLeavesTheValuesOut) {
    ShardFixture fixture;
    put_letters(fixture);
    const auto page = fixture.scan({.keys_only = true});
    EXPECT_EQ(page->rows.size(), 5U);
    EXPECT_EQ(page->rows[4].value, "");
    EXPECT_EQ(page->rows[4].record.mod_revision, Revision(5));
}

TEST(Scan, CountsWithoutRowsAndBeyondTheLimit) {
    ShardFixture fixture;
    put_letters(fixture);
    for (const Bytes& from : {Bytes(), Bytes("a")}) {
        const auto page = fixture.scan({.from = from, .count_only = true, .limit = 1});
        EXPECT_EQ(page->count, 5U);
        EXPECT_TRUE(page->rows.empty());
        EXPECT_FALSE(page->has_more);
    }
    EXPECT_EQ(fixture.scan({.count_only = true, .as_of = Revision(3)})->count, 3U);
}

TEST(Scan, HidesWhatHasExpiredNowAndShowsItThen) {
    ShardFixture fixture;
    put_letters(fixture);
    const std::uint64_t later = fixture.now_ms() + 10;
    fixture.put_until("b", "short", later);
    EXPECT_EQ(fixture.scan({.now_ms = later - 1})->rows.size(), 5U);
    EXPECT_EQ(fixture.scan({.now_ms = later})->rows.size(), 4U);
    EXPECT_EQ(fixture.scan({.count_only = true, .now_ms = later})->count, 4U);
    EXPECT_EQ(fixture.scan({.from = "a", .count_only = true, .now_ms = later})->count, 4U);
    EXPECT_EQ(fixture.scan({.as_of = fixture.revision(), .now_ms = later})->rows.size(), 5U);
    // A page that ends before hidden rows only has nothing more.
    EXPECT_FALSE(fixture.scan({.to = "c", .limit = 1, .now_ms = later})->has_more);
}

TEST(Scan, AsOfARevisionShowsWhatWasDeletedAndNotWhatCameLater) {
    ShardFixture fixture;
    put_letters(fixture);
    fixture.erase("b");
    fixture.put("bb", "new");
    fixture.put("c", "changed");
    EXPECT_EQ(keys_of(*fixture.scan({.as_of = Revision(5)})),
              (std::vector<Bytes>{"a", "b", "c", "d", "e"}));
    EXPECT_EQ(fixture.scan({.as_of = Revision(5)})->rows[2].value, "c-value");
    EXPECT_EQ(keys_of(*fixture.scan({.as_of = Revision(7)})),
              (std::vector<Bytes>{"a", "bb", "c", "d", "e"}));
    EXPECT_EQ(fixture.scan({.as_of = Revision(5)})->revision, Revision(5));
}

TEST(Scan, RefusesWhatIsGoneOrStillToCome) {
    ShardFixture fixture;
    put_letters(fixture);
    fixture.compact(Revision(3));
    EXPECT_EQ(fixture.scan({.as_of = Revision(2)}).status().code(), Code::kCompacted);
    EXPECT_TRUE(fixture.scan({.as_of = Revision(3)}).ok());
    EXPECT_EQ(fixture.scan({.as_of = Revision(6)}).status().code(), Code::kFutureRevision);
}

TEST(Scan, OfAnEmptyShardIsEmpty) {
    ShardFixture fixture;
    EXPECT_TRUE(fixture.scan({})->rows.empty());
    EXPECT_TRUE(fixture.scan({.reverse = true})->rows.empty());
    EXPECT_EQ(fixture.scan({.count_only = true})->count, 0U);
}

TEST(Scan, SaysWhenARecordIsUnreadable) {
    ShardFixture fixture;
    put_letters(fixture);
    fixture.engine().rows(Table::kCurrent)["c"] = "garbage";
    EXPECT_EQ(fixture.scan({}).status().code(), Code::kCorruption);
    EXPECT_EQ(fixture.scan({.from = "a", .count_only = true}).status().code(), Code::kCorruption);
    EXPECT_TRUE(fixture.scan({.to = "c"}).ok());
    fixture.engine().rows(Table::kIndex)["garbage"] = "";
    EXPECT_EQ(fixture.scan({.as_of = Revision(1)}).status().code(), Code::kCorruption);
    fixture.engine().rows(Table::kMeta)["shard"] = "garbage";
    EXPECT_EQ(fixture.scan({}).status().code(), Code::kCorruption);
}

}  // namespace
}  // namespace kvstore::mvcc
