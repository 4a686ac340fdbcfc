#include "raft/progress.h"

#include <gtest/gtest.h>

namespace kvstore::raft {
namespace {

Progress replicating(std::uint64_t match, std::uint32_t messages, std::size_t bytes = 0) {
    Progress progress(Index(match + 1), messages, bytes);
    progress.acknowledged(Index(match));
    progress.become_replicate();
    return progress;
}

TEST(RaftInflight, IsFullByMessagesOrByBytes) {
    Inflight inflight(2, 100);
    inflight.add(Index(1), 40);
    EXPECT_FALSE(inflight.full());

    inflight.add(Index(2), 10);
    EXPECT_TRUE(inflight.full());

    inflight.free_through(Index(1));
    EXPECT_FALSE(inflight.full());
    EXPECT_EQ(inflight.bytes(), 10U);

    inflight.add(Index(3), 90);
    inflight.free_through(Index(2));
    EXPECT_FALSE(inflight.full());
    inflight.add(Index(4), 10);
    EXPECT_TRUE(inflight.full());
}

TEST(RaftProgress, ProbesWithOneAppendAtATime) {
    Progress progress(Index(5), 10, 0);
    EXPECT_FALSE(progress.is_paused());

    progress.sent_entries(3, 30);

    EXPECT_TRUE(progress.is_paused());
    EXPECT_EQ(progress.next(), Index(5));
}

TEST(RaftProgress, SendsAheadWhileItReplicates) {
    Progress progress = replicating(4, 2);

    progress.sent_entries(2, 10);
    EXPECT_EQ(progress.next(), Index(7));
    EXPECT_FALSE(progress.is_paused());

    progress.sent_entries(1, 10);
    EXPECT_TRUE(progress.is_paused());
    EXPECT_TRUE(progress.inflight().full());
}

TEST(RaftProgress, IgnoresARefusalThatLaterAnswersHaveOvertaken) {
    Progress progress = replicating(4, 10);
    EXPECT_FALSE(progress.rejected(Index(3), Index(1)));
    EXPECT_EQ(progress.next(), Index(5));

    Progress probe(Index(9), 10, 0);
    EXPECT_FALSE(probe.rejected(Index(5), Index(1)));
    EXPECT_TRUE(probe.rejected(Index(8), Index(6)));
    EXPECT_EQ(probe.next(), Index(7));
}

// etcd/raft issue 148: a stale hint must not bring next down to match.
TEST(RaftProgress, NeverGoesBackToWhatIsKnownToBeThere) {
    Progress progress(Index(5), 10, 0);
    progress.acknowledged(Index(4));
    progress.become_probe();

    EXPECT_TRUE(progress.rejected(Index(4), Index(2)));

    EXPECT_EQ(progress.next(), Index(5));
}

TEST(RaftProgress, CountsOnASentSnapshotUntilItIsForgotten) {
    Progress arrived(Index(2), 10, 0);
    arrived.become_snapshot(Index(9));
    EXPECT_TRUE(arrived.is_paused());
    arrived.become_probe();
    EXPECT_EQ(arrived.next(), Index(10));

    Progress lost(Index(2), 10, 0);
    lost.become_snapshot(Index(9));
    lost.forget_snapshot();
    lost.become_probe();
    EXPECT_EQ(lost.next(), Index(1));
}

TEST(RaftProgress, TellsACommitOnceOnly) {
    Progress progress = replicating(4, 10);
    EXPECT_TRUE(progress.can_raise_commit(Index(4)));

    progress.sent_commit_index(Index(4));

    EXPECT_FALSE(progress.can_raise_commit(Index(4)));
    EXPECT_FALSE(progress.can_raise_commit(Index(6)));
}

TEST(RaftProgressMap, KeepsItsPeersInOrder) {
    ProgressMap peers;
    for (const std::uint64_t id : {3U, 1U, 2U}) {
        peers.insert(NodeId(id), Progress(Index(1), 1, 0));
    }
    peers.erase(NodeId(2));
    peers.erase(NodeId(7));

    std::vector<NodeId> order;
    for (const auto& [id, progress] : peers) {
        order.push_back(id);
    }

    EXPECT_EQ(order, (std::vector<NodeId>{NodeId(1), NodeId(3)}));
    EXPECT_EQ(peers.find(NodeId(2)), nullptr);
}

}  // namespace
}  // namespace kvstore::raft
