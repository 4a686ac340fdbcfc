// The write path of one group: when an outcome is told, in which order, and what is told when the
// log, the engine or the admission says no.
#include "replication/strong/raft_group.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/callback.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "replication/read_view.h"
#include "replication/testing/slow_engine.h"
#include "replication/testing/told.h"
#include "sim/world.h"

namespace kvstore::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::increment_of;
using testing::put_of;
using testing::SlowEngine;
using testing::SlowEngineFaults;
using testing::Told;

constexpr GroupId kGroup{7};

// Counts all keys, at once where the engine's views do not block.
async::Task<void> count_now(env::Env* env,
                            RaftGroup* group,
                            std::vector<Revision>* revisions,
                            std::vector<std::uint64_t>* counts) {
    auto work = [](storage::View* view) {
        mvcc::ScanRequest request;
        request.count_only = true;
        return mvcc::Shard::scan(view, request);
    };
    auto page = co_await read_view<mvcc::ScanPage>(env, group, work);
    if (page.ok()) {
        revisions->push_back(page->revision);
        counts->push_back(page->count);
    }
}

// What a log holds of the group.
class Entries final : public storage::WalVisitor {
public:
    Status on_entry(const storage::LogEntry& entry) override {
        if (!entry.data.empty()) {  // not what opens a term
            commands.emplace_back(entry.data);
        }
        return {};
    }
    Status on_state(const storage::LogState& /*state*/) override { return {}; }
    Status on_start(GroupId /*group*/, Term /*term*/, Index /*index*/) override { return {}; }
    Status on_drop(GroupId /*group*/) override { return {}; }

    std::vector<Bytes> commands;
};

// A group over a log on a simulated disk and an engine that a test slows down or breaks.
class ReplicationGroup : public ::testing::Test {
protected:
    explicit ReplicationGroup(bool is_resident = true) : is_resident_(is_resident) {
        set_log_level(LogLevel::kOff);
        wal_options_.segment_bytes = 64U << 10U;
        wal_options_.disk_reserve_bytes = 0;
    }
    ~ReplicationGroup() override {
        if (group_ != nullptr) {
            (void)stop();
        }
        set_log_level(LogLevel::kInfo);
    }

    void open(bool with_log = true) {
        auto opened = run(storage::Wal::open(&machine_.env(), "wal", wal_options_, &entries_));
        ASSERT_TRUE(opened.ok());
        wal_ = *std::move(opened);
        shared_ =
            std::make_unique<GroupShared>(GroupShared{.env = machine_.env(),
                                                      .clock = clock_,
                                                      .wal = with_log ? wal_.get() : nullptr,
                                                      .proposal_bytes_max = proposal_bytes_max_});
        auto engine = std::make_unique<SlowEngine>(machine_.env().clock, faults_, is_resident_);
        engine_ = engine.get();
        auto group = run(
            RaftGroup::open(shared_.get(), kGroup, std::move(engine), {NodeId(1)}, history_ms_));
        ASSERT_TRUE(group.ok());
        group_ = *std::move(group);
        if (begins_) {
            ASSERT_TRUE(run(group_->begin()).ok());
            ASSERT_TRUE(run(group_->wait_caught_up()).ok());
        }
    }
    // An entry of the recovered log.
    Status replay(std::uint64_t index, ByteView command) {
        const raft::Payload payload = arena_.seal(command);
        return group_->replay_entry(
            {.group = kGroup, .term = Term(1), .index = Index(index), .data = payload.view()});
    }
    Status stop() {
        Status stopped = run(group_->stop());
        (void)run(wal_->stop());
        group_.reset();
        wal_.reset();
        return stopped;
    }
    // Proposes, and loses the power from inside the outcome.
    Told& lose_power_when_told(const mvcc::Operation& operation) {
        Told& told = told_.emplace_back();
        told.then = [this] {
            world_.crash(machine_);
        };
        machine_.spawn(
            [](RaftGroup* group, mvcc::Operation what, Told* outcome) -> async::Task<void> {
                outcome->refusal = group->propose(what, outcome);
                co_return;
            }(group_.get(), operation, &told));
        world_.run_until([this] { return !machine_.is_up(); }, seconds(10));
        return told;
    }
    // What the log holds after the power was lost.
    std::vector<Bytes> commands_after_power_loss() {
        bury();
        world_.restart(machine_);
        Entries entries;
        auto opened = run(storage::Wal::open(&machine_.env(), "wal", wal_options_, &entries));
        EXPECT_TRUE(opened.ok());
        if (opened.ok()) {
            (void)run((*opened)->stop());
        }
        return entries.commands;
    }
    void bury() {
        sim::bury(std::move(group_));
        sim::bury(std::move(wal_));
        sim::bury(std::move(shared_));
    }

