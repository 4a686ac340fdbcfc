// What a shard's leader does by itself, in virtual time: expiry, compaction of history, snapshots.
#include "replication/strong/maintenance.h"

#include <string>

#include <gtest/gtest.h>

#include "replication/testing/host_fixture.h"

namespace kvstore::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HostFixture;
using testing::put_of;
using testing::Told;

constexpr std::uint64_t kA = 16;

class ReplicationMaintenance : public HostFixture {
protected:
    std::uint64_t wall_ms() { return to_unix_ms(machine_.env().clock.wall_now()); }
    Told& put_until(ByteView key, std::uint64_t expires_at_ms) {
        mvcc::Operation operation = put_of(key, "v");
        operation.expiry_mode = mvcc::ExpiryMode::kAt;
        operation.expires_at_ms = expires_at_ms;
        return propose(kA, operation);
    }
    // Also of records that have expired and are still there.
    std::uint64_t key_count() { return group(kA).shard().state().key_count; }
    // Every change that is still in the history.
    std::size_t change_count() {
        std::size_t count = 0;
        on_core([&] {
            const mvcc::ShardState& state = group(kA).shard().state();
            const auto view = group(kA).shard().view();
            const auto changes =
                mvcc::Shard::changes(view.get(), state.compacted_revision.next(), 1U << 20U);
            ASSERT_TRUE(changes.ok());
            count = changes->size();
        });
        return count;
    }
};

// ---- expiry ----

