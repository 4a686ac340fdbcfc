// A disk that fills up under a log that is already at work: what is under way waits, what comes is
// refused, nothing is lost, and there is no restart when there is room again.
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "storage/wal/segment.h"
#include "storage/wal/testing/wal_fixture.h"

namespace kvstore::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::WalFixture;

const GroupId kOne(1);
constexpr std::uint64_t kSegment = 64U << 10U;

class WalFullDisk : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(log_.open().ok()); }

    std::uint64_t available() {
        return log_.world.block_on(log_.host, log_.host.env().disk.space()).value().available;
    }
    // Leaves so many bytes free.
    void leave(std::uint64_t bytes) {
        sim::DiskFaults& faults = log_.host.disk_faults();
        faults = sim::DiskFaults();
        constexpr std::uint64_t kLarge = 1ULL << 40U;
        faults.capacity = kLarge - available() + bytes;
    }
    void make_room() { log_.host.disk_faults() = sim::DiskFaults(); }
    Status append(std::size_t size) { return log_.driver->append_next(kOne, Bytes(size, 'x')); }
    // Everything that a turn appends becomes one record; larger than what the segment has left.
    void append_more_than_there_is_room_for() {
        for (int i = 0; i < 30; ++i) {
            ASSERT_TRUE(append(50'000).ok());
        }
    }
    Status append_state(std::uint64_t term) {
        return log_.driver->append_state(
            {.group = kOne, .term = Term(term), .vote = NodeId(1), .commit = Index(1)});
    }
    // To its last byte, while there is no room for another.
    void fill_segment() {
        leave(0);
        while (append(20'000).ok()) {
            log_.world.run_for(milliseconds(5));
        }
        while (kSegmentHeaderSize + log_.wal->statistics().bytes_written < kSegment) {
            ASSERT_TRUE(append_state(7).ok());
            log_.world.run_for(milliseconds(5));
            ASSERT_FALSE(log_.wal->is_stalled());
        }
        ASSERT_TRUE(has_written_all());
    }
    [[nodiscard]] bool has_written_all() const {
        return log_.wal->durable_write() + 1 == log_.wal->gathering_write();
    }
    [[nodiscard]] bool has_failed() { return !log_.driver->client(kOne).failures.empty(); }
    void expect_recovered(std::size_t count_min) {
        const auto before = std::move(log_.driver);
        log_.crash();
        ASSERT_TRUE(log_.open().ok());
        EXPECT_TRUE(before->allows(log_.recovered, count_min)) << to_string(log_.recovered);
    }

    WalFixture log_;
};

TEST_F(WalFullDisk, ARecordThatFindsNoRoomWaitsAndIsWrittenWhenThereIs) {
    ASSERT_TRUE(append(10).ok());
    log_.settle();
    leave(0);
    append_more_than_there_is_room_for();
    log_.settle();

    EXPECT_FALSE(has_failed());
    EXPECT_EQ(log_.driver->acknowledged_count(), 1U);
    const Status refused = append(10);
    EXPECT_EQ(refused.code(), Code::kDiskFull);
    EXPECT_EQ(refused.effect(), Effect::kNone);
    log_.world.run_for(seconds(30));
    EXPECT_EQ(log_.wal->check_append(1, 0).code(), Code::kDiskFull);

    make_room();
    log_.world.run_for(seconds(3));
    EXPECT_TRUE(has_written_all());
    EXPECT_TRUE(append(10).ok());
    log_.settle();
    EXPECT_FALSE(has_failed());
    expect_recovered(log_.driver->step_count());
}

TEST_F(WalFullDisk, NothingOfARecordIsWrittenBeforeThereIsRoomForAllOfIt) {
    ASSERT_TRUE(append(10).ok());
    log_.world.run_for(milliseconds(300));  // with the mark of a quiet log
    leave(300'000);                         // some of what the record needs
    append_more_than_there_is_room_for();
    log_.world.run_for(seconds(5));
    EXPECT_LT(available(), env::kSectorSize);

    const auto report = log_.verify();
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->entry_count, 1U);
    EXPECT_EQ(report->torn_bytes, 0U);
    make_room();
    log_.world.run_for(seconds(3));
    EXPECT_TRUE(has_written_all());
    expect_recovered(log_.driver->step_count());
}

TEST_F(WalFullDisk, APowerCutOnAFullDiskLosesOnlyWhatNobodyWasToldOf) {
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(append(10'000).ok());
        log_.settle();
    }
    leave(100'000);
    append_more_than_there_is_room_for();
    log_.world.run_for(seconds(2));
    ASSERT_EQ(log_.driver->acknowledged_count(), 10U);
    make_room();
    expect_recovered(10);
}

// A vote has to go into the log, and a group that finds no leader asks for many.
TEST_F(WalFullDisk, MoreStatesThanTheSegmentHasRoomForWait) {
    ASSERT_TRUE(append(10).ok());
    log_.settle();
    leave(0);
    Status appended;
    for (int i = 0; i < 100 && appended.ok(); ++i) {
        appended = append(20'000);
        log_.world.run_for(milliseconds(5));
    }
    ASSERT_EQ(appended.code(), Code::kDiskFull);
    for (std::uint64_t term = 2; term < 100; ++term) {
        ASSERT_TRUE(append_state(term).ok());
        log_.world.run_for(milliseconds(5));
    }
    EXPECT_FALSE(has_written_all());
    EXPECT_FALSE(has_failed());
    EXPECT_TRUE(log_.wal->is_stalled());

    make_room();
    log_.world.run_for(seconds(3));
    EXPECT_FALSE(log_.wal->is_stalled());
    EXPECT_TRUE(has_written_all());
    expect_recovered(log_.driver->step_count());
}

TEST_F(WalFullDisk, AQuietLogIsMarkedWhenThereIsRoom) {
    fill_segment();
    const std::uint64_t unmarked = log_.wal->statistics().record_count;
    log_.world.run_for(seconds(5));
    EXPECT_FALSE(has_failed());
    EXPECT_EQ(log_.wal->statistics().record_count, unmarked);

    make_room();
    log_.world.run_for(seconds(3));
    EXPECT_EQ(log_.wal->statistics().record_count, unmarked + 1);
    EXPECT_TRUE(append(10).ok());
}

TEST_F(WalFullDisk, AStopWithoutRoomForTheMarkIsAStop) {
    fill_segment();
    EXPECT_TRUE(log_.stop().ok());
    const auto before = std::move(log_.driver);
    make_room();
    ASSERT_TRUE(log_.open().ok());
    EXPECT_TRUE(before->allows(log_.recovered, before->step_count()));
}

TEST_F(WalFullDisk, WhatIsRecycledMakesRoomForWhatWaits) {
    while (log_.wal->statistics().segment_count < 4) {
        ASSERT_TRUE(append(20'000).ok());
        log_.world.run_for(milliseconds(5));
    }
    leave(0);
    Status appended;
    while (appended.ok()) {
        appended = append(20'000);
        log_.world.run_for(milliseconds(5));
    }
    ASSERT_EQ(appended.code(), Code::kDiskFull);
    while (!log_.wal->is_stalled()) {
        ASSERT_TRUE(append_state(7).ok());
        log_.world.run_for(milliseconds(5));
    }
    log_.driver->release(kOne, log_.driver->last(kOne));
    log_.world.run_for(milliseconds(900));
    EXPECT_TRUE(has_written_all());
    EXPECT_TRUE(append(20'000).ok());
}

TEST_F(WalFullDisk, StopGivesUpWhatWaitsAndSaysSo) {
    ASSERT_TRUE(append(10).ok());
    log_.settle();
    leave(0);
    append_more_than_there_is_room_for();
    log_.world.run_for(seconds(1));
    const std::size_t acknowledged = log_.driver->acknowledged_count();
    EXPECT_EQ(log_.stop().code(), Code::kDiskFull);
    EXPECT_EQ(log_.driver->client(kOne).failed_effect, Effect::kUnknown);

    make_room();
    const auto before = std::move(log_.driver);
    ASSERT_TRUE(log_.open().ok());
    EXPECT_TRUE(before->allows(log_.recovered, acknowledged));
}

TEST_F(WalFullDisk, StopWritesWhatWaitsWhenThereIsRoomByThen) {
    leave(0);
    append_more_than_there_is_room_for();
    log_.settle();
    make_room();
    EXPECT_TRUE(log_.stop().ok());
    EXPECT_EQ(log_.driver->acknowledged_count(), log_.driver->step_count());
}

TEST_F(WalFullDisk, ADiskThatFailsWhileTheSegmentGrowsEndsTheLog) {
    ASSERT_TRUE(append(10).ok());
    log_.settle();
    leave(0);
    append_more_than_there_is_room_for();
    log_.settle();
    ASSERT_FALSE(has_failed());
    make_room();
    log_.host.disk_faults().on(sim::DiskCall::kWrite).nth = 1;
    log_.world.run_for(seconds(2));
    EXPECT_TRUE(has_failed());
    EXPECT_EQ(append(1).code(), Code::kUnavailable);
    EXPECT_EQ(log_.stop().code(), Code::kIoError);
}

// Disks that fill up and are emptied at random under random work, and a power cut at the end.
TEST(WalFullDiskStorm, NothingAcknowledgedIsLostAndNoLogFails) {
    int stalled_count = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        WalFixture log(seed);
        Random random(seed);
        log.options.durability = seed % 3 == 0 ? Durability::kInterval : Durability::kAlways;
        log.options.segment_bytes = 64U << 10U;
        ASSERT_TRUE(log.open().ok());
        for (int turn = 0; turn < 150; ++turn) {
            if (random.chance(1, 20)) {
                sim::DiskFaults& faults = log.host.disk_faults();
                faults = sim::DiskFaults();
                const auto space = log.world.block_on(log.host, log.host.env().disk.space());
                if (random.chance(2, 3)) {
                    faults.capacity = space->total - space->available + random.below(300'000);
                }
            }
            for (std::uint64_t i = random.below(8); i > 0; --i) {
                const Status stepped = log.driver->random_step(3);
                ASSERT_TRUE(stepped.ok() || stepped.code() == Code::kDiskFull)
                    << seed << ": " << stepped.to_string();
            }
            log.world.run_for(milliseconds(random.below(random.chance(1, 10) ? 1500 : 10)));
            stalled_count += log.wal->is_stalled() ? 1 : 0;
        }
        const bool may_lose = log.options.durability == Durability::kInterval;
        log.host.disk_faults() = sim::DiskFaults();
        log.world.run_for(random.chance(1, 2) ? seconds(4) : seconds(0));
        const auto before = std::move(log.driver);
        log.crash(may_lose ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss);
        ASSERT_TRUE(log.open().ok()) << seed;
        ASSERT_TRUE(before->allows(log.recovered, before->acknowledged_count())) << seed;
    }
    EXPECT_GT(stalled_count, 100);
}

}  // namespace
}  // namespace kvstore::storage
