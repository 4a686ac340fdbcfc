// A cluster as the planner sees it, on which plans are carried out, one action at a time and each
// judged by itself: an action that a rule forbids fails the test.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "cluster/placement.h"

namespace kvstore::cluster::testing {

class PlacementWorld {
public:
    explicit PlacementWorld(std::uint64_t seed = 1) : random_(seed) {}

    NodeId add_node(std::string zone = "") {
        const NodeId id(input.nodes.size() + 1);
        input.nodes.push_back({.id = id,
                               .state = NodeState::kActive,
                               .liveness = Liveness::kAlive,
                               .dead_since = {},
                               .zone = std::move(zone)});
        return id;
    }

    // With one voter on each of `voters`, led by the first.
    PlacementShard& add_shard(std::vector<NodeId> voters, std::uint32_t factor = 3) {
        PlacementShard shard;
        shard.id = ShardId(input.shards.size() + 1);
        shard.epoch = ShardEpoch(1);
        shard.replication_factor = factor;
        shard.leader = voters.front();
        shard.voters = std::move(voters);
        std::ranges::sort(shard.voters);
        input.shards.push_back(std::move(shard));
        return input.shards.back();
    }

    [[nodiscard]] PlacementNode& node(NodeId id) { return input.nodes.at(id.value() - 1); }
    [[nodiscard]] PlacementShard& shard(ShardId id) { return input.shards.at(id.value() - 1); }

    void kill(NodeId id) {
        node(id).liveness = Liveness::kDead;
        node(id).dead_since = input.now;
        elect();
    }
    void revive(NodeId id) {
        node(id).liveness = Liveness::kAlive;
        elect();
    }

    [[nodiscard]] bool is_alive(NodeId id) {
        return is_member(node(id).state) && node(id).liveness == Liveness::kAlive;
    }
    [[nodiscard]] bool is_free(NodeId id) {
        return is_alive(id) && node(id).state == NodeState::kActive;
    }
    [[nodiscard]] bool counts(const PlacementShard& at, NodeId id) {
        return is_alive(id) && !holds(at.damaged, id);
    }
    [[nodiscard]] std::size_t live(const PlacementShard& at) {
        return static_cast<std::size_t>(
            std::ranges::count_if(at.voters, [&](NodeId id) { return counts(at, id); }));
    }
    [[nodiscard]] bool has_majority(const PlacementShard& at) {
        return live(at) >= at.voters.size() / 2 + 1;
    }
    [[nodiscard]] static bool holds(const std::vector<NodeId>& ids, NodeId id) {
        return std::ranges::find(ids, id) != ids.end();
    }

    [[nodiscard]] Plan plan() const { return plan_placement(input, options); }

    // Leaders on dead nodes are replaced where a majority is alive, as their groups would do.
    void elect() {
        for (PlacementShard& shard : input.shards) {
            if (shard.leader != NodeId() && counts(shard, shard.leader) && has_majority(shard)) {
                continue;
            }
            shard.leader = NodeId();
            for (const NodeId voter : shard.voters) {
                if (has_majority(shard) && counts(shard, voter)) {
                    shard.leader = voter;
                }
            }
        }
    }

    void damage(PlacementShard& at, NodeId id) {
        if (!holds(at.damaged, id)) {
            at.damaged.push_back(id);
        }
        std::erase(at.caught_up, id);
        elect();
    }
    // Nodes that are alive remove what their shard does not list.
    void put_away() {
        for (PlacementShard& at : input.shards) {
            std::erase_if(at.damaged, [&](NodeId id) {
                return is_alive(id) && !holds(at.voters, id) && !holds(at.learners, id);
            });
        }
    }

    void carry_out(const Action& action) {
        SCOPED_TRACE(to_string(action));
        PlacementShard& at = shard(action.shard);
        ASSERT_EQ(action.epoch, at.epoch);
        ASSERT_FALSE(action.reason.empty());
        ASSERT_TRUE(has_majority(at)) << "nothing can be changed without one";
        ASSERT_TRUE(counts(at, at.leader));
        if (action.kind == ActionKind::kTransferLeader) {
            ASSERT_TRUE(holds(at.voters, action.node) && counts(at, action.node));
            ASSERT_EQ(action.from, at.leader);
            at.leader = action.node;
            return;
        }
        change(at, action);
        at.epoch = at.epoch.next();
        ASSERT_TRUE(has_majority(at)) << live(at) << " of " << at.voters.size();
        ASSERT_TRUE(holds(at.voters, at.leader)) << "the leader's replica was removed";
    }

