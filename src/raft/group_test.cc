// A member's contract about configurations, snapshots, transfers and sleep.
#include <gtest/gtest.h>

#include "raft/node.h"
#include "raft/testing/cluster.h"

namespace kvstore::raft {
namespace {

using testing::Cluster;

const NodeId kOne(1);
const NodeId kTwo(2);
const NodeId kThree(3);

Config quiet() {
    Config config;
    config.group = GroupId(1);
    config.seed = 1;
    return config;
}

ConfChange change(std::vector<ConfStep> steps) {
    return {.steps = std::move(steps), .transition = Transition::kAutomatic, .context = {}};
}

class RaftGroup : public ::testing::Test {
protected:
    void TearDown() override { EXPECT_EQ(cluster_.failure(), ""); }

    Cluster cluster_{3, quiet()};
};

// ---- membership (thesis 4) ----

TEST_F(RaftGroup, GrowsByASnapshotAndKeepsServing) {
    cluster_.elect(kOne);
    cluster_.add_blank(NodeId(4));

    ASSERT_TRUE(cluster_.change(kOne, change({{ConfOperation::kAddVoter, NodeId(4)}})).ok());
    cluster_.settle();
    cluster_.run(4);

    EXPECT_EQ(cluster_.node(4).status().conf.voters.size(), 4U);
    EXPECT_EQ(cluster_.node(4).commit_index(), cluster_.node(1).commit_index());
}

// What the larger majority had not committed, the smaller one has.
TEST_F(RaftGroup, CommitsAtOnceWhatASmallerMajorityHolds) {
    cluster_.elect(kOne);
    ASSERT_TRUE(cluster_.change(kOne, change({{ConfOperation::kRemove, kThree}})).ok());
    cluster_.settle();
    ASSERT_TRUE(cluster_.change(kOne, change({{ConfOperation::kRemove, kTwo}})).ok());
    // Member 2 takes the change, and nothing after it.
    while (cluster_.node(1).commit_index() != cluster_.node(1).status().pending_conf_index) {
        cluster_.take_ready(kOne);
        cluster_.write_one(kOne);
        cluster_.tell_persisted(kOne);
        cluster_.take_ready(kTwo);
        cluster_.write_one(kTwo);
        while (!cluster_.messages().empty()) {
            cluster_.deliver(0);
        }
    }
    cluster_.isolate(kOne);
    const Result<Proposed> last = cluster_.propose(kOne, "x");
    ASSERT_TRUE(last.ok());

    cluster_.settle();

    EXPECT_GE(cluster_.node(1).commit_index(), last->first);
}

TEST_F(RaftGroup, GivesUpATransferToWhomAChangeHasRemoved) {
    cluster_.elect(kOne);
    ASSERT_TRUE(cluster_.change(kOne, change({{ConfOperation::kRemove, kThree}})).ok());
    cluster_.isolate(kThree);
    ASSERT_TRUE(cluster_.transfer(kOne, kThree).ok());
    EXPECT_FALSE(cluster_.propose(kOne, "x").ok());

    cluster_.settle();

    EXPECT_EQ(cluster_.node(1).status().heir, kNoNode);
    EXPECT_TRUE(cluster_.propose(kOne, "x").ok());
}

// A transfer keeps it from being left; once that is taken back, nothing else may come to
// set it going.
TEST_F(RaftGroup, LeavesAJointConfigurationWhenATransferIsTakenBack) {
    cluster_.elect(kOne);
    ASSERT_TRUE(cluster_
                    .change(kOne,
                            {.steps = {{ConfOperation::kAddLearner, kThree}},
                             .transition = Transition::kJoint,
                             .context = {}})
                    .ok());
    cluster_.isolate(kThree);
    ASSERT_TRUE(cluster_.transfer(kOne, kThree).ok());
    cluster_.settle();
    EXPECT_FALSE(cluster_.node(1).status().conf.voters_outgoing.empty());

    ASSERT_TRUE(cluster_.transfer(kOne, kOne).ok());
    cluster_.settle();

    EXPECT_TRUE(cluster_.node(1).status().conf.voters_outgoing.empty());
}

TEST_F(RaftGroup, TakesNoChangeBeforeItsTermHasCommittedOrWhenTooMuchHasNot) {
    cluster_.campaign(kOne);
    while (!cluster_.node(1).is_leader()) {
        for (const NodeId id : {kOne, kTwo}) {
            cluster_.take_ready(id);
            cluster_.write_one(id);
            cluster_.tell_persisted(id);
        }
        while (!cluster_.messages().empty()) {
            cluster_.deliver(0);
        }
    }
    const ConfChange remove = change({{ConfOperation::kRemove, kThree}});
    EXPECT_EQ(cluster_.change(kOne, remove).status().code(), Code::kUnavailable);
    cluster_.settle();

    cluster_.isolate(kOne);
    const std::string much(quiet().uncommitted_bytes_max, 'x');
    ASSERT_TRUE(cluster_.propose(kOne, much).ok());
    EXPECT_EQ(cluster_.change(kOne, remove).status().code(), Code::kOverloaded);
}

TEST_F(RaftGroup, LeavesAJointConfigurationByItself) {
    cluster_.elect(kOne);
    cluster_.add_blank(NodeId(4));
    cluster_.add_blank(NodeId(5));

    ASSERT_TRUE(cluster_
                    .change(kOne,
                            change({{ConfOperation::kAddVoter, NodeId(4)},
                                    {ConfOperation::kAddVoter, NodeId(5)},
                                    {ConfOperation::kRemove, kTwo}}))
                    .ok());
    cluster_.settle();
    cluster_.run(6);

    const ConfState conf = cluster_.node(1).status().conf;
    EXPECT_TRUE(conf.voters_outgoing.empty());
    EXPECT_EQ(conf.voters, (std::vector<NodeId>{kOne, kThree, NodeId(4), NodeId(5)}));
    EXPECT_EQ(cluster_.node(5).status().conf, conf);
}

TEST_F(RaftGroup, TakesOneChangeAtATime) {
    cluster_.elect(kOne);
    const ConfChange add = change({{ConfOperation::kAddLearner, NodeId(4)}});
    ASSERT_TRUE(cluster_.change(kOne, add).ok());

    EXPECT_EQ(cluster_.change(kOne, add).status().code(), Code::kConflict);
    EXPECT_EQ(cluster_.change(kTwo, add).status().code(), Code::kNotLeader);
    cluster_.settle();
    EXPECT_EQ(cluster_.change(kOne, ConfChange()).status().code(), Code::kConflict);
    EXPECT_EQ(cluster_
                  .change(kOne,
                          change({{ConfOperation::kRemove, kOne},
                                  {ConfOperation::kRemove, kTwo},
                                  {ConfOperation::kRemove, kThree}}))
                  .status()
                  .code(),
              Code::kInvalidArgument);
}

// Thesis 4.2.2.
TEST_F(RaftGroup, StepsDownOnceItsOwnRemovalIsApplied) {
    cluster_.elect(kOne);

    ASSERT_TRUE(cluster_.change(kOne, change({{ConfOperation::kRemove, kOne}})).ok());
    cluster_.settle();
    EXPECT_EQ(cluster_.node(1).role(), Role::kFollower);
    cluster_.run(60);

    EXPECT_NE(cluster_.leader(), kNoNode);
    EXPECT_NE(cluster_.leader(), kOne);
    EXPECT_EQ(cluster_.node(cluster_.leader()).status().conf.voters.size(), 2U);
}

// ---- snapshots (thesis 5) ----

TEST_F(RaftGroup, SendsASnapshotWhereTheLogIsGone) {
    cluster_.elect(kOne);
    cluster_.isolate(kThree);
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
        cluster_.settle();
    }
    cluster_.save_checkpoint(kOne);
    cluster_.compact(kOne);
    cluster_.unreachable(kOne, kThree);

