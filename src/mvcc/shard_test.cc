// The shard as its group sees it: batches, restarts, failures, and sameness on every replica.
#include "mvcc/shard.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/planted_bug.h"
#include "base/random.h"
#include "mvcc/testing/shard_fixture.h"

namespace kvstore::mvcc {
namespace {

using storage::Table;
using testing::MapEngine;
using testing::Outcome;
using testing::run_now;
using testing::ShardFixture;

Bytes encoded_put(ByteView key, ByteView value) {
    Bytes encoded;
    encode_command(
        Version(1'000'000, 0),
        {.kind = OperationKind::kPut, .wants_previous = true, .key = key, .argument = value},
        encoded);
    return encoded;
}

// Random commands as they would stand in a log.
std::vector<Bytes> make_log(std::uint64_t seed, std::size_t count) {
    Random random(seed);
    std::vector<Bytes> log;
    for (std::size_t i = 0; i < count; ++i) {
        const Bytes key = "k" + std::to_string(random.below(10));
        const Bytes value(random.below(300), 'v');
        Operation operation;
        operation.key = key;
        operation.argument = value;
        operation.delta = static_cast<std::int64_t>(random.below(9));
        operation.expiry_mode = static_cast<ExpiryMode>(random.below(3));
        operation.expires_at_ms = 1000 + i + random.below(20);
        static constexpr OperationKind kKinds[] = {OperationKind::kPut,
                                                   OperationKind::kDelete,
                                                   OperationKind::kAppend,
                                                   OperationKind::kSetRange,
                                                   OperationKind::kSetExpiry};
        operation.kind = kKinds[random.below(std::size(kKinds))];
        encode_command(Version(1000 + i, 0), operation, log.emplace_back());
    }
    return log;
}

// ---- what a group sees ----

TEST(Shard, ShowsAPutAtOnceWithItsRevisions) {
    ShardFixture fixture;
    EXPECT_TRUE(fixture.put("key", "one").result.changed);
    EXPECT_TRUE(fixture.put("key", "two").result.changed);
    const auto record = fixture.find("key");
    ASSERT_TRUE(record);
    EXPECT_EQ(record->value, "two");
    EXPECT_EQ(record->create_revision, Revision(1));
    EXPECT_EQ(record->mod_revision, Revision(2));
    EXPECT_EQ(record->version_count, 2U);
    EXPECT_EQ(fixture.value_at("key", Revision(1)), "one");
    EXPECT_TRUE(fixture.verify().ok());
}

TEST(Shard, AppliesWithoutASink) {
    ShardFixture fixture;
    ASSERT_TRUE(fixture.shard().apply(Index(1), encoded_put("k", "v"), nullptr).ok());
    EXPECT_EQ(fixture.value("k"), "v");
}

TEST(Shard, ReadsWhatOnlyTheDiskKnows) {
    ShardFixture fixture;
    fixture.put("k", "v");
    fixture.engine().set_resident(false);
    Record record;
    EXPECT_EQ(fixture.shard().find("k", 0, &record), storage::Lookup::kMustLoad);
    EXPECT_EQ(fixture.value("k"), "v");
    EXPECT_FALSE(fixture.value("other"));
    const auto told = fixture.put("k", "w");
    EXPECT_TRUE(told.result.had_previous) << "applied with a blocking read";
    EXPECT_EQ(fixture.engine().statistics().blocking_read_count, 1U);
}

TEST(Shard, HidesWhatHasExpiredFromReadsOfNow) {
    ShardFixture fixture;
    fixture.put_until("k", "v", fixture.now_ms() + 10);
    EXPECT_TRUE(fixture.value("k"));
    fixture.set_now_ms(fixture.now_ms() + 10);
    EXPECT_FALSE(fixture.value("k"));
    fixture.engine().set_resident(false);
    EXPECT_FALSE(fixture.value("k"));
}

TEST(Shard, ViewWithinABatchShowsTheStateBesideTheRecords) {
    ShardFixture fixture;
    ASSERT_TRUE(fixture.shard().apply(Index(1), encoded_put("k", "v"), nullptr).ok());
    EXPECT_EQ(fixture.scan({.as_of = Revision(1)})->rows.size(), 1U);
    EXPECT_TRUE(fixture.verify().ok());
}

// ---- batches and restarts ----

TEST(Shard, FinishesABatchThatTheEngineRefusedAtFirst) {
    ShardFixture fixture;
    ASSERT_TRUE(fixture.shard().apply(Index(1), encoded_put("k", "v"), nullptr).ok());
    fixture.engine().refuse_next_commit();
    EXPECT_EQ(fixture.shard().finish_batch().code(), Code::kUnavailable);
    ASSERT_TRUE(run_now(fixture.shard().finish_batch_when_ready()).ok());
    fixture.reopen();
    EXPECT_EQ(fixture.value("k"), "v");
    EXPECT_EQ(fixture.shard().applied_index(), Index(1));
}

TEST(Shard, ForgetsABatchThatWasNotFinished) {
    ShardFixture fixture;
    fixture.put("k", "v");
    const ShardState before = fixture.state();
    ASSERT_TRUE(fixture.shard().apply(Index(2), encoded_put("k", "w"), nullptr).ok());
    fixture.reopen();
    EXPECT_EQ(fixture.value("k"), "v");
    EXPECT_EQ(fixture.state().revision, before.revision);
    EXPECT_EQ(fixture.state().digest, before.digest);
}

TEST(Shard, KeepsItsStateOverARestart) {
    ShardFixture fixture(1234);
    fixture.put_until("k", "v", fixture.now_ms() + 10);
    fixture.shard().apply_nothing(Index(5));
    ASSERT_TRUE(fixture.shard().finish_batch().ok());
    const ShardState before = fixture.state();
    fixture.reopen();
    EXPECT_EQ(fixture.shard().applied_index(), Index(5));
    EXPECT_EQ(fixture.state().revision, before.revision);
    EXPECT_EQ(fixture.state().last_stamp, before.last_stamp);
    EXPECT_EQ(fixture.state().key_count, 1U);
    EXPECT_EQ(fixture.state().expiring_key_count, 1U);
    EXPECT_EQ(fixture.state().digest, before.digest);
    const auto other = run_now(Shard::open(&fixture.engine(), 7));
    EXPECT_EQ((*other)->state().history_ms, 1234U) << "what open() is given is for new shards";
}

TEST(Shard, ReplayedFromADurableStateIsTheSameShard) {
    const auto log = make_log(1, 400);
    ShardFixture straight;
    ShardFixture crashing;
    Random random(2);
    Index index;
    for (const Bytes& command : log) {
        index = index.next();
        ASSERT_TRUE(straight.shard().apply(index, command, nullptr).ok());
    }
    while (crashing.shard().applied_index() < index) {
        const Index next = crashing.shard().applied_index().next();
        ASSERT_TRUE(crashing.shard().apply(next, log[next.value() - 1], nullptr).ok());
        if (random.chance(1, 5)) {
            ASSERT_TRUE(crashing.shard().finish_batch().ok());
        }
        if (random.chance(1, 10)) {
            ASSERT_TRUE(run_now(crashing.engine().persist()).ok());
        }
        if (random.chance(1, 30)) {
            crashing.crash();
        }
    }
    ASSERT_TRUE(straight.shard().finish_batch().ok());
    ASSERT_TRUE(crashing.shard().finish_batch().ok());
    EXPECT_TRUE(straight.engine().tables() == crashing.engine().tables());
}

TEST(Shard, IsTheSameOnEveryReplicaWhateverItsBatchesSweepsAndReads) {
    const auto log = make_log(3, 400);
    ShardFixture one;
    ShardFixture other;
    other.engine().set_resident(false);
    Random random(4);
    for (std::size_t i = 0; i < log.size(); ++i) {
        ASSERT_TRUE(one.shard().apply(Index(i + 1), log[i], nullptr).ok());
        Outcome outcome;
        ASSERT_TRUE(other.shard().apply(Index(i + 1), log[i], &outcome).ok());
        if (random.chance(1, 3)) {
            ASSERT_TRUE(other.shard().finish_batch().ok());
        }
        EXPECT_EQ(one.state().digest, other.state().digest);
        EXPECT_EQ(one.state().revision, other.state().revision);
        EXPECT_EQ(one.state().last_stamp, other.state().last_stamp);
    }
    ASSERT_TRUE(one.shard().finish_batch().ok());
    ASSERT_TRUE(other.shard().finish_batch().ok());
    EXPECT_TRUE(one.engine().tables() == other.engine().tables());
}

TEST(Shard, HasTheDigestOfItsRecordsHoweverTheyCameAbout) {
    ShardFixture one(0);
    ShardFixture other(0);
    one.put("a", "1");
    one.put("b", "2");
    one.erase("a");
    EXPECT_NE(one.state().digest, 0U);
    one.erase("b");
    EXPECT_EQ(one.state().digest, 0U);
    other.put("a", "1");
    other.erase_range("", "");
    EXPECT_EQ(other.state().digest, 0U);
}

// ---- failures ----

TEST(Shard, RefusesBytesThatAreNoCommandAndWritesNothingMore) {
    ShardFixture fixture;
    fixture.put("k", "v");
    ASSERT_TRUE(fixture.shard().apply(Index(2), encoded_put("k", "w"), nullptr).ok());
    Outcome outcome;
    const Status refused = fixture.shard().apply(Index(3), "nonsense", &outcome);
    EXPECT_EQ(refused.code(), Code::kCorruption);
    EXPECT_NE(refused.message().find("index 3"), std::string_view::npos);
    EXPECT_TRUE(outcome.operations.empty());
    EXPECT_EQ(fixture.shard().applied_index(), Index(2));
    EXPECT_EQ(fixture.shard().apply(Index(3), encoded_put("k", "x"), nullptr).code(),
              Code::kCorruption);
    EXPECT_EQ(fixture.shard().finish_batch().code(), Code::kCorruption);
    EXPECT_EQ(run_now(fixture.shard().finish_batch_when_ready()).code(), Code::kCorruption);
    EXPECT_EQ(fixture.shard().sweep_compacted(1).code(), Code::kCorruption);
    EXPECT_EQ(fixture.engine().applied_index(), Index(1));
}

TEST(Shard, NamesTheKeyOfARecordThatItCannotRead) {
    ShardFixture fixture;
    fixture.put("the key", "v");
    fixture.engine().rows(Table::kCurrent)["the key"] = "\xff";
    Record record;
    EXPECT_EQ(fixture.shard().find("the key", 0, &record), storage::Lookup::kMustLoad);
    Bytes stored;
    const auto loaded = run_now(Shard::load(&fixture.engine(), "the key", 0, &stored));
    EXPECT_EQ(loaded.status().code(), Code::kCorruption);
    EXPECT_NE(loaded.status().message().find("the key"), std::string_view::npos);
    EXPECT_EQ(fixture.shard().apply(Index(2), encoded_put("the key", "v"), nullptr).code(),
              Code::kCorruption);
}

TEST(Shard, IsNotOpenedOverAStateThatItCannotRead) {
    const auto opened_with = [](Bytes state, Bytes sweep) {
        MapEngine engine;
        if (!state.empty()) {
            engine.rows(Table::kMeta)["shard"] = std::move(state);
        }
        if (!sweep.empty()) {
            engine.rows(Table::kMeta)["sweep"] = std::move(sweep);
        }
        return run_now(Shard::open(&engine, 0)).status().code();
    };
    EXPECT_EQ(opened_with("", ""), Code::kOk);
    EXPECT_EQ(opened_with("garbage", ""), Code::kCorruption);
    EXPECT_EQ(opened_with("", "garbage"), Code::kCorruption);
    EXPECT_EQ(opened_with("", Bytes(12, '\0')), Code::kCorruption);
}

TEST(Shard, IsNotOpenedOverAStateThatIsAheadOfItsEngine) {
    ShardFixture fixture;
    fixture.put("k", "v");
    fixture.put("k", "w");
    MapEngine behind(fixture.engine().tables(), Index(1));
    EXPECT_EQ(run_now(Shard::open(&behind, 0)).status().code(), Code::kCorruption);
}

// ---- planted bugs ----

#ifdef KVSTORE_PLANTED_BUGS

TEST(PlantedBug, DigestNotRolledIsFoundByVerify) {
    const ScopedPlantedBug planted(PlantedBug::kMvccDigestNotRolled);
    ShardFixture fixture;
    fixture.put("k", "v");
    EXPECT_TRUE(fixture.verify().ok());
    fixture.put("k", "w");
    EXPECT_EQ(fixture.verify().code(), Code::kCorruption);
}

TEST(PlantedBug, ExpiryThatIgnoresTheStampShowsRecordsThatHaveRunOut) {
    const ScopedPlantedBug planted(PlantedBug::kMvccExpiryIgnoresStamp);
    ShardFixture fixture;
    fixture.put_until("k", "v", fixture.now_ms() + 10);
    fixture.set_now_ms(fixture.now_ms() + 10);
    EXPECT_TRUE(fixture.put("k", "w").result.had_previous);
}

TEST(PlantedBug, RevisionThatSkipsIsFoundByVerify) {
    const ScopedPlantedBug planted(PlantedBug::kMvccRevisionSkipsOnNoop);
    ShardFixture fixture;
    fixture.put("k", "v");
    EXPECT_TRUE(fixture.verify().ok());
    fixture.erase("other");
    EXPECT_EQ(fixture.verify().code(), Code::kCorruption);
}

TEST(PlantedBug, ForgottenAppliedIndexIsFoundWhenTheShardIsOpened) {
    const ScopedPlantedBug planted(PlantedBug::kMvccForgetAppliedIndex);
    ShardFixture fixture;
    ASSERT_TRUE(fixture.shard().apply(Index(1), encoded_put("k", "v"), nullptr).ok());
    ASSERT_TRUE(fixture.shard().apply(Index(2), encoded_put("k", "w"), nullptr).ok());
    ASSERT_TRUE(fixture.shard().finish_batch().ok());
    const auto engine = fixture.engine().reopen();
    EXPECT_EQ(run_now(Shard::open(engine.get(), 0)).status().code(), Code::kCorruption);
}

#endif

}  // namespace
}  // namespace kvstore::mvcc
