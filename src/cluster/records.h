// What the system shard says about the cluster: its nodes, its shards, its settings. One record
// each, under a key of its own; whoever leads the system group writes them, everybody reads them.
//
//     node/<id>     NodeRecord     id with twenty digits, so that keys stand in the order of ids
//     shard/<id>    ShardRecord
//     cluster       ClusterRecord
//
// Other keys of the system shard belong to others and are passed over here.
//
// Every record begins with the version of its layout, a varint, which is 1. A reader takes the
// versions it knows in full and nothing else: a record is read, changed and written back, and what
// a reader did not understand would be lost. So a field is added by a new version of the layout,
// and that is written only once ClusterRecord::format_version says that every node reads it.
//
//     node     format id name store peer http grpc resp zone state protocol learner
//     shard    format id epoch keyspace start end voters learners engine history_ms preferred
//              wanted
//     cluster  format cluster_id next_node next_shard replace_after_ms format_version
//
// Numbers are varints, but `store` and `cluster_id` (8 bytes, little-endian, being random). Texts
// and bounds are a length and bytes. `voters`, `learners` and `wanted` are a count and ids, rising;
// `learner` is 0 or 1.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"

namespace kvstore::cluster {

// How often the bounds or the replicas of a shard have changed. The first is 1.
using ShardEpoch = StrongId<struct ShardEpochTag>;

// The shard whose rows these records are.
inline constexpr ShardId kSystemShardId{1};

// Of each name, address, label and keyspace name.
inline constexpr std::size_t kRecordTextMax = 512;
// Of one shard, voters and learners together: twice the largest replication factor, and room.
inline constexpr std::size_t kReplicasMax = 16;
inline constexpr std::chrono::milliseconds kReplaceAfterMax = std::chrono::hours(24 * 3650);

enum class NodeState : std::uint8_t {
    kJoining = 1,          // has its id, serves nothing yet
    kActive = 2,           // serves, and may be given replicas and leaders
    kDraining = 3,         // keeps its replicas and leads nothing: before a restart
    kDecommissioning = 4,  // gives everything away, to be removed then
    kRemoved = 5,          // has left for good
    kReplaced = 6,         // its data directory was lost, or another node has taken its place
    kExpected = 7,         // its name is kept for a node that is yet to join
};

// Whether a node of this state has left for good: it never comes back under its id.
[[nodiscard]] constexpr bool has_left(NodeState state) {
    return state == NodeState::kRemoved || state == NodeState::kReplaced;
}
// Whether a node of this state belongs to the cluster.
[[nodiscard]] constexpr bool is_member(NodeState state) {
    return !has_left(state) && state != NodeState::kExpected;
}
// "active", "decommissioning", ...
[[nodiscard]] std::string_view node_state_name(NodeState state);

struct NodeRecord {
    NodeId id;                // never given to another node again
    std::string name;         // --id; of one member at a time
    std::uint64_t store = 0;  // drawn when the data directory was made; a wiped node has another;
                              // 0: nobody has joined under this record yet
    // "host:port" as others reach it; empty: not served.
    std::string peer_address;
    std::string http_address;
    std::string grpc_address;
    std::string resp_address;
    std::string zone;  // empty: not told
    NodeState state = NodeState::kJoining;
    std::uint32_t protocol_version = 1;  // the highest it spoke when it last joined (wire)
    bool is_learner = false;  // serves clients, and is given no replicas until it is promoted

    friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

// A shard is its id; one state of it is its id and epoch. Its bounds are neither: splitting makes a
// shard's range shorter and gives the rest to a shard with a new id, merging makes it longer, and
// each raises the epoch of the one that stays.
struct ShardRecord {
    ShardId id;
    ShardEpoch epoch;
    std::string keyspace;
    Bytes range_start;             // inclusive; empty: from the first key
    Bytes range_end;               // exclusive; empty: to the last key
    std::vector<NodeId> voters;    // rising, never empty
    std::vector<NodeId> learners;  // rising, none of them a voter
    std::uint64_t engine = 0;      // as replication numbers them
    std::uint64_t history_ms = 0;  // how long old revisions are kept
    NodeId preferred_leader;       // 0: whoever it is
    // Where an operator wants the replicas, rising; empty: where placement puts them.
    std::vector<NodeId> wanted;

    [[nodiscard]] bool contains(ByteView key) const noexcept {
        return key >= range_start && (range_end.empty() || key < range_end);
    }

    friend bool operator==(const ShardRecord&, const ShardRecord&) = default;
};

struct ClusterRecord {
    std::uint64_t cluster_id = 0;  // drawn at the bootstrap; nodes of different clusters never mix
    NodeId next_node_id{1};
    ShardId next_shard_id{1};
    // How long a node is dead before its replicas are made anew elsewhere.
    std::chrono::milliseconds replace_after = std::chrono::minutes(5);
    // What every node understands; raised by the step that ends the way back after an upgrade.
    std::uint32_t format_version = 1;

    friend bool operator==(const ClusterRecord&, const ClusterRecord&) = default;
};

inline constexpr std::string_view kNodeKeyPrefix = "node/";
inline constexpr std::string_view kShardKeyPrefix = "shard/";
inline constexpr std::string_view kClusterKey = "cluster";

[[nodiscard]] Bytes node_key(NodeId id);
[[nodiscard]] Bytes shard_key(ShardId id);

// Whether a record may be written.
// Errors: kInvalidArgument that says which field, and what it may be.
Status check_record(const NodeRecord& node);
Status check_record(const ShardRecord& shard);
Status check_record(const ClusterRecord& cluster);

// Requires: check_record() of it is ok.
[[nodiscard]] Bytes encode_node(const NodeRecord& node);
[[nodiscard]] Bytes encode_shard(const ShardRecord& shard);
[[nodiscard]] Bytes encode_cluster(const ClusterRecord& cluster);

// What is decoded passes check_record().
// Errors: kCorruption: anything but a whole record of a version that this program knows.
Result<NodeRecord> decode_node(ByteView stored);
Result<ShardRecord> decode_shard(ByteView stored);
Result<ClusterRecord> decode_cluster(ByteView stored);

// All records of the system shard that are about the cluster.
struct Metadata {
    std::optional<ClusterRecord> cluster;
    std::vector<NodeRecord> nodes;    // in the order of their rows
    std::vector<ShardRecord> shards;  // in the order of their rows

    // Takes one row of the system shard in; rows under other keys are passed over.
    // Errors: kCorruption that names the key: no record, or that of another id.
    Status add_row(ByteView key, ByteView stored);

    [[nodiscard]] const NodeRecord* find_node(NodeId id) const;
    // Whose name it is: a member's, or that of one who is expected. Who has left has given it back.
    [[nodiscard]] const NodeRecord* find_named(std::string_view name) const;
};

}  // namespace kvstore::cluster
