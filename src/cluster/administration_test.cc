#include "cluster/administration.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/internal/administration_rules.h"
#include "cluster/testing/member_world.h"

namespace kvstore::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemberWorld;
using testing::node_record;
using testing::rows_of;
using testing::shard_record;

const std::vector<std::string> kNone;
constexpr NodeId kOne(1);
constexpr NodeId kTwo(2);
constexpr NodeId kThree(3);
constexpr NodeId kFour(4);
constexpr ShardId kShard(16);

// ---- the rules, on rows ----

class AdministrationRules : public ::testing::Test {
protected:
    AdministrationRules() {
        for (std::uint64_t number = 1; number <= 4; ++number) {
            nodes.push_back(node_record(number));
            liveness.push_back(Liveness::kAlive);
        }
        shards = {shard_record(1, "system", {kOne, kTwo, kThree}),
                  shard_record(16, "default", {kOne, kTwo, kThree})};
    }

    // Every shard is led by its first voter.
    [[nodiscard]] internal::ClusterState state() const {
        internal::ClusterState state;
        state.view = ClusterView::build(rows_of(5, nodes, shards)).value();
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            PlacementNode node;
            node.id = nodes[i].id;
            node.state = nodes[i].state;
            node.is_learner = nodes[i].is_learner;
            node.liveness = liveness[i];
            state.input.nodes.push_back(node);
        }
        for (const ShardRecord& record : shards) {
            PlacementShard shard;
            shard.id = record.id;
            shard.epoch = record.epoch;
            shard.replication_factor = record.id == kSystemShardId ? 5 : factor;
            shard.voters = record.voters;
            shard.learners = record.learners;
            shard.leader = record.voters.front();
            state.input.shards.push_back(shard);
        }
        return state;
    }

    [[nodiscard]] Result<NodeRecord> change(std::uint64_t node, MemberChange asked) const {
        return internal::changed_member(state(), NodeId(node), asked);
    }
    void expect_conflict(std::uint64_t node, MemberChange asked, const std::string& why) const {
        const Status refused = change(node, asked).status();
        EXPECT_EQ(refused.code(), Code::kConflict);
        EXPECT_EQ(refused.effect(), Effect::kNone);
        EXPECT_THAT(std::string(refused.message()), HasSubstr(why));
    }

    std::vector<NodeRecord> nodes;
    std::vector<Liveness> liveness;
    std::vector<ShardRecord> shards;
    std::uint32_t factor = 3;
};

TEST_F(AdministrationRules, FindNodesByNameAndByNumber) {
    nodes[3].name = "2";
    const internal::ClusterState now = state();

    EXPECT_EQ(internal::find_node(now, "n3").value()->id, kThree);
    EXPECT_EQ(internal::find_node(now, "1").value()->id, kOne);
    EXPECT_EQ(internal::find_node(now, "2").value()->id, kFour) << "a name goes first";
    EXPECT_EQ(internal::find_node(now, "n9").status().code(), Code::kNotFound);
    EXPECT_EQ(internal::find_node(now, "9").status().code(), Code::kNotFound);
}

TEST_F(AdministrationRules, LeadFromStateToState) {
    using enum NodeState;
    using enum MemberChange;
    const auto from = [&](NodeState before, MemberChange asked) {
        nodes[3].state = before;
        const auto changed = change(4, asked);
        return changed.ok() ? node_state_name(changed->state) : "refused";
    };
    liveness[3] = Liveness::kDead;

    EXPECT_EQ(from(kActive, kDrain), "draining");
    EXPECT_EQ(from(kDraining, kDrain), "draining");
    EXPECT_EQ(from(kDecommissioning, kDrain), "refused");
    EXPECT_EQ(from(kJoining, kDrain), "refused");
    EXPECT_EQ(from(kDraining, kUndrain), "active");
    EXPECT_EQ(from(kActive, kUndrain), "active");
    EXPECT_EQ(from(kDecommissioning, kUndrain), "refused");
    EXPECT_EQ(from(kActive, kDecommission), "decommissioning");
    EXPECT_EQ(from(kDraining, kDecommission), "decommissioning");
    EXPECT_EQ(from(kRemoved, kDecommission), "removed") << "it is done";
    EXPECT_EQ(from(kReplaced, kDecommission), "refused");
    EXPECT_EQ(from(kDecommissioning, kRecommission), "active");
    EXPECT_EQ(from(kDraining, kRecommission), "refused");
    EXPECT_EQ(from(kRemoved, kRecommission), "refused");
    EXPECT_EQ(from(kActive, kRemove), "removed");
    EXPECT_EQ(from(kRemoved, kRemove), "removed") << "it is done";
    EXPECT_EQ(from(kExpected, kRemove), "removed");
    EXPECT_EQ(from(kJoining, kRemove), "removed");
    EXPECT_EQ(from(kExpected, kDrain), "refused");
    EXPECT_EQ(from(kRemoved, kPromote), "refused");
}

