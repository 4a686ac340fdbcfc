// The planner, rule by rule.
#include "cluster/placement.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/testing/placement_world.h"

namespace kvstore::cluster {
namespace {

using ::testing::HasSubstr;
using testing::PlacementWorld;
using Pace = PlacementWorld::Pace;

constexpr NodeId kOne(1);
constexpr NodeId kTwo(2);
constexpr NodeId kThree(3);
constexpr NodeId kFour(4);

// `nodes` nodes of one zone and a shard of three on the first three of them.
PlacementWorld three_of(int nodes) {
    PlacementWorld world;
    for (int i = 0; i < nodes; ++i) {
        world.add_node();
    }
    world.add_shard({kOne, kTwo, kThree});
    return world;
}

std::vector<std::string> texts(const Plan& plan) {
    std::vector<std::string> lines;
    for (const Action& action : plan.actions) {
        const std::string text = to_string(action);
        lines.push_back(text.substr(0, text.find(" (")));
    }
    return lines;
}

using Lines = std::vector<std::string>;

TEST(EffectiveFactor, IsTheLargestOddNumberThatFits) {
    const auto factors = [](std::uint32_t factor) {
        std::vector<std::uint32_t> found;
        for (std::size_t nodes = 0; nodes <= 8; ++nodes) {
            found.push_back(effective_factor(factor, nodes));
        }
        return found;
    };

    EXPECT_EQ(factors(1), (std::vector<std::uint32_t>{1, 1, 1, 1, 1, 1, 1, 1, 1}));
    EXPECT_EQ(factors(3), (std::vector<std::uint32_t>{1, 1, 1, 3, 3, 3, 3, 3, 3}));
    EXPECT_EQ(factors(5), (std::vector<std::uint32_t>{1, 1, 1, 3, 3, 5, 5, 5, 5}));
    EXPECT_EQ(factors(7), (std::vector<std::uint32_t>{1, 1, 1, 3, 3, 5, 5, 7, 7}));
}

TEST(Placement, PlansNothingWhenAllIsWell) {
    const PlacementWorld world = three_of(3);

    const Plan plan = world.plan();

    EXPECT_TRUE(plan.actions.empty());
    EXPECT_TRUE(plan.obstacles.empty());
}

// 1 -> 2 -> 3 -> 5 nodes: a keyspace of three and the system shard of five.
TEST(Placement, GrowsShardsAsNodesArrive) {
    PlacementWorld world;
    world.add_node();
    world.add_shard({kOne});
    world.add_shard({kOne}, kSystemReplicationFactor);
    EXPECT_TRUE(world.plan().actions.empty());

    world.add_node();
    ASSERT_NE(world.settle(Pace::kFirstActions), 0U);
    EXPECT_EQ(world.shard(ShardId(1)).voters.size(), 1U) << "two voters bear no failure either";
    EXPECT_EQ(world.replicas_on(kTwo), 1U) << "a shard for each";

    world.add_node();
    ASSERT_NE(world.settle(Pace::kFirstActions), 0U);
    EXPECT_EQ(world.shard(ShardId(1)).voters.size(), 3U);
    EXPECT_EQ(world.shard(ShardId(2)).voters.size(), 3U);

    world.add_node();
    world.add_node();
    ASSERT_NE(world.settle(Pace::kFirstActions), 0U);
    EXPECT_EQ(world.shard(ShardId(1)).voters.size(), 3U);
    EXPECT_EQ(world.shard(ShardId(2)).voters.size(), 5U);
}

TEST(Placement, AddsALearnerBeforeAVoterAndTwoBeforeTheFirstVotes) {
    PlacementWorld world;
    for (int i = 0; i < 3; ++i) {
        world.add_node();
    }
    PlacementShard& shard = world.add_shard({kOne});
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: add learner on node 2"});

    shard.learners = {kTwo};
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: add learner on node 3"});

    shard.learners = {kTwo, kThree};
    shard.caught_up = {kTwo};
    EXPECT_EQ(texts(world.plan()), Lines{}) << "with two voters either's death would stop both";

    shard.caught_up = {kTwo, kThree};
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: promote learner on node 2"});

    shard.voters = {kOne, kTwo};
    shard.learners = shard.caught_up = {kThree};
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: promote learner on node 3"});
}

TEST(Placement, ANodeWithABadDiskLeadsNothingThatOthersCanLead) {
    for (const DiskState disk : {DiskState::kFull, DiskState::kSlow, DiskState::kFailed}) {
        PlacementWorld world = three_of(3);
        world.shard(ShardId(1)).leader = kOne;
        world.node(kOne).disk = disk;
        const Plan plan = world.plan();
        ASSERT_EQ(plan.actions.size(), 1U);
        EXPECT_EQ(plan.actions[0].kind, ActionKind::kTransferLeader);
        EXPECT_THAT(plan.actions[0].reason, HasSubstr("disk"));

        world.node(plan.actions[0].node).disk = disk;
        const Plan second = world.plan();
        ASSERT_EQ(second.actions.size(), 1U);
        EXPECT_NE(second.actions[0].node, plan.actions[0].node) << "not to another such node";

        for (const NodeId node : {kOne, kTwo, kThree}) {
            world.node(node).disk = disk;
        }
        EXPECT_TRUE(world.plan().actions.empty()) << "all are alike";
    }
}

TEST(Placement, WhoeverIsPreferredLeadsAgainWhenItsDiskIsFine) {
    PlacementWorld world = three_of(3);
    world.shard(ShardId(1)).leader = kTwo;
    world.shard(ShardId(1)).preferred_leader = kOne;
    world.node(kOne).disk = DiskState::kFull;
    EXPECT_TRUE(world.plan().actions.empty());

    world.node(kOne).disk = DiskState::kFine;
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: transfer leadership from node 2 to node 1"});
}

TEST(Placement, ANodeWithABadDiskIsGivenNoReplicaAndKeepsThoseItHas) {
    PlacementWorld world = three_of(4);
    world.shard(ShardId(1)).leader = kOne;
    world.node(kThree).disk = DiskState::kFull;
    EXPECT_TRUE(world.plan().actions.empty());

    world.node(kThree).disk = DiskState::kFine;
    world.node(kFour).disk = DiskState::kFull;
    world.kill(kThree);
    world.input.now += PlacementOptions().replace_after * 2;
    EXPECT_TRUE(world.plan().actions.empty()) << "there is nobody to take it";

    world.node(kFour).disk = DiskState::kFine;
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: add learner on node 4"});
}

TEST(Placement, ReplacesADeadNodeAfterReplaceAfterAndNotBefore) {
    PlacementWorld world = three_of(4);
    world.kill(kThree);

    world.input.now += world.options.replace_after - std::chrono::nanoseconds(1);
    EXPECT_EQ(texts(world.plan()), Lines{});

    world.input.now += std::chrono::nanoseconds(1);
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: add learner on node 4"});
    EXPECT_EQ(world.plan().actions[0].reason, "a node that has a replica is dead or leaves");

    PlacementShard& shard = world.shard(ShardId(1));
    shard.learners = shard.caught_up = {kFour};
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: promote learner on node 4"});

    shard.voters = {kOne, kTwo, kThree, kFour};
    shard.learners.clear();
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: remove voter on node 3"});

    shard.voters = {kOne, kTwo, kFour};
    EXPECT_EQ(texts(world.plan()), Lines{});
}

TEST(Placement, GivesUpNobodyWhoIsOnlySuspected) {
    PlacementWorld world = three_of(4);
    world.node(kThree).liveness = Liveness::kSuspected;

    world.input.now += std::chrono::hours(1);

    EXPECT_EQ(texts(world.plan()), Lines{});
}

TEST(Placement, KeepsTheVoterOfADeadNodeWhileNobodyCanReplaceIt) {
    PlacementWorld world = three_of(3);
    world.kill(kThree);
    world.input.now += world.options.replace_after;

    const Plan plan = world.plan();

    EXPECT_EQ(texts(plan), Lines{});
    ASSERT_EQ(plan.obstacles.size(), 1U);
    EXPECT_EQ(plan.obstacles[0].shard, ShardId(1));
    EXPECT_EQ(plan.obstacles[0].node, kThree);
    EXPECT_EQ(plan.obstacles[0].reason, "no other live node can take the replica of node 3");
}

TEST(Placement, ChangesNothingWithoutALiveMajorityAndSaysSo) {
    PlacementWorld world = three_of(5);
    world.kill(kTwo);
    world.kill(kThree);
    world.input.now += world.options.replace_after;

    const Plan plan = world.plan();

    EXPECT_EQ(texts(plan), Lines{});
    ASSERT_EQ(plan.obstacles.size(), 1U);
    EXPECT_EQ(plan.obstacles[0].reason, "it has lost its majority: 1 of 3 voters are alive");
}

TEST(Placement, WaitsForALeaderAndForChangesUnderWay) {
    PlacementWorld world = three_of(4);
    world.node(kThree).state = NodeState::kDecommissioning;
    ASSERT_EQ(world.plan().actions.size(), 1U);

    world.shard(ShardId(1)).is_changing = true;
    EXPECT_EQ(texts(world.plan()), Lines{});

    world.shard(ShardId(1)).is_changing = false;
    world.shard(ShardId(1)).leader = NodeId();
    EXPECT_EQ(texts(world.plan()), Lines{});
}

TEST(Placement, RefusesARemovalThatWouldLoseTheMajority) {
    PlacementWorld world = three_of(3);
    PlacementShard& shard = world.shard(ShardId(1));
    shard.replication_factor = 1;
    shard.voters = {kOne, kTwo};
    world.node(kOne).state = NodeState::kDecommissioning;
    world.node(kTwo).liveness = Liveness::kSuspected;
    EXPECT_EQ(texts(world.plan()), Lines{}) << "one of two is no majority to begin with";

    shard.voters = {kOne, kTwo, kThree};
    shard.replication_factor = 3;
    world.add_node();
    shard.learners = shard.caught_up = {kFour};
    world.node(kTwo).liveness = Liveness::kAlive;
    world.node(kThree).liveness = Liveness::kSuspected;
    shard.leader = kTwo;
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: promote learner on node 4"});

    shard.voters = {kOne, kTwo, kThree, kFour};
    shard.learners.clear();
    world.node(kFour).liveness = Liveness::kSuspected;
    EXPECT_EQ(texts(world.plan()), Lines{}) << "two of four are no majority";
}

// Four voters after a move, one of them suspected, and the live one that is to go is needed.
TEST(Placement, SaysWhichReplicaStaysForTheMajoritysSake) {
    PlacementWorld world;
    for (int i = 0; i < 5; ++i) {
        world.add_node();
    }
    PlacementShard& shard = world.add_shard({kOne, kTwo, kThree, kFour, NodeId(5)}, 3);
    world.node(kFour).liveness = Liveness::kSuspected;
    world.node(NodeId(5)).liveness = Liveness::kSuspected;
    world.node(kOne).state = NodeState::kDecommissioning;
    world.node(kTwo).state = NodeState::kDecommissioning;
    shard.leader = kThree;

    const Plan plan = world.plan();

    EXPECT_EQ(texts(plan), Lines{});
    ASSERT_EQ(plan.obstacles.size(), 1U);
    EXPECT_EQ(plan.obstacles[0].reason,
              "its replica stays: without it 2 of 4 voters would be alive, which is no majority");
}

TEST(Placement, DrainsLeadersAndLeavesReplicas) {
    PlacementWorld world = three_of(4);
    world.node(kOne).state = NodeState::kDraining;

    const Plan plan = world.plan();
    EXPECT_EQ(texts(plan), Lines{"shard 1: transfer leadership from node 1 to node 2"});
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);

