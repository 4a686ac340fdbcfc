#include "cluster/internal/administration_rules.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/parse.h"

namespace kvstore::cluster::internal {
namespace {

std::string called(const NodeRecord& node) {
    return "node " + std::to_string(node.id.value()) + " (" + node.name + ")";
}

std::string called(const ClusterState& state, NodeId id) {
    const NodeRecord* const node = state.view->metadata.find_node(id);
    return node != nullptr ? called(*node) : "node " + std::to_string(id.value());
}

std::string called(const ShardRecord& shard) {
    return "shard " + std::to_string(shard.id.value()) + " (" + shard.keyspace + ")";
}

Status conflict(std::string why) {
    return {Code::kConflict, std::move(why)};
}

bool holds(const std::vector<NodeId>& ids, NodeId id) {
    return std::ranges::find(ids, id) != ids.end();
}

const PlacementNode& seen(const ClusterState& state, NodeId id) {
    const auto found = std::ranges::find(state.input.nodes, id, &PlacementNode::id);
    KVSTORE_ASSERT(found != state.input.nodes.end());
    return *found;
}

const PlacementShard& seen(const ClusterState& state, ShardId id) {
    const auto found = std::ranges::find(state.input.shards, id, &PlacementShard::id);
    KVSTORE_ASSERT(found != state.input.shards.end());
    return *found;
}

bool lists(const ShardRecord& shard, NodeId node) {
    return holds(shard.voters, node) || holds(shard.learners, node);
}

// Takes replicas, and is not known to be dead.
bool can_hold(const PlacementNode& node) {
    return node.state == NodeState::kActive && !node.is_learner && node.liveness != Liveness::kDead;
}

bool is_nobody_else_active(const ClusterState& state, NodeId id) {
    return std::ranges::none_of(state.input.nodes, [id](const PlacementNode& other) {
        return other.id != id && can_hold(other);
    });
}

// "; " between them.
void append(std::string& reasons, const std::string& reason) {
    reasons += (reasons.empty() ? "" : "; ") + reason;
}

Status check_drain(const ClusterState& state, const NodeRecord& node) {
    const std::string cannot = called(node) + " cannot be drained: ";
    if (is_nobody_else_active(state, node.id) && !node.is_learner) {
        return conflict(cannot + "no other node is active");
    }
    std::string reasons;
    for (const PlacementShard& shard : state.input.shards) {
        const bool has_heir = std::ranges::any_of(shard.voters, [&](NodeId voter) {
            return voter != node.id && can_hold(seen(state, voter));
        });
        if (holds(shard.voters, node.id) && !has_heir) {
            append(reasons,
                   called(*state.view->map->find(shard.id)) +
                       " has no replica on another active node that could lead it");
        }
    }
    return reasons.empty() ? Status() : conflict(cannot + reasons);
}

// Which keyspaces' shards would have fewer replicas without the node, for want of nodes. The system
// shard takes as many as there is room for; data are not to have fewer.
std::string too_few_without(const ClusterState& state, NodeId node) {
    const auto count = [&](auto counts) {
        return static_cast<std::size_t>(std::ranges::count_if(state.input.nodes, counts));
    };
    const std::size_t now = count([](const PlacementNode& other) {
        const bool stays = other.state == NodeState::kActive || other.state == NodeState::kDraining;
        return stays && !other.is_learner;
    });
    const std::size_t left =
        count([&](const PlacementNode& other) { return other.id != node && can_hold(other); });
    std::string reasons;
    for (const PlacementShard& shard : state.input.shards) {
        const std::uint32_t factor = shard.replication_factor;
        if (shard.id != kSystemShardId &&
            effective_factor(factor, left) < effective_factor(factor, now)) {
            append(reasons,
                   called(*state.view->map->find(shard.id)) + " is to have " +
                       std::to_string(effective_factor(factor, now)) + " replicas and only " +
                       std::to_string(left) + " nodes could hold them");
        }
    }
    return reasons.empty() ? reasons
                           : reasons + "; add a node, or lower the replication factor first";
}

Status check_decommission(const ClusterState& state, const NodeRecord& node) {
    const std::string cannot = called(node) + " cannot be decommissioned: ";
    if (node.is_learner) {
        return {};
    }
    if (is_nobody_else_active(state, node.id)) {
        return conflict(cannot + "no other node is active");
    }
    const std::string reasons = too_few_without(state, node.id);
    return reasons.empty() ? Status() : conflict(cannot + reasons);
}

// Whoever may live is not cut off: it would go on as if nothing had happened.
Status check_remove(const ClusterState& state, const NodeRecord& node) {
    if (node.state == NodeState::kExpected) {
        return {};
    }
    KVSTORE_CHECK_OK(check_removal(state.input, node.id));
    const bool has_begun = node.state != NodeState::kJoining;
    if (has_begun && seen(state, node.id).liveness != Liveness::kDead) {
        return conflict(called(node) +
                        " cannot be removed: it is not known to be dead; decommission it, which "
                        "gives its replicas away first, or stop it and wait until it is found "
                        "dead");
    }
    // Dead, it keeps its place, and what the others have is kept: gone, two of three nodes would
    // throw one of their two copies away.
    const std::string reasons =
        node.is_learner || !has_begun ? std::string() : too_few_without(state, node.id);
    return reasons.empty() ? Status() : conflict(called(node) + " cannot be removed: " + reasons);
}

Status wrong_state(const NodeRecord& node, MemberChange change) {
    std::string_view hint;
    if (node.state == NodeState::kExpected || node.state == NodeState::kJoining) {
        hint = "; it has not joined yet";
    } else if (node.state == NodeState::kDraining) {
        hint = "; undrain takes that back";
    } else if (node.state == NodeState::kDecommissioning) {
        hint = "; recommission takes that back";
    }
    return conflict("cannot " + std::string(member_change_name(change)) + " " + called(node) +
                    ": it is " + std::string(node_state_name(node.state)) + std::string(hint));
}

// The state that `change` leads to; nullopt: not from this one.
std::optional<NodeState> next_state(NodeState now, MemberChange change) {
    using enum NodeState;
    switch (change) {
        case MemberChange::kDrain:
            return now == kActive || now == kDraining ? std::optional(kDraining) : std::nullopt;
        case MemberChange::kUndrain:
            return now == kActive || now == kDraining ? std::optional(kActive) : std::nullopt;
        case MemberChange::kDecommission:
            return now == kActive || now == kDraining || now == kDecommissioning
                       ? std::optional(kDecommissioning)
                       : std::nullopt;
        case MemberChange::kRecommission:
            return now == kActive || now == kDecommissioning ? std::optional(kActive)
                                                             : std::nullopt;
        case MemberChange::kPromote: return has_left(now) ? std::nullopt : std::optional(now);
        case MemberChange::kRemove: return has_left(now) ? std::nullopt : std::optional(kRemoved);
    }
    return std::nullopt;
}

Status check_change(const ClusterState& state, const NodeRecord& node, MemberChange change) {
    switch (change) {
        case MemberChange::kDrain: return check_drain(state, node);
        case MemberChange::kDecommission: return check_decommission(state, node);
        case MemberChange::kRemove: return check_remove(state, node);
        case MemberChange::kUndrain:
        case MemberChange::kRecommission:
        case MemberChange::kPromote: break;
    }
    return {};
}

}  // namespace

Result<const NodeRecord*> find_node(const ClusterState& state, std::string_view name) {
    const Metadata& metadata = state.view->metadata;
    const NodeRecord* node = metadata.find_named(name);
    if (node == nullptr) {
        const auto number = parse_uint64(name);
        node = number.has_value() ? metadata.find_node(NodeId(*number)) : nullptr;
    }
    if (node == nullptr) {
        return Status(Code::kNotFound, "no node is called '" + std::string(name) + "'");
    }
    return node;
}

Result<const ShardRecord*> find_shard(const ClusterState& state, ShardId id) {
    const ShardRecord* const shard = state.view->map->find(id);
    if (shard == nullptr) {
        return Status(Code::kNotFound, "there is no shard " + std::to_string(id.value()));
    }
    return shard;
}

Result<NodeRecord> changed_member(const ClusterState& state, NodeId id, MemberChange change) {
    NodeRecord node = *state.view->metadata.find_node(id);
    const bool is_to_go = change == MemberChange::kRemove || change == MemberChange::kDecommission;
    if (node.state == NodeState::kRemoved && is_to_go) {
        return node;
    }
    const std::optional<NodeState> next = next_state(node.state, change);
    if (!next.has_value()) {
        return wrong_state(node, change);
    }
    if (*next != node.state) {
        KVSTORE_CHECK_OK(check_change(state, node, change));
    }
    node.state = *next;
    node.is_learner = node.is_learner && change != MemberChange::kPromote;
    return node;
}

Result<ShardRecord> led_by(const ClusterState& state, ShardId id, NodeId node) {
    KVSTORE_TRY(const ShardRecord* found, find_shard(state, id));
    ShardRecord shard = *found;
    shard.preferred_leader = node;
    if (node == NodeId() || shard == *found) {
        return shard;
    }
    const std::string cannot = called(state, node) + " cannot lead " + called(shard) + ": ";
    if (!holds(shard.voters, node)) {
        std::string voters;
        for (const NodeId voter : shard.voters) {
            voters += (voters.empty() ? "" : ", ") + called(state, voter);
        }
        return conflict(cannot + "only those can that have a replica: " + voters);
    }
    const PlacementNode& heir = seen(state, node);
    if (heir.state != NodeState::kActive || heir.liveness != Liveness::kAlive) {
        return conflict(cannot + "it is " +
                        (heir.state != NodeState::kActive ? std::string(node_state_name(heir.state))
                                                          : "not known to be alive"));
    }
    return shard;
}

Result<ShardRecord> moved(const ClusterState& state, ShardId id, std::optional<ReplicaMove> move) {
    KVSTORE_TRY(const ShardRecord* found, find_shard(state, id));
    ShardRecord shard = *found;
    if (!move.has_value()) {
        shard.wanted.clear();
        return shard;
    }
    const std::string cannot = called(shard) + " cannot be moved from " +
                               called(state, move->from) + " to " + called(state, move->to) + ": ";
    const std::size_t members = static_cast<std::size_t>(
        std::ranges::count_if(state.input.nodes, [](const PlacementNode& node) {
            const bool stays =
                node.state == NodeState::kActive || node.state == NodeState::kDraining;
            return stays && !node.is_learner;
        }));
    const std::size_t factor = effective_factor(seen(state, id).replication_factor, members);
    // What was asked before and is on its way still counts.
    std::vector<NodeId> nodes = shard.wanted.size() == factor ? shard.wanted : shard.voters;
    const bool is_asked_again =
        !holds(nodes, move->from) && holds(nodes, move->to) && nodes == shard.wanted;
    if (is_asked_again) {
        return shard;
    }
    if (nodes.size() != factor) {
        return conflict(cannot + "it has " + std::to_string(nodes.size()) + " replicas of " +
                        std::to_string(factor) + "; wait until it has them all");
    }
    if (!holds(nodes, move->from)) {
        return conflict(cannot + "there is no replica to move");
    }
    if (holds(nodes, move->to)) {
        return conflict(cannot + "it has a replica there");
    }
    const PlacementNode& taker = seen(state, move->to);
    if (!can_hold(taker) || taker.liveness != Liveness::kAlive) {
        return conflict(cannot + "that node is " +
                        (taker.state != NodeState::kActive
                             ? std::string(node_state_name(taker.state))
                             : std::string(taker.is_learner ? "a learner; promote it first"
                                                            : "not known to be alive")));
    }
    std::erase(nodes, move->from);
    nodes.push_back(move->to);
    std::ranges::sort(nodes);
    shard.wanted = std::move(nodes);
    return shard;
}

std::vector<std::string> left_of(const ClusterState& state, NodeId node, MemberChange change) {
    std::vector<std::string> left;
    const NodeRecord* const record = state.view->metadata.find_node(node);
    for (const ShardRecord& shard : state.view->map->shards()) {
        if (change == MemberChange::kDrain && seen(state, shard.id).leader == node) {
            left.push_back(called(shard) + " is led by it");
        } else if (change == MemberChange::kDrain && holds(shard.voters, node) &&
                   seen(state, shard.id).leader == NodeId()) {
            left.push_back(called(shard) + " has no leader that is known");
        } else if ((change == MemberChange::kDecommission || change == MemberChange::kRemove) &&
                   lists(shard, node)) {
            left.push_back(called(shard) + " has a replica on it");
        }
    }
    if (left.empty() && change == MemberChange::kDecommission && record != nullptr &&
        !has_left(record->state)) {
        left.emplace_back("it is yet to be removed");
    }
    return left;
}

std::vector<std::string> left_of_leader(const ClusterState& state, ShardId id) {
    const ShardRecord* const shard = state.view->map->find(id);
    if (shard == nullptr || shard->preferred_leader == NodeId()) {
        return {};
    }
    const NodeId leader = seen(state, id).leader;
    if (leader == shard->preferred_leader) {
        return {};
    }
    return {called(*shard) + " is led by " +
            (leader == NodeId() ? "nobody that is known" : called(state, leader))};
}

std::vector<std::string> left_of_move(const ClusterState& state, ShardId id) {
    const ShardRecord* const shard = state.view->map->find(id);
    if (shard == nullptr || shard->wanted.empty()) {
        return {};
    }
    std::vector<std::string> left;
    for (const NodeId node : shard->wanted) {
        if (!holds(shard->voters, node)) {
            left.push_back(called(state, node) + (holds(shard->learners, node)
                                                      ? " is being filled"
                                                      : " has no replica yet"));
        }
    }
    for (const NodeId node : shard->voters) {
        if (!holds(shard->wanted, node)) {
            left.push_back(called(state, node) + " has a replica still");
        }
    }
    return left;
}

}  // namespace kvstore::cluster::internal
