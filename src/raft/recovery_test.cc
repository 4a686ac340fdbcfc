// A member over a log of its own, without a group around it: what it begins with, and
// what it does while its log cannot answer.
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "raft/conf_change.h"
#include "raft/internal/core.h"
#include "raft/node.h"
#include "raft/snapshot.h"
#include "raft/testing/memory_log.h"

namespace kvstore::raft {
namespace {

using testing::MemoryLog;

const NodeId kOne(1);
const NodeId kTwo(2);

Config config() {
    Config config;
    config.group = GroupId(1);
    config.id = kOne;
    config.pre_vote = false;
    return config;
}

ConfState voters(std::uint64_t count) {
    ConfState conf;
    for (std::uint64_t id = 1; id <= count; ++id) {
        conf.voters.emplace_back(id);
    }
    return conf;
}

Entry command(std::uint64_t term, std::uint64_t index) {
    return {Term(term), Index(index), EntryKind::kCommand, Payload::copy_of("x")};
}

// A disk that holds commands 1 to 3 of term 1, committed and applied through 1.
class RaftRecovery : public ::testing::Test {
protected:
    RaftRecovery() { log_.write({command(1, 1), command(1, 2), command(1, 3)}); }

    Node start(std::uint64_t members = 3) {
        const HardState hard{.term = Term(1), .vote = kNoNode, .commit = Index(3)};
        return {config(), log_, Recovered{hard, voters(members), Index(1)}};
    }

    // A driver whose disk is immediate.
    static void write(Node& node, MemoryLog& log) {
        while (node.has_ready()) {
            const Ready ready = node.ready();
            log.write(ready.append);
            node.on_persisted(ready.seq);
            if (!ready.committed.empty()) {
                node.on_applied(ready.committed.back().index);
            }
        }
    }

    static Message vote_of(std::uint64_t from, Term term) {
        Message vote;
        vote.kind = MessageKind::kVoteReply;
        vote.group = GroupId(1);
        vote.from = NodeId(from);
        vote.to = kOne;
        vote.term = term;
        return vote;
    }

    // Leads a group of three, none of whose others has answered but with votes.
    Node lead() {
        Node node = start();
        node.campaign();
        write(node, log_);
        node.step(vote_of(2, node.term()));
        write(node, log_);
        EXPECT_TRUE(node.is_leader());
        return node;
    }

    MemoryLog log_;
};

TEST_F(RaftRecovery, IsQuarantinedByAConfigurationThatContradictsItself) {
    ConfState wrong = voters(3);
    wrong.learners = {kTwo};

    const Node node(config(), log_, Recovered{{Term(1), kNoNode, Index(3)}, wrong, Index(1)});

    EXPECT_TRUE(node.is_quarantined());
}

TEST_F(RaftRecovery, StaysQuarantinedForTheFirstReason) {
    Node node = start();

    node.quarantine("the disk failed");
    node.quarantine("it failed again");

    EXPECT_EQ(node.status().quarantine_reason, "the disk failed");
}

TEST_F(RaftRecovery, AppliesWhatIsCommittedOnceItIsAtHand) {
    Node node = start();
    log_.set_cold_below(Index(9));
    EXPECT_TRUE(node.ready().committed.empty());
    EXPECT_EQ(node.status().counters.log_waits, 1U);
    EXPECT_FALSE(node.has_ready()) << "nobody is asked again and again";

    log_.set_cold_below(Index());
    node.on_log_loaded();

    EXPECT_EQ(node.ready().committed.size(), 2U);
}

// It does not know by whose votes it would win.
TEST_F(RaftRecovery, DoesNotCampaignOverAChangeThatItHasNotApplied) {
    Node cold = start();
    log_.set_cold_below(Index(9));
    cold.campaign();
    EXPECT_EQ(cold.role(), Role::kFollower) << "what is not at hand may be a change";

    log_.set_cold_below(Index());
    cold.campaign();
    EXPECT_EQ(cold.role(), Role::kCandidate);

    ConfChange change;
    change.steps = {{ConfOperation::kAddLearner, NodeId(4)}};
    log_.write({{Term(1), Index(3), EntryKind::kConfChange, encode_conf_change(change)}});
    Node behind = start();
    behind.campaign();
    EXPECT_EQ(behind.role(), Role::kFollower);
}

TEST_F(RaftRecovery, KeepsItsStateWhenItIsMoved) {
    Node node = start();
    node.campaign();
    const std::uint64_t hash = node.state_hash();

    Node moved = std::move(node);
    EXPECT_EQ(moved.state_hash(), hash);
    Node other = start();
    other = std::move(moved);

    EXPECT_EQ(other.state_hash(), hash);
}

TEST_F(RaftRecovery, ItsHashTellsVotesAndWritesAndWindowsApart) {
    Node node = start(5);
    node.campaign();
    const std::uint64_t before_write = node.state_hash();
    const Ready ready = node.ready();
    EXPECT_NE(node.state_hash(), before_write);
    node.on_persisted(ready.seq);
    const std::uint64_t before_vote = node.state_hash();
    node.step(vote_of(2, node.term()));
    EXPECT_NE(node.state_hash(), before_vote);

    node.step(vote_of(3, node.term()));
    ASSERT_TRUE(node.is_leader());
    const std::uint64_t with_tail = node.state_hash();
    static_cast<void>(node.ready());
    EXPECT_NE(node.state_hash(), with_tail) << "the opening entry is being written";
}

TEST_F(RaftRecovery, LeaseRoundsThatNobodyConfirmsAreForgotten) {
    Config by_lease = config();
    by_lease.reads = ReadMode::kLease;
    by_lease.check_quorum = false;
    Node node(by_lease, log_, Recovered{{Term(1), kNoNode, Index(3)}, voters(3), Index(1)});
    for (std::uint32_t i = 0; i <= by_lease.election_ticks; ++i) {
        node.tick();  // a former life may have promised not to vote
    }
    node.campaign();
    write(node, log_);
    node.step(vote_of(2, node.term()));
    ASSERT_TRUE(node.is_leader());

    for (std::uint32_t i = 0; i < 5 * by_lease.election_ticks; ++i) {
        node.tick();
    }

    EXPECT_LE(node.core().reads.lease_rounds.size(), by_lease.election_ticks + 1U);
}

// ---- snapshots that a leader does not send (thesis 5) ----

class RaftSnapshotSource : public RaftRecovery {
protected:
    void offer(Index index, ConfState conf) {
        auto snapshot = std::make_shared<SnapshotMeta>();
        snapshot->index = index;
        snapshot->term = Term(1);
        snapshot->conf = std::move(conf);
        log_.offer(std::move(snapshot));
    }

