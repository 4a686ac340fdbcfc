#include "replication/host_shard_actor.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/planted_bug.h"
#include "replication/strong/raft_group.h"

namespace kvstore::replication {
namespace {

// A learner that lacks no more entries than this could vote now.
constexpr std::uint64_t kCaughtUpEntries = 256;

void add_all(std::vector<NodeId>& to, const std::vector<NodeId>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

void make_set(std::vector<NodeId>& nodes) {
    std::ranges::sort(nodes);
    const auto repeated = std::ranges::unique(nodes);
    nodes.erase(repeated.begin(), repeated.end());
}

bool has(const std::vector<NodeId>& nodes, NodeId node) {
    return std::ranges::find(nodes, node) != nodes.end();
}

cluster::LedShard led_shard(ShardId id, const raft::NodeStatus& status) {
    cluster::LedShard shard;
    shard.id = id;
    shard.term = status.hard.term;
    add_all(shard.voters, status.conf.voters);
    add_all(shard.voters, status.conf.voters_outgoing);
    make_set(shard.voters);
    add_all(shard.learners, status.conf.learners);
    for (const NodeId next : status.conf.learners_next) {
        if (!has(shard.voters, next)) {
            shard.learners.push_back(next);
        }
    }
    make_set(shard.learners);
    for (const raft::PeerStatus& peer : status.peers) {
        const bool is_near = peer.match.value() + kCaughtUpEntries >= status.last_index.value();
        if (has(shard.learners, peer.id) && peer.recently_active && is_near &&
            peer.match > Index()) {
            shard.caught_up.push_back(peer.id);
        }
    }
    make_set(shard.caught_up);
    shard.is_changing = !status.conf.voters_outgoing.empty() || status.heir != NodeId() ||
                        status.pending_conf_index > status.applied;
    return shard;
}

std::optional<raft::ConfOperation> operation_of(cluster::ActionKind kind) {
    switch (kind) {
        case cluster::ActionKind::kAddLearner: return raft::ConfOperation::kAddLearner;
        case cluster::ActionKind::kPromoteLearner: return raft::ConfOperation::kAddVoter;
        case cluster::ActionKind::kRemoveVoter:
        case cluster::ActionKind::kRemoveLearner: return raft::ConfOperation::kRemove;
        case cluster::ActionKind::kTransferLeader: return std::nullopt;
    }
    return std::nullopt;
}

enum class Due : std::uint8_t { kNow, kNothing, kNever };

// What a step comes to, for a shard as it stands.
Due due(cluster::ActionKind kind, const cluster::LedShard& shard, NodeId node, NodeId self) {
    const bool votes = has(shard.voters, node);
    const bool learns = has(shard.learners, node);
    switch (kind) {
        case cluster::ActionKind::kAddLearner:
            return votes ? Due::kNever : learns ? Due::kNothing : Due::kNow;
        case cluster::ActionKind::kPromoteLearner:
            return votes ? Due::kNothing : has(shard.caught_up, node) ? Due::kNow : Due::kNever;
        case cluster::ActionKind::kRemoveVoter:
            return votes ? Due::kNow : learns ? Due::kNever : Due::kNothing;
        case cluster::ActionKind::kRemoveLearner:
            return votes ? Due::kNever : learns ? Due::kNow : Due::kNothing;
        case cluster::ActionKind::kTransferLeader:
            return node == self ? Due::kNothing : votes ? Due::kNow : Due::kNever;
    }
    return Due::kNever;
}

async::Task<Status> change(RaftGroup* group, raft::ConfOperation operation, NodeId node) {
    raft::ConfChange change;
    change.steps.push_back({.operation = operation, .node = node});
    co_return co_await group->change_membership(std::move(change));
}

}  // namespace

std::vector<cluster::LedShard> HostShardActor::led_shards() const {
    std::vector<cluster::LedShard> led;
    for (const ShardDescription& description : host_.shards()) {
        const RaftGroup* const group = host_.find_raft_group(description.id);
        if (group == nullptr || !group->is_leader()) {
            continue;
        }
        const std::optional<raft::NodeStatus> status = group->raft_status();
        if (status.has_value()) {
            led.push_back(led_shard(description.id, *status));
        }
    }
    return led;
}

std::vector<ShardId> HostShardActor::damaged_shards() const {
    std::vector<ShardId> shards;
    for (const DamagedReplica& replica : host_.damaged()) {
        shards.push_back(replica.shard);
    }
    return shards;
}

cluster::DiskState HostShardActor::disk() const {
    const Code log = host_.log_health().code();
    if (log == Code::kDiskFull) {
        return cluster::DiskState::kFull;
    }
    if (log != Code::kOk) {
        return cluster::DiskState::kFailed;
    }
    cluster::DiskState state = cluster::DiskState::kFine;
    for (const ShardDescription& shard : host_.shards()) {
        const RaftGroup* const group = host_.find_raft_group(shard.id);
        if (group != nullptr && group->is_out_of_room()) {
            return cluster::DiskState::kFull;
        }
        if (group != nullptr && group->gave_up_for_slow_log()) {
            state = cluster::DiskState::kSlow;
        }
    }
    return state;
}

async::Task<Status> HostShardActor::act(cluster::ActionKind kind,
                                        ShardId shard,
                                        NodeId node,
                                        async::Deadline deadline) {
    RaftGroup* const group = host_.find_raft_group(shard);
    if (group == nullptr || !group->is_leader()) {
        co_return Status(Code::kNotLeader, "this node does not lead the shard");
    }
    const std::optional<raft::NodeStatus> status = group->raft_status();
    if (!status.has_value()) {
        co_return Status(Code::kUnavailable, "the shard is not ready");
    }
    const Due step = due(kind, led_shard(shard, *status), node, status->id);
    if (step == Due::kNever) {
        co_return Status(Code::kConflict, "the shard's members are not as the step expects");
    }
    const std::optional<raft::ConfOperation> operation = operation_of(kind);
    Status done;
    if (step == Due::kNothing) {
        done = co_await group->read_barrier(deadline);
    } else if (operation.has_value()) {
        done = co_await change(group, *operation, node);
    } else {
        co_return group->transfer_leader(node);
    }
    const bool may_go =
        kind == cluster::ActionKind::kRemoveVoter || kind == cluster::ActionKind::kRemoveLearner;
    RaftGroup* const after = host_.find_raft_group(shard);
    if (!done.ok() || !may_go || after == nullptr ||
        planted_bug(PlantedBug::kGroupForgetsRemovals)) {
        co_return done;
    }
    co_return co_await after->settle_membership();
}

}  // namespace kvstore::replication
