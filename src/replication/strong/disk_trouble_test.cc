// A group one of whose nodes has trouble with its disk: writes go on elsewhere.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "base/log.h"
#include "replication/host_shard_actor.h"
#include "replication/strong/raft_group.h"
#include "replication/testing/host_cluster.h"

namespace kvstore::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HostCluster;
using testing::put_of;
using testing::Told;

constexpr std::uint64_t kNodes = 3;

class DiskTrouble : public ::testing::Test {
protected:
    DiskTrouble() {
        set_log_level(LogLevel::kOff);
        leader_ = cluster_.wait_for_leader();
    }
    ~DiskTrouble() override {
        for (std::uint64_t id = 1; id <= kNodes; ++id) {
            cluster_.machine(id).disk_faults() = {};
        }
        cluster_.stop_all();
        set_log_level(LogLevel::kInfo);
    }

    [[nodiscard]] std::uint64_t follower() const { return leader_ == 1 ? 2 : 1; }
    bool write(std::uint64_t node, ByteView value) {
        const Told& told = cluster_.propose(node, put_of("k", value));
        return cluster_.wait(told) && told.is_done();
    }
    void fill_disk(std::uint64_t node) { cluster_.machine(node).disk_faults().capacity = 1; }
    cluster::DiskState told_of(std::uint64_t node) {
        return HostShardActor(cluster_.host(node)).disk();
    }
    bool is_full(std::uint64_t node) {
        return cluster_.host(node).log_health().code() == Code::kDiskFull;
    }
    // More than a segment holds.
    void propose_in_one_turn(std::uint64_t node) {
        cluster_.on_core(node, [&] {
            for (int i = 0; i < 30; ++i) {
                const std::string key = std::to_string(i);
                const std::string value(50'000, 'x');
                const auto put = put_of(key, value);
                ASSERT_TRUE(cluster_.group(node)->propose(put, &told_.emplace_back()).ok());
            }
        });
    }
    // Writes through `node` until the log of `victim` is full.
    bool write_until_full(std::uint64_t node, std::uint64_t victim) {
        for (int i = 0; i < 200 && !is_full(victim); ++i) {
            if (!write(node, std::string(50'000, 'x'))) {
                return false;
            }
        }
        return is_full(victim);
    }

    HostCluster cluster_{1, kNodes, kNodes};
    std::deque<Told> told_;
    std::uint64_t leader_ = 0;
};

TEST_F(DiskTrouble, AFullLeaderHandsOverAndWritesThroughAnotherNodeNeverFail) {
    const std::uint64_t full = leader_;
    fill_disk(full);
    ASSERT_TRUE(write_until_full(follower(), full));
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(write(follower(), std::string(50'000, 'x'))) << i;
    }
    EXPECT_FALSE(cluster_.group(full)->is_leader());
    EXPECT_EQ(told_of(full), cluster::DiskState::kFull);
    EXPECT_EQ(told_of(follower()), cluster::DiskState::kFine);
}

TEST_F(DiskTrouble, ASleepingLeaderHandsOverToo) {
    const std::uint64_t full = leader_;
    const std::uint64_t heir = follower();
    fill_disk(full);
    for (int i = 0; i < 200 && !is_full(full); ++i) {
        ASSERT_TRUE(write(heir, std::string(50'000, 'x')));
    }
    EXPECT_TRUE(
        cluster_.world().run_until([&] { return !cluster_.group(full)->is_leader(); }, seconds(3)));
}

TEST_F(DiskTrouble, AFullFollowerHarmsNobodyAndIsNoHeir) {
    const std::uint64_t full = follower();
    fill_disk(full);
    ASSERT_TRUE(write_until_full(leader_, full));
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(write(leader_, std::string(50'000, 'x'))) << i;
    }
    cluster_.on_core(
        leader_, [&] { EXPECT_TRUE(cluster_.group(leader_)->transfer_leader(NodeId(full)).ok()); });
    cluster_.world().run_for(seconds(3));
    EXPECT_TRUE(cluster_.group(leader_)->is_leader());
}

TEST_F(DiskTrouble, AFullNodeRecoversWithoutARestartWhenThereIsRoom) {
    const std::uint64_t full = leader_;
    fill_disk(full);
    ASSERT_TRUE(write_until_full(follower(), full));
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(write(follower(), std::string(50'000, 'x'))) << i;
    }
    ASSERT_FALSE(cluster_.group(full)->is_leader());

    cluster_.machine(full).disk_faults() = {};
    const auto has_all = [&] {
        const std::uint64_t now = cluster_.wait_for_leader();
        return now != 0 && cluster_.group(full)->shard().applied_index() ==
                               cluster_.group(now)->shard().applied_index();
    };
    EXPECT_TRUE(cluster_.world().run_until(has_all, seconds(20)));
    EXPECT_TRUE(cluster_.world().run_until([&] { return !is_full(full); }, seconds(10)));
    cluster_.world().run_for(seconds(1));
    EXPECT_TRUE(cluster_.transfer(full));
    EXPECT_TRUE(write(full, "v"));
}

TEST_F(DiskTrouble, WhereAllAreFullWritesAreToldSoAndReadsGoOn) {
    for (std::uint64_t id = 1; id <= kNodes; ++id) {
        fill_disk(id);
    }
    Status refusal;
    for (int i = 0; i < 400 && refusal.code() != Code::kDiskFull; ++i) {
        const Told& told = cluster_.propose(leader_, put_of("k", std::string(50'000, 'x')));
        // Where the others are full first, the leader takes in what it has room for, and waits.
        cluster_.wait(told, seconds(1));
        refusal = told.refusal.ok() ? told.failure : told.refusal;
        leader_ = cluster_.wait_for_leader();
    }
    EXPECT_EQ(refusal.code(), Code::kDiskFull);
    cluster_.world().run_for(seconds(5));
    leader_ = cluster_.wait_for_leader();
    const async::Deadline soon = async::Deadline::after(cluster_.world().now(), seconds(5));
    EXPECT_TRUE(cluster_.run(leader_, cluster_.group(leader_)->read_barrier(soon)).ok());
}

// The disk is full before the log has noticed, and one turn brings more than the segment holds.
TEST_F(DiskTrouble, ALeaderWhoseRecordFindsNoRoomHandsOverAndNeedsNoRestart) {
    const std::uint64_t full = leader_;
    fill_disk(full);
    propose_in_one_turn(full);
    const auto are_over = [&] {
        return std::ranges::all_of(told_, [](const Told& told) { return told.is_over(); });
    };
    EXPECT_TRUE(cluster_.world().run_until(are_over, seconds(5)));
    for (const Told& told : told_) {
        EXPECT_TRUE(told.is_done() || told.failure.effect() == Effect::kUnknown);
    }
    EXPECT_TRUE(is_full(full));
    EXPECT_TRUE(
        cluster_.world().run_until([&] { return !cluster_.group(full)->is_leader(); }, seconds(5)));
    EXPECT_TRUE(write(follower(), "v"));
    cluster_.world().run_for(seconds(30));
    EXPECT_TRUE(cluster_.group(full)->health().ok());

    cluster_.machine(full).disk_faults() = {};
    EXPECT_TRUE(cluster_.world().run_until([&] { return !is_full(full); }, seconds(5)));
    cluster_.world().run_for(seconds(3));
    EXPECT_TRUE(cluster_.transfer(full));
    EXPECT_TRUE(write(full, "v"));
}

TEST_F(DiskTrouble, WhereAllLogsAreStalledProposalsAreToldThatNothingIsKnownAndMemoryIsKept) {
    for (std::uint64_t id = 1; id <= kNodes; ++id) {
        fill_disk(id);
    }
    propose_in_one_turn(leader_);
    ASSERT_TRUE(cluster_.world().run_until([&] { return told_.back().is_over(); }, seconds(10)));
    EXPECT_EQ(told_.back().failure.effect(), Effect::kUnknown);
    cluster_.world().run_for(seconds(5));
    const Term before = cluster_.group(follower())->term();
    cluster_.world().run_for(std::chrono::minutes(5));
    EXPECT_LE(cluster_.group(follower())->term().value(), before.value() + 3);

    for (std::uint64_t id = 1; id <= kNodes; ++id) {
        cluster_.machine(id).disk_faults() = {};
    }
    cluster_.world().run_for(seconds(10));
    const std::uint64_t leader = cluster_.wait_for_leader();
    ASSERT_NE(leader, 0U);
    EXPECT_TRUE(write(leader, "v"));
}

class LonelyDiskTrouble : public ::testing::Test {
protected:
    LonelyDiskTrouble() {
        set_log_level(LogLevel::kOff);
        (void)cluster_.wait_for_leader();
    }
    ~LonelyDiskTrouble() override {
        cluster_.machine(1).disk_faults() = {};
        cluster_.stop_all();
        set_log_level(LogLevel::kInfo);
    }
    // More in one turn than the segment holds, on a disk that has no room.
    void stall() {
        cluster_.machine(1).disk_faults().capacity = 1;
        cluster_.on_core(1, [&] {
            for (int i = 0; i < 30; ++i) {
                const std::string value(50'000, 'x');
                const auto put = put_of("k", value);
                ASSERT_TRUE(cluster_.group(1)->propose(put, &told_.emplace_back()).ok());
            }
        });
        cluster_.world().run_for(milliseconds(100));
    }

    HostCluster cluster_{1, 1, 1};
    std::deque<Told> told_;
};

TEST_F(LonelyDiskTrouble, AWriteThatFindsNoRoomIsToldThatItsOutcomeIsNotKnownAndMayHappen) {
    stall();
    EXPECT_FALSE(told_.front().is_over());
    const Told& later = cluster_.propose(1, put_of("later", "v"));
    EXPECT_EQ(later.refusal.code(), Code::kDiskFull);
    EXPECT_EQ(later.refusal.effect(), Effect::kNone);
    cluster_.world().run_for(seconds(5));
    for (const Told& told : told_) {
        EXPECT_EQ(told.failure.code(), Code::kDiskFull);
        EXPECT_EQ(told.failure.effect(), Effect::kUnknown);
    }

    cluster_.machine(1).disk_faults() = {};
    cluster_.world().run_for(seconds(3));
    EXPECT_TRUE(cluster_.local_value(1, "k").has_value());
    const Told& again = cluster_.propose(1, put_of("later", "v"));
    EXPECT_TRUE(cluster_.wait(again) && again.is_done());
}

TEST_F(LonelyDiskTrouble, AWriteThatFindsNoRoomForAWhileIsDone) {
    stall();
    cluster_.machine(1).disk_faults() = {};
    cluster_.world().run_for(seconds(2));
    EXPECT_TRUE(told_.back().is_done());
}

TEST_F(LonelyDiskTrouble, AHostStopsWhileItsLogWaitsForRoom) {
    stall();
    const MonotonicTime began = cluster_.world().now();
    EXPECT_EQ(cluster_.run(1, cluster_.host(1).stop()).code(), Code::kDiskFull);
    EXPECT_LT(cluster_.world().now() - began, seconds(10));
    cluster_.crash(1);
    EXPECT_EQ(told_.back().failure.effect(), Effect::kUnknown);
}

TEST_F(DiskTrouble, ALeaderWhoseLogFailsIsReplacedAndItsStateMayStillBeShown) {
    ASSERT_TRUE(write(leader_, "seen"));
    const Revision seen = cluster_.group(leader_)->shard().state().revision;
    cluster_.machine(leader_).disk_faults().on(sim::DiskCall::kWrite).nth = 1;
    EXPECT_FALSE(write(leader_, "lost"));
    cluster_.machine(leader_).disk_faults() = {};

    RaftGroup& failed = *cluster_.group(leader_);
    EXPECT_FALSE(failed.health().ok());
    EXPECT_TRUE(failed.has_sound_state());
    EXPECT_FALSE(failed.is_leader());
    EXPECT_NE(cluster_.host(leader_).log_health().code(), Code::kOk);
    EXPECT_EQ(told_of(leader_), cluster::DiskState::kFailed);
    const async::Deadline soon = async::Deadline::after(cluster_.world().now(), seconds(1));
    EXPECT_TRUE(cluster_.run(leader_, failed.wait_applied(seen, soon)).ok());
    EXPECT_FALSE(cluster_.run(leader_, failed.wait_applied(Revision(seen.value() + 9), soon)).ok());
    EXPECT_FALSE(cluster_.run(leader_, failed.read_barrier(soon)).ok());

    const std::uint64_t next = cluster_.wait_for_leader(leader_);
    ASSERT_NE(next, 0U);
    EXPECT_TRUE(write(next, "after"));
    // What is fenced stays so, whoever asks it.
    cluster_.world().run_for(seconds(10));
    EXPECT_FALSE(failed.is_leader());
    cluster_.crash(leader_);
}

TEST_F(DiskTrouble, ALeaderWithASlowDiskHandsOverAndIsNotMadeTheHeirAgain) {
    const std::uint64_t slow = leader_;
    cluster_.machine(slow).disk_faults().stall_chance = 1'000'000;
    cluster_.machine(slow).disk_faults().stall = milliseconds(400);
    const auto is_over = [&] {
        return !cluster_.group(slow)->is_leader();
    };
    for (int i = 0; i < 40 && !is_over(); ++i) {
        EXPECT_TRUE(write(follower(), "v"));
    }
    ASSERT_TRUE(cluster_.world().run_until(is_over, seconds(2)));
    const std::uint64_t next = cluster_.wait_for_leader(slow);
    EXPECT_EQ(told_of(slow), cluster::DiskState::kSlow);
    // Its disk holds up nobody now.
    const MonotonicTime began = cluster_.world().now();
    for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(write(next, "v"));
    }
    EXPECT_LT(cluster_.world().now() - began, milliseconds(400));
    cluster_.on_core(
        next, [&] { EXPECT_TRUE(cluster_.group(next)->transfer_leader(NodeId(slow)).ok()); });
    cluster_.world().run_for(seconds(3));
    EXPECT_TRUE(cluster_.group(next)->is_leader());
}

TEST_F(DiskTrouble, ALeaderWhoseDiskIsAsSlowAsTheOthersStays) {
    for (std::uint64_t id = 1; id <= kNodes; ++id) {
        cluster_.machine(id).disk_faults().stall_chance = 1'000'000;
        cluster_.machine(id).disk_faults().stall = milliseconds(400);
    }
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(write(leader_, "v"));
    }
    EXPECT_TRUE(cluster_.group(leader_)->is_leader());
}

}  // namespace
}  // namespace kvstore::replication