TEST_F(AdministrationRules, DrainNobodyWithoutAnHeir) {
    EXPECT_TRUE(change(1, MemberChange::kDrain).ok());

    shards[1].voters = {kOne};
    expect_conflict(1, MemberChange::kDrain, "shard 16 (default) has no replica on another active");
    EXPECT_TRUE(change(2, MemberChange::kDrain).ok());

    shards[1].voters = {kOne, kTwo, kThree};
    nodes[1].state = NodeState::kDraining;
    liveness[2] = Liveness::kDead;
    expect_conflict(1, MemberChange::kDrain, "shard 1 (system) has no replica on another active");
}

TEST_F(AdministrationRules, NeitherDrainNorDecommissionTheLastActiveNode) {
    nodes[1].state = NodeState::kDraining;
    liveness[2] = Liveness::kDead;
    nodes[3].is_learner = true;

    expect_conflict(1, MemberChange::kDrain, "no other node is active");
    expect_conflict(1, MemberChange::kDecommission, "no other node is active");
}

TEST_F(AdministrationRules, DecommissionNobodyWhoseReplicasNobodyElseCouldHold) {
    EXPECT_TRUE(change(1, MemberChange::kDecommission).ok()) << "three are left";

    liveness[3] = Liveness::kDead;
    expect_conflict(1,
                    MemberChange::kDecommission,
                    "shard 16 (default) is to have 3 replicas and only 2 nodes could hold them");
    nodes[3].is_learner = true;
    liveness[3] = Liveness::kAlive;
    expect_conflict(1, MemberChange::kDecommission, "only 2 nodes");
    EXPECT_TRUE(change(4, MemberChange::kDecommission).ok()) << "it holds nothing";

    factor = 1;
    EXPECT_TRUE(change(1, MemberChange::kDecommission).ok());
}

TEST_F(AdministrationRules, RemoveOnlyWhoIsDeadAndWhoseVotesAreNotMissed) {
    expect_conflict(1, MemberChange::kRemove, "it is not known to be dead; decommission it");
    liveness[0] = Liveness::kSuspected;
    expect_conflict(1, MemberChange::kRemove, "it is not known to be dead");

    liveness[0] = Liveness::kDead;
    EXPECT_TRUE(change(1, MemberChange::kRemove).ok());

    liveness[1] = Liveness::kDead;
    expect_conflict(1, MemberChange::kRemove, "shard 1 would be left with 1 live voters of 2");
}

TEST_F(AdministrationRules, RemoveNobodyForWhomNobodyElseIsThere) {
    liveness[0] = Liveness::kDead;
    nodes[3].state = NodeState::kDecommissioning;
    expect_conflict(1,
                    MemberChange::kRemove,
                    "is to have 3 replicas and only 2 nodes could hold them; add a node");
    factor = 1;
    EXPECT_TRUE(change(1, MemberChange::kRemove).ok());
    factor = 3;
    nodes[0].is_learner = true;
    EXPECT_TRUE(change(1, MemberChange::kRemove).ok()) << "it holds nothing";
}

TEST_F(AdministrationRules, PromoteALearner) {
    nodes[3].is_learner = true;

    const auto promoted = change(4, MemberChange::kPromote);

    ASSERT_TRUE(promoted.ok());
    EXPECT_FALSE(promoted->is_learner);
    EXPECT_EQ(promoted->state, NodeState::kActive);
    EXPECT_EQ(*change(1, MemberChange::kPromote), nodes[0]) << "it is none";
}

