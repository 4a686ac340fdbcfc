// The calls of members.h as bytes: one byte that says which call, then its fields. Nodes agree on
// what they speak by the handshake (wire/handshake.h), so there is no version here; numbers are
// never given another meaning.
//
//     1 join        facts                       cluster id (8), node id, rows
//     2 announce    node id, facts              nothing
//     3 fetch       known version               0 | 1, rows
//     4 act         kind, shard, node, ms left  nothing
//     5 report                                  count, and for each: id, term, voters, learners,
//                                               caught_up, is_changing (0 | 1);
//                                               count and shards that are damaged, rising
//
//     facts         name, store (8), peer, http, grpc, resp, zone, protocol
//     rows          version, count, and for each: key, value
//
// Numbers are varints, `store` and the cluster id 8 bytes little-endian; texts, keys and values a
// length and bytes; lists of nodes a count and ids, rising.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "cluster/members.h"
#include "cluster/metadata_store.h"
#include "cluster/placement.h"
#include "cluster/shard_actor.h"

namespace kvstore::cluster::internal {

struct JoinRequest {
    NodeFacts facts;

    friend bool operator==(const JoinRequest&, const JoinRequest&) = default;
};
struct AnnounceRequest {
    NodeId id;
    NodeFacts facts;

    friend bool operator==(const AnnounceRequest&, const AnnounceRequest&) = default;
};
struct FetchRequest {
    MapVersion known;

    friend bool operator==(const FetchRequest&, const FetchRequest&) = default;
};
struct ActRequest {
    ActionKind kind = ActionKind::kAddLearner;
    ShardId shard;
    NodeId node;
    std::chrono::milliseconds patience{};  // how long the caller waits

    friend bool operator==(const ActRequest&, const ActRequest&) = default;
};
struct LedShardsRequest {
    friend bool operator==(const LedShardsRequest&, const LedShardsRequest&) = default;
};
using MemberRequest =
    std::variant<JoinRequest, AnnounceRequest, FetchRequest, ActRequest, LedShardsRequest>;

// A caller that waits longer is taken to wait this long.
inline constexpr std::chrono::milliseconds kPatienceMax = std::chrono::minutes(1);
// Of each list of a led shard: both majorities of a joint change, and room.
inline constexpr std::size_t kGroupMembersMax = 2 * kReplicasMax;

[[nodiscard]] Bytes encode_request(const MemberRequest& request);
// Errors: kInvalidArgument: nothing that a node sends.
Result<MemberRequest> decode_request(ByteView bytes);

// Each `decode_`: Errors: kCorruption.
[[nodiscard]] Bytes encode_joined(const Joined& joined);
Result<Joined> decode_joined(ByteView bytes);

// Nullopt: nothing newer.
[[nodiscard]] Bytes encode_fetched(const SystemRows* rows);
Result<std::optional<SystemRows>> decode_fetched(ByteView bytes);

[[nodiscard]] Bytes encode_shard_report(const ShardReport& report);
Result<ShardReport> decode_shard_report(ByteView bytes);

}  // namespace kvstore::cluster::internal