    EXPECT_EQ(world.shard(ShardId(1)).voters, (std::vector<NodeId>{kOne, kTwo, kThree}));
    EXPECT_EQ(world.leaders_on(kOne), 0U);
}

TEST(Placement, DecommissionsReplicasToo) {
    PlacementWorld world = three_of(4);
    world.node(kOne).state = NodeState::kDecommissioning;

    ASSERT_NE(world.settle(Pace::kFirstActions), 0U);

    EXPECT_EQ(world.replicas_on(kOne), 0U);
    EXPECT_EQ(world.shard(ShardId(1)).voters, (std::vector<NodeId>{kTwo, kThree, kFour}));
}

TEST(Placement, ShrinksToOneWhenTwoNodesAreLeft) {
    PlacementWorld world = three_of(3);
    world.node(kOne).state = NodeState::kDecommissioning;

    ASSERT_NE(world.settle(Pace::kFirstActions), 0U);

    EXPECT_EQ(world.shard(ShardId(1)).voters.size(), 1U);
    EXPECT_EQ(world.replicas_on(kOne), 0U);
}

TEST(Placement, TakesReplicasFromNodesWithoutARecordAndFromThoseThatLeft) {
    PlacementWorld world = three_of(5);
    world.add_shard({kOne, kTwo, NodeId(99)});
    world.node(kThree).state = NodeState::kReplaced;

    const Plan plan = world.plan();

    EXPECT_EQ(texts(plan),
              (Lines{"shard 1: add learner on node 4", "shard 2: add learner on node 5"}));
}

TEST(Placement, PrefersZonesThatHaveNoReplicaYet) {
    PlacementWorld world;
    world.add_node("a");
    world.add_node("a");
    world.add_node("a");
    world.add_node("b");
    world.add_node("c");
    world.add_shard({kOne});
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);

