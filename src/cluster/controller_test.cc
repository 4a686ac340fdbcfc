#include "cluster/controller.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/testing/member_world.h"

namespace kvstore::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Group;
using testing::MemberWorld;

const std::vector<std::string> kNone;

// Node 1 and others up to `nodes`, with all their replicas.
void grow(MemberWorld& cluster, std::uint64_t shards, std::uint64_t nodes) {
    cluster.bootstrap(shards);
    while (cluster.size() < nodes) {
        cluster.add_node();
    }
    const std::size_t system = nodes < 3 ? 1 : nodes < 5 ? 3 : 5;
    ASSERT_TRUE(cluster.settles(nodes < 3 ? 1 : 3, system, seconds(60))) << cluster.describe();
}

ControllerStatistics sum_of(MemberWorld& cluster) {
    ControllerStatistics sum;
    for (std::uint64_t number = 1; number <= cluster.size(); ++number) {
        const ControllerStatistics one = cluster.node(number).controller.statistics();
        sum.rounds += one.rounds;
        sum.actions += one.actions;
        sum.failures += one.failures;
    }
    return sum;
}

TEST(Controller, GrowsFromOneToThreeToFiveNodesAndShrinksToThree) {
    MemberWorld cluster(1);
    grow(cluster, 3, 1);

    cluster.add_node();
    cluster.add_node();
    ASSERT_TRUE(cluster.settles(3, 3, seconds(60))) << cluster.describe();

    cluster.add_node();
    cluster.add_node();
    ASSERT_TRUE(cluster.settles(3, 5, seconds(60))) << cluster.describe();

    cluster.set_state(cluster.id(1), NodeState::kDecommissioning);
    cluster.set_state(cluster.id(4), NodeState::kDecommissioning);
    ASSERT_TRUE(cluster.settles(3, 3, seconds(60))) << cluster.describe();
    cluster.world.run_for(seconds(2));
    EXPECT_EQ(cluster.truth.metadata().find_node(cluster.id(1))->state, NodeState::kRemoved);
    EXPECT_EQ(cluster.truth.metadata().find_node(cluster.id(4))->state, NodeState::kRemoved);
    EXPECT_EQ(cluster.truth.violations, kNone);
}

TEST(Controller, DoesNothingWhenAllIsWell) {
    MemberWorld cluster(2);
    grow(cluster, 3, 3);
    cluster.world.run_for(seconds(10));
    const std::uint64_t steps = cluster.truth.steps;
    const ControllerStatistics before = sum_of(cluster);

    cluster.world.run_for(seconds(10));

    EXPECT_EQ(cluster.truth.steps, steps);
    EXPECT_EQ(sum_of(cluster).actions, before.actions);
    EXPECT_EQ(sum_of(cluster).failures, before.failures);
    EXPECT_GE(sum_of(cluster).rounds, before.rounds + 20);
}

TEST(Controller, ReplacesANodeThatIsDeadForSoLongAndNoSooner) {
    MemberWorld cluster(3);
    grow(cluster, 3, 4);
    cluster.crash(2);

    // Death is found after some seconds; replace_after is twenty.
    cluster.world.run_for(seconds(18));
    const Metadata early = cluster.truth.metadata();
    EXPECT_TRUE(std::ranges::any_of(early.shards, [&](const ShardRecord& shard) {
        return std::ranges::find(shard.voters, cluster.id(2)) != shard.voters.end();
    }));

    EXPECT_TRUE(cluster.settles(3, 3, seconds(60))) << cluster.describe();
    EXPECT_EQ(cluster.truth.violations, kNone);
}

TEST(Controller, RebuildsADamagedReplicaOnTheSameNode) {
    MemberWorld cluster(31);
    grow(cluster, 2, 3);
    const auto damaged = cluster.truth.groups().rbegin();
    const NodeId node = damaged->second.led.voters.back();
    const Term before = damaged->second.led.term;

    cluster.truth.damage(damaged->first, node);
    cluster.world.run_for(seconds(20));

    EXPECT_FALSE(cluster.truth.has_damaged());
    EXPECT_TRUE(cluster.settles(3, 3, seconds(60))) << cluster.describe();
    EXPECT_TRUE(damaged->second.full_at.contains(node)) << "made anew, and filled";
    EXPECT_GE(damaged->second.led.term, before);
    EXPECT_EQ(cluster.truth.violations, kNone);
    EXPECT_EQ(cluster.truth.strays, kNone);
}

TEST(Controller, ObstaclesAreThoseOfTheLastRound) {
    MemberWorld cluster(4);
    grow(cluster, 1, 3);
    cluster.set_state(cluster.id(3), NodeState::kDecommissioning);
    cluster.world.run_for(seconds(10));
    cluster.set_state(cluster.id(3), NodeState::kActive);
    cluster.world.run_for(seconds(5));
    const auto host = cluster.controller_host();
    ASSERT_TRUE(cluster.node(host).controller.obstacles().empty());

    // Nobody can take what node 2 should give away.
    cluster.crash(2);
    cluster.world.run_for(seconds(40));

    ASSERT_NE(cluster.controller_host(), 0U);
    EXPECT_FALSE(cluster.node(cluster.controller_host()).controller.obstacles().empty());
}

