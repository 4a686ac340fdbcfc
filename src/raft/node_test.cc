// A member's contract, rule by rule, over the in-memory cluster.
#include "raft/node.h"

#include <gtest/gtest.h>

#include "raft/testing/cluster.h"

namespace kvstore::raft {
namespace {

using testing::Cluster;
using testing::Replica;

const NodeId kOne(1);
const NodeId kTwo(2);
const NodeId kThree(3);

Config quiet() {
    Config config;
    config.group = GroupId(1);
    config.seed = 1;
    return config;
}

std::size_t count_messages(Cluster& cluster, MessageKind kind) {
    std::size_t count = 0;
    for (const Message& message : cluster.messages()) {
        count += message.kind == kind ? 1 : 0;
    }
    return count;
}

class RaftNode : public ::testing::Test {
protected:
    void TearDown() override { EXPECT_EQ(cluster_.failure(), ""); }

    Cluster cluster_{3, quiet()};
};

// ---- elections ----

TEST_F(RaftNode, LeadsOnceAMajorityHasVoted) {
    cluster_.elect(kOne);

    EXPECT_EQ(cluster_.leader(), kOne);
    EXPECT_EQ(cluster_.node(2).leader(), kOne);
    EXPECT_EQ(cluster_.node(1).commit_index(), Index(2)) << "the entry that opens the term";
}

TEST_F(RaftNode, ElectsSomebodyWithinAFewTimeouts) {
    cluster_.run(60);

    EXPECT_NE(cluster_.leader(), kNoNode);
}

// Thesis 9.6.
TEST_F(RaftNode, APreVoteDisturbsNobodysTerm) {
    cluster_.elect(kOne);
    const Term before = cluster_.node(1).term();
    cluster_.isolate(kThree);
    for (int i = 0; i < 100; ++i) {
        cluster_.tick(kThree);
        cluster_.take_ready(kThree);
    }
    EXPECT_EQ(cluster_.node(3).term(), before);
    EXPECT_EQ(cluster_.node(3).role(), Role::kPreCandidate);

    cluster_.heal();
    cluster_.run(3);

    EXPECT_EQ(cluster_.node(1).term(), before);
    EXPECT_EQ(cluster_.node(3).leader(), kOne);
}

// Thesis 3.8: neither the request nor the answer leaves before term and vote are durable.
TEST_F(RaftNode, VotesOnlyWhatIsDurable) {
    cluster_.campaign(kOne);
    cluster_.take_ready(kOne);
    EXPECT_EQ(count_messages(cluster_, MessageKind::kPreVote), 2U);
    cluster_.settle();

    cluster_.campaign(kTwo);
    while (!cluster_.node(2).has_ready() || cluster_.node(2).role() != Role::kCandidate) {
        cluster_.take_ready(kTwo);
        cluster_.write_one(kTwo);
        cluster_.tell_persisted(kTwo);
        cluster_.node(2).step({.kind = MessageKind::kPreVoteReply,
                               .group = GroupId(1),
                               .from = kThree,
                               .to = kTwo,
                               .term = cluster_.node(2).term().next(),
                               .log_term = {},
                               .index = {},
                               .commit = {},
                               .commit_term = {},
                               .reject = false,
                               .transfer = false,
                               .hibernate = false,
                               .hint_index = {},
                               .hint_term = {},
                               .read_round = 0,
                               .read = {},
                               .entries = {},
                               .snapshot = nullptr});
    }
    const Ready ready = cluster_.node(2).ready();
    EXPECT_TRUE(ready.must_sync);
    for (const Message& message : ready.send_now) {
        EXPECT_NE(message.kind, MessageKind::kVote);
    }
    EXPECT_EQ(ready.self_answers.size(), 1U);
    EXPECT_EQ(ready.send_after_persist.size(), 2U);
}

TEST_F(RaftNode, DoesNotElectALogThatLacksCommittedEntries) {
    cluster_.elect(kOne);
    cluster_.isolate(kThree);
    ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
    cluster_.settle();
    cluster_.crash(kOne);
    cluster_.heal();

    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(cluster_.forget_leader(kTwo).ok());
        cluster_.elect(kThree);
        EXPECT_NE(cluster_.leader(), kThree);
    }
    cluster_.run(60);

