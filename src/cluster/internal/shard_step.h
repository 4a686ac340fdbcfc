// One step of the control loop on one shard: what is written to its record and done to its group,
// in the order of controller.h. Pure; the Controller carries it out.
//
// A step may be cut short anywhere, and the next controller finds a record and a group that differ.
// repair_of() says what brings them together again; nothing is planned for the shard before.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/callback.h"
#include "base/id.h"
#include "cluster/placement.h"
#include "cluster/records.h"
#include "cluster/shard_actor.h"

namespace kvstore::cluster::internal {

struct ShardStep {
    struct Act {
        ActionKind kind = ActionKind::kAddLearner;
        NodeId node;

        friend bool operator==(const Act&, const Act&) = default;
    };

    ShardId shard;
    std::optional<ShardRecord> record_before;  // written first
    std::vector<Act> acts;                     // then carried out by the group's leader, in order
    std::optional<ShardRecord> record_after;   // written then
    // A node that is given a replica: its own record must stand as it was read when record_before
    // is written, so that nobody who is leaving is given one. 0: nobody.
    NodeId taker;
    NodeId node;              // whom it is about, for people
    std::string_view reason;  // a literal
};

// Requires: `record` is that on which `action` was planned, and agrees with the group.
[[nodiscard]] ShardStep step_of(const Action& action, const ShardRecord& record);

// What brings `record` and `group` together; nullopt: they agree. `can_take` says whether a node
// may be given a replica now.
// Requires: no change of the group is under way.
[[nodiscard]] std::optional<ShardStep> repair_of(const ShardRecord& record,
                                                 const LedShard& group,
                                                 Callback<bool(NodeId)>& can_take);

}  // namespace kvstore::cluster::internal
