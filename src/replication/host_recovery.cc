// How a host starts: shard folders, then the log, which is handed to the groups it belongs to.
#include <utility>

#include "base/log.h"
#include "replication/node_host.h"
#include "replication/shard_folder.h"

namespace kvstore::replication {
namespace {

// The log is there before the first shard, and has a file at any time since. Without it shards
// would be shown as they stood when they last persisted, as if nothing had been written later.
async::Task<Status> check_log_exists(env::Disk* disk) {
    const std::string folder(kWalFolder);
    KVSTORE_CO_TRY(const bool exists, co_await disk->exists(folder));
    if (exists) {
        auto listed = co_await disk->list(folder);
        KVSTORE_CO_TRY(const std::vector<env::DirectoryEntry> entries, std::move(listed));
        if (!entries.empty()) {
            co_return Status();
        }
    }
    co_return Status(Code::kCorruption,
                     "the write-ahead log (wal/) is missing while there are shards; restore the "
                     "data directory from a backup");
}

}  // namespace

// Hands what the log holds to the groups it belongs to.
class RecoveryVisitor final : public storage::WalVisitor {
public:
    explicit RecoveryVisitor(NodeHost& host) : host_(host) {}

    Status on_entry(const storage::LogEntry& entry) override {
        if (RaftGroup* const group = find(entry.group)) {
            note(entry.group, group->replay_entry(entry));
        }
        return {};
    }
    Status on_state(const storage::LogState& state) override {
        if (RaftGroup* const group = find(state.group)) {
            note(state.group, group->replay_state(state));
        }
        return {};
    }
    Status on_start(GroupId id, Term term, Index index) override {
        if (RaftGroup* const group = find(id)) {
            note(id, group->replay_start(term, index));
        }
        return {};
    }
    // What came before was of an earlier life of the replica.
    Status on_drop(GroupId id) override {
        ownerless_.erase(id);
        failed_.erase(id);
        if (RaftGroup* const group = host_.find_raft_group(ShardId(id.value()))) {
            group->replay_drop();
        }
        return {};
    }

    // Groups in the log whose folders are gone: a crash came between the drop and the log's note of
    // it, or there was no log then; or the folder was lost.
    [[nodiscard]] const std::set<GroupId>& ownerless() const { return ownerless_; }
    // Groups that the log does not continue, or whose entries are damaged.
    [[nodiscard]] const std::map<GroupId, Status>& failed() const { return failed_; }

private:
    // Null when what the log has for the group is passed over.
    RaftGroup* find(GroupId group) {
        const ShardId shard(group.value());
        if (failed_.contains(group) || host_.fenced_.contains(shard)) {
            return nullptr;
        }
        RaftGroup* const found = host_.find_raft_group(shard);
        if (found == nullptr) {
            ownerless_.insert(group);
        }
        return found;
    }
    void note(GroupId group, const Status& replayed) {
        if (!replayed.ok()) {
            failed_.emplace(group, replayed);
        }
    }

