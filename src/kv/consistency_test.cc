// What the levels of consistency and a session ask of a replica that may be behind.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/kv.h"
#include "kv/testing/fake_group.h"
#include "kv/testing/kv_fixture.h"

namespace kvstore::kv {
namespace {

using std::chrono::seconds;
using testing::FakeGroup;
using ::testing::HasSubstr;
using testing::KvFixture;
using testing::put_of;
using Found = Result<std::optional<OwnedRecord>>;

class KvConsistency : public KvFixture {
protected:
    KvConsistency() {
        must_open();
        put("k", "v");
        real_ = kv_->default_keyspace();
        group_ = std::make_unique<FakeGroup>(machine_.env(), real_->group());
        behind_ = std::make_shared<Keyspace>(real_->info(), group_.get());
    }
    ~KvConsistency() override { real_.reset(); }

    static CallContext at(Consistency consistency, std::shared_ptr<SessionToken> session = {}) {
        CallContext context;
        context.consistency = consistency;
        context.session = std::move(session);
        return context;
    }
    // A session that has seen this revision of `default`.
    [[nodiscard]] std::shared_ptr<SessionToken> session_at(Revision revision) const {
        auto session = std::make_shared<SessionToken>();
        session->note(shard(), revision);
        return session;
    }
    [[nodiscard]] ShardId shard() const { return real_->info().shard; }
    Found read(const CallContext& context) { return run(kv_->get(context, behind_, "k", {})); }
    storage::Lookup find(const CallContext& context) {
        storage::Lookup lookup = storage::Lookup::kAbsent;
        on_core([&] {
            mvcc::Record record;
            lookup = kv_->find(context, *behind_, "k", &record);
        });
        return lookup;
    }
    // Starts a read that will have to wait.
    void begin(const CallContext& context) {
        machine_.spawn([](Kv* kv,
                          CallContext asked,
                          KeyspaceHandle keyspace,
                          std::optional<Found>* to) -> async::Task<void> {
            *to = co_await kv->get(std::move(asked), std::move(keyspace), "k", {});
        }(kv_.get(), context, behind_, &answer_));
        rest();
    }
    void rest() { world_.run_for(std::chrono::milliseconds(1)); }
    void lose_majority() {
        group_->barrier = Status(Code::kUnavailable, "no majority has confirmed");
    }

