// Rows of a system shard for tests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cluster/members.h"
#include "cluster/metadata_store.h"
#include "cluster/records.h"

namespace kvstore::cluster::testing {

inline constexpr std::uint64_t kTestCluster = 0xc1;

[[nodiscard]] inline ClusterRecord cluster_record(std::uint64_t next_node = 1) {
    ClusterRecord record;
    record.cluster_id = kTestCluster;
    record.next_node_id = NodeId(next_node);
    record.next_shard_id = ShardId(16);
    record.replace_after = std::chrono::seconds(20);
    return record;
}

// What the node on host "n<number>" tells of itself.
[[nodiscard]] inline NodeFacts facts_of(std::uint64_t number, std::uint64_t store = 0) {
    NodeFacts facts;
    facts.name = "n" + std::to_string(number);
    facts.store = store == 0 ? 1000 + number : store;
    facts.peer_address = facts.name + ":7070";
    facts.http_address = facts.name + ":8080";
    return facts;
}

[[nodiscard]] inline NodeRecord node_record(std::uint64_t number,
                                            NodeState state = NodeState::kActive) {
    const NodeFacts facts = facts_of(number);
    NodeRecord record;
    record.id = NodeId(number);
    record.name = facts.name;
    record.store = facts.store;
    record.peer_address = facts.peer_address;
    record.http_address = facts.http_address;
    record.state = state;
    return record;
}

[[nodiscard]] inline ShardRecord shard_record(std::uint64_t id,
                                              std::string keyspace,
                                              std::vector<NodeId> voters) {
    ShardRecord record;
    record.id = ShardId(id);
    record.epoch = ShardEpoch(1);
    record.keyspace = std::move(keyspace);
    record.voters = std::move(voters);
    return record;
}

[[nodiscard]] inline SystemRows rows_of(std::uint64_t version,
                                        const std::vector<NodeRecord>& nodes,
                                        const std::vector<ShardRecord>& shards) {
    SystemRows rows;
    rows.version = MapVersion(version);
    rows.rows.emplace_back(kClusterKey, encode_cluster(cluster_record(nodes.size() + 1)));
    for (const NodeRecord& node : nodes) {
        rows.rows.emplace_back(node_key(node.id), encode_node(node));
    }
    for (const ShardRecord& shard : shards) {
        rows.rows.emplace_back(shard_key(shard.id), encode_shard(shard));
    }
    std::ranges::sort(rows.rows);
    return rows;
}

}  // namespace kvstore::cluster::testing
