#include "storage/wal/wal.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "storage/wal/testing/wal_fixture.h"

namespace kvstore::storage {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::LogModel;
using testing::RecordingClient;
using testing::WalFixture;

constexpr GroupId kOne(1);
constexpr GroupId kTwo(2);

using Indexes = std::vector<Index>;

// ---- acknowledging ----

TEST(Wal, ShowsAfterAPowerCutWhatItAcknowledged) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());

    ASSERT_TRUE(log.driver->append_next(kOne, "first").ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "second").ok());
    ASSERT_TRUE(log.driver->append_next(kTwo, "other").ok());
    log.settle();

    EXPECT_EQ(log.driver->client(kOne).durable, Indexes{Index(2)});
    EXPECT_EQ(log.driver->client(kTwo).durable, Indexes{Index(1)});
    const LogModel before = log.driver->model();
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_TRUE(log.recovered == before) << to_string(log.recovered);
}

TEST(Wal, WritesOneRecordForEverythingOfATurn) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    const std::uint64_t before = log.wal->statistics().record_count;
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(
            log.driver->append_next(GroupId(1 + static_cast<std::uint64_t>(i) % 5), "x").ok());
    }
    log.settle();
    EXPECT_EQ(log.wal->statistics().record_count, before + 1);
    EXPECT_EQ(log.wal->statistics().entry_count, 100U);
}

TEST(Wal, GathersWhatArrivesWhileARecordIsOnItsWay) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    const std::uint64_t before = log.wal->statistics().record_count;
    ASSERT_TRUE(log.driver->append_next(kOne, "first").ok());
    // The write takes at least 105 microseconds.
    log.world.run_for(microseconds(50));
    EXPECT_TRUE(log.driver->client(kOne).durable.empty());
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, "later").ok());
        log.world.run_for(microseconds(5));
    }
    log.settle();
    EXPECT_EQ(log.wal->statistics().record_count, before + 2);
    EXPECT_EQ(log.driver->client(kOne).durable, (Indexes{Index(1), Index(11)}));
}

TEST(Wal, NeverCallsAClientFromWithinAppend) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    EXPECT_TRUE(log.driver->client(kOne).durable.empty());
}

TEST(Wal, TellsOfAStateWithTheLastIndex) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    const LogState vote{.group = kOne, .term = Term(4), .vote = NodeId(2), .commit = Index()};
    ASSERT_TRUE(log.driver->append_state(vote).ok());
    log.settle();
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    log.settle();
    ASSERT_TRUE(log.driver->append_state(vote).ok());
    log.settle();
    EXPECT_EQ(log.driver->client(kOne).durable, (Indexes{Index(0), Index(1), Index(1)}));
}

TEST(Wal, ATurnThatIsTooLargeBecomesSeveralRecords) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    const std::uint64_t before = log.wal->statistics().record_count;
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, Bytes((16U << 20U) + 1000, 'v')).ok());
    }
    EXPECT_TRUE(log.wal->is_backed_up());
    log.world.run_for(seconds(1));
    EXPECT_FALSE(log.wal->is_backed_up());
    EXPECT_GE(log.wal->statistics().record_count, before + 4);
    EXPECT_EQ(log.driver->acknowledged_count(), 4U);
    const LogModel all = log.driver->model();
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_TRUE(log.recovered == all);
}

TEST(Wal, RefusesAnEntryThatFitsIntoNoRecord) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.driver->append_next(kOne, Bytes(32U << 20U, 'v')).code(), Code::kTooLarge);
    ASSERT_TRUE(log.driver->append_next(kOne, "small").ok());
}

TEST(Wal, RefusesAppendsFarBeyondItsBuffer) {
    WalFixture log;
    log.options.buffer_bytes_max = 1U << 20U;
    ASSERT_TRUE(log.open().ok());
    log.host.disk_faults().slowness = 1'000'000;
    Status appended;
    int count = 0;
    for (; count < 10 && appended.ok(); ++count) {
        appended = log.driver->append_next(kOne, Bytes(1U << 20U, 'v'));
    }
    EXPECT_EQ(appended.code(), Code::kUnavailable);
    EXPECT_EQ(count, 5);
    log.host.disk_faults().slowness = 1;
}

// ---- items ----

TEST(Wal, ALaterEntryReplacesTheOnesFromItsIndexOn) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, "old").ok());
    }
    log.settle();
    ASSERT_TRUE(log.driver->append(kOne, Index(3), Term(2), "new").ok());
    log.settle();
    EXPECT_EQ(log.driver->client(kOne).durable, (Indexes{Index(5), Index(3)}));
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kOne].last, Index(3));
    EXPECT_EQ(log.recovered.groups[kOne].entries[Index(3)].data, "new");
}

