#include "cluster/internal/shard_step.h"

#include <gtest/gtest.h>

#include "cluster/testing/rows.h"

namespace kvstore::cluster::internal {
namespace {

using cluster::testing::shard_record;
using Act = ShardStep::Act;

std::vector<NodeId> ids(std::initializer_list<std::uint64_t> numbers) {
    std::vector<NodeId> list;
    for (const std::uint64_t number : numbers) {
        list.emplace_back(number);
    }
    return list;
}

ShardRecord record_with(std::vector<NodeId> voters, std::vector<NodeId> learners = {}) {
    ShardRecord record = shard_record(16, "default", std::move(voters));
    record.epoch = ShardEpoch(7);
    record.learners = std::move(learners);
    return record;
}

LedShard group_with(std::vector<NodeId> voters, std::vector<NodeId> learners = {}) {
    LedShard group;
    group.id = ShardId(16);
    group.voters = std::move(voters);
    group.learners = std::move(learners);
    return group;
}

Action action_of(ActionKind kind, std::uint64_t node) {
    Action action;
    action.kind = kind;
    action.shard = ShardId(16);
    action.epoch = ShardEpoch(7);
    action.node = NodeId(node);
    return action;
}

std::optional<ShardStep> repair(const ShardRecord& record,
                                const LedShard& group,
                                bool can_take = true) {
    Callback<bool(NodeId)> answer = [can_take](NodeId) {
        return can_take;
    };
    return repair_of(record, group, answer);
}

TEST(ShardStep, ALearnerIsListedBeforeItsGroupHasIt) {
    const ShardStep step =
        step_of(action_of(ActionKind::kAddLearner, 4), record_with(ids({1, 2, 5})));

    ASSERT_TRUE(step.record_before.has_value());
    EXPECT_EQ(step.record_before->learners, ids({4}));
    EXPECT_EQ(step.record_before->epoch, ShardEpoch(8));
    EXPECT_EQ(step.taker, NodeId(4));
    EXPECT_EQ(step.acts, std::vector{(Act{ActionKind::kAddLearner, NodeId(4)})});
    EXPECT_FALSE(step.record_after.has_value());
}

TEST(ShardStep, AReplicaIsListedUntilItsGroupHasLetGoOfIt) {
    const ShardStep voter =
        step_of(action_of(ActionKind::kRemoveVoter, 2), record_with(ids({1, 2, 5})));
    const ShardStep learner =
        step_of(action_of(ActionKind::kRemoveLearner, 4), record_with(ids({1}), ids({4})));

    EXPECT_FALSE(voter.record_before.has_value());
    EXPECT_EQ(voter.record_after->voters, ids({1, 5}));
    EXPECT_EQ(voter.record_after->epoch, ShardEpoch(8));
    EXPECT_FALSE(learner.record_before.has_value());
    EXPECT_TRUE(learner.record_after->learners.empty());
}

TEST(ShardStep, APromotionIsWrittenAfterTheGroupHasMadeIt) {
    const ShardStep step =
        step_of(action_of(ActionKind::kPromoteLearner, 2), record_with(ids({1, 5}), ids({2})));

    EXPECT_FALSE(step.record_before.has_value());
    EXPECT_EQ(step.record_after->voters, ids({1, 2, 5}));
    EXPECT_TRUE(step.record_after->learners.empty());
}

TEST(ShardStep, ATransferChangesNoRecord) {
    const ShardStep step =
        step_of(action_of(ActionKind::kTransferLeader, 2), record_with(ids({1, 2, 5})));

    EXPECT_FALSE(step.record_before.has_value() || step.record_after.has_value());
}

TEST(ShardRepair, NothingIsDoneWhereRecordAndGroupAgree) {
    EXPECT_FALSE(
        repair(record_with(ids({1, 2}), ids({4})), group_with(ids({1, 2}), ids({4}))).has_value());
}

TEST(ShardRepair, TheRecordFollowsAPromotion) {
    const auto step = repair(record_with(ids({1}), ids({2, 4})), group_with(ids({1, 2}), ids({4})));

    ASSERT_TRUE(step.has_value());
    EXPECT_TRUE(step->acts.empty());
    EXPECT_EQ(step->record_after->voters, ids({1, 2}));
    EXPECT_EQ(step->record_after->learners, ids({4}));
    EXPECT_EQ(step->record_after->epoch, ShardEpoch(8));
}

// A deposed leader reports the voters of its own time.
TEST(ShardRepair, AVoterIsForgottenOnlyAfterTheLeaderHasMadeSure) {
    const auto step = repair(record_with(ids({1, 2, 5})), group_with(ids({1, 5})));

    ASSERT_TRUE(step.has_value());
    EXPECT_FALSE(step->record_before.has_value());
    EXPECT_EQ(step->acts, std::vector{(Act{ActionKind::kRemoveLearner, NodeId(2)})});
    EXPECT_EQ(step->record_after->voters, ids({1, 5}));
    EXPECT_TRUE(step->record_after->learners.empty());
}

TEST(ShardRepair, AVoterThatBecameALearnerStaysListed) {
    const auto step = repair(record_with(ids({1, 2})), group_with(ids({1}), ids({2})));

    ASSERT_TRUE(step.has_value());
    EXPECT_TRUE(step->acts.empty());
    EXPECT_EQ(step->record_after->learners, ids({2}));
}

TEST(ShardRepair, ALearnerThatNobodyListedIsRemoved) {
    const auto step = repair(record_with(ids({1})), group_with(ids({1}), ids({4})));

    ASSERT_TRUE(step.has_value());
    EXPECT_EQ(step->acts, std::vector{(Act{ActionKind::kRemoveLearner, NodeId(4)})});
    EXPECT_FALSE(step->record_before.has_value() || step->record_after.has_value());
}

// Otherwise a removal that another controller has yet to write would take it from the record.
TEST(ShardRepair, ALearnerThatTheGroupLacksIsAddedUnderANewEpoch) {
    const auto step = repair(record_with(ids({1}), ids({4})), group_with(ids({1})));

    ASSERT_TRUE(step.has_value());
    EXPECT_EQ(step->record_before->epoch, ShardEpoch(8));
    EXPECT_EQ(step->record_before->learners, ids({4}));
    EXPECT_EQ(step->acts, std::vector{(Act{ActionKind::kAddLearner, NodeId(4)})});
}

TEST(ShardRepair, ALearnerThatCannotBeHadIsForgottenAfterTheLeaderHasMadeSure) {
    const auto step =
        repair(record_with(ids({1}), ids({4})), group_with(ids({1})), /*can_take=*/false);

    ASSERT_TRUE(step.has_value());
    EXPECT_EQ(step->acts, std::vector{(Act{ActionKind::kRemoveLearner, NodeId(4)})});
    EXPECT_TRUE(step->record_after->learners.empty());
}

}  // namespace
}  // namespace kvstore::cluster::internal