    NodeHost& host_;
    std::set<GroupId> ownerless_;
    std::map<GroupId, Status> failed_;
};
async::Task<Result<std::unique_ptr<storage::Engine>>> NodeHost::open_engine(
    ShardDescription description, std::string folder) {
    if (description.engine == EngineKind::kMemory) {
        storage::MemoryEngineOptions memory_options;
        memory_options.shard = description.id;
        co_return co_await storage::open_memory_engine(&env_, folder, memory_options);
    }
    storage::LsmEngineOptions lsm_options;
    lsm_options.shard = description.id;
    lsm_options.compression = options_.compression;
    lsm_options.shared = lsm_;
    co_return co_await storage::open_lsm_engine(&env_, folder, lsm_options);
}

async::Task<Result<std::unique_ptr<RaftGroup>>> NodeHost::open_group(ShardDescription description) {
    const std::string folder = shard_engine_folder(description.id);
    KVSTORE_CO_CHECK_OK(co_await settle_received_state(&env_.disk, description.id));
    auto opened = co_await open_engine(description, folder);
    KVSTORE_CO_TRY(std::unique_ptr<storage::Engine> engine, std::move(opened));
    std::vector<NodeId> founders = description.founders;
    if (founders.empty() && !description.is_newcomer) {
        founders.push_back(options_.self);
    }
    auto group = co_await RaftGroup::open(&shared_,
                                          GroupId(description.id.value()),
                                          std::move(engine),
                                          std::move(founders),
                                          description.history_ms);
    if (!group.ok()) {
        co_return group.status().with_context(folder);
    }
    co_return group;
}

void NodeHost::add(ShardDescription description, std::unique_ptr<RaftGroup> group) {
    auto maintenance = std::make_unique<Maintenance>(
        env_, *group, MaintenanceOptions{.snapshot_interval = options_.snapshot_interval});
    const ShardId id = description.id;
    replicas_.emplace(id,
                      Replica{.description = std::move(description),
                              .group = std::move(group),
                              .maintenance = std::move(maintenance)});
}

async::Task<Status> NodeHost::recover() {
    KVSTORE_CO_CHECK_OK(co_await open_shards());
    KVSTORE_CO_CHECK_OK(co_await open_log());
    KVSTORE_CO_CHECK_OK(co_await begin_groups());
    is_recovered_ = true;
    count_damaged();
    tick_gate_.spawn(tick_loop());
    gate_.spawn(release_loop());
    if (digests_ && options_.digest_interval > Duration()) {
        gate_.spawn(digest_loop());
    }
    // All of them elect themselves with one write of the log.
    for (const ShardId id : shard_ids()) {
        const auto found = replicas_.find(id);
        if (found == replicas_.end()) {
            continue;  // fenced meanwhile
        }
        Replica& replica = found->second;
        const Status caught_up = co_await replica.group->wait_caught_up();
        if (!caught_up.ok() && !(options_.has_others && is_damage(caught_up))) {
            co_return caught_up;
        }
        replica.maintenance->start();
    }
    co_return Status();
}

async::Task<Status> NodeHost::open_shards() {
    KVSTORE_CO_CHECK_OK(co_await env_.disk.create_directories(std::string(kShardsFolder)));
    auto looked = co_await look_at_shard_folders(&env_.disk);
    KVSTORE_CO_TRY(ShardFolders folders, std::move(looked));
    for (DamagedReplica& damaged : folders.damaged) {
        KVSTORE_CO_CHECK_OK(co_await fence_or_fail(damaged.shard, std::move(damaged.why)));
    }
    KVSTORE_CO_CHECK_OK(co_await remove_unfinished_shard_folders(&env_.disk));
    for (const ShardDescription& description : folders.whole) {
        auto opened = co_await open_group(description);
        if (opened.ok()) {
            add(description, *std::move(opened));
        } else {
            KVSTORE_CO_CHECK_OK(co_await fence_or_fail(description.id, opened.status()));
        }
    }
    co_return Status();
}

// A log that an earlier start with another durability left is read all the same.
async::Task<Status> NodeHost::open_log() {
    const std::string folder(kWalFolder);
    RecoveryVisitor visitor(*this);
    Status found;
    if (!replicas_.empty()) {
        found = co_await check_log_exists(&env_.disk);
    }
    if (found.ok()) {
        auto opened = co_await storage::Wal::open(&env_, folder, options_.wal, &visitor);
        found = opened.status();
        if (found.ok()) {
            wal_ = *std::move(opened);
        }
    }
    if (wal_ == nullptr) {
        if (!options_.has_others || !is_damage(found)) {
            co_return found;
        }
        KVSTORE_CO_CHECK_OK(co_await lose_log(found));
        RecoveryVisitor nothing(*this);
        auto opened = co_await storage::Wal::open(&env_, folder, options_.wal, &nothing);
        KVSTORE_CO_TRY(wal_, std::move(opened));
    }
    for (const auto& [group, why] : visitor.failed()) {
        const ShardId shard(group.value());
        if (!fenced_.contains(shard)) {
            KVSTORE_CO_CHECK_OK(co_await fence_or_fail(shard, why));
        }
    }
    // Every start writes at least one record. A new log counts anew, and must not meet answers to
    // questions of the life before.
    shared_.incarnation = has_lost_log_ ? env_.entropy.next() >> kIncarnationBits
                                        : wal_->statistics().last_sequence.value();
    if (options_.wal.durability == storage::Durability::kMemory) {
        co_return Status();
    }
    shared_.wal = wal_.get();
    if (has_lost_log_) {
        co_return Status();
    }
    for (const GroupId group : visitor.ownerless()) {
        // Gone, or lost? The records say: what they do not list is dropped.
        const ShardId shard(group.value());
        const std::string why = "the log has entries of it, and its folder is missing";
        if (options_.has_others) {
            KVSTORE_CO_CHECK_OK(co_await fenced_.add(shard, Status(Code::kCorruption, why)));
        }
        KVSTORE_CO_CHECK_OK(wal_->drop(group));
    }
    co_return Status();
}

async::Task<Status> NodeHost::begin_groups() {
    for (const ShardId id : shard_ids()) {
        RaftGroup* const group = replicas_.at(id).group.get();
        const Status begun = co_await group->begin();
        if (begun.ok()) {
            routes_.attach(id, group);
        } else {
            KVSTORE_CO_CHECK_OK(co_await fence_or_fail(id, begun));
        }
    }
    co_return Status();
}

}  // namespace kvstore::replication