TEST(Wal, ADroppedGroupIsForgottenAndToldNothing) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    log.settle();
    RecordingClient& dropped = log.driver->client(kOne);
    ASSERT_TRUE(log.driver->append_next(kOne, "y").ok());
    ASSERT_TRUE(log.driver->drop(kOne).ok());
    // A group of the same name begins at once, with another client.
    ASSERT_TRUE(log.driver->append(kOne, Index(1), Term(9), "again").ok());
    log.settle();

    EXPECT_EQ(dropped.durable, Indexes{Index(1)});
    EXPECT_EQ(log.driver->client(kOne).durable, Indexes{Index(1)});
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kOne].entries.size(), 1U);
    EXPECT_EQ(log.recovered.groups[kOne].entries[Index(1)].term, Term(9));
}

TEST(Wal, AStartIsShownWhereItWasWritten) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_start(kOne, Term(7), Index(100)).ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    log.settle();
    log.crash();
    ASSERT_TRUE(log.open().ok());
    const auto& group = log.recovered.groups[kOne];
    EXPECT_EQ(group.start, std::make_pair(Term(7), Index(100)));
    EXPECT_EQ(group.entries.begin()->first, Index(101));
}

// ---- segments ----

TEST(Wal, RecyclesSegmentsThatNobodyNeeds) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    for (int i = 0; i < 200; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, Bytes(5000, 'x')).ok());
        log.world.run_for(milliseconds(5));
        log.driver->release(kOne, Index(static_cast<std::uint64_t>(i)));
    }
    // 200 records of two sectors in segments of 16 sectors.
    EXPECT_LE(log.wal->statistics().segment_count, 4U);
    EXPECT_LE(log.files().size(), 5U);
    EXPECT_EQ(log.files().back().substr(0, 4), "wal-");
    const LogModel all = log.driver->model();
    const auto released = log.driver->released;
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_TRUE(log.recovered.without_released(released) == all.without_released(released));
    EXPECT_GT(log.recovered.groups[kOne].entries.begin()->first, Index(150));
}

TEST(Wal, KeepsNoMoreFreeSegmentsThanItMay) {
    WalFixture log;
    log.options.recycled_segments_max = 1;
    ASSERT_TRUE(log.open().ok());
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, Bytes(5000, 'x')).ok());
        log.world.run_for(milliseconds(5));
    }
    EXPECT_GE(log.files().size(), 10U);
    log.driver->release(kOne, Index(100));
    log.world.run_for(seconds(1));
    EXPECT_LE(log.files().size(), 3U);
}

TEST(Wal, ASegmentStaysWhileOneGroupNeedsIt) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kTwo, "needed").ok());
    for (int i = 0; i < 60; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, Bytes(5000, 'x')).ok());
        log.world.run_for(milliseconds(5));
        log.driver->release(kOne, log.driver->last(kOne));
    }
    EXPECT_GE(log.wal->statistics().segment_count, 6U);
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kTwo].entries[Index(1)].data, "needed");

    log.driver->release(kOne, log.driver->last(kOne));
    ASSERT_TRUE(log.driver->drop(kTwo).ok());
    log.world.run_for(seconds(1));
    // The one being written, the one before it (its tail was copied), and the next.
    EXPECT_LE(log.wal->statistics().segment_count, 3U);
}

TEST(Wal, StatesOutliveTheSegmentsThatHeldThem) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(
        log.driver
            ->append_state({.group = kTwo, .term = Term(42), .vote = NodeId(3), .commit = Index(1)})
            .ok());
    ASSERT_TRUE(log.driver->append_start(kTwo, Term(41), Index(17)).ok());
    for (int i = 0; i < 60; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, Bytes(5000, 'x')).ok());
        log.world.run_for(milliseconds(5));
        log.driver->release(kOne, log.driver->last(kOne));
    }
    EXPECT_NE(log.files().front(), "wal-0000000000000001");
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kTwo].vote, std::make_pair(Term(42), NodeId(3)));
    EXPECT_EQ(log.recovered.groups[kTwo].start, std::make_pair(Term(41), Index(17)));
    // Its log goes on behind the start.
    ASSERT_TRUE(log.driver->append_next(kTwo, "x").ok());
    log.settle();
    EXPECT_EQ(log.driver->client(kTwo).durable, Indexes{Index(18)});
}

