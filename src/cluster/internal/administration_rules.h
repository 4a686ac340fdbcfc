// What a request of an operator comes to, judged by how the cluster is: the record that is to be
// written, and what is left until it is carried out. Pure; ClusterAdministration does the rest.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "cluster/administration.h"
#include "cluster/directory.h"
#include "cluster/placement.h"

namespace kvstore::cluster::internal {

struct ClusterState {
    std::shared_ptr<const ClusterView> view;
    PlacementInput input;  // of the same records
};

// Errors: kNotFound.
Result<const NodeRecord*> find_node(const ClusterState& state, std::string_view name);
Result<const ShardRecord*> find_shard(const ClusterState& state, ShardId id);

// Each returns the record as it should stand; as it stands: nothing is to be written.
// Errors: of Administration's calls.
Result<NodeRecord> changed_member(const ClusterState& state, NodeId id, MemberChange change);
// `node` 0: nobody is preferred.
Result<ShardRecord> led_by(const ClusterState& state, ShardId shard, NodeId node);
struct ReplicaMove {
    NodeId from;
    NodeId to;
};
Result<ShardRecord> moved(const ClusterState& state,
                          ShardId shard,
                          std::optional<ReplicaMove> move);

// What the control loop has yet to do; empty: nothing. `shard` is about what led_by() or moved()
// has written.
[[nodiscard]] std::vector<std::string> left_of(const ClusterState& state,
                                               NodeId node,
                                               MemberChange change);
[[nodiscard]] std::vector<std::string> left_of_leader(const ClusterState& state, ShardId shard);
[[nodiscard]] std::vector<std::string> left_of_move(const ClusterState& state, ShardId shard);

}  // namespace kvstore::cluster::internal
