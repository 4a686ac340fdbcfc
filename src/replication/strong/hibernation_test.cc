// Groups that sleep, on whole hosts over the real transport: what they cost, and what wakes them.
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "base/log.h"
#include "base/planted_bug.h"
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

class Hibernation : public ::testing::Test {
protected:
    Hibernation() {
        set_log_level(LogLevel::kOff);
        leader_ = cluster_.wait_for_leader();
    }
    ~Hibernation() override {
        cluster_.stop_all();
        set_log_level(LogLevel::kInfo);
    }

    [[nodiscard]] std::uint64_t follower(std::uint64_t but = 0) const {
        for (std::uint64_t id = 1;; ++id) {
            if (id != leader_ && id != but) {
                return id;
            }
        }
    }
    bool write(std::uint64_t node, ByteView key, Duration limit = seconds(20)) {
        const Told& told = cluster_.propose(node, put_of(key, "v"));
        return cluster_.wait(told, limit) && told.is_done();
    }
    // Whether another member leads, by default within the time that clients are promised for a
    // write.
    bool is_replaced(Duration limit = seconds(3)) {
        return cluster_.world().run_until(
            [this] {
                for (std::uint64_t id = 1; id <= kNodes; ++id) {
                    if (id != leader_ && cluster_.group(id) != nullptr &&
                        cluster_.group(id)->is_leader()) {
                        return true;
                    }
                }
                return false;
            },
            limit);
    }
    [[nodiscard]] std::uint64_t frames_sent() {
        std::uint64_t sum = 0;
        for (std::uint64_t id = 1; id <= kNodes; ++id) {
            sum += cluster_.transport(id).statistics().frames_sent;
        }
        return sum;
    }
    std::uint64_t frames_in(Duration span) {
        const std::uint64_t before = frames_sent();
        cluster_.world().run_for(span);
        return frames_sent() - before;
    }

    HostCluster cluster_{1, kNodes, kNodes};
    std::uint64_t leader_ = 0;
};

TEST_F(Hibernation, ManyIdleGroupsSayAsLittleAsOne) {
    ASSERT_TRUE(cluster_.falls_asleep());
    const std::uint64_t one = frames_in(seconds(20));
    for (std::uint64_t shard = 17; shard < 117; ++shard) {
        cluster_.found(ShardId(shard));
    }
    cluster_.world().run_for(seconds(20));
    ASSERT_TRUE(cluster_.falls_asleep());
    const std::uint64_t many = frames_in(seconds(20));
    RecordProperty("frames_of_one_group", static_cast<int>(one));
    RecordProperty("frames_of_many_groups", static_cast<int>(many));
    EXPECT_LE(many, one + one / 10);
}

// All heartbeats of a turn to one node leave in one frame, and so do the answers.
TEST_F(Hibernation, HeartbeatsOfManyAwakeGroupsCostTheMessagesOfOne) {
    cluster_.stop_all();
    cluster_.settings.timing.hibernate_after_ticks = 0;
    for (std::uint64_t id = 1; id <= kNodes; ++id) {
        cluster_.start(id);
    }
    for (std::uint64_t shard = 17; shard < 117; ++shard) {
        cluster_.found(ShardId(shard));
    }
    cluster_.world().run_for(seconds(20));
    // To each of two others: what leads here speaks, and what follows answers, once a tick; the
    // answers to other nodes leave when their heartbeats have come.
    const Duration span = seconds(10);
    const std::uint64_t ticks = static_cast<std::uint64_t>(span / cluster_.settings.timing.tick);
    const std::uint64_t pings_and_pongs = 2 * kNodes * (kNodes - 1) * 10;
    EXPECT_LE(frames_in(span), kNodes * (kNodes - 1) * 2 * ticks + pings_and_pongs + 100);
}

TEST_F(Hibernation, AWriteAnywhereWakesTheGroupAndIsDone) {
    for (std::uint64_t node = 1; node <= kNodes; ++node) {
        ASSERT_TRUE(cluster_.falls_asleep());
        EXPECT_TRUE(write(node, "k" + std::to_string(node), milliseconds(500)));
        EXPECT_FALSE(cluster_.group(leader_)->is_asleep());
    }
}

TEST_F(Hibernation, ALinearizableReadAnywhereMakesARound) {
    for (std::uint64_t node = 1; node <= kNodes; ++node) {
        ASSERT_TRUE(cluster_.falls_asleep());
        EXPECT_FALSE(cluster_.group(node)->can_read_now());
        const async::Deadline soon =
            async::Deadline::after(cluster_.world().now(), milliseconds(500));
        EXPECT_TRUE(cluster_.run(node, cluster_.group(node)->read_barrier(soon)).ok());
        EXPECT_FALSE(cluster_.group(leader_)->is_asleep());
    }
}