// Begins a log whose second segment begins with copies of what kTwo appended last; at intervals
// with that of a mark before it.
void begin_with_copies(WalFixture& log, Durability durability) {
    log.options.durability = durability;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_start(kTwo, Term(41), Index(17)).ok());
    ASSERT_TRUE(log.driver
                    ->append_state(
                        {.group = kTwo, .term = Term(42), .vote = NodeId(3), .commit = Index(17)})
                    .ok());
    ASSERT_TRUE(log.driver->append_next(kTwo, "first").ok());
    // Long enough for a sync, and for the mark that tells of it.
    log.world.run_for(seconds(3));
    ASSERT_TRUE(log.driver->append_next(kTwo, "second").ok());
    log.world.run_for(milliseconds(50));
    log.crash(sim::CrashKind::kKill);
    log.options.durability = Durability::kAlways;
    ASSERT_TRUE(log.open().ok());
}

// Several segments go at once when only the last of them is followed by a checkpoint.
TEST(Wal, ACrashWhileTheLogIsShortenedLeavesNothingInTheWay) {
    for (const Durability durability : {Durability::kAlways, Durability::kInterval}) {
        for (std::uint64_t change = 1; change <= 12; ++change) {
            WalFixture log;
            begin_with_copies(log, durability);
            log.crash(sim::CrashKind::kKill);
            ASSERT_TRUE(log.open().ok());
            for (int i = 0; i < 20; ++i) {
                ASSERT_TRUE(log.driver->append_next(kOne, Bytes(5000, 'x')).ok());
                log.world.run_for(milliseconds(5));
                log.driver->release(kOne, log.driver->last(kOne));
            }
            ASSERT_EQ(log.files().front(), "wal-0000000000000001");
            log.driver->release(kTwo, log.driver->last(kTwo));
            log.host.crash_at_change(change);
            static_cast<void>(log.driver->append_next(kOne, Bytes(5000, 'x')));
            log.world.run_for(milliseconds(50));
            log.host.crash_at_change(0);
            log.crash();
            const Status opened = log.open();
            ASSERT_TRUE(opened.ok()) << change << ": " << opened.to_string();
            EXPECT_EQ(log.recovered.groups[kTwo].vote, std::make_pair(Term(42), NodeId(3)));
            EXPECT_GE(log.recovered.groups[kOne].last, Index(20));
        }
    }
}

TEST(Wal, OpensALogWrittenWithAnotherDurability) {
    WalFixture log;
    for (int round = 0; round < 4; ++round) {
        log.options.durability = round % 2 == 0 ? Durability::kInterval : Durability::kAlways;
        ASSERT_TRUE(log.open().ok());
        EXPECT_EQ(log.recovered.groups[kOne].entries.size(), static_cast<std::size_t>(round) * 30);
        for (int i = 0; i < 30; ++i) {
            ASSERT_TRUE(log.driver->append_next(kOne, Bytes(700, 'x')).ok());
            log.world.run_for(milliseconds(1));
        }
        log.settle();
        log.crash(sim::CrashKind::kKill);
    }
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.verify().value().entry_count, 120U);
}

// ---- durability = interval ----

TEST(Wal, AtIntervalsAnswersBeforeTheSyncAndSyncsInTime) {
    WalFixture log;
    log.options.durability = Durability::kInterval;
    ASSERT_TRUE(log.open().ok());
    const std::uint64_t syncs = log.host.disk_calls(sim::DiskCall::kSync);
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    log.world.run_for(milliseconds(900));
    EXPECT_EQ(log.driver->client(kOne).durable, Indexes{Index(1)});
    EXPECT_EQ(log.host.disk_calls(sim::DiskCall::kSync), syncs);
    log.world.run_for(milliseconds(200));
    EXPECT_EQ(log.host.disk_calls(sim::DiskCall::kSync), syncs + 1);
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kOne].last, Index(1));
}

TEST(Wal, ALongUnsyncedTailOutlivesAKillAndThenAPowerCut) {
    WalFixture log;
    log.options.durability = Durability::kInterval;
    log.options.sync_interval = seconds(100);
    ASSERT_TRUE(log.open().ok());
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, Bytes(i == 500 ? 3'000'000 : 100, 'x')).ok());
        log.world.run_for(microseconds(200));
    }
    log.settle();
    const LogModel all = log.driver->model();
    log.crash(sim::CrashKind::kKill);
    ASSERT_TRUE(log.open().ok());
    EXPECT_TRUE(log.recovered == all);
    log.crash(sim::CrashKind::kPowerLoss);
    ASSERT_TRUE(log.open().ok());
    EXPECT_TRUE(log.recovered == all);
}