TEST_F(ReplicationMaintenance, AnExpiryIsAChangeAtMostASecondLate) {
    must_open();
    create(kA, 60'000);
    wait(put_until("k", wall_ms() + 5'000));
    put(kA, "stays", "v");

    world_.run_for(milliseconds(4'900));
    EXPECT_EQ(value(kA, "k"), "v");
    EXPECT_EQ(key_count(), 2U);
    world_.run_for(milliseconds(1'100));

    EXPECT_EQ(key_count(), 1U);
    EXPECT_EQ(change_count(), 3U) << "two puts and an expiry";
    EXPECT_EQ(value(kA, "stays"), "v");
}

TEST_F(ReplicationMaintenance, ExpiresManyBatchesWithinTheSecond) {
    must_open();
    create(kA);
    const std::uint64_t at = wall_ms() + 5'000;
    std::vector<Bytes> keys;
    for (int i = 0; i < 8'000; ++i) {
        keys.push_back("k" + std::to_string(i));
    }
    on_core([&] {
        for (const Bytes& key : keys) {
            mvcc::Operation operation = put_of(key, "v");
            operation.expiry_mode = mvcc::ExpiryMode::kAt;
            operation.expires_at_ms = at;
            (void)group(kA).propose(operation, &told_.emplace_back());
        }
    });
    wait(told_.back());
    ASSERT_EQ(key_count(), 8'000U);
    world_.run_for(milliseconds(at - wall_ms() + 1'000));

    EXPECT_EQ(key_count(), 0U);
}

// Found expiry that stopped for ever: one command held all the keys of a batch, and the log takes
// no command of thirty mebibytes.
TEST_F(ReplicationMaintenance, ExpiresManyOfTheLongestKeys) {
    must_open();
    create(kA);
    const std::uint64_t at = wall_ms() + 5'000;
    for (int i = 0; i < 500; ++i) {
        Bytes key(mvcc::kKeyBytesMax, 'x');
        key.replace(0, 4, std::to_string(1000 + i));
        put_until(key, at);
        if (i % 20 == 0) {
            wait(told_.back());
        }
    }
    wait(told_.back());
    EXPECT_EQ(key_count(), 500U);

    world_.run_for(seconds(10));

    EXPECT_EQ(key_count(), 0U);
}

TEST_F(ReplicationMaintenance, AWallClockThatIsSetBackBringsNothingBackAndDelaysNoExpiry) {
    must_open();
    create(kA);
    wait(put_until("k", wall_ms() + 1'000));
    machine_.jump_wall_clock(seconds(2));
    put(kA, "stamped", "later");
    EXPECT_EQ(value(kA, "k"), std::nullopt);
    machine_.jump_wall_clock(-seconds(3'600));
    EXPECT_EQ(value(kA, "k"), std::nullopt);

    world_.run_for(seconds(1));

    EXPECT_EQ(key_count(), 1U);
}

TEST_F(ReplicationMaintenance, WhatExpiredWhileTheNodeWasDownGoesAfterItsStart) {
    must_open();
    create(kA);
    wait(put_until("k", wall_ms() + 1'000));
    ASSERT_TRUE(stop().ok());
    world_.run_for(seconds(60));
    must_open();
    EXPECT_EQ(value(kA, "k"), std::nullopt);

    world_.run_for(seconds(1));

    EXPECT_EQ(key_count(), 0U);
    EXPECT_TRUE(verify().ok());
}

TEST_F(ReplicationMaintenance, AFullDiskDelaysExpiryAndReadsStillHideWhatRanOut) {
    options_.wal.disk_reserve_bytes = 1U << 20U;
    must_open();
    create(kA);
    wait(put_until("k", wall_ms() + 1'000));
    machine_.disk_faults().capacity = 3U << 20U;
    while (put(kA, "large", Bytes(20'000, 'x')).is_done()) {
    }
    while (put(kA, "small", "x").is_done()) {
    }
    world_.run_for(seconds(5));
    EXPECT_EQ(value(kA, "k"), std::nullopt);

    machine_.disk_faults().capacity = sim::DiskFaults().capacity;
    world_.run_for(seconds(5));

    EXPECT_EQ(value(kA, "large").value_or("").size(), 20'000U);
    EXPECT_EQ(group(kA).shard().state().expiring_key_count, 0U);
}

// ---- history ----

TEST_F(ReplicationMaintenance, HistoryThatIsOldEnoughIsForgottenAndSwept) {
    must_open();
    create(kA, 10'000);
    for (int i = 0; i < 600; ++i) {
        propose(kA, put_of("k", std::to_string(i)));
    }
    wait(told_.back());
    world_.run_for(seconds(5));
    EXPECT_EQ(change_count(), 600U) << "within its time it stays";

    world_.run_for(seconds(30));
    put(kA, "k", "new");

    EXPECT_EQ(change_count(), 1U);
    EXPECT_FALSE(group(kA).shard().has_compaction_due());
    EXPECT_TRUE(verify().ok());
    crash();
    must_open();
    EXPECT_EQ(value(kA, "k"), "new");
    EXPECT_TRUE(verify().ok());
}

// ---- snapshots ----

TEST_F(ReplicationMaintenance, MakesASnapshotInEachIntervalInWhichSomethingWasWritten) {
    options_.snapshot_interval = seconds(10);
    must_open();
    create(kA);
    put(kA, "k", "v");
    EXPECT_EQ(host_->statistics().front().durable, Index());

    world_.run_for(seconds(11));
    EXPECT_EQ(host_->statistics().front().durable, host_->statistics().front().applied);

    const std::uint64_t changes = machine_.disk_calls(sim::DiskCall::kRename);
    world_.run_for(seconds(60));
    EXPECT_EQ(machine_.disk_calls(sim::DiskCall::kRename), changes) << "nothing was written";
}

TEST_F(ReplicationMaintenance, ASnapshotThatFailsIsTriedAgainAndTheLogStays) {
    options_.snapshot_interval = seconds(10);
    must_open();
    create(kA);
    put(kA, "k", "v");
    machine_.disk_faults().path_prefix = "shards";
    machine_.disk_faults().on(sim::DiskCall::kWrite).chance = 1'000'000;
    world_.run_for(seconds(11));
    EXPECT_EQ(host_->statistics().front().durable, Index());
    EXPECT_TRUE(put(kA, "k", "w").is_done());

    machine_.disk_faults() = {};
    world_.run_for(seconds(11));

    EXPECT_EQ(host_->statistics().front().durable, host_->statistics().front().applied);
}

TEST_F(ReplicationMaintenance, WritesGoOnWhileASnapshotIsWritten) {
    options_.snapshot_interval = seconds(1);
    must_open();
    create(kA);
    for (int i = 0; i < 100; ++i) {
        put(kA, "k" + std::to_string(i), Bytes(10'000, 'x'));
    }
    machine_.disk_faults().path_prefix = "shards";
    machine_.disk_faults().stall_chance = 1'000'000;
    machine_.disk_faults().stall = seconds(1);
    world_.run_for(seconds(3));
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(put(kA, "k" + std::to_string(i), "new").is_done());
    }
    world_.run_for(seconds(60));
    machine_.disk_faults() = {};
    crash();
    must_open();

    EXPECT_EQ(value(kA, "k99"), "new");
    EXPECT_TRUE(verify().ok());
}

}  // namespace
}  // namespace kvstore::replication
