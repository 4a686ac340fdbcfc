// The keyspaces of the node, kept as records of the system shard and mirrored in memory.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "async/sync.h"
#include "async/task.h"
#include "base/status.h"
#include "kv/keyspace_record.h"
#include "kv/kv.h"

namespace kvstore::kv {

// Lifetime   Owned by Kv.
// Runs on    One core; changes go one at a time.
//
// Invariants
//   a keyspace in the map has a record in the system shard, and its shard exists
class Kv::Catalog {
public:
    Catalog(Kv& kv, std::size_t count_max);

    // Reads the records, opens their groups, removes shards that nobody refers to.
    async::Task<Status> load();

    [[nodiscard]] KeyspaceHandle find(std::string_view name) const;
    [[nodiscard]] std::vector<KeyspaceInfo> list() const;

    async::Task<Result<KeyspaceHandle>> create(std::string name, KeyspaceOptions options);
    async::Task<Result<KeyspaceInfo>> change(std::string name, KeyspaceChange change);
    async::Task<Status> drop(std::string name);

    async::Task<void> stop() { co_await gate_.close(); }

private:
    async::Task<Result<KeyspaceHandle>> create_alone(std::string name, KeyspaceOptions options);
    async::Task<Result<KeyspaceInfo>> change_alone(std::string name, KeyspaceChange change);
    async::Task<Status> drop_alone(std::string name);
    async::Task<Result<ShardId>> take_shard_id();
    async::Task<Status> remove_unreferenced();

    Kv& kv_;
    std::size_t count_max_;
    KeyspaceHandle system_;
    std::map<std::string, KeyspaceHandle, std::less<>> keyspaces_;
    async::Semaphore changes_;
    async::Gate gate_;
};

}  // namespace kvstore::kv