    EXPECT_EQ(cluster_.leader(), kTwo);
}

// Thesis 6.2.
TEST_F(RaftNode, ALeaderWithoutAMajorityStepsDown) {
    cluster_.elect(kOne);
    cluster_.isolate(kOne);

    for (int i = 0; i < 25; ++i) {
        cluster_.tick(kOne);
    }

    EXPECT_EQ(cluster_.node(1).role(), Role::kFollower);
    EXPECT_GE(cluster_.node(1).status().counters.leader_steps_down, 1U);
}

// Thesis 4.2.3.
TEST_F(RaftNode, IgnoresCandidatesWhileItHearsFromALeader) {
    cluster_.elect(kOne);
    Message request;
    request.kind = MessageKind::kVote;
    request.group = GroupId(1);
    request.from = kThree;
    request.to = kTwo;
    request.term = Term(50);
    request.index = Index(50);
    request.log_term = Term(49);

    cluster_.node(2).step(request);
    EXPECT_LT(cluster_.node(2).term(), Term(50));

    request.transfer = true;
    cluster_.node(2).step(request);
    EXPECT_EQ(cluster_.node(2).term(), Term(50)) << "the leader itself has asked for it";
    cluster_.crash(kTwo);
    cluster_.restart(kTwo);
}

TEST_F(RaftNode, DropsWhatIsNotMeantForIt) {
    cluster_.elect(kOne);
    const std::uint64_t hash = cluster_.node(2).state_hash();
    Message stray;
    stray.kind = MessageKind::kHeartbeat;
    stray.term = Term(90);
    stray.from = kOne;
    stray.to = kThree;
    stray.group = GroupId(1);
    cluster_.node(2).step(stray);
    stray.to = kTwo;
    stray.group = GroupId(2);
    cluster_.node(2).step(stray);
    stray.group = GroupId(1);
    stray.from = kTwo;
    cluster_.node(2).step(stray);

    EXPECT_EQ(cluster_.node(2).state_hash(), hash);
    EXPECT_EQ(cluster_.node(2).status().counters.messages_dropped, 3U);
}

// ---- replication ----

TEST_F(RaftNode, CommitsAndAppliesEverywhere) {
    cluster_.elect(kOne);

    const Result<Proposed> proposed = cluster_.propose(kOne, "a");
    cluster_.settle();
    cluster_.run(1);

    ASSERT_TRUE(proposed.ok());
    for (const NodeId id : cluster_.ids()) {
        EXPECT_EQ(cluster_.replica(id).machine.index, proposed->first);
    }
    EXPECT_EQ(cluster_.acknowledged(), proposed->first);
}

TEST_F(RaftNode, OnlyALeaderTakesProposals) {
    cluster_.elect(kOne);

    const Result<Proposed> refused = cluster_.propose(kTwo, "a");

    EXPECT_EQ(refused.status().code(), Code::kNotLeader);
    EXPECT_EQ(refused.status().effect(), Effect::kNone);
}

TEST_F(RaftNode, AppendsLeaveBeforeTheLeadersDiskAndCountWithoutIt) {
    cluster_.elect(kOne);
    cluster_.settle();
    ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
    cluster_.take_ready(kOne);
    EXPECT_EQ(count_messages(cluster_, MessageKind::kAppend), 2U);

    // The leader's own disk stands still; the two others are a majority.
    for (int round = 0; round < 4; ++round) {
        while (!cluster_.messages().empty()) {
            cluster_.deliver(0);
        }
        for (const NodeId id : {kTwo, kThree}) {
            cluster_.take_ready(id);
            cluster_.write_one(id);
            cluster_.tell_persisted(id);
        }
    }

    EXPECT_EQ(cluster_.node(1).commit_index(), Index(3));
    EXPECT_EQ(cluster_.node(1).status().durable_index, Index(2));
    cluster_.take_ready(kOne);
    EXPECT_TRUE(cluster_.replica(kOne).applies.empty()) << "not durable here yet";
}

TEST_F(RaftNode, AFollowerAcknowledgesOnlyWhatIsDurable) {
    cluster_.elect(kOne);
    ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
    cluster_.take_ready(kOne);
    while (!cluster_.messages().empty()) {
        cluster_.deliver(0);
    }

    cluster_.take_ready(kTwo);
    EXPECT_TRUE(cluster_.messages().empty());
    cluster_.write_one(kTwo);

    EXPECT_EQ(count_messages(cluster_, MessageKind::kAppendReply), 1U);
}

// Thesis 3.5: the follower's log is brought into line with the leader's.
TEST_F(RaftNode, OverwritesWhatAnOldLeaderLeftBehind) {
    cluster_.elect(kOne);
    cluster_.isolate(kOne);
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(cluster_.propose(kOne, "lost").ok());
    }
    cluster_.settle();
    for (const NodeId id : {kTwo, kThree}) {
        ASSERT_TRUE(cluster_.forget_leader(id).ok());
    }
    cluster_.elect(kTwo);
    ASSERT_TRUE(cluster_.propose(kTwo, "kept").ok());
    cluster_.settle();