    template <typename T>
    T run(async::Task<T> task) {
        return world_.block_on(machine_, std::move(task));
    }
    template <typename Work>
    void on_core(Work work) {
        Callback<void()> callback = [&work] {
            work();
        };
        world_.block_on(machine_, [](Callback<void()>* call) -> async::Task<bool> {
            (*call)();
            co_return true;
        }(&callback));
    }
    // Proposes without waiting. Requires: within a turn of the host.
    Told& take(const mvcc::Operation& operation) {
        Told& told = told_.emplace_back();
        told.refusal = group_->propose(operation, &told);
        return told;
    }
    Told& propose(const mvcc::Operation& operation) {
        Told* told = nullptr;
        on_core([&] { told = &take(operation); });
        return *told;
    }
    void wait(Told& told) {
        EXPECT_TRUE(world_.run_until([&told] { return told.is_over(); }, seconds(10)));
    }
    Told& put(ByteView key, ByteView value) {
        Told& told = propose(put_of(key, value));
        wait(told);
        return told;
    }

    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n1");
    storage::WalOptions wal_options_;
    std::size_t proposal_bytes_max_ = 1U << 20U;
    std::uint64_t history_ms_ = 0;
    bool is_resident_;
    bool begins_ = true;
    PayloadArena arena_;
    SlowEngineFaults faults_;
    HybridClock clock_;
    Entries entries_;
    std::unique_ptr<storage::Wal> wal_;
    std::unique_ptr<GroupShared> shared_;
    std::unique_ptr<RaftGroup> group_;
    SlowEngine* engine_ = nullptr;
    std::deque<Told> told_;
};

class SlowReplicationGroup : public ReplicationGroup {
protected:
    SlowReplicationGroup() : ReplicationGroup(/*is_resident=*/false) {
        faults_.delay = milliseconds(5);
    }
};

// ---- durable, applied, told ----

TEST_F(ReplicationGroup, TellsAnOutcomeOnlyWhenTheLogHasTheCommandOnTheDevice) {
    open();
    Told& told = lose_power_when_told(put_of("k", "v"));

    EXPECT_TRUE(told.is_done());
    EXPECT_EQ(commands_after_power_loss().size(), 1U);
}

#ifdef KVSTORE_PLANTED_BUGS
TEST_F(ReplicationGroup, AnOutcomeToldBeforeTheLogIsDurableIsCaught) {
    const ScopedPlantedBug planted(PlantedBug::kGroupAcknowledgesBeforeDurable);
    open();
    Told& told = lose_power_when_told(put_of("k", "v"));

    EXPECT_TRUE(told.is_done());
    EXPECT_EQ(commands_after_power_loss().size(), 0U);
}
#endif

TEST_F(ReplicationGroup, TellsNothingWhileTheDeviceIsSlow) {
    machine_.disk_faults().stall_chance = 0;
    open();
    machine_.disk_faults().stall_chance = 1'000'000;
    machine_.disk_faults().stall = seconds(2);
    Told& told = propose(put_of("k", "v"));

    world_.run_for(seconds(1));
    EXPECT_FALSE(told.is_over());
    mvcc::Record record;
    EXPECT_EQ(group_->shard().find("k", 0, &record), storage::Lookup::kAbsent)
        << "what is not durable is not shown";

    wait(told);
    EXPECT_TRUE(told.is_done());
    machine_.disk_faults() = {};
}

