#include "cluster/internal/survey.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kvstore::cluster::internal {
namespace {

constexpr Duration kStorePatience = std::chrono::seconds(2);
constexpr Duration kAskPatience = std::chrono::seconds(1);

Liveness liveness_of(wire::MemberState state) {
    switch (state) {
        case wire::MemberState::kAlive: return Liveness::kAlive;
        case wire::MemberState::kSuspect: return Liveness::kSuspected;
        case wire::MemberState::kDead:
        case wire::MemberState::kLeft: break;
    }
    return Liveness::kDead;
}

}  // namespace

async::Task<Status> Survey::read() {
    const async::Deadline deadline = in(kStorePatience);
    KVSTORE_CO_TRY(SystemRows rows, co_await parts_.store.read(deadline));
    KVSTORE_CO_TRY(view_, ClusterView::build(std::move(rows)));
    for (const NodeRecord& record : view_->metadata.nodes) {
        PlacementNode node;
        node.id = record.id;
        node.state = record.state;
        node.zone = record.zone;
        node.is_learner = record.is_learner;
        // Of whom gossip knows nothing yet, nothing is counted on and nothing given up.
        node.liveness = Liveness::kSuspected;
        if (record.id == parts_.self) {
            node.liveness = Liveness::kAlive;
        } else if (const auto known = parts_.gossip.find(record.id); known.has_value()) {
            node.liveness = liveness_of(known->state);
            node.dead_since = known->since;
        }
        nodes_.push_back(std::move(node));
    }
    co_return Status();
}

async::Task<void> Survey::ask() {
    for (const PlacementNode& node : nodes_) {
        if (is_member(node.state) && node.liveness != Liveness::kDead) {
            asking_.spawn(ask(node.id));
        }
    }
    co_await asking_.close();
}

async::Task<void> Survey::ask(NodeId node) {
    const async::Deadline deadline = in(kAskPatience);
    const auto report = co_await parts_.members.shard_report(node, deadline);
    if (!report.ok()) {
        log_debug("a node does not say what it leads",
                  {{"node", node.value()}, {"error", report.status().to_string()}});
        co_return;
    }
    std::ranges::find(nodes_, node, &PlacementNode::id)->disk = report->disk;
    for (const ShardId shard : report->damaged) {
        damaged_[shard].push_back(node);
    }
    for (const LedShard& group : report->led) {
        Led& known = led_[group.id];
        if (!group.voters.empty() && group.term >= known.group.term) {
            known.leader = node;
            known.group = group;
        }
    }
}

PlacementShard Survey::shard_of(const ShardRecord& record) {
    auto factor = factors_.find(record.keyspace);
    if (factor == factors_.end()) {
        const std::uint32_t wanted = parts_.factor_of(record.keyspace, view_->rows);
        factor = factors_.emplace(record.keyspace, wanted).first;
    }
    PlacementShard shard;
    shard.id = record.id;
    shard.epoch = record.epoch;
    shard.replication_factor = factor->second;
    shard.voters = record.voters;
    shard.learners = record.learners;
    if (const auto damaged = damaged_.find(record.id); damaged != damaged_.end()) {
        shard.damaged = damaged->second;
    }
    shard.preferred_leader = record.preferred_leader;
    shard.wanted = record.wanted;
    if (const LedShard* const group = find_group(record.id); group != nullptr) {
        shard.voters = group->voters;
        shard.learners = group->learners;
        shard.caught_up = group->caught_up;
        shard.leader = leader_of(record.id);
        shard.is_changing = group->is_changing;
    }
    return shard;
}

const LedShard* Survey::find_group(ShardId shard) const {
    const auto led = led_.find(shard);
    return led == led_.end() || led->second.leader == NodeId() ? nullptr : &led->second.group;
}

NodeId Survey::leader_of(ShardId shard) const {
    const auto led = led_.find(shard);
    return led == led_.end() ? NodeId() : led->second.leader;
}

async::Deadline Survey::in(Duration span) const {
    return async::Deadline::after(parts_.env.clock.now(), span);
}

}  // namespace kvstore::cluster::internal
