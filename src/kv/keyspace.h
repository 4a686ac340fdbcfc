// Keyspaces as the operations use them: a name, options, and the shards that hold its keys, each
// with the way to it.
//
// A shard is its id, never its bounds: those change when it is split or merged, and every request
// looks up anew where its key is. One command changes one shard.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "base/time.h"
#include "mvcc/command.h"
#include "replication/group.h"
#include "replication/host.h"

namespace kvstore::kv {

enum class Replication : std::uint8_t { kStrong = 1, kQuorum = 2 };

struct KeyspaceOptions {
    Replication replication = Replication::kStrong;
    std::uint32_t replication_factor = 3;
    replication::EngineKind engine = replication::EngineKind::kLsm;
    Duration history = std::chrono::minutes(10);
};

struct KeyspaceInfo {
    std::string name;
    KeyspaceOptions options;
    // The first of its shards when it was made. Tells a keyspace from one of the same name that was
    // dropped before.
    ShardId shard;
};

[[nodiscard]] inline Status dropped_status(const std::string& keyspace) {
    return {Code::kNotFound, "keyspace '" + keyspace + "' was dropped"};
}

// One shard of a keyspace, as this node reaches it. Whoever keeps a handle across a suspension asks
// is_gone() again.
class KeyspaceShard {
public:
    KeyspaceShard(std::string keyspace, ShardId id, replication::Group* group)
        : keyspace_(std::move(keyspace)), id_(id), group_(group) {}

    [[nodiscard]] ShardId id() const { return id_; }
    // Inclusive; empty: from the first key.
    [[nodiscard]] const Bytes& range_start() const { return range_start_; }
    // Exclusive; empty: to the last key.
    [[nodiscard]] const Bytes& range_end() const { return range_end_; }
    [[nodiscard]] bool contains(ByteView key) const {
        return key >= range_start_ && (range_end_.empty() || key < range_end_);
    }
    // Its keyspace was dropped, or it became part of another shard.
    [[nodiscard]] bool is_gone() const { return group_ == nullptr; }
    // Errors: kNotFound: it is gone.
    [[nodiscard]] Status check_not_gone() const {
        return is_gone() ? dropped_status(keyspace_) : Status();
    }
    // Requires: !is_gone().
    [[nodiscard]] replication::Group& group() const { return *group_; }

private:
    friend class Keyspace;

    std::string keyspace_;
    ShardId id_;
    Bytes range_start_;
    Bytes range_end_;
    replication::Group* group_;
};
using ShardHandle = std::shared_ptr<KeyspaceShard>;

// Handles stay valid until the keyspace is dropped; whoever keeps one across a suspension asks
// is_dropped() again.
//
// Invariants  its shards cover every key once, in the order of their keys; none: it was dropped
class Keyspace {
public:
    explicit Keyspace(KeyspaceInfo info) : info_(std::move(info)) {}
    // Of one shard. A null group: dropped.
    Keyspace(KeyspaceInfo info, replication::Group* group);

    [[nodiscard]] const KeyspaceInfo& info() const { return info_; }
    [[nodiscard]] bool is_dropped() const { return shards_.empty(); }
    // Errors: kNotFound: it is dropped.
    [[nodiscard]] Status check_not_dropped() const {
        return is_dropped() ? dropped_status(info_.name) : Status();
    }
    [[nodiscard]] const std::vector<ShardHandle>& shards() const { return shards_; }
    // Requires: !is_dropped().
    [[nodiscard]] const ShardHandle& shard_of(ByteView key) const {
        return shards_.size() == 1 ? shards_.front() : find_among_several(key);
    }
    // Those that hold keys from `from` on and before `to` (empty: to the last), in order.
    [[nodiscard]] std::vector<ShardHandle> overlapping(ByteView from, ByteView to) const;

    // The shard that holds all keys that an operation, or a command, names.
    // Errors: kNotFound: dropped. kInvalidArgument: the keys are in several shards.
    Result<KeyspaceShard*> route(const mvcc::Operation& operation) const;
    Result<KeyspaceShard*> route(const mvcc::Command& command) const;

    // The way to the only shard. Requires: it has one.
    [[nodiscard]] replication::Group& group() const {
        KVSTORE_ASSERT(shards_.size() == 1);
        return shards_.front()->group();
    }

    // ---- for the catalogue ----

    struct Part {
        ShardId id;
        Bytes range_start;
        Bytes range_end;
        replication::Group* group = nullptr;
    };
    // Takes what the newest records say. Requires: parts in the order of their keys, which cover
    // every key.
    // Returns: the shards that it does not have any more.
    std::vector<ShardId> update(KeyspaceInfo info, std::vector<Part> parts);
    // From now on it is dropped. Returns: the shards that it had.
    std::vector<ShardId> drop();

private:
    [[nodiscard]] const ShardHandle& find_among_several(ByteView key) const;
    [[nodiscard]] Status check_in(const KeyspaceShard& shard,
                                  const mvcc::Operation& operation) const;
    [[nodiscard]] Status check_in(const KeyspaceShard& shard, ByteView key) const;

    KeyspaceInfo info_;
    std::vector<ShardHandle> shards_;
};
using KeyspaceHandle = std::shared_ptr<Keyspace>;

}  // namespace kvstore::kv