TEST_F(AdministrationRules, HaveAShardLedByWhoVotesInItAndLives) {
    const auto lead = [&](NodeId node) {
        return internal::led_by(state(), kShard, node);
    };
    EXPECT_EQ(lead(kTwo)->preferred_leader, kTwo);
    EXPECT_EQ(lead(NodeId())->preferred_leader, NodeId());

    EXPECT_THAT(std::string(lead(kFour).status().message()),
                HasSubstr("only those can that have a replica: node 1 (n1), node 2 (n2)"));
    liveness[1] = Liveness::kSuspected;
    EXPECT_EQ(lead(kTwo).status().code(), Code::kConflict);
    liveness[1] = Liveness::kAlive;
    nodes[1].state = NodeState::kDraining;
    EXPECT_THAT(std::string(lead(kTwo).status().message()), HasSubstr("it is draining"));
    EXPECT_EQ(internal::led_by(state(), ShardId(99), kOne).status().code(), Code::kNotFound);
}

TEST_F(AdministrationRules, MoveAReplicaToWhoMayHoldIt) {
    const auto move = [&](NodeId from, NodeId to) {
        return internal::moved(state(), kShard, internal::ReplicaMove{.from = from, .to = to});
    };
    EXPECT_THAT(move(kOne, kFour)->wanted, ElementsAre(kTwo, kThree, kFour));

    EXPECT_THAT(std::string(move(kFour, kOne).status().message()), HasSubstr("no replica to move"));
    EXPECT_THAT(std::string(move(kOne, kTwo).status().message()),
                HasSubstr("it has a replica there"));
    nodes[3].is_learner = true;
    EXPECT_THAT(std::string(move(kOne, kFour).status().message()), HasSubstr("promote it first"));
    nodes[3].is_learner = false;
    liveness[3] = Liveness::kSuspected;
    EXPECT_THAT(std::string(move(kOne, kFour).status().message()),
                HasSubstr("not known to be alive"));
    liveness[3] = Liveness::kAlive;
    factor = 1;
    EXPECT_THAT(std::string(move(kOne, kFour).status().message()),
                HasSubstr("it has 3 replicas of 1"));
}

TEST_F(AdministrationRules, AskedToMoveAgainAreTheSame) {
    shards[1].wanted = {kTwo, kThree, kFour};
    const auto again =
        internal::moved(state(), kShard, internal::ReplicaMove{.from = kOne, .to = kFour});
    EXPECT_EQ(*again, shards[1]);

    const auto back =
        internal::moved(state(), kShard, internal::ReplicaMove{.from = kFour, .to = kOne});
    EXPECT_THAT(back->wanted, ElementsAre(kOne, kTwo, kThree));

    EXPECT_THAT(internal::moved(state(), kShard, std::nullopt)->wanted, IsEmpty());
}

TEST_F(AdministrationRules, SayWhatIsLeft) {
    EXPECT_THAT(internal::left_of(state(), kOne, MemberChange::kDrain),
                ElementsAre("shard 16 (default) is led by it", "shard 1 (system) is led by it"));
    EXPECT_THAT(internal::left_of(state(), kTwo, MemberChange::kDrain), IsEmpty());
    EXPECT_THAT(internal::left_of(state(), kTwo, MemberChange::kRemove),
                ElementsAre("shard 16 (default) has a replica on it",
                            "shard 1 (system) has a replica on it"));
    EXPECT_THAT(internal::left_of(state(), kFour, MemberChange::kDecommission),
                ElementsAre("it is yet to be removed"));

    shards[1].preferred_leader = kTwo;
    shards[1].wanted = {kOne, kTwo, kFour};
    shards[1].learners = {kFour};
    EXPECT_THAT(internal::left_of_leader(state(), kShard),
                ElementsAre("shard 16 (default) is led by node 1 (n1)"));
    EXPECT_THAT(internal::left_of_move(state(), kShard),
                ElementsAre("node 4 (n4) is being filled", "node 3 (n3) has a replica still"));
}

// ---- whole clusters ----

class Administrating : public ::testing::Test {
protected:
    void grow(std::uint64_t shards, std::uint64_t nodes) {
        cluster.bootstrap(shards);
        while (cluster.size() < nodes) {
            cluster.add_node();
        }
        const std::size_t system = nodes < 3 ? 1 : nodes < 5 ? 3 : 5;
        ASSERT_TRUE(cluster.settles(nodes < 3 ? 1 : 3, system, seconds(60))) << cluster.describe();
    }

