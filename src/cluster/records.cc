#include "cluster/records.h"

#include <algorithm>
#include <initializer_list>
#include <limits>

#include "base/coding.h"

namespace kvstore::cluster {
namespace {

constexpr std::uint64_t kFormat = 1;
constexpr std::size_t kIdDigits = 20;

Bytes numbered_key(std::string_view prefix, std::uint64_t id) {
    const std::string digits = std::to_string(id);
    Bytes key(prefix);
    key.append(kIdDigits - digits.size(), '0');
    return key.append(digits);
}

Status refuse(std::string_view record, std::string_view what) {
    return {Code::kInvalidArgument, std::string(record) + ": " + std::string(what)};
}

Status corrupt(std::string_view record, std::string_view what) {
    return {Code::kCorruption,
            "unreadable " + std::string(record) + " record: " + std::string(what)};
}

bool is_rising(const std::vector<NodeId>& ids) {
    return std::ranges::adjacent_find(ids, std::ranges::greater_equal()) == ids.end();
}

void put_ids(Bytes& to, const std::vector<NodeId>& ids) {
    put_varint(to, ids.size());
    for (const NodeId id : ids) {
        put_varint(to, id.value());
    }
}

std::vector<NodeId> read_ids(Decoder& decoder) {
    std::vector<NodeId> ids;
    const std::uint64_t count = decoder.varint();
    if (count > kReplicasMax) {
        decoder.bytes(std::numeric_limits<std::size_t>::max());  // more than there is: fails it
        return ids;
    }
    ids.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
        ids.emplace_back(decoder.varint());
    }
    return ids;
}

std::uint32_t read_uint32(Decoder& decoder) {
    const std::uint64_t value = decoder.varint();
    // 0 is refused by every check_record().
    return value > std::numeric_limits<std::uint32_t>::max() ? 0
                                                             : static_cast<std::uint32_t>(value);
}

// What a decoder does after its last field.
template <typename Record>
Result<Record> finish(std::string_view name, const Decoder& decoder, Record record) {
    if (!decoder.at_end()) {
        return corrupt(name, decoder.ok() ? "bytes behind its end" : "cut short");
    }
    const Status checked = check_record(record);
    if (!checked.ok()) {
        return corrupt(name, checked.message());
    }
    return record;
}

Status check_format(std::string_view name, Decoder& decoder) {
    const std::uint64_t format = decoder.varint();
    if (decoder.ok() && format != kFormat) {
        return corrupt(name, "layout " + std::to_string(format) + ", this program knows 1");
    }
    return {};
}

}  // namespace

std::string_view node_state_name(NodeState state) {
    switch (state) {
        case NodeState::kJoining: return "joining";
        case NodeState::kActive: return "active";
        case NodeState::kDraining: return "draining";
        case NodeState::kDecommissioning: return "decommissioning";
        case NodeState::kRemoved: return "removed";
        case NodeState::kReplaced: return "replaced";
        case NodeState::kExpected: return "expected";
    }
    return "unknown";
}

Bytes node_key(NodeId id) {
    return numbered_key(kNodeKeyPrefix, id.value());
}

Bytes shard_key(ShardId id) {
    return numbered_key(kShardKeyPrefix, id.value());
}

Status check_record(const NodeRecord& node) {
    if (node.id == NodeId()) {
        return refuse("node", "its id is 0");
    }
    if (node.name.empty()) {
        return refuse("node", "it has no name");
    }
    for (const std::string* text : {&node.name,
                                    &node.peer_address,
                                    &node.http_address,
                                    &node.grpc_address,
                                    &node.resp_address,
                                    &node.zone}) {
        if (text->size() > kRecordTextMax) {
            return refuse("node", "its name, an address or the zone is longer than 512 bytes");
        }
    }
    if (node.state < NodeState::kJoining || node.state > NodeState::kExpected) {
        return refuse("node", "its state is none that is known");
    }
    if (node.protocol_version == 0) {
        return refuse("node", "its protocol version is 0");
    }
    return {};
}

