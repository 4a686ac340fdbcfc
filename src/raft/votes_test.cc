#include "raft/votes.h"

#include <map>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::raft {
namespace {

Majority majority(std::initializer_list<std::uint64_t> ids) {
    std::vector<NodeId> list;
    for (const std::uint64_t id : ids) {
        list.emplace_back(id);
    }
    return Majority(std::move(list));
}

TEST(RaftMajority, CommitsWhatMoreThanHalfHold) {
    const std::map<NodeId, std::uint64_t> held{
        {NodeId(1), 5}, {NodeId(2), 9}, {NodeId(3), 7}, {NodeId(4), 1}};
    const auto reached = [&](NodeId id) {
        return Index(held.at(id));
    };

    EXPECT_EQ(majority({1}).committed(reached), Index(5));
    EXPECT_EQ(majority({1, 2}).committed(reached), Index(5));
    EXPECT_EQ(majority({1, 2, 3}).committed(reached), Index(7));
    EXPECT_EQ(majority({1, 2, 3, 4}).committed(reached), Index(5));
}

TEST(RaftMajority, AgreesWithCountingForEveryRandomGroup) {
    Random random(42);
    for (int round = 0; round < 2000; ++round) {
        std::vector<NodeId> ids;
        std::map<NodeId, Index> held;
        const std::uint64_t size = random.between(1, 13);
        for (std::uint64_t i = 1; i <= size; ++i) {
            ids.emplace_back(i);
            held[NodeId(i)] = Index(random.below(6));
        }

        const Index committed = Majority(ids).committed([&](NodeId id) { return held.at(id); });

        const auto holders = [&](Index index) {
            std::uint64_t count = 0;
            for (const auto& [id, has] : held) {
                count += has >= index ? 1 : 0;
            }
            return count;
        };
        ASSERT_GT(holders(committed) * 2, size);
        ASSERT_LE(holders(committed.next()) * 2, size);
    }
}

TEST(RaftMajority, OfNobodyLimitsNothingAndWins) {
    EXPECT_EQ(Majority().committed([](NodeId) { return Index(1); }), kNoLimit);
    EXPECT_EQ(Majority().result([](NodeId) { return Vote::kNo; }), VoteResult::kWon);
}

TEST(RaftMajority, IsLostOnceTheMissingVotesCannotTurnIt) {
    std::map<NodeId, Vote> votes{
        {NodeId(1), Vote::kNo}, {NodeId(2), Vote::kMissing}, {NodeId(3), Vote::kMissing}};
    const auto vote = [&](NodeId id) {
        return votes.at(id);
    };
    EXPECT_EQ(majority({1, 2, 3}).result(vote), VoteResult::kPending);

    votes[NodeId(2)] = Vote::kNo;

    EXPECT_EQ(majority({1, 2, 3}).result(vote), VoteResult::kLost);
}

TEST(RaftVoters, DecideTogetherWhileJoint) {
    const Voters voters{majority({1, 2, 3}), majority({3, 4, 5})};
    const auto yes = [](std::initializer_list<std::uint64_t> ids) {
        return [ids](NodeId id) {
            for (const std::uint64_t each : ids) {
                if (id == NodeId(each)) {
                    return Vote::kYes;
                }
            }
            return Vote::kMissing;
        };
    };

    EXPECT_EQ(voters.result(yes({1, 2, 3})), VoteResult::kPending);
    EXPECT_EQ(voters.result(yes({1, 3, 4})), VoteResult::kWon);
    EXPECT_EQ(voters.ids().size(), 5U);
}

TEST(RaftVoters, CommitTheLesserOfBothMajorities) {
    const Voters voters{majority({1, 2, 3}), majority({4})};

    const Index committed =
        voters.committed([](NodeId id) { return Index(id == NodeId(4) ? 3 : 8); });

    EXPECT_EQ(committed, Index(3));
}

TEST(RaftTally, CountsTheFirstAnswerOfAMember) {
    Tally tally;
    tally.record(NodeId(2), Vote::kNo);
    tally.record(NodeId(2), Vote::kYes);

    EXPECT_EQ(tally.of(NodeId(2)), Vote::kNo);
    EXPECT_EQ(tally.of(NodeId(1)), Vote::kMissing);
}

}  // namespace
}  // namespace kvstore::raft