    // Whether this leader sends one to member 2.
    bool sends(Node& leader) {
        Core& core = const_cast<Core&>(leader.core());
        return send_snapshot(core, kTwo, *core.peers().find(kTwo));
    }
};

TEST_F(RaftSnapshotSource, SendsOneOnlyToWhomItHearsFrom) {
    Node leader = lead();
    offer(Index(3), voters(3));
    EXPECT_FALSE(sends(leader));

    const_cast<Core&>(leader.core()).peers().find(kTwo)->recently_active = true;
    EXPECT_TRUE(sends(leader));
    EXPECT_TRUE(leader.core().peers().find(kTwo)->is_paused());
}

TEST_F(RaftSnapshotSource, SendsNoneThatWouldNotHelp) {
    Node leader = lead();
    const_cast<Core&>(leader.core()).peers().find(kTwo)->recently_active = true;
    EXPECT_FALSE(sends(leader)) << "there is none";

    offer(Index(3), voters(1));
    EXPECT_FALSE(sends(leader)) << "it does not name the peer";

    offer(Index(3), voters(3));
    log_.compact(Index(3));
    offer(Index(1), voters(3));
    EXPECT_FALSE(sends(leader)) << "it ends below the log";
}

TEST_F(RaftSnapshotSource, ReportsOfSnapshotsThatNobodySentMeanNothing) {
    Node leader = lead();
    const std::uint64_t before = leader.state_hash();

    leader.report_snapshot(kTwo, SnapshotOutcome::kArrived);
    leader.report_snapshot(NodeId(9), SnapshotOutcome::kFailed);

    EXPECT_EQ(leader.state_hash(), before);
}

TEST_F(RaftSnapshotSource, NobodyTakesTheStateOfAGroupThatDoesNotKnowThem) {
    Node node = start();
    Message message;
    message.kind = MessageKind::kSnapshot;
    message.group = GroupId(1);
    message.from = kTwo;
    message.to = kOne;
    message.term = Term(2);
    auto foreign = std::make_shared<SnapshotMeta>();
    foreign->index = Index(50);
    foreign->term = Term(2);
    foreign->conf.voters = {kTwo};
    message.snapshot = foreign;

    node.step(message);

    EXPECT_EQ(node.commit_index(), Index(3));
    EXPECT_EQ(node.status().counters.messages_dropped, 1U);
    EXPECT_FALSE(node.is_quarantined());
}

}  // namespace
}  // namespace kvstore::raft