    EXPECT_EQ(world.zones_of(world.shard(ShardId(1)).voters), 3U);
}

TEST(Placement, MovesAReplicaForTheSakeOfAZone) {
    PlacementWorld world;
    world.add_node("a");
    world.add_node("a");
    world.add_node("b");
    world.add_shard({kOne, kTwo, kThree});
    EXPECT_EQ(texts(world.plan()), Lines{});

    world.add_node("c");
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: add learner on node 4"});
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);

    EXPECT_EQ(world.shard(ShardId(1)).voters, (std::vector<NodeId>{kOne, kThree, kFour}))
        << "the leader's replica stays where another will do";
}

// Node 1 leads two shards of which node 3, which leads none, has no replica. The zones leave
// replicas where they are.
TEST(Placement, BalancesLeadersAlongPathsOfTransfers) {
    PlacementWorld world;
    for (const char* zone : {"a", "b", "a", "c"}) {
        world.add_node(zone);
    }
    world.add_shard({kOne, kTwo, kFour});
    world.add_shard({kOne, kTwo, kFour});
    world.add_shard({kTwo, kThree, kFour});
    world.add_shard({kFour, kTwo, kThree});

    EXPECT_EQ(texts(world.plan()),
              (Lines{"shard 3: transfer leadership from node 2 to node 3",
                     "shard 1: transfer leadership from node 1 to node 2"}));
}