    KeyspaceHandle real_;
    std::unique_ptr<FakeGroup> group_;
    KeyspaceHandle behind_;  // the same shard, as a follower holds it
    std::optional<Found> answer_;
};

// ---- levels ----

TEST_F(KvConsistency, ALinearizableReadAsksForABarrierEachTime) {
    EXPECT_TRUE(read(at(Consistency::kLinearizable)).ok());
    EXPECT_TRUE(read(at(Consistency::kLinearizable, session_at(revision()))).ok());
    EXPECT_EQ(group_->barriers, 2);
    EXPECT_EQ(find(at(Consistency::kLinearizable)), storage::Lookup::kMustLoad);
}

// Moving a shard fails no read: the next node is asked, not the client told.
TEST_F(KvConsistency, AReadWhoseReplicaLeavesMeanwhileAsksTheOthers) {
    const auto expect_asked = [this](const Status& told) {
        EXPECT_EQ(told.message(), "there is nobody to ask");
        group_->has_left = false;
    };
    lose_majority();
    EXPECT_NE(read(at(Consistency::kLinearizable)).status().message(), "there is nobody to ask");

    group_->leaves_in_barrier = true;
    expect_asked(read(at(Consistency::kLinearizable)).status());
    expect_asked(run(kv_->get_many(at(Consistency::kLinearizable), behind_, {"k"})).status());
    expect_asked(run(kv_->scan(at(Consistency::kLinearizable), behind_, {})).status());
    EXPECT_EQ(group_->barriers, 4);
}

TEST_F(KvConsistency, AnExcludedNodeAnswersNobodyHoweverWeakly) {
    kv_->exclude({Code::kUnavailable, "it was removed"});

    EXPECT_EQ(read(at(Consistency::kEventual)).status().message(), "it was removed");
    EXPECT_EQ(find(at(Consistency::kEventual)), storage::Lookup::kMustLoad);
    EXPECT_EQ(run(kv_->get_many(at(Consistency::kEventual), real_, {"k"})).status().message(),
              "it was removed");
    EXPECT_EQ(run(kv_->scan(at(Consistency::kEventual), real_, {})).status().message(),
              "it was removed");
    mvcc::Command command;
    EXPECT_EQ(run(kv_->execute({}, real_, &command)).status().message(), "it was removed");
}

TEST_F(KvConsistency, AnEventualReadAsksNobody) {
    lose_majority();
    const auto found = read(at(Consistency::kEventual));
    ASSERT_TRUE(found.ok()) << found.status().to_string();
    EXPECT_EQ((*found)->value, "v");
    EXPECT_EQ(find(at(Consistency::kEventual)), storage::Lookup::kFound);
    EXPECT_TRUE(run(kv_->get_many(at(Consistency::kEventual), behind_, {"k"})).ok());
    EXPECT_TRUE(run(kv_->scan(at(Consistency::kEventual), behind_, {})).ok());
    EXPECT_EQ(group_->barriers, 0);
}

TEST_F(KvConsistency, ABoundedReadAsksOnlyWhereTheReplicaMayBeOlder) {
    CallContext context = at(Consistency::kBounded);
    context.max_staleness = seconds(2);
    group_->stale = seconds(2);
    EXPECT_TRUE(read(context).ok());
    EXPECT_EQ(find(context), storage::Lookup::kFound);
    EXPECT_EQ(group_->barriers, 0);

    group_->stale += std::chrono::nanoseconds(1);
    EXPECT_EQ(find(context), storage::Lookup::kMustLoad);
    EXPECT_TRUE(read(context).ok());
    EXPECT_EQ(group_->barriers, 1);

    lose_majority();
    EXPECT_EQ(read(context).status().code(), Code::kUnavailable) << "it shows nothing older";
}

TEST_F(KvConsistency, ABoundIsFiveSecondsWhereNoneIsGiven) {
    group_->stale = seconds(5);
    EXPECT_TRUE(read(at(Consistency::kBounded)).ok());
    EXPECT_EQ(group_->barriers, 0);
    group_->stale = seconds(6);
    EXPECT_TRUE(read(at(Consistency::kBounded)).ok());
    EXPECT_EQ(group_->barriers, 1);
}

TEST_F(KvConsistency, ACausalReadAsksNobodyWhereTheSessionHasSeenNoMore) {
    lose_majority();
    EXPECT_TRUE(read(at(Consistency::kCausal)).ok());
    EXPECT_TRUE(read(at(Consistency::kCausal, session_at(revision()))).ok());
    EXPECT_EQ(find(at(Consistency::kCausal, session_at(revision()))), storage::Lookup::kFound);
    EXPECT_EQ(group_->barriers, 0);
}

TEST_F(KvConsistency, AReadThatNobodyConfirmsIsToldHowToSeeWhatIsHere) {
    lose_majority();
    const Status refused = read(at(Consistency::kLinearizable)).status();
    EXPECT_EQ(refused.code(), Code::kUnavailable);
    EXPECT_EQ(refused.effect(), Effect::kNone);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("?consistency=eventual"));
}

TEST_F(KvConsistency, AReplicaThatHasFailedShowsNothingAtAnyLevel) {
    group_->failure = Status(Code::kCorruption, "a bad block");
    for (const auto level : {Consistency::kEventual, Consistency::kCausal}) {
        EXPECT_EQ(read(at(level)).status().code(), Code::kCorruption);
        EXPECT_EQ(find(at(level)), storage::Lookup::kMustLoad);
    }
    lose_majority();
    EXPECT_THAT(std::string(read(at(Consistency::kLinearizable)).status().message()),
                ::testing::Not(HasSubstr("eventual")))
        << "that would not help";
}

TEST_F(KvConsistency, ARevisionThatIsNotHereYetIsAskedOfTheOthers) {
    const Revision next = revision().next();
    EXPECT_EQ(run(kv_->get(at(Consistency::kEventual), behind_, "k", next)).status().code(),
              Code::kFutureRevision);
    mvcc::ScanRequest scan;
    scan.as_of = next;
    EXPECT_EQ(run(kv_->scan(at(Consistency::kEventual), behind_, scan)).status().code(),
              Code::kFutureRevision);
    EXPECT_EQ(group_->barriers, 2);
}

// ---- sessions ----

TEST_F(KvConsistency, AReadWaitsUntilTheReplicaHasWhatTheSessionHasSeen) {
    const Revision seen = revision().next();
    CallContext context = at(Consistency::kCausal, session_at(seen));
    context.deadline = async::Deadline::after(world_.now(), seconds(2));
    EXPECT_EQ(find(context), storage::Lookup::kMustLoad);
    begin(context);
    EXPECT_EQ(group_->waited_for, seen);
    EXPECT_EQ(group_->waited_until.at, context.deadline.at);
    EXPECT_FALSE(answer_.has_value());

    put("k", "newer");
    group_->end_wait(Status());
    rest();
    ASSERT_TRUE(answer_.has_value() && answer_->ok());
    EXPECT_EQ((**answer_)->value, "newer");
}

// What a replica that lags behind shows may have been replaced before its time was up: to hide it
// by a later clock would show an absence that never was.
TEST_F(KvConsistency, ARecordThatRunsOutWhileAReadWaitsIsShown) {
    mvcc::Operation operation = put_of("k", "brief");
    operation.expiry_mode = mvcc::ExpiryMode::kAt;
    operation.expires_at_ms = now_ms() + 20;
    done(operation);
    begin(at(Consistency::kCausal, session_at(revision().next())));

    world_.run_for(std::chrono::milliseconds(30));
    group_->end_wait(Status());
    rest();

    ASSERT_TRUE(answer_.has_value() && answer_->ok());
    ASSERT_TRUE(answer_->value().has_value());
    EXPECT_EQ((**answer_)->value, "brief");
    EXPECT_FALSE(read(at(Consistency::kEventual))->has_value()) << "one that begins now";
}

TEST_F(KvConsistency, TheSessionCountsAtEveryLevel) {
    int waits = 0;
    for (const auto level : {Consistency::kLinearizable,
                             Consistency::kCausal,
                             Consistency::kBounded,
                             Consistency::kEventual}) {
        FakeGroup group(machine_.env(), real_->group());
        group.stale = Duration(0);
        group.end_wait(Status(Code::kUnavailable, "too far behind"));
        behind_ = std::make_shared<Keyspace>(real_->info(), &group);
        const auto found = read(at(level, session_at(revision().next())));
        EXPECT_EQ(found.status().code(), Code::kUnavailable) << consistency_name(level);
        waits += group.waited_for == revision().next() ? 1 : 0;
    }
    EXPECT_EQ(waits, 4);
}

TEST_F(KvConsistency, AWaitThatEndsBadlyHasNoEffect) {
    begin(at(Consistency::kCausal, session_at(revision().next())));
    group_->end_wait(Status(Code::kDeadlineExceeded, "late"));
    rest();
    ASSERT_TRUE(answer_.has_value());
    EXPECT_EQ(answer_->status().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(answer_->status().effect(), Effect::kNone);
}

TEST_F(KvConsistency, AKeyspaceThatIsDroppedWhileAReadWaitsIsNotFound) {
    begin(at(Consistency::kCausal, session_at(revision().next())));
    (void)behind_->drop();
    group_->end_wait(Status(Code::kUnavailable, "the shard was dropped"));
    rest();
    ASSERT_TRUE(answer_.has_value());
    EXPECT_EQ(answer_->status().code(), Code::kNotFound);
}

TEST_F(KvConsistency, EveryAnswerNotesWhatItHasShown) {
    const auto session = std::make_shared<SessionToken>();
    const CallContext context = at(Consistency::kEventual, session);
    const auto expect_noted = [&](std::string_view what) {
        EXPECT_EQ(session->seen(shard()), revision()) << what;
        put("other", "v");
    };
    ASSERT_TRUE(execute(put_of("k", "w"), context).ok());
    expect_noted("a write");
    EXPECT_TRUE(read(context).ok());
    expect_noted("a read");
    EXPECT_EQ(find(context), storage::Lookup::kFound);
    expect_noted("a read at once");
    EXPECT_TRUE(run(kv_->get(context, behind_, "absent", {})).ok());
    expect_noted("a read of nothing");
    EXPECT_TRUE(run(kv_->get_many(context, behind_, {"k"})).ok());
    expect_noted("a batch");
    EXPECT_TRUE(run(kv_->scan(context, behind_, {})).ok());
    expect_noted("a scan");
    EXPECT_TRUE(read(at(Consistency::kLinearizable, session)).ok());
    expect_noted("a linearizable read");
}

TEST_F(KvConsistency, AnOldRevisionIsAllThatAReadOfItHasSeen) {
    const Revision old = revision();
    put("k", "w");
    const auto session = std::make_shared<SessionToken>();
    EXPECT_TRUE(run(kv_->get(at(Consistency::kCausal, session), behind_, "k", old)).ok());
    EXPECT_EQ(session->seen(shard()), old);
}

TEST_F(KvConsistency, OfAShardThatTheSessionForgotTheNewestIsShown) {
    const auto session = session_at(Revision(1));
    for (std::uint64_t i = 0; i < SessionToken::kMarksMax; ++i) {
        session->note(ShardId(1'000 + i), Revision(1));
    }
    ASSERT_TRUE(session->has_forgotten(shard()));
    EXPECT_EQ(find(at(Consistency::kEventual, session)), storage::Lookup::kMustLoad);
    EXPECT_TRUE(read(at(Consistency::kEventual, session)).ok());
    EXPECT_EQ(group_->barriers, 1);
    EXPECT_TRUE(read(at(Consistency::kCausal, session)).ok()) << "now it is known again";
    EXPECT_EQ(group_->barriers, 1);
}

// ---- one node ----

TEST_F(KvConsistency, OnOneNodeEveryLevelIsAnsweredAtOnce) {
    behind_ = real_;
    for (const auto level : {Consistency::kLinearizable,
                             Consistency::kCausal,
                             Consistency::kBounded,
                             Consistency::kEventual}) {
        EXPECT_EQ(find(at(level, session_at(revision()))), storage::Lookup::kFound);
    }
}

TEST_F(KvConsistency, OnOneNodeASessionOfAnotherHistoryIsRefusedAtOnce) {
    behind_ = real_;
    const MonotonicTime before = world_.now();
    const auto refused = read(at(Consistency::kCausal, session_at(Revision(1'000'000))));
    EXPECT_EQ(refused.status().code(), Code::kFutureRevision);
    EXPECT_LT(world_.now() - before, seconds(1));
}

}  // namespace
}  // namespace kvstore::kv
