// What the planner knows, ready to be asked: nodes and shards in the order of their ids, with
// places in a vector instead of ids, and how much each node has once every shard is at its target.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "base/id.h"
#include "cluster/placement.h"

namespace kvstore::cluster::internal {

// A place in PlacementState::nodes.
using NodeIndex = std::size_t;
inline constexpr NodeIndex kNoNode = std::numeric_limits<NodeIndex>::max();

struct NodeView {
    NodeId id;
    std::size_t zone = 0;      // a number for each label
    std::size_t replicas = 0;  // of all targets; before they are chosen, of all members
    std::size_t leaders = 0;   // with the transfers planned so far
    bool is_alive = false;     // counts for a majority
    bool is_dead = false;      // however short
    bool may_stay = false;     // may keep the replicas it has
    bool may_take = false;     // may be given replicas
    bool may_lead = false;
    bool has_bad_disk = false;
};

struct ShardView {
    const PlacementShard* shard = nullptr;
    std::vector<NodeIndex> voters;
    std::vector<NodeIndex> learners;
    std::vector<NodeIndex> damaged;
    std::vector<NodeIndex> target;
    NodeIndex leader = kNoNode;  // where one is known, on a live node
    bool can_change = false;     // it has a leader and a live majority, and nothing under way
    bool has_action = false;
    bool is_fixed = false;  // its target is what an operator wants

    [[nodiscard]] bool is_voter(NodeIndex node) const;
    [[nodiscard]] bool is_member(NodeIndex node) const;
    [[nodiscard]] bool is_wanted(NodeIndex node) const;  // of the target
    [[nodiscard]] bool is_damaged(NodeIndex node) const;
    [[nodiscard]] bool has_damaged_member() const;
    // Nothing is to be changed but perhaps its leader.
    [[nodiscard]] bool is_settled() const;
};

struct PlacementState {
    std::vector<NodeView> nodes;
    std::vector<ShardView> shards;
    std::size_t member_count = 0;  // that count for the number of replicas

    // Whether the voter on `node` counts for a majority.
    [[nodiscard]] bool counts(const ShardView& shard, NodeIndex node) const {
        return nodes[node].is_alive && !shard.is_damaged(node);
    }
    [[nodiscard]] std::size_t live_voters(const ShardView& shard) const;
    // Whether the replica on `node`, a learner or one that is yet to be made, has to be filled.
    [[nodiscard]] bool is_empty(const ShardView& shard, NodeIndex node) const;
    // In how many zones the nodes `of` stand; `but` is left out, `with` is added.
    [[nodiscard]] std::size_t zone_count(const std::vector<NodeIndex>& of,
                                         NodeIndex but = kNoNode,
                                         NodeIndex with = kNoNode) const;
};

[[nodiscard]] constexpr std::size_t majority_of(std::size_t voters) {
    return voters / 2 + 1;
}

[[nodiscard]] PlacementState make_placement_state(const PlacementInput& input,
                                                  const PlacementOptions& options);

// Sets the target of every shard, and NodeView::replicas to what follows from them. What nodes must
// keep for want of others is told to `obstacles`.
void choose_targets(PlacementState& state,
                    const PlacementOptions& options,
                    std::vector<Obstacle>& obstacles);

// Adds the transfers that balance leaders to `actions`, for shards without another action. Carried
// out in their order, each is safe and none makes the balance worse.
void balance_leaders(PlacementState& state,
                     const PlacementOptions& options,
                     std::vector<Action>& actions);

}  // namespace kvstore::cluster::internal
