// What the control loop does to the shards of one node. The node implements it over its replication
// host; tests play it.
#pragma once

#include <vector>

#include "async/deadline.h"
#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "cluster/placement.h"

namespace kvstore::cluster {

// A shard as its leader sees it.
struct LedShard {
    ShardId id;
    Term term;
    std::vector<NodeId> voters;     // rising; of both majorities while a change is joint
    std::vector<NodeId> learners;   // rising
    std::vector<NodeId> caught_up;  // those learners that hold all but the newest entries
    bool is_changing = false;       // a change of members or a transfer is under way
};

// What a node says of its shards.
struct ShardReport {
    std::vector<LedShard> led;
    // Rising. A replica that is listed on this node and takes no part: it was found damaged, or has
    // lost what it promised (its files, or its log), or it is what is left of such a one.
    std::vector<ShardId> damaged;
    DiskState disk = DiskState::kFine;
};

// Runs on  One core.
class ShardActor {
public:
    virtual ~ShardActor() = default;

    // The shards that this node leads.
    [[nodiscard]] virtual std::vector<LedShard> led_shards() const = 0;
    // The shards whose replica on this node is damaged, rising.
    [[nodiscard]] virtual std::vector<ShardId> damaged_shards() const = 0;
    [[nodiscard]] virtual DiskState disk() const = 0;
    // Carries one change of the members of a shard out, or a transfer of its leadership, where this
    // node leads it. kAddLearner on a learner, kRemove* on no member, kPromoteLearner on a voter,
    // kTransferLeader to this node: nothing is to be done.
    //
    // Where nothing is to be done, ok is a promise too: this node has made sure that it leads still
    // (a read barrier). The record is brought up to the group on the strength of it, and a leader
    // that was deposed without knowing would have it forget a voter.
    //
    // Suspends: until it is committed; a transfer until it has begun.
    // Errors:   kNotLeader (effect none), kConflict (effect none: another change is under way; not
    //           caught up; kAddLearner or kRemoveLearner on a voter, kRemoveVoter on a learner,
    //           kPromoteLearner on no member, kTransferLeader to no voter), kUnavailable,
    //           kDeadlineExceeded with the effect.
    virtual async::Task<Status> act(ActionKind kind,
                                    ShardId shard,
                                    NodeId node,
                                    async::Deadline deadline) = 0;
};

}  // namespace kvstore::cluster
