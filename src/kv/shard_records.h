// What kv puts into the records of shards (cluster/records.h), and takes out of them.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/records.h"
#include "kv/kv.h"
#include "replication/host.h"

namespace kvstore::kv {

// While a shard is at this epoch, the nodes that its record names may make their replicas out of
// nothing.
inline constexpr cluster::ShardEpoch kFounding{1};
inline constexpr cluster::ShardEpoch kFounded{2};

[[nodiscard]] std::uint64_t milliseconds(Duration duration);
[[nodiscard]] bool lists(const std::vector<NodeId>& nodes, NodeId node);
// The record of a keyspace's only shard.
[[nodiscard]] cluster::ShardRecord shard_record(const KeyspaceInfo& info,
                                                cluster::ShardEpoch epoch,
                                                std::vector<NodeId> voters);
// Of a replica that is to be made; who founds it is the caller's to say.
[[nodiscard]] replication::ShardDescription description_of(const cluster::ShardRecord& record);

}  // namespace kvstore::kv
