// The operations of the store, with their conditions, limits and errors.
#include "kv/kv.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/testing/kv_fixture.h"
#include "replication/testing/told.h"

namespace kvstore::kv {
namespace {

using mvcc::Condition;
using mvcc::ConditionKind;
using mvcc::OperationKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::KvFixture;
using testing::operation_of;
using testing::put_of;

class KvOperations : public KvFixture {
protected:
    KvOperations() { must_open(); }

    OperationOutcome put_if(ByteView key, ByteView bytes, const Condition& condition) {
        mvcc::Operation operation = put_of(key, bytes);
        operation.condition = condition;
        operation.wants_previous = true;
        return done(operation);
    }
    OperationOutcome increment(ByteView key, std::int64_t delta) {
        mvcc::Operation operation = operation_of(OperationKind::kIncrement, key);
        operation.delta = delta;
        return done(operation);
    }
    OperationOutcome append(ByteView key, ByteView bytes) {
        mvcc::Operation operation = operation_of(OperationKind::kAppend, key);
        operation.argument = bytes;
        return done(operation);
    }
    void put_until(ByteView key, std::uint64_t expires_at_ms) {
        mvcc::Operation operation = put_of(key, "v");
        operation.expiry_mode = mvcc::ExpiryMode::kAt;
        operation.expires_at_ms = expires_at_ms;
        done(operation);
    }
};

TEST(ConsistencyWords, AreReadInTheirSpellings) {
    EXPECT_EQ(parse_consistency("linearizable"), Consistency::kLinearizable);
    EXPECT_EQ(parse_consistency("strong"), Consistency::kLinearizable);
    EXPECT_EQ(parse_consistency("causal"), Consistency::kCausal);
    EXPECT_EQ(parse_consistency("bounded"), Consistency::kBounded);
    EXPECT_EQ(parse_consistency("eventual"), Consistency::kEventual);
    EXPECT_EQ(parse_consistency("Strong"), std::nullopt);
    EXPECT_EQ(parse_consistency(""), std::nullopt);
}

// ---- put, get, delete ----

TEST_F(KvOperations, WhatIsPutIsRead) {
    put("k", "v");
    put("empty", "");
    const Bytes binary("\0\xff\n\r\0", 5);
    put(binary, binary);
    put("", "of the empty key");

    EXPECT_EQ(value("k"), "v");
    EXPECT_EQ(value("empty"), "");
    EXPECT_EQ(value(binary), binary);
    EXPECT_EQ(value(""), "of the empty key");
    EXPECT_EQ(value("absent"), std::nullopt);
    mvcc::Record record;
    EXPECT_EQ(kv_->find(*keyspace(), "k", &record), storage::Lookup::kFound);
    EXPECT_EQ(record.value, "v");
    EXPECT_EQ(kv_->find(*keyspace(), "absent", &record), storage::Lookup::kAbsent);
}

TEST_F(KvOperations, ARecordKnowsItsRevisionsAndItsVersion) {
    put("other", "v");
    put("k", "1");
    put("k", "2");
    const auto found = get("k");

    ASSERT_TRUE(found.ok() && found->has_value());
    const mvcc::Record& record = (*found)->record;
    EXPECT_EQ(record.create_revision, Revision(2));
    EXPECT_EQ(record.mod_revision, Revision(3));
    EXPECT_EQ(record.version_count, 2U);
    EXPECT_GT(record.version, Version());
    EXPECT_TRUE(record.value.empty()) << "the value is owned beside it";
}

TEST_F(KvOperations, APutAndADeleteGiveBackWhatWasThere) {
    mvcc::Operation operation = put_of("k", "new");
    operation.wants_previous = true;
    EXPECT_FALSE(done(operation).previous.has_value());
    const OperationOutcome again = done(operation);
    ASSERT_TRUE(again.previous.has_value());
    EXPECT_EQ(again.previous->value, "new");

    mvcc::Operation erasing = operation_of(OperationKind::kDelete, "k");
    erasing.wants_previous = true;
    const OperationOutcome erased = done(erasing);

    EXPECT_EQ(erased.number, 1);
    EXPECT_EQ(erased.previous->value, "new");
    const OperationOutcome nothing = done(erasing);
    EXPECT_EQ(nothing.number, 0);
    EXPECT_FALSE(nothing.changed);
    EXPECT_EQ(value("k"), std::nullopt);
}

TEST_F(KvOperations, AConditionThatDoesNotHoldIsAnOutcomeAndShowsWhatIsThere) {
    EXPECT_EQ(put_if("k", "1", {.kind = ConditionKind::kPresent}).code, Code::kConflict);
    EXPECT_EQ(put_if("k", "1", {.kind = ConditionKind::kAbsent}).code, Code::kOk);
    const OperationOutcome refused = put_if("k", "2", {.kind = ConditionKind::kAbsent});

    EXPECT_EQ(refused.code, Code::kConflict);
    EXPECT_FALSE(refused.changed);
    ASSERT_TRUE(refused.previous.has_value());
    EXPECT_EQ(refused.previous->value, "1");
    EXPECT_EQ(value("k"), "1");
}

TEST_F(KvOperations, ComparesAndSetsByRevisionAndByValue) {
    put("k", "1");
    const Revision seen = (*get("k"))->record.mod_revision;
    const Condition at_seen{.kind = ConditionKind::kModRevision, .revision = seen};

    EXPECT_EQ(put_if("k", "2", at_seen).code, Code::kOk);
    EXPECT_EQ(put_if("k", "3", at_seen).code, Code::kConflict);
    EXPECT_EQ(put_if("k", "3", {.kind = ConditionKind::kValue, .value = "2"}).code, Code::kOk);
    EXPECT_EQ(put_if("k", "4", {.kind = ConditionKind::kValue, .value = "2"}).code,
              Code::kConflict);
    EXPECT_EQ(put_if("new", "1", {.kind = ConditionKind::kModRevision, .revision = {}}).code,
              Code::kOk)
        << "revision 0: absent";
    EXPECT_EQ(value("k"), "3");
}

TEST_F(KvOperations, DeletesARangeAndSaysHowMany) {
    for (const char* key : {"a", "b1", "b2", "b3", "c"}) {
        put(key, "v");
    }
    mvcc::Operation operation = operation_of(OperationKind::kDeleteRange, "b");
    operation.argument = "c";

    EXPECT_EQ(done(operation).number, 3);
    EXPECT_EQ(keys({}), "a c");
    operation.argument = "";
    EXPECT_EQ(done(operation).number, 1) << "to the end";
}

// ---- numbers and text ----

TEST_F(KvOperations, IncrementsWhatIsANumberAndLeavesTheRest) {
    EXPECT_EQ(increment("n", 5).number, 5);
    EXPECT_EQ(increment("n", -7).number, -2);
    EXPECT_EQ(value("n"), "-2");
    put("text", "12x");
    EXPECT_EQ(increment("text", 1).code, Code::kInvalidArgument);
    put("max", "9223372036854775807");
    EXPECT_EQ(increment("max", 1).code, Code::kOutOfRange);
    EXPECT_EQ(value("text"), "12x");
    EXPECT_EQ(value("max"), "9223372036854775807");
}

TEST_F(KvOperations, AppendsUpToTheLimitOfAValue) {
    options_.limits.value_bytes_max = 10;
    reopen();
    EXPECT_EQ(append("k", "12345").number, 5);
    EXPECT_EQ(append("k", "67890").number, 10);
    EXPECT_EQ(append("k", "1").code, Code::kTooLarge);
    replication::testing::Told told;
    mvcc::Operation appending = operation_of(OperationKind::kAppend, "k");
    appending.argument = "1";
    on_core([&] { told.refusal = kv_->submit(*keyspace(), appending, &told); });
    world_.run_until([&] { return told.is_over(); }, seconds(10));
    EXPECT_THAT(told.codes, ElementsAre(Code::kTooLarge)) << "on the hot path too";
    EXPECT_EQ(value("k"), "1234567890");

    mvcc::Command command;
    mvcc::Operation setting = operation_of(OperationKind::kSetRange, "k");
    setting.argument = "x";
    setting.delta = 10;
    command.operations = {put_of("other", "v"), setting};
    const auto outcome = execute(command);
    ASSERT_TRUE(outcome.ok());
    EXPECT_EQ(outcome->operations[1].code, Code::kTooLarge);
}

// ---- several at once ----

TEST_F(KvOperations, ACommandIsOneRevisionAndOneOutcomeForEachOperation) {
    mvcc::Command command;
    command.operations = {put_of("a", "1"),
                          operation_of(OperationKind::kGet, "a"),
                          operation_of(OperationKind::kDelete, "absent"),
                          put_of("b", "2")};
    const auto outcome = execute(command);

    ASSERT_TRUE(outcome.ok());
    ASSERT_EQ(outcome->operations.size(), 4U);
    EXPECT_EQ(outcome->operations[1].previous->value, "1");
    EXPECT_EQ(outcome->operations[2].number, 0);
    EXPECT_EQ(outcome->revision, Revision(1));
    EXPECT_TRUE(outcome->changed);
    EXPECT_EQ((*get("a"))->record.mod_revision, (*get("b"))->record.mod_revision);
}

TEST_F(KvOperations, ACommandWhoseConditionsDoNotHoldDoesTheOtherThing) {
    mvcc::Command command;
    command.conditions.push_back({.key = "k", .condition = {.kind = ConditionKind::kPresent}});
    command.operations = {put_of("k", "then")};
    command.else_operations = {put_of("k", "else"), put_of("l", "else")};

    const auto first = execute(command);
    const auto second = execute(command);

    EXPECT_FALSE(first->conditions_held);
    EXPECT_EQ(first->operations.size(), 2U);
    EXPECT_TRUE(second->conditions_held);
    EXPECT_EQ(value("k"), "then");
    EXPECT_EQ(value("l"), "else");
}

TEST_F(KvOperations, GetsManyInTheOrderOfTheKeys) {
    put("a", "1");
    put("b", "2");
    put_until("gone", now_ms() + 10);
    world_.run_for(milliseconds(20));
    const auto found = run(kv_->get_many({}, keyspace(), {"b", "absent", "a", "b", "gone", ""}));

    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->size(), 6U);
    EXPECT_EQ((*found)[0]->value, "2");
    EXPECT_FALSE((*found)[1].has_value());
    EXPECT_EQ((*found)[2]->value, "1");
    EXPECT_EQ((*found)[3]->value, "2");
    EXPECT_FALSE((*found)[4].has_value());
    EXPECT_FALSE((*found)[5].has_value());
    EXPECT_TRUE(run(kv_->get_many({}, keyspace(), {}))->empty());
}

// ---- time to live ----

TEST_F(KvOperations, WhatHasRunOutIsAbsentAtOnceAndStaysSoAfterARestart) {
    put_until("k", now_ms() + 500);
    EXPECT_EQ(value("k"), "v");
    world_.run_for(milliseconds(501));
    EXPECT_EQ(value("k"), std::nullopt);
    EXPECT_EQ(keys({}), "");
    EXPECT_EQ(put_if("k", "new", {.kind = ConditionKind::kAbsent}).code, Code::kOk);

    put_until("l", now_ms() + 5'000);
    crash();
    must_open();
    EXPECT_EQ(value("l"), "v") << "a restart does not shorten a life";
    world_.run_for(seconds(6));
    EXPECT_EQ(value("l"), std::nullopt);
}

TEST_F(KvOperations, AnExpiryIsSetKeptAndTakenAway) {
    put_until("k", now_ms() + 60'000);
    mvcc::Operation keeping = put_of("k", "new");
    keeping.expiry_mode = mvcc::ExpiryMode::kKeep;
    done(keeping);
    EXPECT_NE((*get("k"))->record.expires_at_ms, 0U);

    mvcc::Operation persisting = operation_of(OperationKind::kSetExpiry, "k");
    persisting.expiry_mode = mvcc::ExpiryMode::kClear;
    done(persisting);

    EXPECT_EQ((*get("k"))->record.expires_at_ms, 0U);
    persisting.key = "absent";
    EXPECT_EQ(done(persisting).code, Code::kNotFound);
}

// ---- the past ----

TEST_F(KvOperations, ReadsAsOfEveryRevisionThatIsKept) {
    put("k", "1");
    put("k", "2");
    erase("k");
    put("k", "4");

    EXPECT_EQ(value("k", Revision(1)), "1");
    EXPECT_EQ(value("k", Revision(2)), "2");
    EXPECT_EQ(value("k", Revision(3)), std::nullopt);
    EXPECT_EQ(value("k", Revision(4)), "4");
    EXPECT_EQ(get("k", Revision(5)).status().code(), Code::kFutureRevision);
}

TEST_F(KvOperations, RefusesARevisionThatIsNoLongerKept) {
    put("k", "1");
    put("k", "2");
    mvcc::Operation compacting = operation_of(OperationKind::kCompact, "");
    compacting.delta = 2;
    ASSERT_EQ(done(compacting).code, Code::kOk);

    EXPECT_EQ(get("k", Revision(1)).status().code(), Code::kCompacted);
    EXPECT_EQ(value("k", Revision(2)), "2");
}

// The revision that an outcome has just told can be read at once, in the same turn.
TEST_F(KvOperations, ReadsAsOfTheRevisionThatTheSameTurnMade) {
    host_options_.wal.durability = storage::Durability::kMemory;
    reopen();
    put("before", "v");
    Bytes seen;
    Code code = Code::kInternal;
    std::uint64_t counted = 0;
    machine_.spawn([](Kv* kv, Bytes* bytes, Code* how, std::uint64_t* count) -> async::Task<void> {
        mvcc::Command command;
        command.operations.push_back(put_of("k", "v"));
        const auto outcome = co_await kv->execute({}, kv->default_keyspace(), &command);
        auto found = co_await kv->get({}, kv->default_keyspace(), "k", outcome->revision);
        *how = found.status().code();
        *bytes = found.ok() && found->has_value() ? (*found)->value : Bytes();
        mvcc::ScanRequest request;
        request.count_only = true;
        const auto page = co_await kv->scan({}, kv->default_keyspace(), request);
        *count = page.ok() ? page->count : 0;
    }(kv_.get(), &seen, &code, &counted));
    world_.run_for(milliseconds(10));

    EXPECT_EQ(code, Code::kOk);
    EXPECT_EQ(seen, "v");
    EXPECT_EQ(counted, 2U);
}

// ---- limits ----

class KvLimits : public KvOperations {
protected:
    KvLimits() {
        options_.limits.key_bytes_max = 100;
        options_.limits.value_bytes_max = 1'000;
        reopen();
    }
    void expect_refused(const mvcc::Command& command, const std::string& setting) {
        const auto refused = execute(command);
        EXPECT_EQ(refused.status().code(), Code::kTooLarge);
        EXPECT_EQ(refused.status().effect(), Effect::kNone);
        EXPECT_THAT(refused.status().to_string(), HasSubstr(setting));
        EXPECT_EQ(revision(), Revision());
    }
    void expect_refused(const mvcc::Operation& operation, const std::string& setting) {
        mvcc::Command command;
        command.operations.push_back(operation);
        expect_refused(command, setting);
        mvcc::Command otherwise;
        otherwise.else_operations.push_back(operation);
        expect_refused(otherwise, setting);
        replication::Proposal* const nobody = nullptr;
        on_core([&] {
            EXPECT_EQ(kv_->submit(*keyspace(), operation, nobody).code(), Code::kTooLarge);
        });
    }
};

TEST_F(KvLimits, TakesKeysAndValuesAtTheLimitAndNotAbove) {
    put(Bytes(100, 'k'), Bytes(1'000, 'v'));
    EXPECT_EQ(value(Bytes(100, 'k')).value_or("").size(), 1'000U);
    erase(Bytes(100, 'k'));
    reopen();
    keyspace_ = create("fresh");

    expect_refused(put_of(Bytes(101, 'k'), "v"), "limits.key_bytes_max");
    expect_refused(put_of("k", Bytes(1'001, 'v')), "limits.value_bytes_max");
    expect_refused(put_of(Bytes(1U << 20U, 'k'), "v"), "limits.key_bytes_max");
    for (const OperationKind kind : {OperationKind::kMove, OperationKind::kCopy}) {
        mvcc::Operation moving = operation_of(kind, "k");
        const Bytes to(101, 'k');
        moving.argument = to;
        expect_refused(moving, "limits.key_bytes_max");
    }
}

// Found a command that no replica could apply: the decoder refuses what was let into the log.
TEST_F(KvLimits, HoldsConditionsToTheSameLimits) {
    const Bytes long_key(101, 'k');
    const Bytes long_value(1'001, 'v');
    mvcc::Operation conditional = put_of("k", "v");
    conditional.condition = {.kind = ConditionKind::kValue, .value = long_value};
    expect_refused(conditional, "limits.value_bytes_max");
    mvcc::Command command;
    command.operations.push_back(put_of("k", "v"));
    command.conditions.push_back({.key = long_key, .condition = {}});
    expect_refused(command, "limits.key_bytes_max");
    command.conditions = {
        {.key = "k", .condition = {.kind = ConditionKind::kValue, .value = long_value}}};
    expect_refused(command, "limits.value_bytes_max");
    command.conditions.assign(mvcc::kCommandOperationsMax + 1, {.key = "k", .condition = {}});
    expect_refused(command, "at most 100000");
    EXPECT_EQ(done(put_of("k", "v")).code, Code::kOk);
}

TEST_F(KvLimits, RefusesTooManyOperations) {
    mvcc::Command command;
    command.operations.assign(mvcc::kCommandOperationsMax, put_of("k", "v"));
    command.else_operations.push_back(put_of("k", "v"));

    expect_refused(command, "at most 100000");
}

TEST_F(KvLimits, TheLongestKeyCanBeTheLastOfARange) {
    const Bytes longest(100, 'k');
    put(longest, "v");
    mvcc::Operation operation = operation_of(OperationKind::kDeleteRange, longest);
    const Bytes behind = longest + Bytes(1, '\0');
    operation.argument = behind;

    EXPECT_EQ(done(operation).number, 1);
    const Bytes beyond(102, 'k');
    operation.argument = beyond;
    EXPECT_EQ(execute(operation).status().code(), Code::kTooLarge);
}

TEST_F(KvLimits, LimitsThatNoCommandCouldKeepAreRefusedAtTheStart) {
    const auto refused = [this](auto set) {
        Kv::Options options = options_;
        set(options.limits);
        return run(Kv::open(&machine_.env(), host_.get(), options)).status().code();
    };

    EXPECT_EQ(refused([](Limits& l) { l.key_bytes_max = mvcc::kKeyBytesMax + 1; }),
              Code::kInvalidArgument);
    EXPECT_EQ(refused([](Limits& l) { l.key_bytes_max = 0; }), Code::kInvalidArgument);
    EXPECT_EQ(refused([](Limits& l) { l.value_bytes_max = mvcc::kValueBytesMax + 1; }),
              Code::kInvalidArgument);
    EXPECT_EQ(refused([](Limits& l) { l.scan_rows_max = 0; }), Code::kInvalidArgument);
}

TEST_F(KvOperations, TheLargestAllowedKeyAndValueSurviveARestart) {
    options_.limits.value_bytes_max = mvcc::kValueBytesMax;
    host_options_.wal.segment_bytes = 64U << 20U;
    reopen();
    const Bytes key(mvcc::kKeyBytesMax, 'k');
    put(key, Bytes(mvcc::kValueBytesMax, 'v'));
    mvcc::Command command;
    command.conditions.push_back({.key = key, .condition = {.kind = ConditionKind::kPresent}});
    command.operations.push_back(put_of("held", "v"));
    EXPECT_TRUE(execute(command)->conditions_held);

    crash();
    must_open();

    EXPECT_EQ(value(key).value_or("").size(), mvcc::kValueBytesMax);
    EXPECT_EQ(value("held"), "v");
}

// ---- overload ----

TEST_F(KvOperations, AnswersOverloadedWithoutEffectWhenTooMuchIsUnderWay) {
    host_options_.proposal_bytes_max = 20'000;
    reopen();
    std::vector<Status> told;
    for (int i = 0; i < 10; ++i) {
        machine_.spawn([](Kv* kv, std::vector<Status>* outcomes) -> async::Task<void> {
            mvcc::Command command;
            const Bytes bytes(8'000, 'v');
            command.operations.push_back(put_of("k", bytes));
            const auto outcome = co_await kv->execute({}, kv->default_keyspace(), &command);
            outcomes->push_back(outcome.status());
        }(kv_.get(), &told));
    }
    world_.run_until([&] { return told.size() == 10; }, seconds(10));

    ASSERT_EQ(told.size(), 10U);
    EXPECT_EQ(std::ranges::count(told, Code::kOk, &Status::code), 2);
    for (const Status& status : told) {
        EXPECT_TRUE(status.ok() || status.code() == Code::kOverloaded);
        EXPECT_EQ(status.effect(), Effect::kNone);
    }
    put("k", "again");
}

TEST_F(KvOperations, WhenMemoryIsFullDataCanStillBeReadDeletedAndKeyspacesDropped) {
    create("other");
    put("k", Bytes(100'000, 'v'));
    options_.limits.memory_bytes_max = 1;
    reopen();
    world_.run_for(Kv::kMemoryCheckInterval * 2);

    EXPECT_EQ(execute(put_of("k2", "v")).status().code(), Code::kMemoryFull);
    EXPECT_EQ(execute(put_of("k2", "v")).status().effect(), Effect::kNone);
    EXPECT_EQ(value("k").value_or("").size(), 100'000U);
    erase("k");
    EXPECT_TRUE(run(kv_->drop_keyspace({}, "other")).ok());
}

// ---- deadlines ----

TEST_F(KvOperations, ADeadlineThatHasPassedBeforeTheCallHasNoEffect) {
    CallContext late;
    late.deadline = async::Deadline{world_.now()};
    const auto refused = execute(put_of("k", "v"), late);

    EXPECT_EQ(refused.status().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(refused.status().effect(), Effect::kNone);
    EXPECT_EQ(run(kv_->get(late, keyspace(), "k", {})).status().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(run(kv_->get_many(late, keyspace(), {"k"})).status().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(run(kv_->scan(late, keyspace(), {})).status().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(value("k"), std::nullopt);
}

TEST_F(KvOperations, ADeadlineThatPassesOnASlowDiskEndsTheCallWithUnknownEffect) {
    machine_.disk_faults().stall_chance = 1'000'000;
    machine_.disk_faults().stall = seconds(5);
    CallContext context;
    context.deadline = async::Deadline::after(world_.now(), seconds(1));
    const MonotonicTime before = world_.now();

    const auto outcome = execute(put_of("k", "v"), context);

    EXPECT_EQ(outcome.status().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(outcome.status().effect(), Effect::kUnknown);
    EXPECT_LE(world_.now() - before, milliseconds(1'100));
    machine_.disk_faults() = {};
    world_.run_for(seconds(10));
    EXPECT_EQ(value("k"), "v") << "it was in the log's hands";
    context.deadline = async::Deadline::after(world_.now(), seconds(1));
    EXPECT_TRUE(execute(put_of("k", "w"), context).ok());
    world_.run_for(seconds(2));
}

// ---- failure and the end ----

TEST_F(KvOperations, AFailedLogIsToldWithItsEffectAndReadsGoOn) {
    put("k", "v");
    machine_.disk_faults().on(sim::DiskCall::kWrite).nth = 1;

    const auto struck = execute(put_of("l", "v"));
    const auto later = execute(put_of("l", "v"));

    EXPECT_EQ(struck.status().code(), Code::kIoError);
    EXPECT_EQ(struck.status().effect(), Effect::kUnknown);
    EXPECT_EQ(later.status().effect(), Effect::kNone);
    EXPECT_EQ(value("k"), "v");
    EXPECT_EQ(keys({}), "k");
}

// What was accepted is answered, what comes later refused; nothing touches what is gone.
TEST_F(KvOperations, StopWaitsForWhatIsUnderWayAndRefusesTheRest) {
    put("k", "v");
    std::optional<Status> written;
    machine_.spawn([](Kv* kv, std::optional<Status>* told) -> async::Task<void> {
        mvcc::Command command;
        command.operations.push_back(put_of("l", "v"));
        const auto outcome = co_await kv->execute({}, kv->default_keyspace(), &command);
        *told = outcome.status();
    }(kv_.get(), &written));
    world_.run_for(std::chrono::microseconds(20));
    ASSERT_FALSE(written.has_value());

    world_.block_on(machine_, kv_->stop());

    ASSERT_TRUE(written.has_value());
    EXPECT_TRUE(written->ok());
    const auto refused = execute(put_of("m", "v"));
    EXPECT_EQ(refused.status().code(), Code::kUnavailable);
    EXPECT_EQ(refused.status().effect(), Effect::kNone);
    EXPECT_EQ(get("k").status().code(), Code::kUnavailable);
    EXPECT_EQ(scan({}).status().code(), Code::kUnavailable);
    EXPECT_EQ(run(kv_->get_many({}, keyspace(), {"k"})).status().code(), Code::kUnavailable);
    EXPECT_EQ(run(kv_->create_keyspace({}, "x", memory_options())).status().code(),
              Code::kUnavailable);
    EXPECT_EQ(run(kv_->drop_keyspace({}, "x")).code(), Code::kUnavailable);
    EXPECT_EQ(run(kv_->change_keyspace({}, "default", {})).status().code(), Code::kUnavailable);
    on_core([&] {
        mvcc::Record record;
        EXPECT_EQ(kv_->find(*keyspace(), "k", &record), storage::Lookup::kMustLoad);
        EXPECT_EQ(kv_->submit(*keyspace(), put_of("m", "v"), nullptr).code(), Code::kUnavailable);
    });
    kv_.reset();
    ASSERT_TRUE(run(host_->stop()).ok());
    host_.reset();
    must_open();
    EXPECT_EQ(value("l"), "v");
}

TEST_F(KvOperations, TellsWhatEachKeyspaceHolds) {
    put("k", "v");
    put_until("l", now_ms() + 60'000);
    create("other");
    const std::vector<KeyspaceStatistics> all = kv_->statistics();

    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].info.name, "default");
    EXPECT_EQ(all[0].shard.state.key_count, 2U);
    EXPECT_EQ(all[0].shard.state.expiring_key_count, 1U);
    EXPECT_TRUE(all[0].shard.health.ok());
    EXPECT_EQ(all[1].info.name, "other");
    EXPECT_EQ(all[1].shard.state.key_count, 0U);
}

}  // namespace
}  // namespace kvstore::kv
