// Hosts on several machines over the real transport: groups that elect, replicate and fail over,
// and states that are streamed to members which join late.
#include "replication/testing/host_cluster.h"

#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "replication/host.h"
#include "replication/strong/commit_notices.h"
#include "replication/strong/raft_group.h"
#include "replication/testing/told.h"

namespace kvstore::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::put_of;
using testing::Told;

// Four nodes; the first three have the shard.
class Hosts : public ::testing::Test {
protected:
    Hosts() { set_log_level(LogLevel::kOff); }
    ~Hosts() override { set_log_level(LogLevel::kInfo); }

    Told& put(std::uint64_t id, ByteView key, ByteView value) {
        Told& told = cluster_.propose(id, put_of(key, value));
        cluster_.wait(told);
        return told;
    }
    // Whether this member comes to what the leader has.
    bool catches_up(std::uint64_t id, std::uint64_t leader) {
        return cluster_.world().run_until(
            [&] {
                return cluster_.group(id) != nullptr && cluster_.group(leader) != nullptr &&
                       holds_the_same(id, leader);
            },
            seconds(60));
    }
    bool holds_the_same(std::uint64_t one, std::uint64_t other) {
        mvcc::Shard& a = cluster_.group(one)->shard();
        mvcc::Shard& b = cluster_.group(other)->shard();
        return a.applied_index() == b.applied_index() && a.state().digest == b.state().digest;
    }
    // Makes an empty replica there, which the leader then fills.
    Status join(std::uint64_t leader, std::uint64_t node) {
        ShardDescription newcomer = cluster_.description();
        newcomer.founders.clear();
        newcomer.is_newcomer = true;
        KVSTORE_CHECK_OK(cluster_.run(node, cluster_.host(node).create_shard(newcomer)).status());
        return cluster_.change(leader, raft::ConfOperation::kAddLearner, node);
    }

    testing::HostCluster cluster_{1, 4, 3};
};

TEST_F(Hosts, ARetiredHostsReplicasSayNothingCallNoElectionAndStop) {
    const std::uint64_t gone = cluster_.wait_for_leader();
    ASSERT_NE(gone, 0U);
    const Told& told = cluster_.propose(gone, put_of("k", "v"));
    cluster_.on_core(gone,
                     [&] { cluster_.host(gone).retire({Code::kUnavailable, "it was removed"}); });
    EXPECT_TRUE(told.is_over()) << "nothing waits for ever";
    const std::uint64_t next = cluster_.wait_for_leader(gone);
    ASSERT_NE(next, 0U);
    EXPECT_TRUE(put(next, "k", "w").is_done());

    const Term before = cluster_.group(gone)->term();
    cluster_.group(gone)->resume();
    EXPECT_TRUE(cluster_.group(gone)->is_paused()) << "for good";
    EXPECT_FALSE(cluster_.group(gone)->is_leader());
    EXPECT_EQ(cluster_.group(gone)->leader(), NodeId());
    cluster_.world().run_for(seconds(60));
    EXPECT_EQ(cluster_.group(gone)->term(), before);
    ShardDescription another = cluster_.description();
    another.id = ShardId(99);
    EXPECT_EQ(cluster_.run(gone, cluster_.host(gone).create_shard(another)).status().message(),
              "it was removed");
    EXPECT_EQ(cluster_.propose(gone, put_of("k", "x")).refusal.effect(), Effect::kNone);
    cluster_.stop(gone);
}

TEST_F(Hosts, ReplicatesAndFailsOver) {
    const std::uint64_t leader = cluster_.wait_for_leader();
    ASSERT_NE(leader, 0U);
    ASSERT_TRUE(put(leader, "k", "v").is_done());
    cluster_.crash(leader);
    const std::uint64_t next = cluster_.wait_for_leader(leader);
    ASSERT_NE(next, 0U);
    ASSERT_TRUE(
        cluster_.run(next, cluster_.group(next)->read_barrier(async::Deadline::never())).ok());
    EXPECT_EQ(cluster_.local_value(next, "k"), "v");
    ASSERT_TRUE(put(next, "k", "w").is_done());
    cluster_.start(leader);
    EXPECT_TRUE(catches_up(leader, next));
    EXPECT_EQ(cluster_.local_value(leader, "k"), "w");
}

// An append and its answer: that it is committed is told with the next one (commit_notices.h).
TEST_F(Hosts, AWriteAfterAnotherCostsAFollowerOneMessage) {
    constexpr std::uint64_t kWrites = 200;
    const std::uint64_t leader = cluster_.wait_for_leader();
    ASSERT_TRUE(put(leader, "k", "first").is_done());
    const std::uint64_t before = cluster_.transport(leader).statistics().frames_sent;
    for (std::uint64_t i = 0; i < kWrites; ++i) {
        ASSERT_TRUE(put(leader, "k", std::to_string(i)).is_done());
    }
    const std::uint64_t sent = cluster_.transport(leader).statistics().frames_sent - before;
    EXPECT_LT(sent, 2 * kWrites * 5 / 4) << "two followers, and heartbeats";
}