TEST(Placement, BalancesNoMoreLeadersAtATimeThanItMay) {
    PlacementWorld world = three_of(3);
    for (int i = 1; i < 30; ++i) {
        world.add_shard({kOne, kTwo, kThree});
    }
    world.options.balancing_transfers_max = 4;

    EXPECT_EQ(world.plan().actions.size(), 4U);
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    for (const NodeId node : {kOne, kTwo, kThree}) {
        EXPECT_EQ(world.leaders_on(node), 10U);
    }
}

TEST(Placement, TransfersToThePreferredLeaderAndLeavesItThere) {
    PlacementWorld world = three_of(3);
    world.add_shard({kOne, kTwo, kThree});
    for (PlacementShard& shard : world.input.shards) {
        shard.preferred_leader = kTwo;
    }

    EXPECT_EQ(texts(world.plan()),
              (Lines{"shard 1: transfer leadership from node 1 to node 2",
                     "shard 2: transfer leadership from node 1 to node 2"}));
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    EXPECT_EQ(world.leaders_on(kTwo), 2U);

    world.node(kTwo).state = NodeState::kDraining;
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    EXPECT_EQ(world.leaders_on(kTwo), 0U) << "draining goes before preference";
}

TEST(Placement, FillsNoMoreReplicasAtATimeThanItMayAndRepairsFirst) {
    PlacementWorld world;
    for (int i = 0; i < 6; ++i) {
        world.add_node();
    }
    for (int i = 0; i < 10; ++i) {
        world.add_shard({kOne, kTwo, kThree});
    }
    world.node(kThree).state = NodeState::kDecommissioning;
    world.shard(ShardId(10)).voters = {kOne, kThree};  // one more death would stop it
    world.options.filling_max = 3;

    const Plan plan = world.plan();

    EXPECT_EQ(plan.actions.size(), 3U);
    EXPECT_EQ(plan.actions[0].shard, ShardId(10));
    for (const Action& action : plan.actions) {
        EXPECT_EQ(action.kind, ActionKind::kAddLearner);
        EXPECT_EQ(action.reason, "a node that has a replica is dead or leaves");
    }
}