Status check_record(const ShardRecord& shard) {
    if (shard.id == ShardId() || shard.epoch == ShardEpoch()) {
        return refuse("shard", "its id or epoch is 0");
    }
    if (shard.keyspace.empty() || shard.keyspace.size() > kRecordTextMax) {
        return refuse("shard", "its keyspace's name has not 1 to 512 bytes");
    }
    if (!shard.range_end.empty() && shard.range_start >= shard.range_end) {
        return refuse("shard", "its range ends before it starts");
    }
    if (shard.voters.empty()) {
        return refuse("shard", "it has no voter");
    }
    if (shard.voters.size() + shard.learners.size() > kReplicasMax) {
        return refuse("shard", "it has more than 16 replicas");
    }
    std::vector<NodeId> all = shard.voters;
    all.insert(all.end(), shard.learners.begin(), shard.learners.end());
    std::ranges::sort(all);
    if (!is_rising(shard.voters) || !is_rising(shard.learners) || !is_rising(all)) {
        return refuse("shard", "a node is named twice among its replicas, or out of order");
    }
    if (all.front() == NodeId()) {
        return refuse("shard", "a replica is on node 0");
    }
    if (shard.wanted.size() > kReplicasMax || !is_rising(shard.wanted) ||
        (!shard.wanted.empty() && shard.wanted.front() == NodeId())) {
        return refuse("shard", "the nodes that should hold it are too many, 0, or out of order");
    }
    return {};
}

Status check_record(const ClusterRecord& cluster) {
    if (cluster.cluster_id == 0) {
        return refuse("cluster", "its id is 0");
    }
    if (cluster.next_node_id == NodeId() || cluster.next_shard_id == ShardId()) {
        return refuse("cluster", "the next node or shard would have id 0");
    }
    if (cluster.replace_after.count() <= 0 || cluster.replace_after > kReplaceAfterMax) {
        return refuse("cluster", "replace_after is not between 1 ms and 10 years");
    }
    if (cluster.format_version == 0) {
        return refuse("cluster", "its format version is 0");
    }
    return {};
}

Bytes encode_node(const NodeRecord& node) {
    KVSTORE_ASSERT(check_record(node).ok());
    Bytes to;
    put_varint(to, kFormat);
    put_varint(to, node.id.value());
    put_length_prefixed(to, node.name);
    put_fixed(to, node.store);
    put_length_prefixed(to, node.peer_address);
    put_length_prefixed(to, node.http_address);
    put_length_prefixed(to, node.grpc_address);
    put_length_prefixed(to, node.resp_address);
    put_length_prefixed(to, node.zone);
    put_varint(to, static_cast<std::uint64_t>(node.state));
    put_varint(to, node.protocol_version);
    put_varint(to, node.is_learner ? 1 : 0);
    return to;
}

Bytes encode_shard(const ShardRecord& shard) {
    KVSTORE_ASSERT(check_record(shard).ok());
    Bytes to;
    put_varint(to, kFormat);
    put_varint(to, shard.id.value());
    put_varint(to, shard.epoch.value());
    put_length_prefixed(to, shard.keyspace);
    put_length_prefixed(to, shard.range_start);
    put_length_prefixed(to, shard.range_end);
    put_ids(to, shard.voters);
    put_ids(to, shard.learners);
    put_varint(to, shard.engine);
    put_varint(to, shard.history_ms);
    put_varint(to, shard.preferred_leader.value());
    put_ids(to, shard.wanted);
    return to;
}

Bytes encode_cluster(const ClusterRecord& cluster) {
    KVSTORE_ASSERT(check_record(cluster).ok());
    Bytes to;
    put_varint(to, kFormat);
    put_fixed(to, cluster.cluster_id);
    put_varint(to, cluster.next_node_id.value());
    put_varint(to, cluster.next_shard_id.value());
    put_varint(to, static_cast<std::uint64_t>(cluster.replace_after.count()));
    put_varint(to, cluster.format_version);
    return to;
}

