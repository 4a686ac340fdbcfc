// What a member refuses, and what ends its part in the group.
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "raft/messages.h"
#include "raft/testing/cluster.h"

namespace kvstore::raft {
namespace {

using testing::Cluster;

const NodeId kOne(1);
const NodeId kTwo(2);

Config plain() {
    Config config;
    config.group = GroupId(1);
    config.seed = 1;
    config.pre_vote = false;
    return config;
}

class RaftRefusal : public ::testing::Test {
protected:
    RaftRefusal() {
        cluster_.elect(kOne);
        EXPECT_TRUE(cluster_.propose(kOne, "a").ok());
        cluster_.settle();
    }

    Message from_leader(MessageKind kind) {
        Message message;
        message.kind = kind;
        message.group = GroupId(1);
        message.from = kOne;
        message.to = kTwo;
        message.term = cluster_.node(1).term();
        return message;
    }

    Cluster cluster_{3, plain()};
};

TEST(RaftMessages, HaveNamesOfTheirOwn) {
    std::set<std::string_view> names;
    for (int kind = 0; kind <= static_cast<int>(MessageKind::kWakeUp); ++kind) {
        names.insert(message_kind_name(static_cast<MessageKind>(kind)));
    }

    EXPECT_EQ(names.size(), 13U);
    EXPECT_EQ(message_kind_name(static_cast<MessageKind>(99)), "unknown");
}

TEST_F(RaftRefusal, DropsASnapshotThatIsNone) {
    cluster_.node(2).step(from_leader(MessageKind::kSnapshot));

    EXPECT_EQ(cluster_.node(2).status().counters.messages_dropped, 1U);
}

TEST_F(RaftRefusal, TakesFromASnapshotThatItHasAlreadyOnlyWhatIsCommitted) {
    Message message = from_leader(MessageKind::kSnapshot);
    auto known = std::make_shared<SnapshotMeta>();
    known->index = cluster_.node(2).status().last_index;
    known->term = cluster_.node(2).status().last_term;
    known->conf = cluster_.node(1).status().conf;
    message.snapshot = known;

    cluster_.node(2).step(message);

    EXPECT_EQ(cluster_.node(2).commit_index(), known->index);
    EXPECT_EQ(cluster_.node(2).status().first_index, Index(2)) << "its log stays";
}

TEST_F(RaftRefusal, IsQuarantinedByABrokenConfiguration) {
    Message message = from_leader(MessageKind::kSnapshot);
    auto wrong = std::make_shared<SnapshotMeta>();
    wrong->index = Index(50);
    wrong->term = message.term;
    wrong->conf.voters = {kTwo};
    wrong->conf.learners = {kTwo};
    message.snapshot = wrong;
    cluster_.node(2).step(message);
    EXPECT_TRUE(cluster_.node(2).is_quarantined());

    Node& one = cluster_.node(1);
    one.apply_conf_change(ConfChange());
    EXPECT_TRUE(one.is_quarantined()) << "there is no joint configuration to leave";
    EXPECT_EQ(one.propose_conf_change(ConfChange()).status().code(), Code::kCorruption);
    EXPECT_EQ(one.read_index().status().code(), Code::kCorruption);
    EXPECT_EQ(one.apply_conf_change(ConfChange()).voters.size(), 3U);
    one.campaign();
    one.wake();
    one.tick();
    one.on_applied(Index(2));
    one.on_persisted(1);
    EXPECT_EQ(one.ready().seq, 0U);
}

TEST_F(RaftRefusal, IsQuarantinedByASecondLeaderOfItsTerm) {
    Message message = from_leader(MessageKind::kHeartbeat);
    message.from = kTwo;
    message.to = kOne;

    cluster_.node(1).step(message);

    EXPECT_TRUE(cluster_.node(1).is_quarantined());
}

TEST_F(RaftRefusal, LooksPastWhatIsCommittedAndDropsWhatIsNoLog) {
    Message message = from_leader(MessageKind::kAppend);
    message.index = Index(1);
    message.log_term = Term(1);
    message.entries = {{message.term.next(), Index(2), EntryKind::kCommand, {}}};
    cluster_.node(2).step(message);
    EXPECT_FALSE(cluster_.node(2).is_quarantined()) << "below the commit index nothing is read";
    EXPECT_EQ(cluster_.node(2).term_at(Index(2)), message.term);

    message.index = cluster_.node(2).commit_index();
    message.log_term = *cluster_.node(2).term_at(message.index);
    message.entries = {{message.term, Index(90), EntryKind::kCommand, {}}};
    cluster_.node(2).step(message);
    EXPECT_EQ(cluster_.node(2).status().counters.messages_dropped, 1U) << "no such log";
}

// Leader completeness (thesis 3.6.3): it shows that a promise was broken somewhere.
TEST_F(RaftRefusal, IsQuarantinedByALeaderThatLacksWhatIsCommitted) {
    Message message = from_leader(MessageKind::kAppend);
    message.term = message.term.next();
    message.index = cluster_.node(2).commit_index();
    message.log_term = Term(1);

    cluster_.node(2).step(message);

    EXPECT_TRUE(cluster_.node(2).is_quarantined());
    EXPECT_FALSE(cluster_.node(2).has_ready()) << "says nothing more";
}

TEST_F(RaftRefusal, ChangesMembersNeitherDuringATransferNorBeyondItsLimits) {
    const ConfChange add{.steps = {{ConfOperation::kAddLearner, NodeId(4)}},
                         .transition = Transition::kAutomatic,
                         .context = {}};
    cluster_.isolate(kTwo);
    EXPECT_TRUE(cluster_.propose(kOne, "b").ok());
    EXPECT_TRUE(cluster_.transfer(kOne, kTwo).ok());
    EXPECT_EQ(cluster_.change(kOne, add).status().code(), Code::kUnavailable);
    EXPECT_TRUE(cluster_.transfer(kOne, kOne).ok()) << "to itself: keeps its lead";

    ConfChange odd;
    odd.transition = Transition::kJoint;
    EXPECT_EQ(cluster_.change(kOne, odd).status().code(), Code::kInvalidArgument);
    EXPECT_TRUE(cluster_.change(kOne, add).ok());
}

TEST_F(RaftRefusal, DropsAnswersThatNobodyAwaits) {
    for (const MessageKind kind : {MessageKind::kVoteReply,
                                   MessageKind::kPreVoteReply,
                                   MessageKind::kAppendReply,
                                   MessageKind::kHeartbeatReply,
                                   MessageKind::kReadIndex,
                                   MessageKind::kWakeUp}) {
        const Index before = cluster_.node(2).commit_index();
        Message stray = from_leader(kind);
        cluster_.node(2).step(stray);
        stray.from = NodeId(9);
        stray.to = kOne;
        stray.index = Index(500);
        cluster_.node(1).step(stray);
        EXPECT_EQ(cluster_.node(2).commit_index(), before);
    }
    Message beyond = from_leader(MessageKind::kAppendReply);
    beyond.from = kTwo;
    beyond.to = kOne;
    beyond.index = Index(500);
    cluster_.node(1).step(beyond);
    EXPECT_EQ(cluster_.node(1).commit_index(), cluster_.node(1).status().last_index);
}

}  // namespace
}  // namespace kvstore::raft