TEST(Placement, BalancesWithHalfOfWhatMayBeFilled) {
    PlacementWorld world = three_of(3);
    for (int i = 1; i < 20; ++i) {
        world.add_shard({kOne, kTwo, kThree});
    }
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    world.add_node();
    world.options.filling_max = 6;

    const Plan plan = world.plan();

    EXPECT_EQ(plan.actions.size(), 3U);
    EXPECT_EQ(plan.actions[0].reason, "to spread replicas over zones and nodes");
}

// Four voters in the middle of a move; whichever goes, three are left.
TEST(Placement, DoesWithoutWhoDoesNotCountForTheMajorityFirstAndWithoutTheLeaderLast) {
    PlacementWorld world = three_of(4);
    PlacementShard& shard = world.shard(ShardId(1));
    shard.voters = {kOne, kTwo, kThree, kFour};
    shard.leader = kFour;
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: remove voter on node 3"});

    for (const Liveness liveness : {Liveness::kSuspected, Liveness::kDead}) {
        world.node(kTwo).liveness = liveness;
        world.node(kTwo).dead_since = world.input.now;
        EXPECT_EQ(texts(world.plan()), Lines{"shard 1: remove voter on node 2"});
    }
}

TEST(Placement, FinishesAMoveRatherThanUndoIt) {
    PlacementWorld world = three_of(4);
    world.add_shard({kTwo, kThree, kFour});
    PlacementShard& shard = world.shard(ShardId(1));
    shard.learners = shard.caught_up = {kFour};

    EXPECT_EQ(texts(world.plan())[0], "shard 1: promote learner on node 4");
}

TEST(Placement, MovesNothingForBalanceWhileReplicasAreMissing) {
    PlacementWorld world = three_of(6);
    for (int i = 0; i < 8; ++i) {
        world.add_shard({kOne, kTwo, kFour});
    }
    world.node(kThree).state = NodeState::kDecommissioning;
    const auto additions = [&] {
        std::vector<ShardId> shards;
        for (const Action& action : world.plan().actions) {
            if (action.kind == ActionKind::kAddLearner) {
                shards.push_back(action.shard);
            }
        }
        return shards;
    };

    EXPECT_EQ(additions(), std::vector<ShardId>{ShardId(1)});

    world.shard(ShardId(1)).voters = {kOne, kTwo, NodeId(5)};
    EXPECT_EQ(additions().size(), 4U);
}