TEST(Wal, AQuietLogAtIntervalsStopsSyncing) {
    WalFixture log;
    log.options.durability = Durability::kInterval;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    log.world.run_for(seconds(5));
    const std::uint64_t changes = log.host.disk_changes();
    log.world.run_for(seconds(60));
    EXPECT_EQ(log.host.disk_changes(), changes);
}

TEST(Wal, AQuietLogWritesOneMarkAndNoMore) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    log.settle();
    const std::uint64_t records = log.wal->statistics().record_count;
    log.world.run_for(seconds(60));
    EXPECT_EQ(log.wal->statistics().record_count, records + 1);
}

// ---- failures ----

TEST(Wal, AFailedWriteIsToldToEveryGroupOnceAndEndsTheLog) {
    for (const sim::DiskCall call : {sim::DiskCall::kWrite, sim::DiskCall::kSync}) {
        WalFixture log;
        ASSERT_TRUE(log.open().ok());
        ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
        ASSERT_TRUE(log.driver->append_next(kTwo, "x").ok());
        log.settle();
        log.host.disk_faults().on(call).nth = 1;
        ASSERT_TRUE(log.driver->append_next(kOne, "y").ok());
        log.world.run_for(microseconds(20));
        ASSERT_TRUE(log.driver->append_next(kOne, "gathered meanwhile").ok());
        log.settle();

        for (const GroupId group : {kOne, kTwo}) {
            EXPECT_EQ(log.driver->client(group).durable, Indexes{Index(1)});
            EXPECT_EQ(log.driver->client(group).failures.size(), 1U);
            EXPECT_EQ(log.driver->client(group).failed_effect, Effect::kUnknown);
        }
        const std::uint64_t changes = log.host.disk_changes();
        const Status refused = log.driver->append_next(kTwo, "z");
        EXPECT_EQ(refused.code(), Code::kUnavailable);
        EXPECT_EQ(refused.effect(), Effect::kNone);
        EXPECT_EQ(log.wal->drop(kOne).code(), Code::kUnavailable);
        log.world.run_for(seconds(10));
        EXPECT_EQ(log.host.disk_changes(), changes) << "it wrote after a failure";
        EXPECT_EQ(log.stop().code(), Code::kIoError);
    }
}

TEST(Wal, AFailedSyncAtIntervalsEndsTheLog) {
    WalFixture log;
    log.options.durability = Durability::kInterval;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    log.settle();
    log.host.disk_faults().on(sim::DiskCall::kSync).nth = 1;
    log.world.run_for(seconds(2));
    EXPECT_EQ(log.driver->client(kOne).failures.size(), 1U);
    EXPECT_EQ(log.driver->append_next(kOne, "y").code(), Code::kUnavailable);
    EXPECT_EQ(log.stop().code(), Code::kIoError);
}

TEST(Wal, ADiskThatFailsWhileASegmentIsPreparedEndsTheLog) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    log.host.disk_faults().on(sim::DiskCall::kSyncDirectory).nth = 1;
    for (int i = 0; i < 10 && log.driver->client(kOne).failures.empty(); ++i) {
        static_cast<void>(log.driver->append_next(kOne, Bytes(5000, 'x')));
        log.settle();
    }
    EXPECT_EQ(log.driver->client(kOne).failures.size(), 1U);
    EXPECT_EQ(log.stop().code(), Code::kIoError);
}

