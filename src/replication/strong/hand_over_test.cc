#include "replication/strong/hand_over.h"

#include <gtest/gtest.h>

namespace kvstore::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class HandingOver : public ::testing::Test {
protected:
    // One write that the others have after `others`, and the leader's log after `own`.
    void write(Duration others, Duration own) {
        const Index last = next_index_;
        next_index_ = next_index_.next();
        hand_over_.on_append(last, now_);
        if (others < own) {
            hand_over_.on_committed(last, now_ + others);
        }
        hand_over_.on_durable(last, now_ + own);
        hand_over_.on_committed(last, now_ + std::max(own, others));
        now_ += std::max(own, others);
    }
    [[nodiscard]] bool has_reason(bool is_disk_full = false) {
        return hand_over_.reason(is_disk_full, now_).has_value();
    }
    static raft::NodeStatus leader_of(std::size_t size) {
        raft::NodeStatus status;
        status.id = NodeId(1);
        for (std::uint64_t id = 1; id <= size; ++id) {
            raft::PeerStatus peer;
            peer.id = NodeId(id);
            peer.state = raft::ProgressState::kReplicate;
            peer.recently_active = true;
            status.peers.push_back(peer);
        }
        return status;
    }

    HandOver hand_over_;
    MonotonicTime now_{seconds(100)};
    Index next_index_{1};
};

TEST_F(HandingOver, AFullLogIsAReasonAtOnce) {
    EXPECT_FALSE(has_reason(false));
    EXPECT_TRUE(has_reason(true));
}

TEST_F(HandingOver, ALogThatIsSlowerForSecondsIsAReason) {
    for (int i = 0; i < 10; ++i) {
        write(milliseconds(5), milliseconds(290));
        EXPECT_FALSE(has_reason());
    }
    write(milliseconds(5), milliseconds(290));
    EXPECT_TRUE(has_reason());
}

TEST_F(HandingOver, ALogThatHangsIsAReason) {
    hand_over_.on_append(Index(1), now_);
    hand_over_.on_committed(Index(1), now_ + milliseconds(5));
    now_ += milliseconds(2900);
    EXPECT_FALSE(has_reason());
    now_ += milliseconds(200);
    EXPECT_TRUE(has_reason());
}

TEST_F(HandingOver, OneWriteThatWasNotSlowerBeginsTheCountAnew) {
    for (int i = 0; i < 10; ++i) {
        write(milliseconds(5), milliseconds(290));
    }
    write(milliseconds(5), milliseconds(4));
    write(milliseconds(5), milliseconds(290));
    write(milliseconds(5), milliseconds(290));
    EXPECT_FALSE(has_reason());
}

TEST_F(HandingOver, WhatIsAsSlowForTheOthersIsNoReason) {
    for (int i = 0; i < 50; ++i) {
        write(milliseconds(200), milliseconds(290));
        write(milliseconds(400), milliseconds(290));
    }
    EXPECT_FALSE(has_reason());
}

TEST_F(HandingOver, AFewMillisecondsAreNoReasonHoweverManyTimesSlower) {
    for (int i = 0; i < 500; ++i) {
        write(milliseconds(1), milliseconds(40));
    }
    EXPECT_FALSE(has_reason());
}

TEST_F(HandingOver, TriesEachFitHeirOnceAndThenRests) {
    raft::NodeStatus status = leader_of(5);
    status.peers[2].recently_active = false;
    status.peers[3].learner = true;
    EXPECT_EQ(hand_over_.choose_heir(status, now_), NodeId(2));
    EXPECT_FALSE(has_reason(true));
    now_ += seconds(2);
    EXPECT_TRUE(has_reason(true));
    EXPECT_EQ(hand_over_.choose_heir(status, now_), NodeId(5));
    now_ += seconds(2);
    EXPECT_FALSE(hand_over_.is_resting(now_));
    EXPECT_EQ(hand_over_.choose_heir(status, now_), NodeId());
    now_ += seconds(5);
    EXPECT_FALSE(has_reason(true));
    EXPECT_TRUE(hand_over_.is_resting(now_));
    now_ += seconds(6);
    EXPECT_TRUE(has_reason(true));
    EXPECT_EQ(hand_over_.choose_heir(status, now_), NodeId(2));
}

TEST_F(HandingOver, RefusesToBeTheHeirWhileItsLogIsFullAndAMinuteAfterItWasSlow) {
    EXPECT_FALSE(hand_over_.refuses(false, now_));
    EXPECT_TRUE(hand_over_.refuses(true, now_));
    for (int i = 0; i < 20; ++i) {
        write(milliseconds(5), milliseconds(290));
    }
    ASSERT_TRUE(has_reason());
    EXPECT_EQ(hand_over_.choose_heir(leader_of(3), now_), NodeId(2));
    hand_over_.forget();
    EXPECT_TRUE(hand_over_.refuses(false, now_ + seconds(59)));
    EXPECT_FALSE(hand_over_.refuses(false, now_ + seconds(61)));
}

}  // namespace
}  // namespace kvstore::replication
