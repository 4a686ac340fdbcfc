// Reads of shards that have no replica on this node, asked of one that has: what kv on one node
// says to kv on another (Group::ask()).
//
//     request   format (1), kind, consistency, max_staleness ms, session (length-prefixed token),
//               then
//                 get   as_of, values_bytes_max, count, keys (length-prefixed)
//                 scan  from, to (length-prefixed), flags (1 reverse, 2 keys only, 4 count only),
//                       limit, bytes_max, as_of
//                 hold  index, wanted, wait ms
//     answer    format (1), kind, session (length-prefixed token of what was shown), then
//                 get   count, and for each a record: present (0, 1), and its fields
//                 scan  count, flags (1: more), next, revision, row count, rows (key, record)
//                 hold  index, count
//
// Integers are varints. A record is flags of its kind, version (8 bytes), create and mod revision,
// version count, lease, expiry, value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "kv/kv.h"
#include "mvcc/shard.h"

namespace kvstore::kv {

struct RemoteRead {
    Consistency consistency = Consistency::kLinearizable;
    std::uint64_t max_staleness_ms = 0;
    std::string session;  // a token; empty: none
    // One of the three.
    std::optional<HoldersQuestion> holders;
    std::optional<mvcc::ScanRequest> scan;
    std::vector<Bytes> keys;
    Revision as_of;  // of the keys; only one then
    std::uint64_t values_bytes_max = 0;
};

struct RemoteAnswer {
    std::string session;
    std::optional<Holders> holders;
    std::optional<mvcc::ScanPage> page;
    std::vector<std::optional<OwnedRecord>> records;
};

[[nodiscard]] Bytes encode_remote_read(const RemoteRead& read);
// Errors: kCorruption, for these two.
Result<RemoteRead> decode_remote_read(ByteView bytes);
[[nodiscard]] Bytes encode_remote_answer(const RemoteAnswer& answer);
Result<RemoteAnswer> decode_remote_answer(ByteView bytes);

}  // namespace kvstore::kv