TEST_F(Hosts, AMemberThatJoinsIsSentTheState) {
    const std::uint64_t leader = cluster_.wait_for_leader();
    for (int i = 0; i < 300; ++i) {
        ASSERT_TRUE(put(leader, "k" + std::to_string(i), std::string(2'000, 'x')).is_done());
    }
    ASSERT_TRUE(join(leader, 4).ok());
    ASSERT_TRUE(catches_up(4, leader));
    EXPECT_EQ(cluster_.local_value(4, "k299"), std::string(2'000, 'x'));
    ASSERT_TRUE(cluster_.change(leader, raft::ConfOperation::kAddVoter, 4).ok());
    ASSERT_TRUE(put(leader, "after", "v").is_done());
    ASSERT_TRUE(catches_up(4, leader));

    // What it was sent is its own, on its disk.
    cluster_.crash(4);
    cluster_.start(4);
    ASSERT_TRUE(catches_up(4, leader));
    EXPECT_EQ(cluster_.local_value(4, "k0"), std::string(2'000, 'x'));
    EXPECT_EQ(cluster_.group(4)->configuration().voters.size(), 4U);
}

// Alone it keeps neither entries nor a state to send; its first learner needs both.
TEST_F(Hosts, AGroupOfOneFillsItsFirstLearner) {
    const std::uint64_t leader = cluster_.wait_for_leader();
    ASSERT_TRUE(put(leader, "k", "v").is_done());
    for (std::uint64_t other = 1; other <= 3; ++other) {
        if (other != leader) {
            ASSERT_TRUE(cluster_.change(leader, raft::ConfOperation::kRemove, other).ok());
        }
    }
    ASSERT_TRUE(put(leader, "alone", "v").is_done());
    ASSERT_TRUE(join(leader, 4).ok());
    ASSERT_TRUE(catches_up(4, leader));
    EXPECT_EQ(cluster_.local_value(4, "alone"), "v");
}

// Nothing is applied there but the state as a whole.
TEST_F(Hosts, AReadThatWaitsForARevisionIsLetGoByAStateThatHasIt) {
    const std::uint64_t leader = cluster_.wait_for_leader();
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(put(leader, "k" + std::to_string(i), "v").is_done());
    }
    const Revision seen = cluster_.group(leader)->shard().state().revision;
    ASSERT_TRUE(join(leader, 4).ok());
    ASSERT_LT(cluster_.group(4)->shard().state().revision, seen);
    const Status applied =
        cluster_.run(4,
                     cluster_.group(4)->wait_applied(
                         seen, async::Deadline::after(cluster_.world().now(), seconds(2))));
    EXPECT_TRUE(applied.ok()) << applied.to_string();
    EXPECT_EQ(cluster_.local_value(4, "k9"), "v");
}

TEST_F(Hosts, AStateThatIsCutShortIsSentAgainWhereverItIsCut) {
    const std::uint64_t leader = cluster_.wait_for_leader();
    for (int i = 0; i < 300; ++i) {
        ASSERT_TRUE(put(leader, "k" + std::to_string(i), std::string(5'000, 'x')).is_done());
    }
    ASSERT_TRUE(join(leader, 4).ok());
    for (int i = 1; i <= 12; ++i) {
        cluster_.world().run_for(milliseconds(20 * i));
        cluster_.crash(4, i % 2 == 0 ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss);
        cluster_.start(4);
    }
    ASSERT_TRUE(catches_up(4, leader));
    EXPECT_EQ(cluster_.local_value(4, "k299"), std::string(5'000, 'x'));
}

TEST_F(Hosts, AMemberFarBehindItsLogIsSentTheStateWhileWritesGoOn) {
    const std::uint64_t leader = cluster_.wait_for_leader();
    const std::uint64_t away = leader == 1 ? 2 : 1;
    ASSERT_TRUE(put(leader, "k", "v").is_done());
    cluster_.crash(away);
    // More than a group keeps for those who are behind.
    for (int i = 0; i < 40; ++i) {
        ASSERT_TRUE(put(leader, "big", std::string(300'000, 'x')).is_done());
    }
    cluster_.start(away);
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(put(leader, "k" + std::to_string(i), "v").is_done());
    }
    ASSERT_TRUE(catches_up(away, leader));
    EXPECT_EQ(cluster_.local_value(away, "k49"), "v");
}

}  // namespace
}  // namespace kvstore::replication
