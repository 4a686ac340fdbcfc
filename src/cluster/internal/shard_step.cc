#include "cluster/internal/shard_step.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kvstore::cluster::internal {
namespace {

bool holds(const std::vector<NodeId>& ids, NodeId id) {
    return std::ranges::find(ids, id) != ids.end();
}

void add(std::vector<NodeId>& ids, NodeId id) {
    if (!holds(ids, id)) {
        ids.insert(std::ranges::upper_bound(ids, id), id);
    }
}

ShardRecord next_of(const ShardRecord& record) {
    ShardRecord next = record;
    next.epoch = record.epoch.next();
    return next;
}

bool is_listed(const ShardRecord& record, NodeId node) {
    return holds(record.voters, node) || holds(record.learners, node);
}

bool is_in_group(const LedShard& group, NodeId node) {
    return holds(group.voters, node) || holds(group.learners, node);
}

ShardStep make_step(ShardId shard, NodeId node, std::string_view reason) {
    ShardStep step;
    step.shard = shard;
    step.node = node;
    step.reason = reason;
    return step;
}

// The record is written anew even where it lists the learner already. Whoever read it before and
// has yet to write that the replica is gone (its removal was under way when the controller moved)
// must find another one: the group is about to have it again.
void add_learner(ShardStep& step, const ShardRecord& record) {
    step.record_before = next_of(record);
    add(step.record_before->learners, step.node);
    step.taker = step.node;
    step.acts = {{.kind = ActionKind::kAddLearner, .node = step.node}};
}

// A replica may be forgotten only when the group's leader has made sure that the group does not
// have it: a leader that was deposed without knowing reports the members of its own time. Removing
// it as a learner does that, and is refused by a group that has it as a voter.
void forget_replica(ShardStep& step, ShardRecord& next, NodeId node) {
    std::erase(next.voters, node);
    std::erase(next.learners, node);
    step.acts.push_back({.kind = ActionKind::kRemoveLearner, .node = node});
}

ShardStep follow_voters(const ShardRecord& record, const LedShard& group) {
    ShardStep step = make_step(record.id, {}, "the record follows the group's voters");
    ShardRecord next = next_of(record);
    for (const NodeId voter : record.voters) {
        if (!is_in_group(group, voter)) {
            forget_replica(step, next, voter);
        } else if (!holds(group.voters, voter)) {
            add(next.learners, voter);
        }
    }
    next.voters = group.voters;
    std::erase_if(next.learners, [&](NodeId learner) { return holds(next.voters, learner); });
    step.record_after = std::move(next);
    return step;
}

}  // namespace

ShardStep step_of(const Action& action, const ShardRecord& record) {
    KVSTORE_ASSERT(action.shard == record.id && action.epoch == record.epoch);
    ShardStep step = make_step(record.id, action.node, action.reason);
    if (action.kind == ActionKind::kAddLearner) {
        add_learner(step, record);
        return step;
    }
    step.acts = {{.kind = action.kind, .node = action.node}};
    if (action.kind == ActionKind::kTransferLeader) {
        return step;
    }
    ShardRecord next = next_of(record);
    std::erase(next.voters, action.node);
    std::erase(next.learners, action.node);
    if (action.kind == ActionKind::kPromoteLearner) {
        add(next.voters, action.node);
    }
    step.record_after = std::move(next);
    return step;
}

std::optional<ShardStep> repair_of(const ShardRecord& record,
                                   const LedShard& group,
                                   Callback<bool(NodeId)>& can_take) {
    if (record.voters != group.voters) {
        return follow_voters(record, group);
    }
    for (const NodeId learner : group.learners) {
        if (!is_listed(record, learner)) {
            ShardStep step = make_step(record.id, learner, "a learner that the record lacks");
            step.acts = {{.kind = ActionKind::kRemoveLearner, .node = learner}};
            return step;
        }
    }
    for (const NodeId learner : record.learners) {
        if (is_in_group(group, learner)) {
            continue;
        }
        if (can_take(learner)) {
            ShardStep step = make_step(record.id, learner, "a learner that the group lacks");
            add_learner(step, record);
            return step;
        }
        ShardStep step = make_step(record.id, learner, "a learner that cannot be had any more");
        ShardRecord next = next_of(record);
        forget_replica(step, next, learner);
        step.record_after = std::move(next);
        return step;
    }
    return std::nullopt;
}

}  // namespace kvstore::cluster::internal