TEST(Controller, StopsQuicklyAndActsNoMore) {
    MemberWorld cluster(5);
    grow(cluster, 3, 3);
    cluster.add_node();
    cluster.add_node();
    const std::uint64_t host = cluster.controller_host();
    const MonotonicTime begun = cluster.world.now();

    cluster.world.block_on(cluster.host(host), cluster.node(host).controller.stop());
    const ControllerStatistics stopped = cluster.node(host).controller.statistics();
    const Duration took = cluster.world.now() - begun;
    cluster.world.run_for(seconds(5));

    EXPECT_LE(took, milliseconds(200));
    EXPECT_EQ(cluster.node(host).controller.statistics().rounds, stopped.rounds);
    EXPECT_EQ(cluster.node(host).controller.statistics().actions, stopped.actions);
}

// Every write and every change of a group on the way from three nodes to five is, in turn, the last
// thing that a controller does: the next one ends in the same place.
TEST(Controller, AnotherOneGoesOnAfterEveryStep) {
    for (std::uint64_t last = 1;; ++last) {
        SCOPED_TRACE(last);
        MemberWorld cluster(6);
        grow(cluster, 2, 3);
        const std::uint64_t begun = cluster.truth.steps;
        bool has_crashed = false;
        cluster.truth.on_step = [&] {
            const std::uint64_t host = cluster.controller_host();
            if (!has_crashed && cluster.truth.steps >= begun + last && host != 0) {
                has_crashed = true;
                cluster.world.crash(cluster.host(host));
                cluster.world.after(seconds(2), [&cluster, host] { cluster.restart(host); });
            }
        };
        cluster.add_node();
        cluster.add_node();
        EXPECT_TRUE(cluster.settles(3, 5, seconds(60))) << cluster.describe();
        cluster.world.run_for(seconds(5));
        EXPECT_TRUE(cluster.settles(3, 5, seconds(60))) << cluster.describe();

        EXPECT_EQ(cluster.truth.violations, kNone);
        EXPECT_EQ(cluster.truth.strays, kNone);
        cluster.truth.on_step.reset();
        if (!has_crashed || HasFailure()) {
            EXPECT_GT(last, 20U);
            return;
        }
    }
}

// Wherever in a round somebody decides that the node leaves.
TEST(Controller, GivesNoReplicaToANodeThatLeaves) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(seed);
        MemberWorld cluster(seed);
        grow(cluster, 4, 3);
        const NodeId id = cluster.id(cluster.add_node());
        cluster.world.run_until(
            [&] { return cluster.truth.metadata().find_node(id)->state == NodeState::kActive; });
        cluster.world.run_for(milliseconds(200) + std::chrono::microseconds(seed * 500));

        cluster.set_state(id, NodeState::kDecommissioning);

        EXPECT_TRUE(cluster.settles(3, 3, seconds(60))) << cluster.describe();
        cluster.world.run_for(seconds(5));
        EXPECT_EQ(cluster.truth.metadata().find_node(id)->state, NodeState::kRemoved);
        EXPECT_EQ(cluster.truth.violations, kNone);
    }
}

TEST(Controller, BelievesTheLeaderOfTheHighestTerm) {
    MemberWorld cluster(8);
    grow(cluster, 1, 3);
    cluster.world.run_for(seconds(5));
    Group& group = cluster.truth.group(ShardId(16));
    cluster.truth.depose(ShardId(16), std::chrono::hours(1));
    std::erase(group.believed.voters, group.leader);
    const ControllerStatistics before = sum_of(cluster);

    cluster.world.run_for(seconds(5));

    EXPECT_EQ(sum_of(cluster).failures, before.failures);
}

// A group of voters 1, 2 and 3 has added 4 as a voter; its old leader has not heard of it, and
// nobody hears the new one. Were the record to follow the old leader, node 4 would remove the
// replica with which it votes.
TEST(Controller, ADeposedLeaderMakesNobodyForgetAVoter) {
    MemberWorld cluster(7);
    grow(cluster, 1, 5);
    cluster.world.run_for(seconds(5));
    Group& group = cluster.truth.group(ShardId(16));
    const std::uint64_t controller = cluster.controller_host();
    const Group before = group;
    // As seen by the one who was deposed: without the last of the voters.
    group.deposed = before.leader;
    group.believed = before.led;
    const NodeId forgotten = *std::ranges::find_if(before.led.voters, [&](NodeId voter) {
        return voter != before.leader && voter != cluster.id(controller);
    });
    std::erase(group.believed.voters, forgotten);
    group.deposed_until = cluster.world.now() + seconds(5);
    group.leader = forgotten;
    group.led.term = group.led.term.next();
    for (std::uint64_t number = 1; number <= 5; ++number) {
        if (cluster.id(number) == forgotten) {
            cluster.world.partition(cluster.host(controller), cluster.host(number));
        }
    }

    cluster.world.run_for(seconds(5));
    EXPECT_EQ(cluster.truth.violations, kNone);
    cluster.world.heal_all();

    EXPECT_TRUE(cluster.settles(3, 5, seconds(60))) << cluster.describe();
    EXPECT_EQ(cluster.truth.violations, kNone);
}

}  // namespace
}  // namespace kvstore::cluster