    // Each learner on a live node catches up by chance.
    void fill() {
        for (PlacementShard& at : input.shards) {
            for (const NodeId learner : at.learners) {
                if (counts(at, learner) && !holds(at.caught_up, learner) && random_.chance(1, 2)) {
                    at.caught_up.push_back(learner);
                }
            }
        }
    }

    enum class Pace : std::uint8_t { kWholePlans, kFirstActions, kAnyPart };

    // Plans and carries out until there is nothing left to do. Returns: rounds; 0 when there was no
    // end to it.
    std::size_t settle(Pace pace) {
        const std::size_t rounds_max = 200 + input.shards.size() * 60;
        for (std::size_t round = 1; round <= rounds_max; ++round) {
            const Plan next = plan();
            expect_one_action_a_shard(next);
            if (next.actions.empty() && !is_filling() && !is_putting_away()) {
                return round;
            }
            for (std::size_t i = 0; i < next.actions.size(); ++i) {
                if (pace == Pace::kAnyPart && random_.chance(1, 2)) {
                    continue;
                }
                carry_out(next.actions[i]);
                if (::testing::Test::HasFatalFailure()) {
                    return 0;
                }
                if (pace == Pace::kFirstActions) {
                    break;
                }
            }
            fill();
            if (random_.chance(1, 2)) {
                put_away();
            }
        }
        return 0;
    }

    [[nodiscard]] std::size_t replicas_on(NodeId id) const {
        return static_cast<std::size_t>(std::ranges::count_if(
            input.shards, [id](const PlacementShard& at) { return holds(at.voters, id); }));
    }
    [[nodiscard]] std::size_t leaders_on(NodeId id) const {
        return static_cast<std::size_t>(
            std::ranges::count(input.shards, id, &PlacementShard::leader));
    }
    [[nodiscard]] std::size_t zones_of(const std::vector<NodeId>& ids) {
        std::vector<std::string> zones;
        for (const NodeId id : ids) {
            zones.push_back(node(id).zone);
        }
        std::ranges::sort(zones);
        return static_cast<std::size_t>(std::ranges::unique(zones).begin() - zones.begin());
    }

    PlacementInput input{.now = MonotonicTime(std::chrono::hours(1)), .nodes = {}, .shards = {}};
    PlacementOptions options;
    std::size_t copies = 0;  // learners that were added

private:
    void change(PlacementShard& at, const Action& action) {
        const NodeId node_id = action.node;
        switch (action.kind) {
            case ActionKind::kAddLearner:
                ASSERT_TRUE(is_free(node_id));
                ASSERT_FALSE(holds(at.damaged, node_id)) << "what is left there is in the way";
                ASSERT_FALSE(holds(at.voters, node_id) || holds(at.learners, node_id));
                at.learners.push_back(node_id);
                ++copies;
                break;
            case ActionKind::kPromoteLearner:
                ASSERT_TRUE(holds(at.learners, node_id) && holds(at.caught_up, node_id));
                std::erase(at.learners, node_id);
                std::erase(at.caught_up, node_id);
                at.voters.push_back(node_id);
                ASSERT_LE(at.voters.size(), at.replication_factor + 1);
                break;
            case ActionKind::kRemoveVoter:
                ASSERT_TRUE(holds(at.voters, node_id));
                std::erase(at.voters, node_id);
                break;
            case ActionKind::kRemoveLearner:
                ASSERT_TRUE(holds(at.learners, node_id));
                std::erase(at.learners, node_id);
                std::erase(at.caught_up, node_id);
                break;
            case ActionKind::kTransferLeader: break;
        }
    }

    static void expect_one_action_a_shard(const Plan& plan) {
        std::map<ShardId, int> counts;
        for (const Action& action : plan.actions) {
            EXPECT_EQ(++counts[action.shard], 1) << to_string(action);
        }
        EXPECT_LE(plan.obstacles.size(), kObstaclesMax);
    }

    // Whether a learner that will catch up has not yet.
    [[nodiscard]] bool is_filling() {
        return std::ranges::any_of(input.shards, [this](const PlacementShard& at) {
            return std::ranges::any_of(at.learners, [&](NodeId learner) {
                return counts(at, learner) && !holds(at.caught_up, learner);
            });
        });
    }

    // Whether a node that is alive still has what is left of a replica.
    [[nodiscard]] bool is_putting_away() {
        return std::ranges::any_of(input.shards, [this](const PlacementShard& at) {
            return std::ranges::any_of(at.damaged, [&](NodeId id) {
                return is_alive(id) && !holds(at.voters, id) && !holds(at.learners, id);
            });
        });
    }

    Random random_;
};

}  // namespace kvstore::cluster::testing
