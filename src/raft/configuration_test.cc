#include "raft/configuration.h"

#include <gtest/gtest.h>

#include "raft/conf_change.h"

namespace kvstore::raft {
namespace {

ConfStep add(std::uint64_t id) {
    return {ConfOperation::kAddVoter, NodeId(id)};
}
ConfStep learn(std::uint64_t id) {
    return {ConfOperation::kAddLearner, NodeId(id)};
}
ConfStep remove(std::uint64_t id) {
    return {ConfOperation::kRemove, NodeId(id)};
}

Membership of(std::vector<NodeId> voters) {
    return restore_membership({.voters = std::move(voters),
                               .voters_outgoing = {},
                               .learners = {},
                               .learners_next = {},
                               .auto_leave = false},
                              NewcomerProgress())
        .value();
}

Membership three() {
    return of({NodeId(1), NodeId(2), NodeId(3)});
}

TEST(RaftConfiguration, StepsThatNameNobodyOrChangeNothingAreVoid) {
    Membership group = three();
    EXPECT_TRUE(apply_simple(group, {learn(4), add(0)}, {}).ok());
    const Membership before = group;

    EXPECT_TRUE(apply_simple(group, {learn(4), remove(0)}, {}).ok());

    EXPECT_EQ(group.configuration, before.configuration);
}

TEST(RaftConfiguration, AGroupWithoutVotersCannotBecomeJoint) {
    Membership group;

    EXPECT_EQ(enter_joint(group, {add(1)}, true, {}).code(), Code::kConflict);
}

TEST(RaftConfiguration, ChangesOneVoterDirectly) {
    Membership group = three();

    EXPECT_TRUE(apply_simple(group, {add(4), learn(5), learn(6)}, {}).ok());

    EXPECT_EQ(group.configuration.voters.incoming.size(), 4U);
    EXPECT_EQ(group.configuration.learners.size(), 2U);
    EXPECT_EQ(group.progress.size(), 6U);
}

TEST(RaftConfiguration, RefusesTwoVotersWithoutAJointPhase) {
    Membership group = three();

    const Status status = apply_simple(group, {add(4), add(5)}, {});

    EXPECT_EQ(status.code(), Code::kConflict);
    EXPECT_EQ(group.configuration.voters.incoming.size(), 3U) << "nothing changed";
}

TEST(RaftConfiguration, RefusesToRemoveEverybody) {
    Membership group = of({NodeId(1)});

    EXPECT_EQ(apply_simple(group, {remove(1)}, {}).code(), Code::kInvalidArgument);
}

TEST(RaftConfiguration, PassesThroughAJointPhase) {
    Membership group = three();

    ASSERT_TRUE(apply_change(group,
                             {.steps = {add(4), add(5), remove(1)},
                              .transition = Transition::kAutomatic,
                              .context = {}},
                             {})
                    .ok());
    EXPECT_TRUE(group.configuration.voters.joint());
    EXPECT_TRUE(group.configuration.auto_leave);
    EXPECT_NE(group.progress.find(NodeId(1)), nullptr) << "the old majority still counts it";

    ASSERT_TRUE(apply_change(group, ConfChange(), {}).ok());
    EXPECT_FALSE(group.configuration.voters.joint());
    EXPECT_EQ(group.progress.find(NodeId(1)), nullptr);
    EXPECT_EQ(group.configuration.state().voters.size(), 4U);
}

TEST(RaftConfiguration, MakesADemotedVoterALearnerOnlyWhenTheJointPhaseEnds) {
    Membership group = three();

    ASSERT_TRUE(enter_joint(group, {learn(3)}, true, {}).ok());
    EXPECT_TRUE(group.configuration.learners_next.contains(NodeId(3)));
    EXPECT_TRUE(group.configuration.voters.contains(NodeId(3)));
    EXPECT_FALSE(group.progress.find(NodeId(3))->learner);

    ASSERT_TRUE(leave_joint(group).ok());
    EXPECT_TRUE(group.configuration.learners.contains(NodeId(3)));
    EXPECT_TRUE(group.progress.find(NodeId(3))->learner);
}

TEST(RaftConfiguration, NeitherEntersTwiceNorLeavesWhatItIsNotIn) {
    Membership group = three();
    EXPECT_EQ(leave_joint(group).code(), Code::kConflict);
    ASSERT_TRUE(enter_joint(group, {add(4)}, false, {}).ok());

    EXPECT_EQ(enter_joint(group, {add(5)}, false, {}).code(), Code::kConflict);
    EXPECT_EQ(apply_simple(group, {add(5)}, {}).code(), Code::kConflict);
}

TEST(RaftConfiguration, RefusesAStoredStateThatBreaksItsRules) {
    const NodeId one(1);
    const NodeId two(2);
    EXPECT_FALSE(restore_membership({.voters = {one},
                                     .voters_outgoing = {},
                                     .learners = {one},
                                     .learners_next = {},
                                     .auto_leave = false},
                                    {})
                     .ok());
    EXPECT_FALSE(restore_membership({.voters = {one},
                                     .voters_outgoing = {},
                                     .learners = {},
                                     .learners_next = {two},
                                     .auto_leave = false},
                                    {})
                     .ok());
    EXPECT_FALSE(restore_membership({.voters = {one},
                                     .voters_outgoing = {},
                                     .learners = {},
                                     .learners_next = {},
                                     .auto_leave = true},
                                    {})
                     .ok());
    EXPECT_FALSE(restore_membership({.voters = {},
                                     .voters_outgoing = {one},
                                     .learners = {},
                                     .learners_next = {},
                                     .auto_leave = false},
                                    {})
                     .ok());
}

TEST(RaftConfChange, ComesBackFromItsBytes) {
    const ConfChange change{.steps = {add(4), learn(1ULL << 40U), remove(1)},
                            .transition = Transition::kJointExplicit,
                            .context = Payload::copy_of("at 10.0.0.4")};

    const Result<ConfChange> decoded = decode_conf_change(encode_conf_change(change));

    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(*decoded, change);
    EXPECT_TRUE(encode_conf_change(ConfChange()).empty());
}

TEST(RaftConfChange, RefusesBytesThatAreNoChange) {
    const ConfChange change{
        .steps = {add(4), add(5)}, .transition = Transition::kAutomatic, .context = {}};
    const Payload whole = encode_conf_change(change);
    for (std::size_t size = 1; size < whole.size(); ++size) {
        EXPECT_FALSE(decode_conf_change(Payload::copy_of(whole.view().substr(0, size))).ok())
            << size;
    }
    EXPECT_FALSE(decode_conf_change(Payload::copy_of(ByteView("\x02\x00\x00\x00", 4))).ok());
    EXPECT_FALSE(decode_conf_change(Payload::copy_of(ByteView("\x01\x09\x00\x00", 4))).ok());
    Bytes bad(whole.view());
    bad[4] = 9;
    EXPECT_FALSE(decode_conf_change(Payload::copy_of(bad)).ok());
}

}  // namespace
}  // namespace kvstore::raft
