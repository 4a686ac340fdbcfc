// How the catalogue keeps a keyspace: one record of the system shard, under "keyspace/<name>".
//
//     varint  format (1)
//     varint  shard id
//     varint  replication
//     varint  replication factor
//     varint  engine
//     varint  history in milliseconds
//
// Fields are only ever added at the end; readers take what they know.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"
#include "kv/kv.h"

namespace kvstore::kv {

inline constexpr std::string_view kKeyspacePrefix = "keyspace/";
// Where the next shard id stands, in decimal.
inline constexpr std::string_view kNextShardKey = "next_shard";

inline constexpr std::uint32_t kReplicationFactorMax = 7;
inline constexpr std::chrono::milliseconds kHistoryMax = std::chrono::hours(24 * 3650);

inline constexpr ShardId kSystemShard = cluster::kSystemShardId;
inline constexpr std::uint64_t kFirstUserShard = 16;

[[nodiscard]] Bytes encode_keyspace(const KeyspaceInfo& info);
// Errors: kCorruption.
Result<KeyspaceInfo> decode_keyspace(std::string_view name, ByteView stored);

// How many replicas a keyspace asks for, by its record; 1 where there is none.
[[nodiscard]] std::uint32_t replication_factor_of(std::string_view keyspace,
                                                  const cluster::SystemRows& rows);

// Errors: kInvalidArgument that says what a name may be.
Status check_keyspace_name(std::string_view name);

}  // namespace kvstore::kv