TEST(Placement, PutsWhatALeavingNodeLeadsBeforeEverythingElse) {
    PlacementWorld world = three_of(5);
    world.add_shard({kTwo, kThree, kFour});
    world.node(kThree).state = NodeState::kReplaced;
    world.shard(ShardId(2)).leader = kFour;
    world.node(kFour).state = NodeState::kDraining;

    EXPECT_EQ(texts(world.plan()),
              (Lines{"shard 2: transfer leadership from node 4 to node 2",
                     "shard 1: add learner on node 5"}));
}

TEST(Placement, DoesNotDependOnTheOrderOfItsInput) {
    PlacementWorld world;
    for (int i = 0; i < 7; ++i) {
        world.add_node(i % 2 == 0 ? "a" : "b");
    }
    for (std::uint64_t i = 0; i < 9; ++i) {
        world.add_shard({NodeId(1 + i % 4), NodeId(5), NodeId(6)});
    }
    const Plan plan = world.plan();
    ASSERT_FALSE(plan.actions.empty());

    std::ranges::reverse(world.input.nodes);
    std::ranges::reverse(world.input.shards);

    EXPECT_EQ(world.plan().actions, plan.actions);
}

// ---- what operators want ----

TEST(Placement, MovesAShardWhereItIsWantedLearnerFirstAndLeaderFirst) {
    PlacementWorld world = three_of(4);
    PlacementShard& shard = world.shard(ShardId(1));
    shard.wanted = {kTwo, kThree, kFour};

    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: add learner on node 4"});
    world.carry_out(world.plan().actions[0]);
    EXPECT_EQ(texts(world.plan()), Lines{}) << "until it has caught up";
    shard.caught_up = {kFour};
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: promote learner on node 4"});
    world.carry_out(world.plan().actions[0]);
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: transfer leadership from node 1 to node 2"});
    world.carry_out(world.plan().actions[0]);
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: remove voter on node 1"});
    world.carry_out(world.plan().actions[0]);

    EXPECT_EQ(texts(world.plan()), Lines{});
    EXPECT_EQ(shard.voters, (std::vector<NodeId>{kTwo, kThree, kFour}));
}

TEST(Placement, DoesNotBalanceWhatIsWantedSomewhere) {
    PlacementWorld world = three_of(4);
    for (int i = 0; i < 4; ++i) {
        world.add_shard({kOne, kTwo, kThree});
    }
    for (PlacementShard& shard : world.input.shards) {
        shard.wanted = {kOne, kTwo, kThree};
    }
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    EXPECT_EQ(world.replicas_on(kFour), 0U);

    for (PlacementShard& shard : world.input.shards) {
        shard.wanted.clear();
    }
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    EXPECT_EQ(world.replicas_on(kFour), 3U) << "fifteen replicas on four nodes";
}

TEST(Placement, DoesNotWaitForAZoneWhereItIsNotWanted) {
    PlacementWorld world;
    world.add_node("a");
    world.add_node("a");
    world.add_node("b");
    world.add_node("c");
    world.add_shard({kOne, kTwo, kThree}).wanted = {kOne, kTwo, kThree};

    EXPECT_EQ(texts(world.plan()), Lines{});
}

