// The keyspaces of the node, kept as records of the system shard and mirrored in memory.
//
// The order of a change is what makes it whole: a shard is durable before its record, and goes
// after it; so a crash leaves at most a shard without a record, which the next start removes. Every
// change is also persisted in the engine, so that it survives whatever becomes of the log
// (durability `memory` has none).
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
    async::Task<Status> load_keyspaces();
    Status add(const mvcc::ScanRow& row);
    async::Task<Status> remove_unreferenced();
    async::Task<Status> remove_shard(replication::ShardDescription shard);
    // Writes one record of the system shard. Errors: a write's.
    async::Task<Status> write(mvcc::Operation operation);
    async::Task<Status> configure(KeyspaceHandle keyspace, Duration history);

    Kv& kv_;
    std::size_t count_max_;
    KeyspaceHandle system_;
    std::map<std::string, KeyspaceHandle, std::less<>> keyspaces_;
    async::Semaphore changes_;
    async::Gate gate_;
};

}  // namespace kvstore::kv