TEST(Wal, AFullDiskRefusesAppendsInTimeAndRecoversByItself) {
    WalFixture log;
    log.options.segment_bytes = 1U << 20U;
    log.options.disk_reserve_bytes = 1U << 20U;
    log.host.disk_faults().capacity = 5U << 20U;
    ASSERT_TRUE(log.open().ok());
    Status appended;
    int count = 0;
    for (; count < 1000 && appended.ok(); ++count) {
        appended = log.driver->append_next(kOne, Bytes(20'000, 'x'));
        log.world.run_for(milliseconds(5));
    }
    EXPECT_EQ(appended.code(), Code::kDiskFull) << appended.to_string();
    EXPECT_EQ(appended.effect(), Effect::kNone);
    // The reserve is still there, and states go on.
    const auto space = log.world.block_on(log.host, log.host.env().disk.space());
    EXPECT_GE(space.value().available, log.options.disk_reserve_bytes);
    const LogState state{.group = kOne, .term = Term(2), .vote = NodeId(1), .commit = Index(1)};
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(log.driver->append_state(state).ok());
        log.world.run_for(milliseconds(5));
    }
    EXPECT_TRUE(log.driver->client(kOne).failures.empty());
    EXPECT_EQ(log.driver->acknowledged_count(), log.driver->step_count());

    // What is not needed any more makes room at once.
    log.driver->release(kOne, log.driver->last(kOne));
    log.world.run_for(milliseconds(500));
    EXPECT_TRUE(log.driver->append_next(kOne, Bytes(20'000, 'x')).ok());
    log.settle();
    EXPECT_EQ(log.driver->acknowledged_count(), log.driver->step_count());
}

TEST(Wal, AFullDiskThatGetsSpaceIsUsedAgainWithoutARestart) {
    WalFixture log;
    log.options.segment_bytes = 1U << 20U;
    log.options.disk_reserve_bytes = 1U << 20U;
    log.host.disk_faults().capacity = 4U << 20U;
    ASSERT_TRUE(log.open().ok());
    Status appended;
    for (int i = 0; i < 1000 && appended.ok(); ++i) {
        appended = log.driver->append_next(kOne, Bytes(20'000, 'x'));
        log.world.run_for(milliseconds(5));
    }
    ASSERT_EQ(appended.code(), Code::kDiskFull);
    log.host.disk_faults().capacity = 40U << 20U;
    log.world.run_for(seconds(3));
    EXPECT_TRUE(log.driver->append_next(kOne, Bytes(20'000, 'x')).ok());
}

TEST(Wal, OpensOnAFullDisk) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    ASSERT_TRUE(log.stop().ok());
    log.options.disk_reserve_bytes = 1ULL << 40U;
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kOne].last, Index(1));
}

// ---- opening and stopping ----

TEST(Wal, AVisitorEndsRecoveryWithItsError) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
    ASSERT_TRUE(log.stop().ok());
    class Refuses : public LogModel {
        Status on_entry(const LogEntry&) override { return {Code::kConflict, "not this one"}; }
    } visitor;
    const auto opened = log.world.block_on(
        log.host,
        Wal::open(&log.host.env(), std::string(WalFixture::kDirectory), log.options, &visitor));
    EXPECT_EQ(opened.status().message(), "not this one");
}

TEST(Wal, PassesOnWhatTheDiskSays) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.stop().ok());
    log.host.disk_faults().on(sim::DiskCall::kRead).nth = 1;
    EXPECT_EQ(log.open().code(), Code::kIoError);
    // A write that fails while the log is opened.
    log.host.disk_faults().on(sim::DiskCall::kWrite).nth = 2;
    EXPECT_EQ(log.open().code(), Code::kIoError);
    EXPECT_TRUE(log.open().ok());
}

TEST(Wal, StopWritesWhatWasGathered) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, Bytes(20U << 20U, 'v')).ok());
    }
    ASSERT_TRUE(log.stop().ok());
    EXPECT_EQ(log.driver->acknowledged_count(), 3U);
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kOne].last, Index(3));
}

TEST(Wal, RefusesAppendsOnceItIsStopping) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    log.host.spawn([](Wal* wal) -> async::Task<void> {
        static_cast<void>(co_await wal->stop());
    }(log.wal.get()));
    log.settle();
    const Status refused = log.driver->append_next(kOne, "x");
    EXPECT_EQ(refused.code(), Code::kUnavailable);
    EXPECT_EQ(refused.effect(), Effect::kNone);
    log.wal.reset();
}

TEST(Wal, VerifyCountsAndChangesNothing) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    for (int i = 0; i < 40; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, Bytes(5000, 'x')).ok());
        log.world.run_for(milliseconds(5));
    }
    ASSERT_TRUE(log.stop().ok());
    const std::uint64_t changes = log.host.disk_changes();
    const WalReport report = log.verify().value();
    EXPECT_EQ(report.entry_count, 40U);
    EXPECT_GE(report.segment_count, 5U);
    EXPECT_GE(report.record_count, 40U + report.segment_count);
    EXPECT_EQ(report.torn_bytes, 0U);
    EXPECT_EQ(log.host.disk_changes(), changes);
}

TEST(Wal, AnIdleLogKeepsToOneSmallFile) {
    WalFixture log;
    log.options.segment_bytes = 64U << 20U;
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(log.open().ok());
        ASSERT_TRUE(log.driver->append_next(kOne, "x").ok());
        log.settle();
        log.driver->release(kOne, log.driver->last(kOne));
        ASSERT_TRUE(log.stop().ok());
    }
    EXPECT_LE(log.files().size(), 6U);
    const auto space = log.world.block_on(log.host, log.host.env().disk.space());
    EXPECT_LE(space.value().total - space.value().available, 6U << 20U);
}

}  // namespace
}  // namespace kvstore::storage