    [[nodiscard]] ClusterAdministration& on(std::uint64_t number) {
        return cluster.node(number).administration;
    }
    template <typename T>
    T run(std::uint64_t number, async::Task<T> task) {
        return cluster.world.block_on(cluster.host(number), std::move(task));
    }
    Result<Progress> change(std::uint64_t through,
                            std::string node,
                            MemberChange asked,
                            Duration wait = seconds(20)) {
        return run(through, on(through).change_member(std::move(node), asked, wait));
    }
    void expect_done(const Result<Progress>& progress) {
        ASSERT_TRUE(progress.ok()) << progress.status().to_string();
        EXPECT_THAT(progress->left, IsEmpty()) << cluster.describe();
    }
    [[nodiscard]] NodeState state_of(std::uint64_t number) {
        return cluster.truth.metadata().find_node(cluster.id(number))->state;
    }
    [[nodiscard]] std::size_t leaders_on(std::uint64_t number) {
        return static_cast<std::size_t>(std::ranges::count_if(
            cluster.truth.groups(),
            [&](const auto& group) { return group.second.leader == cluster.id(number); }));
    }

    MemberWorld cluster{1};
};

TEST_F(Administrating, ListsMembersAndShards) {
    grow(2, 3);
    cluster.crash(3);
    cluster.world.run_for(seconds(10));

    const auto members = run(1, on(1).members());
    const auto shards = run(2, on(2).shards());

    ASSERT_TRUE(members.ok() && shards.ok());
    ASSERT_EQ(members->size(), 3U);
    EXPECT_EQ(members->at(0).record.name, "n1");
    EXPECT_EQ(members->at(0).replicas, 3U);
    EXPECT_EQ(members->at(0).leaders + members->at(1).leaders, 3U);
    EXPECT_EQ(members->at(0).liveness, Liveness::kAlive);
    EXPECT_EQ(members->at(2).liveness, Liveness::kDead);
    ASSERT_EQ(shards->size(), 3U);
    EXPECT_EQ(shards->at(0).record.keyspace, "k0");
    EXPECT_EQ(shards->at(0).leader, cluster.truth.group(shards->at(0).record.id).leader);
}

TEST_F(Administrating, CountsTheDamagedReplicasOfEach) {
    grow(3, 3);
    cluster.truth.damage(cluster.truth.groups().rbegin()->first, NodeId(2));

    const auto members = run(1, on(1).members());

    ASSERT_TRUE(members.ok());
    EXPECT_EQ(members->at(0).damaged, 0U);
    EXPECT_EQ(members->at(1).damaged, 1U);
}

TEST_F(Administrating, ShowsWhatNodesSayOfTheirDisksAndLeadersLeaveABadOne) {
    grow(3, 3);
    cluster.truth.set_disk(NodeId(2), DiskState::kFull);
    cluster.world.run_for(seconds(10));

    const auto members = run(1, on(1).members());

    ASSERT_TRUE(members.ok());
    EXPECT_EQ(members->at(0).disk, DiskState::kFine);
    EXPECT_EQ(members->at(1).disk, DiskState::kFull);
    EXPECT_EQ(members->at(1).leaders, 0U);
    EXPECT_GT(members->at(0).leaders + members->at(2).leaders, 0U);
}

TEST_F(Administrating, DrainsANodeAndTakesItBack) {
    grow(3, 3);
    const std::uint64_t busy = cluster.controller_host();

    expect_done(change(1, "n" + std::to_string(busy), MemberChange::kDrain));

    EXPECT_EQ(leaders_on(busy), 0U);
    EXPECT_EQ(state_of(busy), NodeState::kDraining);
    expect_done(change(2, std::to_string(cluster.id(busy).value()), MemberChange::kUndrain));
    EXPECT_EQ(state_of(busy), NodeState::kActive);
    EXPECT_EQ(cluster.truth.violations, kNone);
}