// It does not know yet that it leads nothing any more, and must find out before it answers.
TEST_F(Hibernation, ASleepingLeaderThatWasCutOffServesNoRead) {
    ASSERT_TRUE(cluster_.falls_asleep());
    cluster_.world().isolate(cluster_.machine(leader_));
    const async::Deadline soon = async::Deadline::after(cluster_.world().now(), seconds(1));
    EXPECT_FALSE(cluster_.run(leader_, cluster_.group(leader_)->read_barrier(soon)).ok());
    cluster_.world().heal_all();
}

TEST_F(Hibernation, AChangeOfMembersWakesTheGroup) {
    ASSERT_TRUE(cluster_.falls_asleep());
    EXPECT_TRUE(cluster_.change(leader_, raft::ConfOperation::kRemove, follower()).ok());
}

TEST_F(Hibernation, ALeadershipIsHandedOverInItsSleep) {
    ASSERT_TRUE(cluster_.falls_asleep());
    EXPECT_TRUE(cluster_.transfer(follower()));
}

// One election timeout until its node counts as silent, and at most another until somebody asks for
// votes: the time asleep is not counted twice.
TEST_F(Hibernation, ALeaderThatIsCutOffIsReplacedWithinTwoElectionTimeouts) {
    const RaftTiming& timing = cluster_.settings.timing;
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(cluster_.falls_asleep());
        cluster_.world().isolate(cluster_.machine(leader_));
        ASSERT_TRUE(is_replaced(timing.tick * (2 * timing.election_ticks + 3))) << i;
        cluster_.world().heal_all();
        cluster_.world().run_for(seconds(10));
        leader_ = cluster_.wait_for_leader();
    }
}

TEST_F(Hibernation, ALeaderThatIsKilledIsReplacedWithinThreeSeconds) {
    for (const sim::CrashKind kind : {sim::CrashKind::kKill, sim::CrashKind::kPowerLoss}) {
        ASSERT_TRUE(cluster_.falls_asleep());
        cluster_.crash(leader_, kind);
        EXPECT_TRUE(is_replaced());
        cluster_.start(leader_);
        cluster_.world().run_for(seconds(10));
        leader_ = cluster_.wait_for_leader();
    }
}

TEST_F(Hibernation, ALeaderThatIsPausedIsReplacedWithinThreeSeconds) {
    ASSERT_TRUE(cluster_.falls_asleep());
    cluster_.world().pause(cluster_.machine(leader_));
    EXPECT_TRUE(is_replaced());
    cluster_.world().resume(cluster_.machine(leader_));
    cluster_.world().run_for(seconds(5));
    EXPECT_FALSE(cluster_.group(leader_)->is_leader());
}

// Its node goes on to give signs of life.
TEST_F(Hibernation, ALeaderWhoseLogFailsInItsSleepIsReplacedWithinThreeSeconds) {
    ASSERT_TRUE(cluster_.falls_asleep());
    const ShardId alone(17);
    ShardDescription description = cluster_.description();
    description.id = alone;
    description.founders = {NodeId(leader_)};
    ASSERT_TRUE(
        cluster_.run(leader_, cluster_.host(leader_).create_shard(std::move(description))).ok());
    ASSERT_TRUE(cluster_.falls_asleep());

    cluster_.machine(leader_).disk_faults().on(sim::DiskCall::kWrite).nth = 1;
    Told told;
    cluster_.on_core(leader_, [&] {
        told.refusal = cluster_.group_of(leader_, alone)->propose(put_of("k", "v"), &told);
    });
    ASSERT_TRUE(cluster_.wait(told));
    ASSERT_FALSE(told.is_done());
    ASSERT_FALSE(cluster_.group(leader_)->health().ok());

    EXPECT_TRUE(is_replaced());
    EXPECT_TRUE(write(follower(), "k"));
    cluster_.crash(leader_);
}

TEST_F(Hibernation, AGroupWithADeadMemberStaysAwakeAndServes) {
    const std::uint64_t dead = follower();
    cluster_.crash(dead);
    cluster_.world().run_for(seconds(20));
    EXPECT_FALSE(cluster_.group(leader_)->is_asleep());
    EXPECT_TRUE(write(leader_, "k"));
}

#ifdef KVSTORE_PLANTED_BUGS

// What ALeaderThatIsCutOffIsReplacedWithinTwoElectionTimeouts sees.
TEST_F(Hibernation, AGroupThatMissesItsLeadersDeathIsFound) {
    const ScopedPlantedBug planted(PlantedBug::kSleepersMissLeadersDeath);
    ASSERT_TRUE(cluster_.falls_asleep());
    cluster_.world().isolate(cluster_.machine(leader_));
    EXPECT_FALSE(is_replaced());
    cluster_.world().run_for(seconds(60));
    EXPECT_FALSE(is_replaced());
    cluster_.world().heal_all();
}

#endif

}  // namespace
}  // namespace kvstore::replication