TEST(Placement, PassesOverWhatIsWantedWhereItCannotBe) {
    const std::vector<NodeId> wanted = {kOne, kTwo, kFour};
    const auto plan_when = [&](auto change) {
        PlacementWorld world = three_of(5);
        world.shard(ShardId(1)).wanted = wanted;
        change(world);
        return texts(world.plan());
    };
    const auto fine = plan_when([](PlacementWorld&) {});
    EXPECT_EQ(fine, Lines{"shard 1: add learner on node 4"});

    EXPECT_EQ(plan_when([](auto& world) { world.kill(kFour); }), Lines{});
    EXPECT_EQ(plan_when([](auto& world) { world.node(kFour).state = NodeState::kDraining; }),
              Lines{});
    EXPECT_EQ(plan_when([](auto& world) { world.node(kFour).is_learner = true; }), Lines{});
    EXPECT_EQ(plan_when([](auto& world) { world.shard(ShardId(1)).wanted.pop_back(); }), Lines{})
        << "fewer than there should be";
    EXPECT_EQ(
        plan_when([](auto& world) { world.shard(ShardId(1)).wanted = {kOne, kTwo, NodeId(99)}; }),
        Lines{});
    // Who holds it is waited for as any other; who is dead for good is replaced.
    EXPECT_EQ(plan_when([](auto& world) { world.kill(kTwo); }), fine);
    EXPECT_EQ(plan_when([](auto& world) {
                  world.kill(kTwo);
                  world.input.now += world.options.replace_after;
              }),
              Lines{"shard 1: add learner on node 4"});
}

TEST(Placement, DoesNotWaitForACopyOnANodeThatDied) {
    PlacementWorld world = three_of(5);
    PlacementShard& shard = world.shard(ShardId(1));
    shard.wanted = {kOne, kTwo, kFour};
    shard.learners = {kFour};
    world.kill(kFour);

    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: remove learner on node 4"});
}

TEST(Placement, GivesALearnerNothingAndDoesNotCountIt) {
    PlacementWorld world;
    for (int i = 0; i < 3; ++i) {
        world.add_node();
    }
    world.add_shard({kOne});
    world.node(kThree).is_learner = true;

    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    EXPECT_EQ(world.shard(ShardId(1)).voters, std::vector<NodeId>{kOne});

    // Of two nodes that count, one is to hold it: so it can be where it is wanted.
    world.shard(ShardId(1)).wanted = {kTwo};
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    EXPECT_EQ(world.shard(ShardId(1)).voters, std::vector<NodeId>{kTwo});

    world.shard(ShardId(1)).wanted.clear();
    world.node(kThree).is_learner = false;
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    EXPECT_EQ(world.shard(ShardId(1)).voters.size(), 3U);
}

// The control loop need do nothing else for a node that was cut off: its replicas are replaced.
TEST(Placement, ReplacesTheVotersOfANodeThatWasRemoved) {
    PlacementWorld world = three_of(4);
    world.kill(kThree);
    ASSERT_TRUE(check_removal(world.input, kThree).ok());
    world.node(kThree).state = NodeState::kRemoved;

    ASSERT_NE(world.settle(Pace::kFirstActions), 0U);

    EXPECT_EQ(world.shard(ShardId(1)).voters, (std::vector<NodeId>{kOne, kTwo, kFour}));
}

TEST(CheckRemoval, RefusesWhatWouldLoseAMajority) {
    PlacementWorld world = three_of(3);
    EXPECT_TRUE(check_removal(world.input, kThree).ok()) << "two of two are left";

    world.kill(kTwo);
    EXPECT_TRUE(check_removal(world.input, kFour).code() == Code::kNotFound);
    const Status refused = check_removal(world.input, kThree);
    EXPECT_EQ(refused.code(), Code::kConflict);
    EXPECT_EQ(refused.message(),
              "node 3 cannot be removed: shard 1 would be left with 1 live voters of 2; "
              "decommission it, or bring others back first");
    EXPECT_TRUE(check_removal(world.input, kTwo).ok()) << "the dead one is the one to remove";
}

TEST(CheckRemoval, RefusesTheOnlyReplicaAndTheLastNode) {
    PlacementWorld world;
    world.add_node();
    EXPECT_EQ(check_removal(world.input, kOne).message(),
              "node 1 cannot be removed: it is the last one");

    world.add_node();
    world.add_shard({kTwo}, 1);
    EXPECT_TRUE(check_removal(world.input, kOne).ok());
    EXPECT_EQ(check_removal(world.input, kTwo).code(), Code::kConflict);

    world.node(kOne).state = NodeState::kRemoved;
    EXPECT_EQ(check_removal(world.input, kOne).code(), Code::kNotFound);
}

