#include "kv/shard_records.h"

#include <algorithm>
#include <utility>

namespace kvstore::kv {

using cluster::ShardEpoch;
using cluster::ShardRecord;

std::uint64_t milliseconds(Duration duration) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

bool lists(const std::vector<NodeId>& nodes, NodeId node) {
    return std::ranges::find(nodes, node) != nodes.end();
}

ShardRecord shard_record(const KeyspaceInfo& info, ShardEpoch epoch, std::vector<NodeId> voters) {
    ShardRecord record;
    record.id = info.shard;
    record.epoch = epoch;
    record.keyspace = info.name;
    record.voters = std::move(voters);
    record.engine = static_cast<std::uint64_t>(info.options.engine);
    record.history_ms = milliseconds(info.options.history);
    return record;
}

replication::ShardDescription description_of(const ShardRecord& record) {
    replication::ShardDescription description;
    description.id = record.id;
    description.engine = static_cast<replication::EngineKind>(record.engine);
    description.history_ms = record.history_ms;
    description.keyspace = record.keyspace;
    return description;
}

}  // namespace kvstore::kv