TEST_F(Administrating, SaysWhatIsLeftWhenItIsNotWaitedFor) {
    grow(2, 4);
    const auto told = change(1, "n2", MemberChange::kDecommission, Duration(0));

    ASSERT_TRUE(told.ok()) << told.status().to_string();
    EXPECT_THAT(told->left, ::testing::Contains(HasSubstr("has a replica on it")));
    ASSERT_TRUE(cluster.settles(3, 3, seconds(60))) << "it goes on by itself";
    cluster.world.run_for(seconds(2));
    EXPECT_EQ(state_of(2), NodeState::kRemoved);
    EXPECT_THAT(change(1, "2", MemberChange::kDecommission)->left, IsEmpty()) << "asked again";
}

TEST_F(Administrating, DecommissionsANodeThroughItself) {
    grow(2, 4);

    expect_done(change(1, "n4", MemberChange::kDecommission));

    EXPECT_EQ(state_of(4), NodeState::kRemoved);
    EXPECT_EQ(cluster.truth.violations, kNone);
}

TEST_F(Administrating, RecommissionsWhoHasNotLeftYet) {
    grow(4, 4);
    ASSERT_TRUE(change(1, "n2", MemberChange::kDecommission, Duration(0)).ok());

    expect_done(change(1, "n2", MemberChange::kRecommission));

    ASSERT_TRUE(cluster.settles(3, 3, seconds(60))) << cluster.describe();
    EXPECT_EQ(state_of(2), NodeState::kActive);
}

TEST_F(Administrating, RemovesADeadNodeAndReplacesWhatItHeld) {
    grow(3, 4);
    const auto early = change(1, "n2", MemberChange::kRemove);
    EXPECT_EQ(early.status().code(), Code::kConflict);
    cluster.crash(2);
    cluster.world.run_for(seconds(8));

    expect_done(change(1, "n2", MemberChange::kRemove));

    EXPECT_EQ(state_of(2), NodeState::kRemoved);
    EXPECT_TRUE(cluster.settles(3, 3, seconds(1))) << cluster.describe();
    EXPECT_EQ(cluster.truth.violations, kNone);
}

TEST_F(Administrating, KeepsANameForWhoIsToJoin) {
    grow(2, 3);
    const auto added = run(2, on(2).add_member("n4", MemberRole::kLearner));
    ASSERT_TRUE(added.ok()) << added.status().to_string();
    EXPECT_EQ(added->record.id, kFour);
    EXPECT_THAT(added->join, ElementsAre("n1:7070", "n2:7070", "n3:7070"));
    EXPECT_TRUE(run(1, on(1).add_member("n4", MemberRole::kLearner)).ok()) << "asked again";
    EXPECT_EQ(run(1, on(1).add_member("n4", MemberRole::kFull)).status().code(),
              Code::kAlreadyExists);
    EXPECT_EQ(run(1, on(1).add_member("n1", MemberRole::kFull)).status().code(),
              Code::kAlreadyExists);
    EXPECT_EQ(run(1, on(1).add_member("", MemberRole::kFull)).status().code(),
              Code::kInvalidArgument);

    cluster.add_node();
    cluster.world.run_for(seconds(10));
    EXPECT_EQ(cluster.id(4), kFour);
    EXPECT_EQ(state_of(4), NodeState::kActive);
    EXPECT_THAT(cluster.node(4).replicas, IsEmpty());

    expect_done(change(4, "n4", MemberChange::kPromote));
    cluster.world.run_for(seconds(20));
    EXPECT_FALSE(cluster.node(4).replicas.empty()) << cluster.describe();
    EXPECT_EQ(cluster.truth.violations, kNone);
}

TEST_F(Administrating, MovesALeaderAndItStaysThere) {
    grow(1, 3);
    for (const std::uint64_t number : {1U, 2U, 3U, 1U}) {
        const std::string name = "n" + std::to_string(number);
        expect_done(run(2, on(2).move_leader(kShard, name, seconds(10))));
        EXPECT_EQ(cluster.truth.group(kShard).leader, cluster.id(number));
    }
    cluster.world.run_for(seconds(5));
    EXPECT_EQ(cluster.truth.group(kShard).leader, cluster.id(1));

    expect_done(run(2, on(2).move_leader(kShard, std::nullopt, seconds(10))));
    const Metadata known = cluster.truth.metadata();
    EXPECT_EQ(std::ranges::find(known.shards, kShard, &ShardRecord::id)->preferred_leader,
              NodeId());
}

