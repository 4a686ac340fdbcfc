// Reads of the past, changes in order, compaction and its sweep.
#include <string>

#include <gtest/gtest.h>

#include "base/coding.h"
#include "mvcc/testing/shard_fixture.h"

namespace kvstore::mvcc {
namespace {

using storage::Table;
using testing::ShardFixture;

Code code_at(ShardFixture& fixture, ByteView key, Revision revision) {
    Bytes value;
    const auto view = fixture.shard().view();
    return Shard::find_as_of(view.get(), key, revision, &value).status().code();
}

Result<std::vector<Change>> changes_from(ShardFixture& fixture,
                                         std::uint64_t from,
                                         std::size_t bytes_max = 1U << 20U) {
    const auto view = fixture.shard().view();
    return Shard::changes(view.get(), Revision(from), bytes_max);
}

std::size_t rows(ShardFixture& fixture, Table table) {
    return fixture.engine().rows(table).size();
}

TEST(History, HasTheRowsOfItsSpecification) {
    ShardFixture fixture;
    fixture.set_now_ms(0);
    fixture.put("k", "v");
    const Bytes log_key("\0\0\0\0\0\0\0\x01\0\0\0\0", 12);
    const Bytes log_value("\x01\x01k\x00\x01\0\0\0\0\0\0\0\x01\x00\x01v", 16);
    const Bytes index_key("k\0\x01\xff\xff\xff\xff\xff\xff\xff\xfe", 11);
    const Bytes index_value("\x01\0", 2);
    EXPECT_EQ(fixture.engine().rows(Table::kLog), (testing::MapEngine::Rows{{log_key, log_value}}));
    EXPECT_EQ(fixture.engine().rows(Table::kIndex),
              (testing::MapEngine::Rows{{index_key, index_value}}));
}

// ---- as of ----

TEST(FindAsOf, ShowsWhatStoodThereThen) {
    ShardFixture fixture;
    fixture.put("k", "one");
    fixture.put("other", "x");
    fixture.put("k", "two");
    EXPECT_FALSE(fixture.value_at("k", Revision(0)));
    EXPECT_EQ(fixture.value_at("k", Revision(1)), "one");
    EXPECT_EQ(fixture.value_at("k", Revision(2)), "one");
    EXPECT_EQ(fixture.value_at("k", Revision(3)), "two");
}

TEST(FindAsOf, KeepsRevisionsAndCountsOfThen) {
    ShardFixture fixture;
    fixture.put("k", "one");
    fixture.put("k", "two");
    fixture.erase("k");
    fixture.put("k", "three");
    Bytes value;
    const auto view = fixture.shard().view();
    const auto second = Shard::find_as_of(view.get(), "k", Revision(2), &value);
    EXPECT_EQ((*second)->create_revision, Revision(1));
    EXPECT_EQ((*second)->mod_revision, Revision(2));
    EXPECT_EQ((*second)->version_count, 2U);
    EXPECT_EQ((*second)->value, "two");
    const auto fourth = Shard::find_as_of(view.get(), "k", Revision(4), &value);
    EXPECT_EQ((*fourth)->create_revision, Revision(4));
    EXPECT_EQ((*fourth)->version_count, 1U);
}

TEST(TombstoneBehavior, ADeletedKeyIsAbsentFromThenOnAndPresentBefore) {
    ShardFixture fixture;
    fixture.put("k", "v");
    fixture.erase("k");
    fixture.put("other", "x");
    EXPECT_EQ(fixture.value_at("k", Revision(1)), "v");
    EXPECT_FALSE(fixture.value_at("k", Revision(2)));
    EXPECT_FALSE(fixture.value_at("k", Revision(3)));
    fixture.put("k", "again");
    EXPECT_FALSE(fixture.value_at("k", Revision(3)));
    EXPECT_EQ(fixture.value_at("k", Revision(4)), "again");
}

TEST(TombstoneBehavior, TheChangeOfADeletionTellsWhenAndWhich) {
    ShardFixture fixture;
    fixture.put("k", "v");
    fixture.erase("k");
    const auto changes = changes_from(fixture, 2);
    ASSERT_EQ(changes->size(), 1U);
    EXPECT_EQ(changes->front().kind, Change::Kind::kDelete);
    EXPECT_EQ(changes->front().key, "k");
    const auto record = decode_record(changes->front().stored_record);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->mod_revision, Revision(2));
    EXPECT_EQ(record->create_revision, Revision(1));
    EXPECT_EQ(record->version, fixture.state().last_stamp);
    EXPECT_EQ(record->value, "");
}

TEST(TombstoneBehavior, CompactionTakesTombstonesAway) {
    ShardFixture fixture;
    fixture.put("k", "v");
    fixture.erase("k");
    fixture.compact(Revision(2));
    fixture.sweep();
    EXPECT_FALSE(fixture.value_at("k", Revision(2)));
    EXPECT_EQ(rows(fixture, Table::kLog), 0U);
    EXPECT_EQ(rows(fixture, Table::kIndex), 0U);
}

TEST(FindAsOf, RefusesWhatIsGoneOrStillToCome) {
    ShardFixture fixture;
    fixture.put("k", "one");
    fixture.put("k", "two");
    fixture.compact(Revision(2));
    EXPECT_EQ(code_at(fixture, "k", Revision(1)), Code::kCompacted);
    EXPECT_EQ(code_at(fixture, "k", Revision(2)), Code::kOk) << "as etcd: the last one is there";
    EXPECT_EQ(code_at(fixture, "k", Revision(3)), Code::kFutureRevision);
}

TEST(FindAsOf, WithoutHistoryKnowsTheNewestRevisionOnly) {
    ShardFixture fixture(0);
    fixture.put("k", "one");
    fixture.put("k", "two");
    EXPECT_EQ(code_at(fixture, "k", Revision(1)), Code::kCompacted);
    EXPECT_EQ(fixture.value_at("k", Revision(2)), "two");
    EXPECT_EQ(rows(fixture, Table::kLog), 0U);
    EXPECT_EQ(rows(fixture, Table::kIndex), 0U);
}

TEST(FindAsOf, SaysWhenTheLogLacksWhatTheIndexNames) {
    ShardFixture fixture;
    fixture.put("k", "one");
    fixture.put("k", "two");
    fixture.engine().rows(Table::kLog).begin()->second = "garbage";
    EXPECT_EQ(code_at(fixture, "k", Revision(1)), Code::kCorruption);
    fixture.engine().rows(Table::kLog).clear();
    EXPECT_EQ(code_at(fixture, "k", Revision(1)), Code::kCorruption);
    fixture.engine().rows(Table::kIndex).begin()->second = "garbage";
    EXPECT_EQ(code_at(fixture, "k", Revision(2)), Code::kCorruption);
    fixture.engine().rows(Table::kIndex).clear();
    fixture.engine().rows(Table::kCurrent)["k"] = "garbage";
    EXPECT_EQ(code_at(fixture, "k", Revision(2)), Code::kCorruption);
}

// ---- changes ----

TEST(Changes, ComeInWholeRevisions) {
    ShardFixture fixture;
    Command command;
    for (const ByteView key : {"a", "b", "c"}) {
        command.operations.push_back({.kind = OperationKind::kPut, .key = key, .argument = "v"});
    }
    fixture.run(command);
    fixture.run(command);
    const auto first = changes_from(fixture, 1, 1);
    ASSERT_EQ(first->size(), 3U) << "at least one revision, and all of it";
    EXPECT_EQ(first->back().revision, Revision(1));
    EXPECT_EQ(changes_from(fixture, 1)->size(), 6U);
    EXPECT_TRUE(changes_from(fixture, 3)->empty()) << "still to come";
    EXPECT_TRUE(changes_from(fixture, 300)->empty());
}

TEST(Changes, AreRefusedFromTheCompactedRevisionOn) {
    ShardFixture fixture;
    fixture.put("k", "one");
    fixture.put("k", "two");
    EXPECT_EQ(changes_from(fixture, 0).status().code(), Code::kCompacted);
    fixture.compact(Revision(1));
    EXPECT_EQ(changes_from(fixture, 1).status().code(), Code::kCompacted);
    EXPECT_EQ(changes_from(fixture, 2)->size(), 1U);
}

TEST(Changes, SayWhenTheLogIsUnreadable) {
    ShardFixture fixture;
    fixture.put("k", "one");
    fixture.engine().rows(Table::kLog).begin()->second = "garbage";
    EXPECT_EQ(changes_from(fixture, 1).status().code(), Code::kCorruption);
}

TEST(RevisionBefore, IsTheNewestThatIsOlder) {
    ShardFixture fixture;
    const auto before = [&fixture](std::uint64_t time_ms) {
        const auto view = fixture.shard().view();
        const auto found = Shard::revision_before(view.get(), time_ms);
        EXPECT_TRUE(found.ok());
        return found->value_or(Revision(0));
    };
    EXPECT_EQ(before(~0ULL), Revision(0)) << "nothing has ever changed";
    for (std::uint64_t i = 1; i <= 20; ++i) {
        fixture.set_now_ms(1000 + (10 * i));
        fixture.put("k", "v");
    }
    EXPECT_EQ(before(1010), Revision(0));
    EXPECT_EQ(before(1011), Revision(1));
    EXPECT_EQ(before(1105), Revision(10));
    EXPECT_EQ(before(1201), Revision(20));
    EXPECT_EQ(before(~0ULL), Revision(20));
    fixture.compact(Revision(10));
    EXPECT_EQ(before(1105), Revision(0)) << "compacted already";
    EXPECT_EQ(before(1111), Revision(0).plus(11));
    fixture.engine().rows(Table::kLog).clear();
    const auto view = fixture.shard().view();
    EXPECT_EQ(Shard::revision_before(view.get(), 1105).status().code(), Code::kCorruption);
}

// ---- compaction ----

TEST(Compaction, KeepsWhatReadsFromTheCompactedRevisionOnCanSee) {
    ShardFixture fixture;
    fixture.put("still", "one");      // 1
    fixture.put("changed", "one");    // 2
    fixture.put("changed", "two");    // 3
    fixture.put("deleted", "one");    // 4
    fixture.put("gone", "one");       // 5
    fixture.erase("gone");            // 6
    fixture.put("changed", "three");  // 7
    fixture.erase("deleted");         // 8
    fixture.compact(Revision(6));
    const auto check = [&fixture](const char* when) {
        SCOPED_TRACE(when);
        EXPECT_EQ(fixture.value_at("still", Revision(6)), "one");
        EXPECT_EQ(fixture.value_at("changed", Revision(6)), "two");
        EXPECT_EQ(fixture.value_at("changed", Revision(7)), "three");
        EXPECT_EQ(fixture.value_at("deleted", Revision(7)), "one");
        EXPECT_FALSE(fixture.value_at("deleted", Revision(8)));
        EXPECT_FALSE(fixture.value_at("gone", Revision(6)));
        EXPECT_EQ(fixture.scan({.as_of = Revision(6)})->rows.size(), 3U);
        EXPECT_TRUE(fixture.verify().ok()) << fixture.verify().to_string();
    };
    check("before the sweep");
    while (fixture.shard().has_compaction_due()) {
        ASSERT_TRUE(fixture.shard().sweep_compacted(1).ok());
        check("within the sweep");
    }
    EXPECT_EQ(rows(fixture, Table::kLog), 2U) << "the changes after the compacted revision";
    EXPECT_EQ(rows(fixture, Table::kIndex), 4U) << "those, and what they replaced";
}

TEST(Compaction, CostsNothingForRecordsThatDoNotChange) {
    ShardFixture fixture;
    for (int i = 0; i < 100; ++i) {
        fixture.put("key" + std::to_string(i), Bytes(1000, 'v'));
    }
    fixture.compact(fixture.revision());
    fixture.sweep();
    EXPECT_EQ(rows(fixture, Table::kLog), 0U);
    EXPECT_EQ(rows(fixture, Table::kIndex), 0U);
    EXPECT_TRUE(fixture.value_at("key42", fixture.revision()));
    EXPECT_TRUE(fixture.verify().ok());
}

TEST(Compaction, GoesOnAfterARestart) {
    ShardFixture fixture;
    for (int i = 0; i < 50; ++i) {
        fixture.put("k", std::to_string(i));
    }
    fixture.compact(Revision(50));
    ASSERT_TRUE(fixture.shard().sweep_compacted(20).ok());
    ASSERT_TRUE(fixture.shard().finish_batch().ok());
    const std::size_t left = rows(fixture, Table::kLog);
    EXPECT_LT(left, 50U);
    EXPECT_GT(left, 0U);
    fixture.reopen();
    EXPECT_TRUE(fixture.shard().has_compaction_due());
    ASSERT_TRUE(fixture.shard().sweep_compacted(1).ok());
    EXPECT_EQ(rows(fixture, Table::kLog), left - 1);
    fixture.sweep();
    EXPECT_EQ(rows(fixture, Table::kLog), 0U);
    EXPECT_FALSE(fixture.shard().has_compaction_due());
    fixture.reopen();
    EXPECT_FALSE(fixture.shard().has_compaction_due());
}

TEST(Compaction, OfAFurtherRevisionBeforeTheSweepIsDoneSweepsBoth) {
    ShardFixture fixture;
    for (int i = 0; i < 10; ++i) {
        fixture.put("a", std::to_string(i));
        fixture.put("b", std::to_string(i));
    }
    fixture.compact(Revision(10));
    ASSERT_TRUE(fixture.shard().sweep_compacted(3).ok());
    fixture.put("a", "more");
    fixture.compact(Revision(20));
    fixture.sweep();
    EXPECT_EQ(fixture.value_at("a", Revision(20)), "9");
    EXPECT_EQ(fixture.value_at("a", Revision(21)), "more");
    EXPECT_EQ(rows(fixture, Table::kLog), 1U);
    EXPECT_EQ(rows(fixture, Table::kIndex), 2U);
    EXPECT_TRUE(fixture.verify().ok());
}

TEST(Compaction, SaysWhenTheLogIsUnreadable) {
    ShardFixture fixture;
    fixture.put("k", "v");
    fixture.compact(Revision(1));
    fixture.engine().rows(Table::kLog).begin()->second = "garbage";
    EXPECT_EQ(fixture.shard().sweep_compacted(10).code(), Code::kCorruption);
    EXPECT_EQ(fixture.shard().finish_batch().code(), Code::kCorruption);
}

// ---- expiry ----

TEST(TtlCleanup, NamesWhatHasExpiredOldestFirst) {
    ShardFixture fixture;
    const std::uint64_t now = fixture.now_ms();
    fixture.put("never", "v");
    fixture.put_until("second", "v", now + 20);
    fixture.put_until("first", "v", now + 10);
    fixture.put_until("third", "v", now + 30);
    const auto view = fixture.shard().view();
    EXPECT_EQ(*Shard::next_expiry_ms(view.get()), now + 10);
    EXPECT_TRUE(Shard::expired(view.get(), now + 9, 10)->empty());
    const auto two = Shard::expired(view.get(), now + 20, 10);
    ASSERT_EQ(two->size(), 2U);
    EXPECT_EQ((*two)[0].key, "first");
    EXPECT_EQ((*two)[0].mod_revision, Revision(3));
    EXPECT_EQ((*two)[1].key, "second");
    EXPECT_EQ(Shard::expired(view.get(), now + 100, 2)->size(), 2U);
}

TEST(TtlCleanup, NothingToExpireIsToldAsSuch) {
    ShardFixture fixture;
    fixture.put("never", "v");
    const auto view = fixture.shard().view();
    EXPECT_FALSE(Shard::next_expiry_ms(view.get())->has_value());
}

TEST(TtlCleanup, SaysWhenTheExpiryTableIsWrong) {
    ShardFixture fixture;
    fixture.put_until("k", "v", fixture.now_ms() + 10);
    fixture.engine().rows(Table::kCurrent).clear();
    {
        const auto view = fixture.shard().view();
        EXPECT_EQ(Shard::expired(view.get(), ~0ULL, 10).status().code(), Code::kCorruption);
    }
    fixture.engine().rows(Table::kExpiry).clear();
    fixture.engine().rows(Table::kExpiry)["short"] = "";
    const auto view = fixture.shard().view();
    EXPECT_EQ(Shard::expired(view.get(), ~0ULL, 10).status().code(), Code::kCorruption);
    EXPECT_EQ(Shard::next_expiry_ms(view.get()).status().code(), Code::kCorruption);
}

}  // namespace
}  // namespace kvstore::mvcc