    cluster_.heal();
    cluster_.run(3);

    EXPECT_EQ(cluster_.node(1).leader(), kTwo);
    EXPECT_EQ(cluster_.replica(kOne).machine.digest, cluster_.replica(kTwo).machine.digest);
    EXPECT_EQ(cluster_.node(1).status().last_index, cluster_.node(2).status().last_index);
}

TEST_F(RaftNode, BoundsWhatIsUncommitted) {
    Config config = quiet();
    config.uncommitted_bytes_max = 1000;
    Cluster cluster(3, config);
    cluster.elect(kOne);
    cluster.isolate(kOne);
    const std::string big(600, 'x');
    EXPECT_TRUE(cluster.propose(kOne, big).ok());

    EXPECT_EQ(cluster.propose(kOne, big).status().code(), Code::kOverloaded);
    EXPECT_TRUE(cluster.propose(kOne, "").ok()) << "empty ones pass";

    cluster.heal();
    cluster.run(3);
    EXPECT_TRUE(cluster.propose(kOne, big).ok());
    EXPECT_EQ(cluster.failure(), "");
}

TEST_F(RaftNode, BoundsWhatIsInFlightToOnePeer) {
    Config config = quiet();
    config.inflight_messages_max = 3;
    Cluster cluster(3, config);
    cluster.elect(kOne);
    cluster.isolate(kThree);
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(cluster.propose(kOne, "a").ok());
        cluster.settle();
    }

    for (const PeerStatus& peer : cluster.node(1).status().peers) {
        if (peer.id == kThree) {
            EXPECT_EQ(peer.inflight_messages, 3U);
            EXPECT_TRUE(peer.paused);
        }
    }
    cluster.heal();
    cluster.run(4);
    EXPECT_EQ(cluster.node(3).commit_index(), cluster.node(1).commit_index());
    EXPECT_EQ(cluster.failure(), "");
}

TEST_F(RaftNode, ProbesAPeerThatIsReportedUnreachable) {
    cluster_.elect(kOne);

    cluster_.unreachable(kOne, kTwo);

    EXPECT_EQ(cluster_.node(1).status().peers[1].state, ProgressState::kProbe);
    cluster_.run(2);
    EXPECT_EQ(cluster_.node(1).status().peers[1].state, ProgressState::kReplicate);
}

TEST_F(RaftNode, WaitsForEntriesThatAreNotAtHand) {
    cluster_.elect(kOne);
    cluster_.isolate(kThree);
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
        cluster_.settle();
    }
    cluster_.replica(kOne).log.set_cold_below(Index(100));
    cluster_.unreachable(kOne, kThree);
    cluster_.heal();
    cluster_.run(2);
    EXPECT_LT(cluster_.node(3).commit_index(), cluster_.node(1).commit_index());
    EXPECT_GE(cluster_.node(1).status().counters.log_waits, 1U);

    cluster_.replica(kOne).log.set_cold_below(Index());
    cluster_.node(1).on_log_loaded();
    cluster_.settle();
    cluster_.run(1);

    EXPECT_EQ(cluster_.node(3).commit_index(), cluster_.node(1).commit_index());
}

TEST_F(RaftNode, IsQuarantinedWhenItsDiskForgotWhatItAcknowledged) {
    cluster_.allow_quarantine();
    cluster_.elect(kOne);
    ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
    cluster_.settle();
    cluster_.crash(kTwo);
    Replica& liar = cluster_.replica(kTwo);
    liar.log.lose_after(Index(1));
    liar.hard.commit = Index(1);
    liar.hard.term = Term(1);
    cluster_.restart(kTwo);

    cluster_.run(2);

    EXPECT_TRUE(cluster_.node(2).is_quarantined());
    EXPECT_FALSE(cluster_.node(2).has_ready());
    EXPECT_EQ(cluster_.node(2).propose(std::vector<Payload>(1)).status().code(), Code::kCorruption);
    EXPECT_EQ(cluster_.node(1).role(), Role::kLeader) << "the others go on";
}