TEST_F(Administrating, MovesAShardThereAndBack) {
    grow(1, 4);
    const std::vector<NodeId> before = cluster.truth.group(kShard).led.voters;
    NodeId outside = kOne;
    while (std::ranges::find(before, outside) != before.end()) {
        outside = outside.next();
    }
    const std::string from = std::to_string(before.front().value());
    const std::string to = std::to_string(outside.value());
    const auto move = [&](std::string source, std::string target) {
        return run(2,
                   on(2).move_shard(
                       kShard,
                       Administration::Move{.from = std::move(source), .to = std::move(target)},
                       seconds(30)));
    };

    expect_done(move(from, to));
    EXPECT_NE(cluster.truth.group(kShard).led.voters, before);
    expect_done(move(to, from));
    EXPECT_EQ(cluster.truth.group(kShard).led.voters, before);
    expect_done(run(2, on(2).move_shard(kShard, std::nullopt, seconds(1))));
    EXPECT_EQ(cluster.truth.violations, kNone);
}

// The controller's host crashes as soon as the intent is written.
TEST_F(Administrating, LosesNothingWhenTheControllerCrashes) {
    grow(3, 5);
    const std::uint64_t first = cluster.controller_host();
    const std::uint64_t other = first == 1 ? 2 : 1;
    const std::uint64_t leaving = first == 5 ? 4 : 5;
    ASSERT_TRUE(
        change(other, "n" + std::to_string(leaving), MemberChange::kDecommission, Duration(0))
            .ok());
    cluster.crash(first);
    cluster.world.run_for(seconds(5));
    cluster.restart(first);

    ASSERT_TRUE(cluster.settles(3, 3, seconds(90))) << cluster.describe();
    cluster.world.run_for(seconds(2));
    EXPECT_EQ(state_of(leaving), NodeState::kRemoved);
    EXPECT_EQ(cluster.truth.violations, kNone);
}

// Half of the writes and reads fail, some of them after they have taken effect.
TEST_F(Administrating, GetsThereThroughFailuresOfTheStore) {
    grow(2, 3);
    cluster.truth.faults = {.read_fails = 3, .write_fails = 3, .write_unknown = 3};

    for (int round = 0; round < 10; ++round) {
        EXPECT_TRUE(change(1, "n2", MemberChange::kDrain, Duration(0)).ok());
        EXPECT_EQ(state_of(2), NodeState::kDraining);
        EXPECT_TRUE(change(3, "n2", MemberChange::kUndrain, Duration(0)).ok());
        EXPECT_EQ(state_of(2), NodeState::kActive);
    }
    EXPECT_EQ(cluster.truth.violations, kNone);
}

TEST_F(Administrating, SaysThatTheSystemShardCannotBeReached) {
    grow(1, 3);
    cluster.crash(2);
    cluster.crash(3);

    const auto refused = change(1, "n2", MemberChange::kDrain);

    EXPECT_EQ(refused.status().code(), Code::kUnavailable);
    EXPECT_EQ(refused.status().effect(), Effect::kNone);
    EXPECT_FALSE(run(1, on(1).members()).ok());
}

async::Task<void> decommission(ClusterAdministration* through,
                               std::string node,
                               Result<Progress>* into) {
    *into = co_await through->change_member(node, MemberChange::kDecommission, Duration(0));
}

async::Task<void> decommission_both(env::Env* env, ClusterAdministration* through) {
    async::Gate gate(env->scheduler);
    Result<Progress> first(Status(Code::kInternal, ""));
    Result<Progress> second(Status(Code::kInternal, ""));
    gate.spawn(decommission(through, "n1", &first));
    gate.spawn(decommission(through, "n2", &second));
    co_await gate.close();
    EXPECT_NE(first.ok(), second.ok());
    EXPECT_EQ((first.ok() ? second : first).status().code(), Code::kConflict);
}

// Either may go, and not both: each is judged by rows in which the other stays.
TEST_F(Administrating, DoesNotTakeTwoNodesOnTheStrengthOfEachOther) {
    for (int round = 0; round < 5; ++round) {
        MemberWorld two(2 + static_cast<std::uint64_t>(round));
        two.bootstrap(1);
        two.add_node();
        ASSERT_TRUE(two.settles(1, 1, seconds(30)));

        two.world.block_on(two.host(1),
                           decommission_both(&two.host(1).env(), &two.node(1).administration));
    }
}

}  // namespace
}  // namespace kvstore::cluster
