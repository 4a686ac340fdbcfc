#include "cluster/internal/placement_state.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace kvstore::cluster::internal {
namespace {

NodeView view_of(const PlacementNode& node, MonotonicTime now, Duration replace_after) {
    const bool is_member = cluster::is_member(node.state);
    const bool is_dead = node.liveness == Liveness::kDead;
    const bool is_given_up = is_dead && now - node.dead_since >= replace_after;
    NodeView view;
    view.id = node.id;
    view.is_alive = is_member && node.liveness == Liveness::kAlive;
    view.is_dead = is_dead || !is_member;
    view.may_stay = is_member && node.state != NodeState::kDecommissioning && !is_given_up;
    view.has_bad_disk = node.disk != DiskState::kFine;
    view.may_take =
        node.state == NodeState::kActive && view.is_alive && !node.is_learner && !view.has_bad_disk;
    view.may_lead = view.may_take;
    return view;
}

// Nodes that have a replica and no record are as gone as those that were removed.
void add_unknown_nodes(const PlacementInput& input, std::map<NodeId, NodeView>& nodes) {
    NodeView unknown;
    unknown.is_dead = true;
    for (const PlacementShard& shard : input.shards) {
        for (const auto* members : {&shard.voters, &shard.learners, &shard.damaged}) {
            for (const NodeId id : *members) {
                unknown.id = id;
                nodes.try_emplace(id, unknown);
            }
        }
    }
}

std::vector<NodeIndex> places(const PlacementState& state, const std::vector<NodeId>& ids) {
    std::vector<NodeIndex> found;
    for (const NodeId id : ids) {
        const auto node = std::ranges::lower_bound(state.nodes, id, {}, &NodeView::id);
        found.push_back(static_cast<NodeIndex>(node - state.nodes.begin()));
    }
    std::ranges::sort(found);
    return found;
}

ShardView view_of(const PlacementState& state, const PlacementShard& shard) {
    ShardView view;
    view.shard = &shard;
    view.voters = places(state, shard.voters);
    view.learners = places(state, shard.learners);
    view.damaged = places(state, shard.damaged);
    for (const NodeIndex voter : view.voters) {
        if (state.nodes[voter].id == shard.leader && state.counts(view, voter)) {
            view.leader = voter;
        }
    }
    view.can_change = !shard.is_changing && view.leader != kNoNode &&
                      state.live_voters(view) >= majority_of(view.voters.size());
    return view;
}

}  // namespace

bool ShardView::is_voter(NodeIndex node) const {
    return std::ranges::find(voters, node) != voters.end();
}

bool ShardView::is_member(NodeIndex node) const {
    return is_voter(node) || std::ranges::find(learners, node) != learners.end();
}

bool ShardView::is_wanted(NodeIndex node) const {
    return std::ranges::find(target, node) != target.end();
}

bool ShardView::is_damaged(NodeIndex node) const {
    return std::ranges::find(damaged, node) != damaged.end();
}

bool ShardView::has_damaged_member() const {
    return std::ranges::any_of(damaged, [this](NodeIndex node) { return is_member(node); });
}

bool ShardView::is_settled() const {
    return can_change && learners.empty() && target.size() == voters.size() &&
           !has_damaged_member() &&
           std::ranges::all_of(voters, [this](NodeIndex voter) { return is_wanted(voter); });
}

std::size_t PlacementState::live_voters(const ShardView& shard) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(shard.voters, [&](NodeIndex voter) { return counts(shard, voter); }));
}

bool PlacementState::is_empty(const ShardView& shard, NodeIndex node) const {
    const auto& full = shard.shard->caught_up;
    return !shard.is_voter(node) && std::ranges::find(full, nodes[node].id) == full.end();
}

std::size_t PlacementState::zone_count(const std::vector<NodeIndex>& of,
                                       NodeIndex but,
                                       NodeIndex with) const {
    // A handful of nodes, asked for very often: no allocation.
    std::size_t count = with != kNoNode ? 1 : 0;
    for (std::size_t i = 0; i < of.size(); ++i) {
        const std::size_t zone = nodes[of[i]].zone;
        bool is_new = of[i] != but && (with == kNoNode || nodes[with].zone != zone);
        for (std::size_t before = 0; is_new && before < i; ++before) {
            is_new = of[before] == but || nodes[of[before]].zone != zone;
        }
        count += is_new ? 1 : 0;
    }
    return count;
}

PlacementState make_placement_state(const PlacementInput& input, const PlacementOptions& options) {
    PlacementState state;
    std::set<std::string_view> labels;
    for (const PlacementNode& node : input.nodes) {
        labels.insert(node.zone);
    }
    std::map<NodeId, NodeView> nodes;
    for (const PlacementNode& node : input.nodes) {
        NodeView view = view_of(node, input.now, options.replace_after);
        view.zone = static_cast<std::size_t>(
            std::distance(labels.begin(), labels.find(std::string_view(node.zone))));
        nodes.emplace(node.id, view);
        const bool stays = node.state == NodeState::kActive || node.state == NodeState::kDraining;
        state.member_count += stays && !node.is_learner ? 1 : 0;
    }
    add_unknown_nodes(input, nodes);
    for (const auto& [id, view] : nodes) {
        state.nodes.push_back(view);
    }
    for (const PlacementShard& shard : input.shards) {
        state.shards.push_back(view_of(state, shard));
    }
    std::ranges::sort(state.shards, {}, [](const ShardView& view) { return view.shard->id; });
    for (const ShardView& shard : state.shards) {
        for (const auto* members : {&shard.voters, &shard.learners}) {
            for (const NodeIndex member : *members) {
                ++state.nodes[member].replicas;
            }
        }
        if (shard.leader != kNoNode) {
            ++state.nodes[shard.leader].leaders;
        }
    }
    return state;
}

}  // namespace kvstore::cluster::internal