TEST_F(RaftNode, IsQuarantinedWhenWhatItRecoversContradictsItself) {
    testing::MemoryLog log;
    Config config = quiet();
    config.id = kOne;
    const ConfState conf{.voters = {kOne},
                         .voters_outgoing = {},
                         .learners = {},
                         .learners_next = {},
                         .auto_leave = false};

    const Node beyond(
        config, log, {.hard = {Term(1), kNoNode, Index(9)}, .conf = conf, .applied = {}});
    EXPECT_TRUE(beyond.is_quarantined());
    const Node applied(config, log, {.hard = {}, .conf = conf, .applied = Index(4)});
    EXPECT_TRUE(applied.is_quarantined());
    log.write({{Term(5), Index(1), EntryKind::kCommand, {}}});
    const Node old(
        config, log, {.hard = {Term(3), kNoNode, Index(1)}, .conf = conf, .applied = {}});
    EXPECT_TRUE(old.is_quarantined());
    EXPECT_NE(old.status().quarantine_reason, "");
}

// ---- reads (thesis 6.4) ----

TEST_F(RaftNode, ServesAReadOnceAMajorityHasConfirmedItsLead) {
    cluster_.elect(kOne);
    ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
    cluster_.settle();

    ASSERT_TRUE(cluster_.read(kOne).ok());
    EXPECT_EQ(cluster_.reads_served(), 0U);
    cluster_.settle();

    EXPECT_EQ(cluster_.reads_served(), 1U);
}

TEST_F(RaftNode, AFollowerReadsThroughItsLeader) {
    cluster_.elect(kOne);
    ASSERT_TRUE(cluster_.propose(kOne, "a").ok());
    cluster_.settle();

    ASSERT_TRUE(cluster_.read(kTwo).ok());
    cluster_.settle();
    cluster_.run(1);

    EXPECT_EQ(cluster_.reads_served(), 1U);
}

TEST_F(RaftNode, RefusesReadsBeforeItsTermHasCommitted) {
    EXPECT_EQ(cluster_.read(kOne).status().code(), Code::kNotLeader);
    cluster_.campaign(kOne);
    while (!cluster_.node(1).is_leader()) {
        for (const NodeId id : cluster_.ids()) {
            cluster_.take_ready(id);
            cluster_.write_one(id);
            cluster_.tell_persisted(id);
        }
        while (!cluster_.messages().empty() && !cluster_.node(1).is_leader()) {
            cluster_.deliver(0);
        }
    }

    EXPECT_EQ(cluster_.read(kOne).status().code(), Code::kUnavailable);
}

TEST_F(RaftNode, ALeaderThatWasCutOffAnswersNoRead) {
    cluster_.elect(kOne);
    cluster_.isolate(kOne);
    ASSERT_TRUE(cluster_.read(kOne).ok());
    cluster_.settle();

    EXPECT_EQ(cluster_.reads_served(), 0U);
    EXPECT_EQ(cluster_.node(1).status().pending_reads, 1U);
}

TEST_F(RaftNode, NeverMintsATokenTwiceEvenAcrossLives) {
    cluster_.elect(kOne);
    const Result<ReadToken> before = cluster_.read(kTwo);
    cluster_.crash(kTwo);
    cluster_.restart(kTwo);
    cluster_.run(1);
    const Result<ReadToken> after = cluster_.read(kTwo);

    ASSERT_TRUE(before.ok());
    ASSERT_TRUE(after.ok());
    EXPECT_EQ(before->term, after->term);
    EXPECT_NE(before->sequence, after->sequence);
}

TEST_F(RaftNode, AnswersAtOnceWhileItHoldsALease) {
    Config config = quiet();
    config.reads = ReadMode::kLease;
    Cluster cluster(3, config);
    cluster.run(60);
    const NodeId leader = cluster.leader();
    ASSERT_NE(leader, kNoNode);
    ASSERT_TRUE(cluster.propose(leader, "a").ok());
    cluster.run(2);

    ASSERT_TRUE(cluster.read(leader).ok());
    cluster.take_ready(leader);
    EXPECT_EQ(cluster.reads_served(), 1U);

    cluster.isolate(leader);
    for (int i = 0; i < 9; ++i) {
        cluster.tick(leader);
    }
    ASSERT_TRUE(cluster.read(leader).ok());
    cluster.take_ready(leader);
    EXPECT_EQ(cluster.reads_served(), 1U) << "the lease has run out";
    EXPECT_EQ(cluster.forget_leader(leader).code(), Code::kConflict);
    EXPECT_EQ(cluster.failure(), "");
}

}  // namespace
}  // namespace kvstore::raft