TEST_F(ReplicationGroup, AppliesAndTellsInTheOrderOfTheProposals) {
    open();
    std::vector<int> order;
    on_core([&] {
        for (int i = 0; i < 100; ++i) {
            take(increment_of("n")).then = [&order, i] {
                order.push_back(i);
            };
        }
    });
    wait(told_.back());

    ASSERT_EQ(order.size(), 100U);
    EXPECT_TRUE(std::ranges::is_sorted(order));
    for (std::size_t i = 0; i < told_.size(); ++i) {
        EXPECT_EQ(told_[i].numbers.front(), static_cast<std::int64_t>(i + 1));
    }
}

TEST_F(SlowReplicationGroup, AppliesAndTellsInTheOrderOfTheProposals) {
    open();
    std::vector<int> order;
    for (int i = 0; i < 40; ++i) {
        on_core([&] {
            take(increment_of("n")).then = [&order, i] {
                order.push_back(i);
            };
        });
        world_.run_for(std::chrono::microseconds(700));
    }
    wait(told_.back());

    EXPECT_EQ(order.size(), 40U);
    EXPECT_TRUE(std::ranges::is_sorted(order));
    EXPECT_EQ(told_.back().numbers.front(), 40);
    EXPECT_EQ(group_->engine().statistics().blocking_read_count, 0U)
        << "records were fetched before they were needed";
}

TEST_F(ReplicationGroup, AnOutcomeMayProposeMore) {
    open();
    Told second;
    Told& first = propose(increment_of("n"));
    first.then = [&] {
        second.refusal = group_->propose(increment_of("n"), &second);
    };
    wait(second);

    EXPECT_EQ(second.numbers.front(), 2);
}

TEST_F(ReplicationGroup, WithoutALogAnOutcomeIsToldAtOnceAndMayProposeMore) {
    open(/*with_log=*/false);
    Told first;
    Told second;
    Told third;
    first.then = [&] {
        second.refusal = group_->propose(increment_of("n"), &second);
        mvcc::Command command;
        command.operations.push_back(increment_of("n"));
        third.refusal = group_->propose(command, &third);
    };
    on_core([&] { first.refusal = group_->propose(increment_of("n"), &first); });

    EXPECT_EQ(first.numbers.front(), 1);
    EXPECT_EQ(second.numbers.front(), 2);
    EXPECT_EQ(third.numbers.front(), 3);
    EXPECT_EQ(wal_->statistics().entry_count, 0U);
}

TEST_F(SlowReplicationGroup, WithoutALogWhatATurnBringsIsAppliedTogether) {
    open(/*with_log=*/false);
    const int before = faults_.waited_commit_count;
    on_core([&] {
        for (int i = 0; i < 20; ++i) {
            take(increment_of("n"));
        }
    });
    wait(told_.back());

    EXPECT_EQ(told_.back().numbers.front(), 20);
    EXPECT_EQ(faults_.waited_commit_count, before + 1);
}

// A read in an outcome, and one in the same turn, see the command in records and state alike: the
// state was once as old as the last turn's end.
TEST_F(ReplicationGroup, AViewTakenInATurnShowsStateAndRecordsOfOneMoment) {
    history_ms_ = 60'000;
    open();
    put("before", "v");
    std::vector<Revision> seen;
    std::vector<std::uint64_t> counted;
    const auto look = [&] {
        async::spawn(count_now(&machine_.env(), group_.get(), &seen, &counted));
    };
    on_core([&] {
        take(put_of("k1", "v")).then = look;
        take(put_of("k2", "v")).then = look;
    });
    wait(told_.back());

    EXPECT_EQ(seen, (std::vector<Revision>{Revision(2), Revision(3)}));
    EXPECT_EQ(counted, (std::vector<std::uint64_t>{2, 3}));
}