// ---- damaged replicas ----

TEST(Placement, ADamagedVoterGoesFirstAndItsNodeIsGivenANewReplica) {
    PlacementWorld world = three_of(3);
    PlacementShard& shard = world.shard(ShardId(1));
    world.damage(shard, kThree);

    const Plan plan = world.plan();
    EXPECT_EQ(texts(plan), Lines{"shard 1: remove voter on node 3"});
    EXPECT_EQ(plan.actions.front().reason, "its replica is damaged");

    world.carry_out(plan.actions.front());
    EXPECT_EQ(texts(world.plan()), Lines{}) << "what is left there has to be put away before";
    EXPECT_THAT(world.plan().obstacles.front().reason, HasSubstr("put its damaged one away"));

    world.put_away();
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: add learner on node 3"});

    ASSERT_NE(world.settle(Pace::kFirstActions), 0U);
    EXPECT_EQ(shard.voters, (std::vector<NodeId>{kOne, kTwo, kThree}));
}

TEST(Placement, ADamagedVoterDoesNotCount) {
    PlacementWorld world = three_of(3);
    PlacementShard& shard = world.shard(ShardId(1));
    world.damage(shard, kThree);
    world.kill(kTwo);

    const Plan plan = world.plan();

    EXPECT_TRUE(plan.actions.empty()) << texts(plan).front();
    EXPECT_THAT(plan.obstacles.front().reason, HasSubstr("1 of 3 voters are alive and undamaged"));
    EXPECT_EQ(check_removal(world.input, kTwo).code(), Code::kConflict);
}

TEST(Placement, TwoDamagedOfThreeAreLeftAsTheyAre) {
    PlacementWorld world = three_of(4);
    world.damage(world.shard(ShardId(1)), kTwo);
    world.damage(world.shard(ShardId(1)), kThree);

    const Plan plan = world.plan();

    EXPECT_TRUE(plan.actions.empty());
    EXPECT_FALSE(plan.obstacles.empty());
}

TEST(Placement, TwoDamagedOfFiveGoOneByOne) {
    PlacementWorld world;
    for (int i = 0; i < 5; ++i) {
        world.add_node();
    }
    PlacementShard& shard = world.add_shard({kOne, kTwo, kThree, kFour, NodeId(5)}, 5);
    world.damage(shard, kTwo);
    world.damage(shard, kFour);

    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: remove voter on node 2"});
    world.carry_out(world.plan().actions.front());
    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: remove voter on node 4"});

    ASSERT_NE(world.settle(Pace::kFirstActions), 0U);
    EXPECT_EQ(shard.voters.size(), 5U);
    EXPECT_TRUE(shard.damaged.empty());
}

TEST(Placement, ADamagedLearnerGoesAndComesAnew) {
    PlacementWorld world;
    for (int i = 0; i < 3; ++i) {
        world.add_node();
    }
    PlacementShard& shard = world.add_shard({kOne});
    shard.learners = {kTwo, kThree};
    shard.caught_up = {kThree};
    world.damage(shard, kTwo);

    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: remove learner on node 2"});
    ASSERT_NE(world.settle(Pace::kWholePlans), 0U);
    EXPECT_EQ(shard.voters.size(), 3U);
}

TEST(Placement, LeadershipIsNotGivenToADamagedReplica) {
    PlacementWorld world = three_of(3);
    PlacementShard& shard = world.shard(ShardId(1));
    world.damage(shard, kThree);
    world.node(kOne).state = NodeState::kDraining;

    EXPECT_EQ(texts(world.plan()), Lines{"shard 1: transfer leadership from node 1 to node 2"});
}

}  // namespace
}  // namespace kvstore::cluster
