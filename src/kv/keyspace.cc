#include "kv/keyspace.h"

#include <algorithm>

#include "base/json_escape.h"
#include "base/planted_bug.h"

namespace kvstore::kv {
namespace {

constexpr std::size_t kShownBytesMax = 64;

std::string shown(ByteView key) {
    std::string text = "'";
    append_json_escaped(text, key.substr(0, kShownBytesMax));
    return text + "'";
}

}  // namespace

Keyspace::Keyspace(KeyspaceInfo info, replication::Group* group) : info_(std::move(info)) {
    if (group != nullptr) {
        shards_.push_back(std::make_shared<KeyspaceShard>(info_.name, info_.shard, group));
    }
}

const ShardHandle& Keyspace::find_among_several(ByteView key) const {
    KVSTORE_ASSERT(!shards_.empty());
    const auto after = std::ranges::upper_bound(
        shards_, key, {}, [](const ShardHandle& shard) { return ByteView(shard->range_start()); });
    KVSTORE_ASSERT(after != shards_.begin());
    return *std::prev(after);
}

std::vector<ShardHandle> Keyspace::overlapping(ByteView from, ByteView to) const {
    std::vector<ShardHandle> found;
    for (const ShardHandle& shard : shards_) {
        const bool begins_before = to.empty() || shard->range_start() < to;
        const bool ends_after = shard->range_end().empty() || from < shard->range_end();
        if (begins_before && ends_after) {
            found.push_back(shard);
        }
    }
    return found;
}

// ---- where a command goes ----

Status Keyspace::check_in(const KeyspaceShard& shard, ByteView key) const {
    if (shard.contains(key)) {
        return {};
    }
    return {Code::kInvalidArgument,
            "keyspace '" + info_.name + "' has several shards, and key " + shown(key) +
                " is not in the one that holds the other keys of this command; one command changes "
                "one shard: send a command for each"};
}

Status Keyspace::check_in(const KeyspaceShard& shard, const mvcc::Operation& operation) const {
    switch (operation.kind) {
        case mvcc::OperationKind::kCompact:
        case mvcc::OperationKind::kConfigure: return {};  // of the shard, not of a key
        case mvcc::OperationKind::kMove:
        case mvcc::OperationKind::kCopy:
            KVSTORE_CHECK_OK(check_in(shard, operation.argument));
            break;
        case mvcc::OperationKind::kDeleteRange: {
            const bool ends_within =
                shard.range_end().empty() ||
                (!operation.argument.empty() && operation.argument <= shard.range_end());
            if (!ends_within) {
                return {Code::kInvalidArgument,
                        "keyspace '" + info_.name +
                            "' has several shards, and the range goes over more than one; one "
                            "command changes one shard"};
            }
            break;
        }
        default: break;
    }
    return check_in(shard, operation.key);
}

Result<KeyspaceShard*> Keyspace::route(const mvcc::Operation& operation) const {
    if (shards_.size() == 1) {
        return shards_.front().get();
    }
    KVSTORE_CHECK_OK(check_not_dropped());
    KeyspaceShard* const shard = shard_of(operation.key).get();
    KVSTORE_CHECK_OK(check_in(*shard, operation));
    return shard;
}

Result<KeyspaceShard*> Keyspace::route(const mvcc::Command& command) const {
    if (shards_.size() == 1) {
        return shards_.front().get();
    }
    KVSTORE_CHECK_OK(check_not_dropped());
    KeyspaceShard* shard = nullptr;
    for (const mvcc::KeyCondition& condition : command.conditions) {
        if (planted_bug(PlantedBug::kRouteIgnoresConditionKeys)) {
            break;
        }
        shard = shard != nullptr ? shard : shard_of(condition.key).get();
        KVSTORE_CHECK_OK(check_in(*shard, condition.key));
    }
    for (const auto* operations : {&command.operations, &command.else_operations}) {
        for (const mvcc::Operation& operation : *operations) {
            shard = shard != nullptr ? shard : shard_of(operation.key).get();
            KVSTORE_CHECK_OK(check_in(*shard, operation));
        }
    }
    return shard != nullptr ? shard : shards_.front().get();
}

// ---- what the records say ----

std::vector<ShardId> Keyspace::update(KeyspaceInfo info, std::vector<Part> parts) {
    KVSTORE_ASSERT(!parts.empty());
    info_ = std::move(info);
    std::vector<ShardHandle> before = std::exchange(shards_, {});
    for (Part& part : parts) {
        const auto known = std::ranges::find(before, part.id, [](const ShardHandle& shard) {
            return shard != nullptr ? shard->id() : ShardId();
        });
        ShardHandle shard = known != before.end()
                                ? std::exchange(*known, nullptr)
                                : std::make_shared<KeyspaceShard>(info_.name, part.id, part.group);
        shard->range_start_ = std::move(part.range_start);
        shard->range_end_ = std::move(part.range_end);
        shards_.push_back(std::move(shard));
    }
    std::vector<ShardId> gone;
    for (const ShardHandle& shard : before) {
        if (shard != nullptr) {
            shard->group_ = nullptr;
            gone.push_back(shard->id());
        }
    }
    return gone;
}

std::vector<ShardId> Keyspace::drop() {
    std::vector<ShardId> gone;
    for (const ShardHandle& shard : std::exchange(shards_, {})) {
        shard->group_ = nullptr;
        gone.push_back(shard->id());
    }
    return gone;
}

}  // namespace kvstore::kv