// ---- refusals ----

TEST_F(ReplicationGroup, RefusesMoreThanItMayHoldAndTakesMoreWhenThatIsDone) {
    proposal_bytes_max_ = 10'000;
    open();
    const Bytes value(4'000, 'x');
    on_core([&] {
        take(put_of("k1", value));
        take(put_of("k2", value));
        take(put_of("k3", value));
    });

    EXPECT_TRUE(told_[1].refusal.ok());
    EXPECT_EQ(told_[2].refusal.code(), Code::kOverloaded);
    EXPECT_EQ(told_[2].refusal.effect(), Effect::kNone);
    wait(told_[1]);
    EXPECT_EQ(shared_->proposal_bytes, 0U);
    EXPECT_TRUE(put("k3", value).is_done());
}

TEST_F(ReplicationGroup, RefusesWhileTheLogIsBackedUp) {
    wal_options_.buffer_bytes_max = 10'000;
    open();
    machine_.disk_faults().stall_chance = 1'000'000;
    machine_.disk_faults().stall = seconds(1);
    propose(put_of("k", "v"));
    propose(put_of("k", Bytes(20'000, 'x')));

    EXPECT_EQ(propose(put_of("k", "v")).refusal.code(), Code::kOverloaded);
    machine_.disk_faults() = {};
    wait(told_[1]);
    EXPECT_TRUE(put("k", "v").is_done());
}

TEST_F(ReplicationGroup, RefusesACommandLargerThanTheLogTakes) {
    proposal_bytes_max_ = 100U << 20U;
    open();

    EXPECT_EQ(propose(put_of("k", Bytes(31U << 20U, 'x'))).refusal.code(), Code::kTooLarge);
    EXPECT_TRUE(put("k", "v").is_done()) << "and goes on";
}

TEST_F(ReplicationGroup, AfterAFailedWriteItSaysWhatItCannotKnowAndRefusesTheRest) {
    open();
    put("before", "v");
    machine_.disk_faults().on(sim::DiskCall::kWrite).nth = 1;
    on_core([&] {
        take(put_of("k1", "v"));
        take(put_of("k2", "v"));
    });
    Told& struck = told_[1];
    Told& struck_too = told_[2];
    wait(struck_too);

    EXPECT_EQ(struck.failure.code(), Code::kIoError);
    EXPECT_EQ(struck.failure.effect(), Effect::kUnknown);
    EXPECT_EQ(struck_too.failure.effect(), Effect::kUnknown);
    Told& later = put("later", "v");
    EXPECT_EQ(later.refusal.code(), Code::kIoError);
    EXPECT_EQ(later.refusal.effect(), Effect::kNone);
    EXPECT_TRUE(group_->can_read_now());
    EXPECT_EQ(shared_->proposal_bytes, 0U);
}

// What the log had on the device before it failed is still applied and told as done.
TEST_F(SlowReplicationGroup, WhatWasDurableBeforeTheLogFailedIsTold) {
    faults_.delay = seconds(1);
    open();
    Told& durable = propose(put_of("k1", "v"));
    world_.run_for(milliseconds(500));
    machine_.disk_faults().on(sim::DiskCall::kWrite).nth = 1;
    Told& lost = propose(put_of("k2", "v"));
    wait(lost);
    wait(durable);

    EXPECT_TRUE(durable.is_done());
    EXPECT_EQ(lost.failure.effect(), Effect::kUnknown);
}

// ---- the engine ----

TEST_F(ReplicationGroup, AppliesNothingWhileItsEngineCommits) {
    open();
    world_.run_for(milliseconds(10));
    const int before = faults_.waited_commit_count;
    faults_.refuses_commit = true;
    faults_.delay = milliseconds(50);
    put("k1", "v");
    world_.run_for(milliseconds(10));
    ASSERT_EQ(faults_.waited_commit_count, before + 1);
    Told& meanwhile = propose(put_of("k2", "v"));
    world_.run_for(milliseconds(20));
    EXPECT_FALSE(meanwhile.is_over());

    wait(meanwhile);

    EXPECT_TRUE(meanwhile.is_done());
    faults_.refuses_commit = false;
}

TEST_F(SlowReplicationGroup, AnEngineThatCannotReadQuarantinesTheReplica) {
    open();
    faults_.prefetch = Status(Code::kCorruption, "000012.sst: checksum");
    Told& struck = put("k", "v");

    EXPECT_EQ(struck.failure.code(), Code::kCorruption);
    EXPECT_EQ(struck.failure.effect(), Effect::kUnknown);
    EXPECT_FALSE(group_->can_read_now());
    EXPECT_EQ(run(group_->read_barrier(async::Deadline::never())).code(), Code::kCorruption);
    EXPECT_EQ(run(group_->persist()).code(), Code::kCorruption);
    Told& later = put("k", "v");
    EXPECT_EQ(later.refusal.code(), Code::kCorruption);
    EXPECT_EQ(later.refusal.effect(), Effect::kNone);
}

TEST_F(ReplicationGroup, AnEngineThatCannotCommitQuarantinesTheReplica) {
    open();
    faults_.commit = Status(Code::kIoError, "no more");
    Told& told = put("k", "v");
    world_.run_for(milliseconds(1));

    EXPECT_TRUE(told.is_done()) << "the log has it";
    EXPECT_EQ(group_->health().code(), Code::kIoError);
    EXPECT_FALSE(group_->can_read_now());
    EXPECT_EQ(put("k", "v").refusal.effect(), Effect::kNone);
}

TEST_F(ReplicationGroup, APersistThatCannotCommitQuarantinesTheReplica) {
    open();
    faults_.commit = Status(Code::kIoError, "no more");
    Status persisted;
    Told told;
    told.then = [&] {
    };
    run([](RaftGroup* group, Told* outcome, Status* status) -> async::Task<bool> {
        outcome->refusal = group->propose(put_of("k", "v"), outcome);
        while (!outcome->is_over()) {
            co_await async::yield(*async::Scheduler::current());
        }
        *status = co_await group->persist();
        co_return true;
    }(group_.get(), &told, &persisted));

    EXPECT_EQ(group_->health().code(), Code::kIoError);
    EXPECT_EQ(faults_.persist_count, 0) << "rows would stand under an index that does not fit";
}

TEST_F(ReplicationGroup, ASweepThatMeetsDamageQuarantinesTheReplicaAtOnce) {
    history_ms_ = 60'000;
    open();
    put("k", "v1");
    put("k", "v2");
    mvcc::Operation compact;
    compact.kind = mvcc::OperationKind::kCompact;
    compact.delta = 2;
    wait(propose(compact));
    auto& rows = engine_->rows().rows(storage::Table::kLog);
    ASSERT_FALSE(rows.empty());
    rows.begin()->second = "rubbish";
    Status swept;
    on_core([&] { swept = group_->sweep(10); });

    EXPECT_EQ(swept.code(), Code::kCorruption);
    EXPECT_FALSE(group_->can_read_now());
    Told& later = put("k", "v3");
    EXPECT_EQ(later.refusal.code(), Code::kCorruption);
    EXPECT_EQ(later.refusal.effect(), Effect::kNone) << "it was never put into the log";
}

TEST_F(ReplicationGroup, TheFirstReasonOfItsEndStays) {
    open();
    faults_.commit = Status(Code::kCorruption, "first");
    put("k", "v");
    world_.run_for(milliseconds(1));
    group_->refuse_proposals();
    // A log that fails later does not hide it.
    machine_.disk_faults().on(sim::DiskCall::kWrite).chance = 1'000'000;
    world_.run_for(seconds(1));

    EXPECT_EQ(group_->health().code(), Code::kCorruption);
    machine_.disk_faults() = {};
}

// The engine, not the log, finds the disk full for a while.
TEST_F(SlowReplicationGroup, WaitsForSpaceInsteadOfGivingTheShardUp) {
    open();
    faults_.commit = Status(Code::kDiskFull, "no space");
    put("during", "1");
    world_.run_for(seconds(1));

    EXPECT_TRUE(group_->health().ok()) << group_->health().to_string();
    const Told& refused = propose(put_of("k", "v"));
    EXPECT_EQ(refused.refusal.code(), Code::kDiskFull);
    EXPECT_EQ(refused.refusal.effect(), Effect::kNone);

    faults_.commit = Status();
    world_.run_for(seconds(1));
    EXPECT_TRUE(put("after", "2").is_done());
    EXPECT_TRUE(stop().ok());
}

TEST_F(SlowReplicationGroup, StopsWhileItWaitsForSpace) {
    open();
    faults_.commit = Status(Code::kDiskFull, "no space");
    put("during", "2");
    world_.run_for(seconds(1));

    EXPECT_TRUE(stop().ok());
}

TEST_F(ReplicationGroup, ReleasesTheLogOnlyUpToWhatItsEngineMadeDurable) {
    open();
    for (int i = 0; i < 30; ++i) {
        put("k", Bytes(30'000, 'x'));
    }
    on_core([&] { group_->release_log(); });
    world_.run_for(seconds(1));
    const std::uint64_t kept = wal_->statistics().segment_count;
    EXPECT_GT(kept, 5U);

    faults_.persist = Status(Code::kDiskFull, "no space");
    EXPECT_EQ(run(group_->persist()).code(), Code::kDiskFull);
    world_.run_for(seconds(1));
    EXPECT_EQ(wal_->statistics().segment_count, kept);

    faults_.persist = Status();
    EXPECT_TRUE(run(group_->persist()).ok());
    world_.run_for(seconds(1));
    EXPECT_LE(wal_->statistics().segment_count, 2U);
}

// ---- replay ----

Bytes encoded_increment(std::uint64_t stamp_ms) {
    Bytes encoded;
    mvcc::encode_command(Version(stamp_ms, 0), increment_of("n"), encoded);
    return encoded;
}

TEST_F(ReplicationGroup, ReplayPassesOverWhatTheEngineHoldsAndNamesWhatIsMissing) {
    begins_ = false;
    open();
    EXPECT_TRUE(replay(1, encoded_increment(900)).ok()) << "the engine holds it";
    EXPECT_TRUE(replay(2, encoded_increment(1'000)).ok());
    EXPECT_TRUE(replay(2, encoded_increment(1'000)).ok());
    const Status missing = replay(4, encoded_increment(1'002));
    EXPECT_EQ(missing.code(), Code::kCorruption);
    EXPECT_THAT(missing.to_string(), HasSubstr("shard 7"));
    EXPECT_THAT(missing.to_string(), HasSubstr("continues at index 4"));
    ASSERT_TRUE(run(group_->begin()).ok());
    ASSERT_TRUE(run(group_->wait_caught_up()).ok());
    EXPECT_EQ(put("k", "v").command->revision, Revision(2)) << "one increment, once";
}

TEST_F(ReplicationGroup, ReplayFindsADamagedEntryAndACommandThatIsNone) {
    begins_ = false;
    open();
    const Status damaged = group_->replay_entry(
        {.group = kGroup, .term = Term(1), .index = Index(2), .data = "rubbish"});
    EXPECT_EQ(damaged.code(), Code::kCorruption);
    EXPECT_THAT(damaged.to_string(), HasSubstr("shard 7: the entry at index 2"));
    EXPECT_TRUE(replay(2, "no command").ok()) << "whole, as far as the log can tell";
    const Status unreadable = run(group_->begin());
    EXPECT_EQ(unreadable.code(), Code::kCorruption);
    EXPECT_THAT(unreadable.to_string(), HasSubstr("shard 7: index 2"));
}

TEST_F(ReplicationGroup, ReplayOfMoreThanABatchGoesOnWhileTheEngineIsBehind) {
    begins_ = false;
    open();
    shared_->log_bytes_max = 1'000;
    faults_.refuses_commit = true;
    for (std::uint64_t i = 2; i <= 1'501; ++i) {
        ASSERT_TRUE(replay(i, encoded_increment(1'000 + i)).ok());
    }
    EXPECT_GT(group_->shard().applied_index(), Index(1'400)) << "it does not wait in memory";
    ASSERT_TRUE(run(group_->begin()).ok());

    EXPECT_EQ(engine_->applied_index(), Index(1'501));
    EXPECT_EQ(group_->last_index(), Index(1'501));
    EXPECT_GE(clock_.last(), Version(2'501, 0)) << "stamps go on rising";
    faults_.refuses_commit = false;
    ASSERT_TRUE(run(group_->wait_caught_up()).ok());
}

// ---- the end ----

TEST_F(SlowReplicationGroup, StopsWhenEverythingThatItTookIsToldAndRefusesTheRest) {
    open();
    on_core([&] {
        for (int i = 0; i < 10; ++i) {
            take(increment_of("n"));
        }
    });
    on_core([&] { group_->refuse_proposals(); });
    EXPECT_EQ(propose(increment_of("n")).refusal.code(), Code::kUnavailable);
    ASSERT_TRUE(run(group_->stop()).ok());

    for (std::size_t i = 0; i < 10; ++i) {
        EXPECT_TRUE(told_[i].is_done());
    }
    (void)run(wal_->stop());
    group_.reset();
    wal_.reset();
}

// The batch of the turn is committed before the engine closes; its turn's end comes after.
TEST_F(ReplicationGroup, AStopInTheTurnOfACommandCommitsItBeforeTheEngineCloses) {
    open(/*with_log=*/false);
    Told told;
    Index committed;
    run([](RaftGroup* group, Told* outcome, Index* applied) -> async::Task<bool> {
        outcome->refusal = group->propose(put_of("k", "v"), outcome);
        (void)co_await group->stop();
        *applied = group->engine().applied_index();
        co_return true;
    }(group_.get(), &told, &committed));
    world_.run_for(milliseconds(10));

    EXPECT_TRUE(told.is_done());
    EXPECT_EQ(committed, Index(2));
    (void)run(wal_->stop());
    group_.reset();
    wal_.reset();
}

TEST_F(SlowReplicationGroup, AbandonedItFailsWhatIsUnderWayWithUnknownEffect) {
    open();
    faults_.delay = seconds(1);
    Told& applying = propose(put_of("k1", "v"));
    world_.run_for(milliseconds(500));
    Told& waiting = propose(put_of("k2", "v"));
    ASSERT_TRUE(run(group_->abandon()).ok());

    EXPECT_TRUE(applying.is_over());
    EXPECT_EQ(waiting.failure.code(), Code::kUnavailable);
    EXPECT_EQ(waiting.failure.effect(), Effect::kUnknown);
    EXPECT_EQ(shared_->proposal_bytes, 0U);
    (void)run(wal_->stop());
    group_.reset();
    wal_.reset();
}

TEST_F(ReplicationGroup, AClosedShardRefusesReadsOverViews) {
    open();
    ASSERT_TRUE(run(group_->stop()).ok());
    auto work = [](storage::View* /*view*/) -> Result<int> {
        return 1;
    };

    const auto read = run(read_view<int>(&machine_.env(), group_.get(), work));

    EXPECT_EQ(read.status().code(), Code::kUnavailable);
    (void)run(wal_->stop());
    group_.reset();
    wal_.reset();
}

}  // namespace
}  // namespace kvstore::replication
