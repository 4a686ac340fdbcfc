// Each kind of operation: what it changes, what it answers, and where it refuses.
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "mvcc/internal/applier.h"
#include "mvcc/testing/shard_fixture.h"

namespace kvstore::mvcc {
namespace {

using testing::Outcome;
using testing::ShardFixture;

Operation on(OperationKind kind, ByteView key) {
    Operation operation;
    operation.kind = kind;
    operation.key = key;
    return operation;
}

Operation with_argument(OperationKind kind, ByteView key, ByteView argument) {
    Operation operation = on(kind, key);
    operation.argument = argument;
    return operation;
}

Operation with_delta(OperationKind kind, ByteView key, std::int64_t delta) {
    Operation operation = on(kind, key);
    operation.delta = delta;
    return operation;
}

Operation set_expiry(ByteView key, std::uint64_t expires_at_ms) {
    Operation operation = on(OperationKind::kSetExpiry, key);
    operation.expiry_mode = ExpiryMode::kAt;
    operation.expires_at_ms = expires_at_ms;
    return operation;
}

Operation put_if(ByteView key, const Condition& condition) {
    Operation operation = with_argument(OperationKind::kPut, key, "new");
    operation.condition = condition;
    return operation;
}

// ---- get ----

TEST(Get, ShowsTheRecordAtItsPlaceInTheCommand) {
    ShardFixture fixture;
    Command command;
    command.operations = {on(OperationKind::kGet, "k"),
                          with_argument(OperationKind::kPut, "k", "v"),
                          on(OperationKind::kGet, "k")};
    const Outcome outcome = fixture.run(command);
    EXPECT_FALSE(outcome.operations[0].has_record);
    EXPECT_FALSE(outcome.operations[0].result.had_previous);
    EXPECT_TRUE(outcome.operations[2].result.had_previous);
    EXPECT_EQ(outcome.operations[2].value, "v");
    EXPECT_FALSE(outcome.operations[2].result.changed);
}

TEST(Get, AloneTakesNoRevision) {
    ShardFixture fixture;
    fixture.put("k", "v");
    const Outcome outcome = fixture.run(on(OperationKind::kGet, "k"));
    EXPECT_FALSE(outcome.command.changed);
    EXPECT_EQ(outcome.command.revision, Revision(1));
    EXPECT_EQ(fixture.revision(), Revision(1));
}

// ---- put ----

TEST(Put, GivesThePreviousRecordWhenItIsWanted) {
    ShardFixture fixture;
    fixture.put("k", "before");
    Operation put = with_argument(OperationKind::kPut, "k", "after");
    EXPECT_FALSE(fixture.run_one(put).has_record);
    put.wants_previous = true;
    const auto told = fixture.run_one(put);
    EXPECT_TRUE(told.result.had_previous);
    EXPECT_EQ(told.value, "after");
    EXPECT_EQ(told.record.mod_revision, Revision(2));
}

TEST(Put, ClearsTheExpiryUnlessItIsToStay) {
    ShardFixture fixture;
    const std::uint64_t later = fixture.now_ms() + 100;
    fixture.put_until("k", "v", later);
    Operation put = with_argument(OperationKind::kPut, "k", "w");
    put.expiry_mode = ExpiryMode::kKeep;
    fixture.run_one(put);
    EXPECT_EQ(fixture.find("k")->expires_at_ms, later);
    EXPECT_EQ(fixture.state().expiring_key_count, 1U);
    fixture.put("k", "x");
    EXPECT_EQ(fixture.find("k")->expires_at_ms, 0U);
    EXPECT_EQ(fixture.state().expiring_key_count, 0U);
    EXPECT_TRUE(fixture.engine().rows(storage::Table::kExpiry).empty());
}

TEST(Put, WithAnExpiryThatHasComeDeletes) {
    ShardFixture fixture;
    fixture.put("k", "v");
    EXPECT_TRUE(fixture.put_until("k", "w", fixture.now_ms()).result.changed);
    EXPECT_FALSE(fixture.value("k"));
    EXPECT_EQ(fixture.state().key_count, 0U);
    EXPECT_FALSE(fixture.put_until("k", "w", fixture.now_ms()).result.changed);
    EXPECT_EQ(fixture.revision(), Revision(2));
}

TEST(Put, SetsTheLease) {
    ShardFixture fixture;
    Operation put = with_argument(OperationKind::kPut, "k", "v");
    put.lease = 7;
    fixture.run_one(put);
    EXPECT_EQ(fixture.find("k")->lease, 7U);
    Operation keeping = put;
    keeping.lease = 0;
    keeping.expiry_mode = ExpiryMode::kKeep;
    fixture.run_one(keeping);
    EXPECT_EQ(fixture.find("k")->lease, 7U);
    fixture.put("k", "v");
    EXPECT_EQ(fixture.find("k")->lease, 0U);
}

TEST(BoundaryConditions, EmptyAndBinaryKeysAndValuesAreStoredAsTheyAre) {
    ShardFixture fixture;
    const Bytes binary("\0\xff\0", 3);
    fixture.put("", "");
    fixture.put(binary, binary);
    EXPECT_EQ(fixture.value(""), "");
    EXPECT_EQ(fixture.value(binary), binary);
    EXPECT_TRUE(fixture.verify().ok());
}

TEST(BoundaryConditions, TheLongestKeyAndALargeValueAreStored) {
    ShardFixture fixture;
    const Bytes key(kKeyBytesMax, '\0');
    const Bytes value(16U << 20U, 'v');
    fixture.put(key, value);
    EXPECT_EQ(fixture.value(key), value);
    EXPECT_EQ(fixture.value_at(key, Revision(1)), value);
}

// ---- conditions ----

TEST(Condition, HoldsForWhatStandsAtTheKey) {
    struct Case {
        Condition condition;
        bool holds_present;  // "old" at revision 1, put once more at revision 2
        bool holds_absent;
    };
    using enum ConditionKind;
    const Case cases[] = {
        {{.kind = kNone}, true, true},
        {{.kind = kAbsent}, false, true},
        {{.kind = kPresent}, true, false},
        {{.kind = kModRevision, .revision = Revision(2)}, true, false},
        {{.kind = kModRevision, .revision = Revision(1)}, false, false},
        {{.kind = kModRevision, .revision = Revision(0)}, false, true},
        {{.kind = kValue, .value = "old"}, true, false},
        {{.kind = kValue, .value = ""}, false, false},
        {{.kind = kVersionCount, .revision = Revision(2)}, true, false},
        {{.kind = kVersionCount, .revision = Revision(0)}, false, true},
        {{.kind = kCreateRevision, .revision = Revision(1)}, true, false},
        {{.kind = kCreateRevision, .revision = Revision(0)}, false, true},
        {{.kind = kModRevisionLess, .revision = Revision(3)}, true, true},
        {{.kind = kModRevisionLess, .revision = Revision(2)}, false, true},
        {{.kind = kModRevisionGreater, .revision = Revision(1)}, true, false},
        {{.kind = kModRevisionGreater, .revision = Revision(2)}, false, false},
        {{.kind = kValueNot, .value = "x"}, true, false},
        {{.kind = kValueNot, .value = "old"}, false, false},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(static_cast<int>(c.condition.kind));
        ShardFixture fixture;
        fixture.put("k", "older");
        fixture.put("k", "old");
        const auto present = fixture.run_one(put_if("k", c.condition)).result.code;
        EXPECT_EQ(present, c.holds_present ? Code::kOk : Code::kConflict);
        const auto absent = fixture.run_one(put_if("other", c.condition)).result.code;
        EXPECT_EQ(absent, c.holds_absent ? Code::kOk : Code::kConflict);
    }
}

TEST(Condition, ThatFailsShowsTheRecordAndChangesNothing) {
    ShardFixture fixture;
    fixture.put("k", "v");
    const auto told = fixture.run_one(put_if("k", {.kind = ConditionKind::kAbsent}));
    EXPECT_EQ(told.result.code, Code::kConflict);
    EXPECT_FALSE(told.result.changed);
    EXPECT_TRUE(told.result.had_previous);
    EXPECT_EQ(told.value, "v");
    EXPECT_EQ(fixture.revision(), Revision(1));
}

TEST(Condition, CountsARecordThatHasExpiredAsAbsent) {
    ShardFixture fixture;
    fixture.put_until("k", "v", fixture.now_ms() + 10);
    fixture.set_now_ms(fixture.now_ms() + 10);
    const auto told = fixture.run_one(put_if("k", {.kind = ConditionKind::kAbsent}));
    EXPECT_EQ(told.result.code, Code::kOk);
    EXPECT_FALSE(told.result.had_previous);
    EXPECT_EQ(fixture.find("k")->create_revision, Revision(2));
    EXPECT_EQ(fixture.find("k")->version_count, 1U);
}

TEST(Command, DoesTheElseOperationsWhenAConditionFails) {
    ShardFixture fixture;
    Command command;
    command.conditions = {{.key = "a", .condition = {.kind = ConditionKind::kAbsent}},
                          {.key = "b", .condition = {.kind = ConditionKind::kPresent}}};
    command.operations = {with_argument(OperationKind::kPut, "k", "then")};
    command.else_operations = {with_argument(OperationKind::kPut, "k", "else"),
                               on(OperationKind::kGet, "k")};
    const Outcome outcome = fixture.run(command);
    EXPECT_FALSE(outcome.command.conditions_held);
    EXPECT_EQ(outcome.operations.size(), 2U);
    EXPECT_EQ(fixture.value("k"), "else");
    fixture.put("b", "here");
    EXPECT_TRUE(fixture.run(command).command.conditions_held);
    EXPECT_EQ(fixture.value("k"), "then");
}

TEST(Command, OfManyChangesHasOneRevision) {
    ShardFixture fixture;
    Command command;
    command.operations = {with_argument(OperationKind::kPut, "a", "1"),
                          with_argument(OperationKind::kPut, "b", "1"),
                          with_argument(OperationKind::kPut, "a", "2"),
                          with_delta(OperationKind::kIncrement, "text", 1)};
    fixture.put("text", "no number");
    const Outcome outcome = fixture.run(command);
    EXPECT_EQ(outcome.command.revision, Revision(2));
    EXPECT_EQ(outcome.operations[3].result.code, Code::kInvalidArgument) << "fails alone";
    EXPECT_EQ(fixture.find("a")->version_count, 2U);
    EXPECT_EQ(fixture.find("a")->mod_revision, Revision(2));
    const auto view = fixture.shard().view();
    const auto changes = Shard::changes(view.get(), Revision(2), 1000);
    ASSERT_TRUE(changes.ok());
    ASSERT_EQ(changes->size(), 3U);
    EXPECT_EQ((*changes)[2].number, 2U);
    EXPECT_EQ((*changes)[2].key, "a");
}

TEST(TimestampOrdering, StampsRiseEvenWhereTheProposersDoNot) {
    ShardFixture fixture;
    Command command;
    command.operations = {with_argument(OperationKind::kPut, "k", "v")};
    command.stamp = Version(500, 3);
    EXPECT_EQ(fixture.run(command).command.stamp, Version(500, 3));
    EXPECT_EQ(fixture.run(command).command.stamp, Version(500, 4));
    command.stamp = Version(400, 0);
    EXPECT_EQ(fixture.run(command).command.stamp, Version(500, 5));
    EXPECT_EQ(fixture.find("k")->version, Version(500, 5));
    command.stamp = Version(501, 0);
    EXPECT_EQ(fixture.run(command).command.stamp, Version(501, 0));
}

TEST(TimestampOrdering, ACommandThatChangesNothingStillMovesTime) {
    ShardFixture fixture;
    Command command;
    command.stamp = Version(500, 0);
    EXPECT_FALSE(fixture.run(command).command.changed);
    EXPECT_EQ(fixture.state().last_stamp, Version(500, 0));
    EXPECT_EQ(fixture.revision(), Revision(0));
}

// ---- delete ----

TEST(Delete, RemovesOnce) {
    ShardFixture fixture;
    fixture.put("k", "v");
    EXPECT_EQ(fixture.erase("k").result.number, 1);
    const auto again = fixture.erase("k");
    EXPECT_EQ(again.result.number, 0);
    EXPECT_FALSE(again.result.changed);
    EXPECT_EQ(fixture.revision(), Revision(2));
    EXPECT_EQ(fixture.state().digest, 0U);
}

TEST(Delete, LeavesARecordThatHasExpiredToItsExpiry) {
    ShardFixture fixture;
    fixture.put_until("k", "v", fixture.now_ms() + 10);
    fixture.set_now_ms(fixture.now_ms() + 10);
    const auto told = fixture.erase("k");
    EXPECT_EQ(told.result.number, 0);
    EXPECT_FALSE(told.result.changed);
    EXPECT_EQ(fixture.state().key_count, 1U);
}

TEST(DeleteRange, RemovesFromInclusiveToExclusive) {
    for (const std::uint64_t history_ms : {0U, 1000U}) {
        ShardFixture fixture(history_ms);
        for (const ByteView key : {"a", "b", "c", "d"}) {
            fixture.put(key, "v");
        }
        EXPECT_EQ(fixture.erase_range("b", "d").result.number, 2);
        EXPECT_EQ(fixture.revision(), Revision(5));
        EXPECT_TRUE(fixture.value("a"));
        EXPECT_FALSE(fixture.value("b"));
        EXPECT_FALSE(fixture.value("c"));
        EXPECT_TRUE(fixture.value("d"));
        EXPECT_EQ(fixture.erase_range("b", "d").result.number, 0);
        EXPECT_EQ(fixture.erase_range("z", "a").result.number, 0) << "an empty range";
        EXPECT_EQ(fixture.revision(), Revision(5));
        EXPECT_TRUE(fixture.verify().ok());
    }
}

TEST(DeleteRange, OfEverythingCountsWhatWasVisible) {
    for (const std::uint64_t history_ms : {0U, 1000U}) {
        ShardFixture fixture(history_ms);
        fixture.put("a", "v");
        fixture.put_until("b", "v", fixture.now_ms() + 10);
        fixture.put_until("c", "v", fixture.now_ms() + 1000);
        fixture.set_now_ms(fixture.now_ms() + 10);
        const auto told = fixture.erase_range("", "");
        EXPECT_EQ(told.result.number, 2);
        EXPECT_TRUE(told.result.changed);
        EXPECT_EQ(fixture.state().key_count, 0U);
        EXPECT_EQ(fixture.state().expiring_key_count, 0U);
        EXPECT_EQ(fixture.state().digest, 0U);
        EXPECT_TRUE(fixture.verify().ok());
        EXPECT_FALSE(fixture.erase_range("", "").result.changed);
    }
}

TEST(DeleteRange, LogsWhatHadExpiredAsExpired) {
    ShardFixture fixture;
    fixture.put("a", "v");
    fixture.put_until("b", "v", fixture.now_ms() + 10);
    fixture.set_now_ms(fixture.now_ms() + 10);
    EXPECT_EQ(fixture.erase_range("a", "z").result.number, 1);
    const auto view = fixture.shard().view();
    const auto changes = Shard::changes(view.get(), Revision(3), 1000);
    ASSERT_EQ(changes->size(), 2U);
    EXPECT_EQ((*changes)[0].kind, Change::Kind::kDelete);
    EXPECT_EQ((*changes)[1].kind, Change::Kind::kExpire);
}

TEST(DeleteRange, IsDoneInSlicesOverManyKeys) {
    ShardFixture fixture;
    Command command;
    std::vector<Bytes> keys;
    for (int i = 0; i < 3000; ++i) {
        keys.push_back("key" + std::to_string(i));
    }
    for (const Bytes& key : keys) {
        command.operations.push_back(with_argument(OperationKind::kPut, key, "v"));
    }
    fixture.run(command);
    EXPECT_EQ(fixture.erase_range("key1", "key2").result.number, 1111);
    EXPECT_EQ(fixture.erase_range("", "").result.number, 1889);
    EXPECT_EQ(fixture.revision(), Revision(3));
    EXPECT_TRUE(fixture.verify().ok());
}

TEST(DeleteRange, TakesACondition) {
    ShardFixture fixture;
    fixture.put("a", "v");
    Operation erase = on(OperationKind::kDeleteRange, "a");
    erase.condition = {.kind = ConditionKind::kAbsent};
    EXPECT_EQ(fixture.run_one(erase).result.code, Code::kConflict);
    EXPECT_TRUE(fixture.value("a"));
}

// ---- increment ----

TEST(Increment, CountsFromNothingAndAnswersTheSum) {
    ShardFixture fixture;
    EXPECT_EQ(fixture.run_one(with_delta(OperationKind::kIncrement, "n", 5)).result.number, 5);
    EXPECT_EQ(fixture.run_one(with_delta(OperationKind::kIncrement, "n", -7)).result.number, -2);
    EXPECT_EQ(fixture.value("n"), "-2");
}

TEST(Increment, RefusesWhatIsNotAnInteger) {
    for (const ByteView text :
         {"", " 1", "1 ", "+1", "01", "-0", "1.0", "x", "9223372036854775808"}) {
        ShardFixture fixture;
        fixture.put("n", text);
        const auto told = fixture.run_one(with_delta(OperationKind::kIncrement, "n", 1));
        EXPECT_EQ(told.result.code, Code::kInvalidArgument) << text;
        EXPECT_EQ(fixture.value("n"), text);
    }
}

TEST(Increment, RefusesToOverflowEitherWay) {
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
    ShardFixture fixture;
    fixture.run_one(with_delta(OperationKind::kIncrement, "n", kMax));
    EXPECT_EQ(fixture.run_one(with_delta(OperationKind::kIncrement, "n", 1)).result.code,
              Code::kOutOfRange);
    EXPECT_EQ(fixture.value("n"), std::to_string(kMax));
    fixture.run_one(with_delta(OperationKind::kIncrement, "m", kMin));
    EXPECT_EQ(fixture.run_one(with_delta(OperationKind::kIncrement, "m", -1)).result.code,
              Code::kOutOfRange);
    EXPECT_EQ(fixture.value("m"), std::to_string(kMin));
}

TEST(Increment, KeepsTheExpiryWhenAsked) {
    ShardFixture fixture;
    fixture.put_until("n", "1", fixture.now_ms() + 10);
    Operation increment = with_delta(OperationKind::kIncrement, "n", 1);
    increment.expiry_mode = ExpiryMode::kKeep;
    fixture.run_one(increment);
    EXPECT_EQ(fixture.find("n")->expires_at_ms, fixture.now_ms() + 10);
    fixture.set_now_ms(fixture.now_ms() + 10);
    EXPECT_EQ(fixture.run_one(increment).result.number, 1) << "from nothing, having expired";
    EXPECT_EQ(fixture.find("n")->expires_at_ms, 0U);
}

TEST(IncrementFloat, AnswersTheNewTextAndStoresIt) {
    ShardFixture fixture;
    fixture.put("f", "10.50");
    const auto told = fixture.run_one(with_argument(OperationKind::kIncrementFloat, "f", "0.1"));
    EXPECT_EQ(told.text, "10.6");
    EXPECT_EQ(fixture.value("f"), "10.6");
    EXPECT_EQ(fixture.run_one(with_argument(OperationKind::kIncrementFloat, "f", "-10.6")).text,
              "0");
    EXPECT_EQ(fixture.run_one(with_argument(OperationKind::kIncrementFloat, "new", "5.0e3")).text,
              "5000");
}

TEST(IncrementFloat, RefusesTextAndInfinity) {
    ShardFixture fixture;
    fixture.put("f", "text");
    const auto code = [&fixture](ByteView key, ByteView by) {
        return fixture.run_one(with_argument(OperationKind::kIncrementFloat, key, by)).result.code;
    };
    EXPECT_EQ(code("f", "1"), Code::kInvalidArgument);
    EXPECT_EQ(code("new", "text"), Code::kInvalidArgument);
    EXPECT_EQ(code("new", "inf"), Code::kOutOfRange);
    fixture.put("f", "1e4932");
    EXPECT_EQ(code("f", "1e4932"), Code::kOutOfRange);
    EXPECT_EQ(fixture.revision(), Revision(2));
}

// ---- append and set range ----

TEST(Append, AddsBehindAndAnswersTheLength) {
    ShardFixture fixture;
    EXPECT_EQ(fixture.run_one(with_argument(OperationKind::kAppend, "k", "ab")).result.number, 2);
    EXPECT_EQ(fixture.run_one(with_argument(OperationKind::kAppend, "k", "cd")).result.number, 4);
    EXPECT_EQ(fixture.value("k"), "abcd");
}

TEST(SetRange, WritesOverAndPadsWithNul) {
    ShardFixture fixture;
    const auto set = [&fixture](std::int64_t at, ByteView text) {
        Operation operation = with_argument(OperationKind::kSetRange, "k", text);
        operation.delta = at;
        return fixture.run_one(operation);
    };
    EXPECT_EQ(set(5, "").result.number, 0);
    EXPECT_FALSE(fixture.value("k")) << "nothing written, nothing created";
    EXPECT_EQ(set(2, "xy").result.number, 4);
    EXPECT_EQ(fixture.value("k"), Bytes("\0\0xy", 4));
    EXPECT_EQ(set(1, "ab").result.number, 4);
    EXPECT_EQ(fixture.value("k"), Bytes("\0aby", 4));
    EXPECT_EQ(set(0, "").result.number, 4);
    EXPECT_EQ(set(-1, "x").result.code, Code::kOutOfRange);
}

TEST(BoundaryConditions, AValueGrowsToItsLimitAndNoFurther) {
    testing::MapEngine engine;
    ShardState state;
    internal::Applier applier(engine, state);
    const auto run = [&applier](OperationKind kind, std::int64_t delta, ByteView argument) {
        Operation operation = with_argument(kind, "k", argument);
        operation.delta = delta;
        operation.value_bytes_max = 10;
        Bytes encoded;
        encode_command(Version(), operation, encoded);
        Outcome outcome;
        EXPECT_TRUE(applier.apply(encoded, &outcome).ok());
        return outcome.only().result;
    };
    EXPECT_EQ(run(OperationKind::kAppend, 0, "eleven byte").code, Code::kTooLarge);
    EXPECT_EQ(run(OperationKind::kSetRange, 0, "eleven byte").code, Code::kTooLarge);
    EXPECT_EQ(run(OperationKind::kSetRange, 9, "xy").code, Code::kTooLarge);
    EXPECT_EQ(state.revision, Revision(0));
    EXPECT_EQ(run(OperationKind::kSetRange, 8, "xy").number, 10);
    EXPECT_EQ(run(OperationKind::kAppend, 0, "z").code, Code::kTooLarge);
    EXPECT_EQ(run(OperationKind::kAppend, 0, "").number, 10);
}

TEST(BoundaryConditions, AnOffsetBeyondEveryValueIsTooLarge) {
    ShardFixture fixture;
    Operation set = with_argument(OperationKind::kSetRange, "k", "x");
    for (const auto at :
         {static_cast<std::int64_t>(kValueBytesMax), std::numeric_limits<std::int64_t>::max()}) {
        set.delta = at;
        EXPECT_EQ(fixture.run_one(set).result.code, Code::kTooLarge);
    }
}

// ---- expiry ----

TEST(SetExpiry, SetsAndClears) {
    ShardFixture fixture;
    const std::uint64_t later = fixture.now_ms() + 50;
    EXPECT_EQ(fixture.run_one(set_expiry("k", later)).result.code, Code::kNotFound);
    fixture.put("k", "v");
    EXPECT_TRUE(fixture.run_one(set_expiry("k", later)).result.changed);
    EXPECT_EQ(fixture.find("k")->expires_at_ms, later);
    EXPECT_EQ(fixture.value("k"), "v");
    EXPECT_EQ(fixture.find("k")->mod_revision, Revision(2));
    EXPECT_TRUE(fixture.run_one(on(OperationKind::kSetExpiry, "k")).result.changed);
    EXPECT_EQ(fixture.find("k")->expires_at_ms, 0U);
    const auto again = fixture.run_one(on(OperationKind::kSetExpiry, "k"));
    EXPECT_EQ(again.result.code, Code::kConflict) << "there was none to clear";
    EXPECT_FALSE(again.result.changed);
}

TEST(SetExpiry, InThePastDeletes) {
    ShardFixture fixture;
    fixture.put("k", "v");
    EXPECT_TRUE(fixture.run_one(set_expiry("k", fixture.now_ms())).result.changed);
    EXPECT_EQ(fixture.state().key_count, 0U);
}

TEST(SetExpiry, TakesRedisConditions) {
    using enum ExpiryCondition;
    struct Case {
        ExpiryCondition condition;
        std::uint64_t before;  // relative to now; 0: none
        std::uint64_t after;
        bool taken;
    };
    const Case cases[] = {{kAlways, 0, 5, true},
                          {kOnlyIfNone, 0, 5, true},
                          {kOnlyIfNone, 5, 9, false},
                          {kOnlyIfSome, 0, 5, false},
                          {kOnlyIfSome, 5, 9, true},
                          {kOnlyIfGreater, 0, 5, false},
                          {kOnlyIfGreater, 5, 9, true},
                          {kOnlyIfGreater, 5, 5, false},
                          {kOnlyIfGreater, 5, 3, false},
                          {kOnlyIfLess, 0, 5, true},
                          {kOnlyIfLess, 5, 3, true},
                          {kOnlyIfLess, 5, 5, false},
                          {kOnlyIfLess, 5, 9, false}};
    for (const Case& c : cases) {
        ShardFixture fixture;
        fixture.put("k", "v");
        if (c.before != 0) {
            fixture.put_until("k", "v", fixture.now_ms() + c.before);
        }
        Operation expire = set_expiry("k", fixture.now_ms() + c.after);
        expire.expiry_condition = c.condition;
        const auto told = fixture.run_one(expire);
        EXPECT_EQ(told.result.code, c.taken ? Code::kOk : Code::kConflict)
            << static_cast<int>(c.condition) << ' ' << c.before << ' ' << c.after;
        EXPECT_EQ(told.result.changed, c.taken);
    }
}

TEST(TtlCleanup, ExpireDeletesTheRecordThatWasMeant) {
    ShardFixture fixture;
    fixture.put_until("k", "v", fixture.now_ms() + 10);
    Operation expire = on(OperationKind::kExpire, "k");
    expire.condition.revision = Revision(1);
    EXPECT_FALSE(fixture.run_one(expire).result.changed) << "it is not time";
    fixture.set_now_ms(fixture.now_ms() + 10);
    expire.condition.revision = Revision(2);
    EXPECT_EQ(fixture.run_one(expire).result.code, Code::kConflict) << "another record was meant";
    expire.condition.revision = Revision(1);
    EXPECT_TRUE(fixture.run_one(expire).result.changed);
    EXPECT_EQ(fixture.state().key_count, 0U);
    EXPECT_FALSE(fixture.run_one(expire).result.changed);
    const auto view = fixture.shard().view();
    EXPECT_EQ(Shard::changes(view.get(), Revision(2), 100)->front().kind, Change::Kind::kExpire);
}

TEST(TtlCleanup, AWriteOverAnExpiredRecordLogsTheExpiryFirst) {
    ShardFixture fixture;
    fixture.put_until("k", "old", fixture.now_ms() + 10);
    fixture.set_now_ms(fixture.now_ms() + 10);
    EXPECT_FALSE(fixture.value("k"));
    EXPECT_EQ(fixture.value_at("k", Revision(1)), "old") << "the past is as logged";
    fixture.put("k", "new");
    const auto view = fixture.shard().view();
    const auto changes = Shard::changes(view.get(), Revision(2), 100);
    ASSERT_EQ(changes->size(), 2U);
    EXPECT_EQ((*changes)[0].kind, Change::Kind::kExpire);
    EXPECT_EQ((*changes)[1].kind, Change::Kind::kPut);
    EXPECT_EQ((*changes)[1].revision, Revision(2));
    EXPECT_EQ((*changes)[1].number, 1U);
    EXPECT_TRUE(fixture.verify().ok());
}

// ---- move ----

TEST(Move, TakesValueExpiryAndLeaseAlong) {
    ShardFixture fixture;
    Operation put = with_argument(OperationKind::kPut, "from", "v");
    put.expiry_mode = ExpiryMode::kAt;
    put.expires_at_ms = fixture.now_ms() + 10;
    put.lease = 3;
    fixture.run_one(put);
    fixture.put("to", "overwritten");
    Operation move = with_argument(OperationKind::kMove, "from", "to");
    move.wants_previous = true;
    const auto told = fixture.run_one(move);
    EXPECT_TRUE(told.result.changed);
    EXPECT_EQ(told.value, "overwritten");
    EXPECT_FALSE(fixture.value("from"));
    const auto moved = fixture.find("to");
    EXPECT_EQ(moved->value, "v");
    EXPECT_EQ(moved->expires_at_ms, fixture.now_ms() + 10);
    EXPECT_EQ(moved->lease, 3U);
    EXPECT_EQ(moved->version_count, 2U);
    EXPECT_EQ(fixture.revision(), Revision(3));
    EXPECT_TRUE(fixture.verify().ok());
}

TEST(Move, RefusesWhatIsNotThereOrWhereSomethingIs) {
    ShardFixture fixture;
    Operation move = with_argument(OperationKind::kMove, "from", "to");
    move.condition = {.kind = ConditionKind::kAbsent};
    EXPECT_EQ(fixture.run_one(move).result.code, Code::kNotFound);
    fixture.put("from", "v");
    fixture.put("to", "w");
    const auto told = fixture.run_one(move);
    EXPECT_EQ(told.result.code, Code::kConflict);
    EXPECT_EQ(told.value, "w");
    EXPECT_EQ(fixture.value("from"), "v");
}

TEST(Move, ToItselfChangesNothing) {
    ShardFixture fixture;
    Operation move = with_argument(OperationKind::kMove, "k", "k");
    EXPECT_EQ(fixture.run_one(move).result.code, Code::kNotFound);
    fixture.put("k", "v");
    const auto told = fixture.run_one(move);
    EXPECT_EQ(told.result.code, Code::kOk);
    EXPECT_FALSE(told.result.changed);
    move.condition = {.kind = ConditionKind::kAbsent};
    EXPECT_EQ(fixture.run_one(move).result.code, Code::kConflict);
    EXPECT_EQ(fixture.revision(), Revision(1));
}

// ---- the shard ----

TEST(Compact, RefusesWhatIsGoneOrStillToCome) {
    ShardFixture fixture;
    fixture.put("a", "1");
    fixture.put("a", "2");
    EXPECT_EQ(fixture.compact(Revision(3)).result.code, Code::kFutureRevision);
    EXPECT_EQ(fixture.compact(Revision(0)).result.code, Code::kCompacted);
    EXPECT_EQ(fixture.run_one(with_delta(OperationKind::kCompact, "", -1)).result.code,
              Code::kCompacted);
    EXPECT_EQ(fixture.compact(Revision(2)).result.code, Code::kOk);
    EXPECT_EQ(fixture.compact(Revision(2)).result.code, Code::kCompacted);
    EXPECT_EQ(fixture.revision(), Revision(2)) << "no record has changed";
}

TEST(Configure, RefusesANegativeTime) {
    ShardFixture fixture;
    EXPECT_EQ(fixture.run_one(with_delta(OperationKind::kConfigure, "", -1)).result.code,
              Code::kInvalidArgument);
    EXPECT_EQ(fixture.state().history_ms, 600'000U);
}

TEST(Configure, ToNothingForgetsThePastAtOnce) {
    ShardFixture fixture;
    fixture.put("a", "1");
    fixture.put("a", "2");
    fixture.run_one(with_delta(OperationKind::kConfigure, "", 0));
    EXPECT_TRUE(fixture.engine().rows(storage::Table::kLog).empty());
    EXPECT_TRUE(fixture.engine().rows(storage::Table::kIndex).empty());
    EXPECT_EQ(fixture.state().compacted_revision, Revision(2));
    fixture.put("a", "3");
    EXPECT_EQ(fixture.state().compacted_revision, Revision(3));
    EXPECT_FALSE(fixture.shard().has_compaction_due());
    EXPECT_TRUE(fixture.verify().ok());
}

TEST(Configure, ToSomeTimeBeginsHistoryWithTheRecordsThatAreThere) {
    ShardFixture fixture(0);
    fixture.put("changed", "before");
    fixture.put("deleted", "before");
    fixture.put("unchanged", "before");
    fixture.run_one(with_delta(OperationKind::kConfigure, "", 1000));
    fixture.put("changed", "after");
    fixture.erase("deleted");
    fixture.put("created", "after");
    EXPECT_EQ(fixture.value_at("changed", Revision(3)), "before");
    EXPECT_EQ(fixture.value_at("changed", Revision(4)), "after");
    EXPECT_EQ(fixture.value_at("deleted", Revision(4)), "before");
    EXPECT_FALSE(fixture.value_at("deleted", Revision(5)));
    EXPECT_EQ(fixture.value_at("unchanged", Revision(3)), "before");
    EXPECT_FALSE(fixture.value_at("created", Revision(5)));
    EXPECT_TRUE(fixture.verify().ok());
}

}  // namespace
}  // namespace kvstore::mvcc