Result<NodeRecord> decode_node(ByteView stored) {
    Decoder decoder(stored);
    KVSTORE_CHECK_OK(check_format("node", decoder));
    NodeRecord node;
    node.id = NodeId(decoder.varint());
    node.name = decoder.length_prefixed();
    node.store = decoder.fixed<std::uint64_t>();
    node.peer_address = decoder.length_prefixed();
    node.http_address = decoder.length_prefixed();
    node.grpc_address = decoder.length_prefixed();
    node.resp_address = decoder.length_prefixed();
    node.zone = decoder.length_prefixed();
    const std::uint64_t state = decoder.varint();
    node.state = static_cast<NodeState>(std::min<std::uint64_t>(state, 0xff));
    node.protocol_version = read_uint32(decoder);
    const std::uint64_t learner = decoder.varint();
    if (learner > 1) {
        return corrupt("node", "whether it is a learner is neither 0 nor 1");
    }
    node.is_learner = learner == 1;
    return finish("node", decoder, std::move(node));
}

Result<ShardRecord> decode_shard(ByteView stored) {
    Decoder decoder(stored);
    KVSTORE_CHECK_OK(check_format("shard", decoder));
    ShardRecord shard;
    shard.id = ShardId(decoder.varint());
    shard.epoch = ShardEpoch(decoder.varint());
    shard.keyspace = decoder.length_prefixed();
    shard.range_start = decoder.length_prefixed();
    shard.range_end = decoder.length_prefixed();
    shard.voters = read_ids(decoder);
    shard.learners = read_ids(decoder);
    shard.engine = decoder.varint();
    shard.history_ms = decoder.varint();
    shard.preferred_leader = NodeId(decoder.varint());
    shard.wanted = read_ids(decoder);
    return finish("shard", decoder, std::move(shard));
}

Result<ClusterRecord> decode_cluster(ByteView stored) {
    Decoder decoder(stored);
    KVSTORE_CHECK_OK(check_format("cluster", decoder));
    ClusterRecord cluster;
    cluster.cluster_id = decoder.fixed<std::uint64_t>();
    cluster.next_node_id = NodeId(decoder.varint());
    cluster.next_shard_id = ShardId(decoder.varint());
    const auto longest = static_cast<std::uint64_t>(kReplaceAfterMax.count());
    cluster.replace_after = std::chrono::milliseconds(std::min(decoder.varint(), longest + 1));
    cluster.format_version = read_uint32(decoder);
    return finish("cluster", decoder, cluster);
}

Status Metadata::add_row(ByteView key, ByteView stored) {
    const auto take = [&](auto decoded, auto expected_key, auto& into) -> Status {
        if (!decoded.ok()) {
            return decoded.status().with_context(key);
        }
        if (expected_key(decoded->id) != key) {
            return Status(Code::kCorruption, "the record of another id").with_context(key);
        }
        into.push_back(*std::move(decoded));
        return {};
    };
    if (key.starts_with(kNodeKeyPrefix)) {
        return take(decode_node(stored), node_key, nodes);
    }
    if (key.starts_with(kShardKeyPrefix)) {
        return take(decode_shard(stored), shard_key, shards);
    }
    if (key == kClusterKey) {
        auto decoded = decode_cluster(stored);
        if (!decoded.ok()) {
            return decoded.status().with_context(key);
        }
        cluster = *decoded;
    }
    return {};
}

const NodeRecord* Metadata::find_node(NodeId id) const {
    const auto found = std::ranges::find(nodes, id, &NodeRecord::id);
    return found == nodes.end() ? nullptr : &*found;
}

const NodeRecord* Metadata::find_named(std::string_view name) const {
    const auto found = std::ranges::find_if(
        nodes, [&](const NodeRecord& node) { return node.name == name && !has_left(node.state); });
    return found == nodes.end() ? nullptr : &*found;
}

}  // namespace kvstore::cluster