    cluster_.heal();
    cluster_.run(4);

    EXPECT_EQ(cluster_.replica(kThree).machine.digest, cluster_.replica(kOne).machine.digest);
    EXPECT_EQ(cluster_.replica(kThree).installed, Index(7));
}

TEST_F(RaftGroup, ProbesAgainWhenASnapshotIsReportedLost) {
    cluster_.elect(kOne);
    cluster_.isolate(kThree);
    ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
    cluster_.settle();
    cluster_.save_checkpoint(kOne);
    cluster_.compact(kOne);
    cluster_.unreachable(kOne, kThree);
    // The answers of the third member come through, the snapshot does not.
    cluster_.heal();
    cluster_.cut_one_way(kOne, kThree);
    Message alive;
    alive.kind = MessageKind::kHeartbeatReply;
    alive.group = GroupId(1);
    alive.from = kThree;
    alive.to = kOne;
    alive.term = cluster_.node(1).term();
    cluster_.node(1).step(alive);
    cluster_.settle();
    EXPECT_EQ(cluster_.node(1).status().peers[2].state, ProgressState::kSnapshot);

    cluster_.node(1).report_snapshot(kThree, SnapshotOutcome::kFailed);
    EXPECT_EQ(cluster_.node(1).status().peers[2].state, ProgressState::kProbe);
    cluster_.heal();
    cluster_.run(4);

    EXPECT_EQ(cluster_.node(3).commit_index(), cluster_.node(1).commit_index());
}

// ---- transfer (thesis 3.10) ----

TEST_F(RaftGroup, HandsItsLeadershipOver) {
    cluster_.elect(kOne);

    ASSERT_TRUE(cluster_.transfer(kOne, kTwo).ok());
    cluster_.settle();

    EXPECT_EQ(cluster_.leader(), kTwo);
    EXPECT_EQ(cluster_.node(1).leader(), kTwo);
}

TEST_F(RaftGroup, BringsTheHeirUpToDateFirstAndTakesNoWritesMeanwhile) {
    cluster_.elect(kOne);
    cluster_.isolate(kTwo);
    ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
    cluster_.settle();
    ASSERT_TRUE(cluster_.transfer(kOne, kTwo).ok());
    EXPECT_EQ(cluster_.propose(kOne, "b").status().code(), Code::kUnavailable);

    cluster_.heal();
    cluster_.run(3);

    EXPECT_EQ(cluster_.leader(), kTwo);
    EXPECT_EQ(cluster_.node(2).status().counters.elections_won, 1U);
}

TEST_F(RaftGroup, GivesATransferUpAfterAnElectionTimeout) {
    cluster_.elect(kOne);
    cluster_.isolate(kTwo);
    ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
    ASSERT_TRUE(cluster_.transfer(kOne, kTwo).ok());

    cluster_.run(11);

    EXPECT_TRUE(cluster_.propose(kOne, "b").ok());
    EXPECT_EQ(cluster_.transfer(kOne, NodeId(9)).code(), Code::kInvalidArgument);
    EXPECT_EQ(cluster_.transfer(kThree, kOne).code(), Code::kNotLeader);
}

// ---- sleep ----

TEST(RaftHibernation, AnIdleGroupSleepsAndWakesForWork) {
    Config config = quiet();
    config.hibernate_after_ticks = 4;
    Cluster cluster(3, config);
    cluster.elect(kOne);
    cluster.run(12);
    for (const NodeId id : cluster.ids()) {
        EXPECT_TRUE(cluster.node(id).status().asleep);
    }
    const std::uint64_t steps = cluster.steps();
    cluster.run(50);
    EXPECT_EQ(cluster.steps(), steps + 150) << "ticks alone, and no message";

    ASSERT_TRUE(cluster.propose(kOne, "a").ok());
    cluster.run(2);

    EXPECT_EQ(cluster.replica(kThree).machine.index, Index(3));
    EXPECT_EQ(cluster.failure(), "");
}

TEST(RaftHibernation, TheHostsWakeUpFindsANewLeader) {
    Config config = quiet();
    config.hibernate_after_ticks = 4;
    Cluster cluster(3, config);
    cluster.elect(kOne);
    cluster.run(12);
    cluster.crash(kOne);
    cluster.run(60);
    EXPECT_EQ(cluster.leader(), kNoNode) << "nobody looks";

    cluster.wake(kTwo);
    cluster.wake(kThree);
    cluster.run(60);

    EXPECT_NE(cluster.leader(), kNoNode);
    EXPECT_EQ(cluster.failure(), "");
}

// ---- copies ----

TEST_F(RaftGroup, ACloneGoesItsOwnWayFromTheSameState) {
    cluster_.elect(kOne);
    testing::MemoryLog copy = cluster_.replica(kOne).log;
    Node twin = cluster_.node(1).clone(copy);
    EXPECT_EQ(twin.state_hash(), cluster_.node(1).state_hash());

    const std::vector<Payload> commands(1);
    ASSERT_TRUE(twin.propose(commands).ok());

    EXPECT_NE(twin.state_hash(), cluster_.node(1).state_hash());
}

}  // namespace
}  // namespace kvstore::raft
