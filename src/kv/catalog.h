// The keyspaces and the shards they live in: records of the system shard, followed on every node.
//
// A change is one conditional write of all the records it touches, by whichever node was asked;
// each node then does what the newest records say: makes the replicas that list it, removes those
// that do not, and shows the keyspaces.
//
// A shard begins at epoch 1. While its record says so, the nodes it names may each make their
// replica out of nothing; the epoch rises when all of them have. From then on a replica that is
// missing was lost, and is never made anew as if it had been empty: where others have replicas too
// it is fenced (replication/fenced_replicas.h) until the records do not list it any more. A shard
// of one replica on the node that was asked is durable before its record, and goes after it; so a
// crash leaves at most a shard without a record, which the next start removes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/sync.h"
#include "async/task.h"
#include "base/status.h"
#include "cluster/directory.h"
#include "kv/keyspace_record.h"
#include "kv/kv.h"
#include "kv/system_store.h"

namespace kvstore::kv {

// Lifetime   Owned by Kv.
// Runs on    One core; changes that this node was asked for go one at a time.
//
// Invariants
//   a keyspace in the map has a record in the newest view of the directory
class Kv::Catalog {
public:
    explicit Catalog(Kv& kv);

    // Makes or finds the system shard, shows what its replica here knows, and does what that says.
    // A node that is alone also founds the cluster of itself.
    async::Task<Status> load();

    [[nodiscard]] KeyspaceHandle find(std::string_view name) const;
    [[nodiscard]] std::vector<KeyspaceInfo> list() const;
    // Also of the system shard; null when none of this id is shown.
    [[nodiscard]] ShardHandle find_shard(ShardId id) const;
    [[nodiscard]] SystemStore& store() { return *store_; }

    async::Task<Result<KeyspaceHandle>> create(std::string name,
                                               KeyspaceOptions options,
                                               std::vector<Bytes> split_at);
    async::Task<Result<KeyspaceInfo>> change(std::string name, KeyspaceChange change);
    async::Task<Status> drop(std::string name);

    // Writes the first records of a cluster of `nodes`, where there are none yet. The system shard
    // is on `voters`.
    // Errors: those of a write. kAlreadyExists: the cluster has records.
    async::Task<Status> found(std::vector<cluster::NodeRecord> nodes, std::vector<NodeId> voters);

    async::Task<void> stop();

private:
    [[nodiscard]] Status check_not_lost() const;

    // ---- following ----
    void follow(const cluster::ClusterView& view);
    Status show(const cluster::ClusterView& view);
    void show_keyspace(KeyspaceInfo info, const cluster::ClusterView& view);
    void stop_showing(std::string_view name);
    void forget(const std::vector<ShardId>& gone);
    async::Task<Status> reconcile();
    async::Task<Status> reconcile_alone();
    [[nodiscard]] bool differs() const;
    [[nodiscard]] bool is_listed(const cluster::ShardRecord& record) const;
    [[nodiscard]] bool is_here(ShardId shard) const;
    [[nodiscard]] std::vector<ShardId> unlisted() const;
    [[nodiscard]] bool may_go(ShardId shard) const;
    async::Task<Status> make_missing(const cluster::ShardRecord* record);
    async::Task<Status> remove_unlisted();
    async::Task<Status> put_away();
    async::Task<Status> remove_shard(ShardId shard);
    async::Task<void> end_founding();
    async::Task<void> reconcile_loop();
    [[nodiscard]] std::vector<cluster::ShardRecord> shards_being_founded() const;

    // ---- changes ----
    // Carries `change` out when those before it are done.
    template <typename T>
    async::Task<T> in_turn(async::Task<T> change);
    async::Task<Result<KeyspaceHandle>> create_alone(std::string name,
                                                     KeyspaceOptions options,
                                                     std::vector<Bytes> split_at);
    async::Task<Result<KeyspaceInfo>> change_alone(std::string name, KeyspaceChange change);
    async::Task<Status> drop_alone(std::string name);
    async::Task<Result<ShardId>> take_shard_ids(std::size_t count);
    async::Task<Status> create_once(KeyspaceInfo info, std::vector<Bytes> split_at);
    async::Task<Status> make_here(std::vector<cluster::ShardRecord> shards);
    async::Task<void> unmake_here();
    async::Task<Status> configure(KeyspaceHandle keyspace, Duration history);
    // Reads the newest records and shows them.
    async::Task<Status> refresh();
    // For each of `count` shards.
    [[nodiscard]] std::vector<std::vector<NodeId>> choose_voters(std::uint32_t replication_factor,
                                                                 std::size_t count) const;
    [[nodiscard]] const cluster::ClusterView& view() const;
    [[nodiscard]] async::Deadline patience() const;

    Kv& kv_;
    KeyspaceHandle system_;
    std::unique_ptr<SystemStore> store_;
    std::map<std::string, KeyspaceHandle, std::less<>> keyspaces_;
    std::map<ShardId, ShardHandle> shards_;  // of keyspaces_, and the system shard
    async::Semaphore changes_;
    async::Semaphore reconciling_;
    std::vector<ShardId> making_;  // that have no record yet
    bool is_stopping_ = false;
    async::Gate gate_;
};

}  // namespace kvstore::kv
