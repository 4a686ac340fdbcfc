// How a node follows the records of keyspaces and shards: shows the keyspaces, and makes and
// removes replicas.
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "kv/catalog.h"
#include "kv/keyspace_record.h"
#include "kv/shard_records.h"
#include "replication/strong/raft_group.h"

namespace kvstore::kv {
namespace {

using cluster::ClusterView;
using cluster::MetadataChange;
using cluster::ShardRecord;

constexpr Duration kReconcileInterval = std::chrono::milliseconds(200);

bool lists_shard(const std::vector<ShardId>& shards, ShardId shard) {
    return std::ranges::find(shards, shard) != shards.end();
}

}  // namespace

void Kv::Catalog::follow(const ClusterView& newest) {
    const Status shown = show(newest);
    if (!shown.ok()) {
        log_error("a keyspace cannot be shown", {{"reason", shown.to_string()}});
    }
}

// Errors: kCorruption: of a keyspace's record; the others are shown all the same.
Status Kv::Catalog::show(const ClusterView& newest) {
    Status first;
    std::set<std::string, std::less<>> seen;
    for (const auto& [key, value] : newest.rows.rows) {
        if (!key.starts_with(kKeyspacePrefix)) {
            continue;
        }
        const std::string name = key.substr(kKeyspacePrefix.size());
        seen.insert(name);
        Result<KeyspaceInfo> info = decode_keyspace(name, value);
        if (info.ok()) {
            show_keyspace(*std::move(info), newest);
        } else {
            first = first.ok() ? info.status() : first;
        }
    }
    std::vector<std::string> gone;
    for (const auto& [name, keyspace] : keyspaces_) {
        if (!seen.contains(name)) {
            gone.push_back(name);
        }
    }
    for (const std::string& name : gone) {
        stop_showing(name);
    }
    kv_.default_ = find("default");
    return first;
}

void Kv::Catalog::show_keyspace(KeyspaceInfo info, const ClusterView& newest) {
    const KeyspaceHandle known = find(info.name);
    if (known != nullptr && known->info().shard != info.shard) {
        stop_showing(info.name);  // dropped and made anew meanwhile
    }
    std::vector<Keyspace::Part> parts;
    for (const ShardRecord& shard : newest.map->shards(info.name)) {
        parts.push_back({.id = shard.id,
                         .range_start = shard.range_start,
                         .range_end = shard.range_end,
                         .group = &kv_.host_.route(shard.id)});
    }
    if (parts.empty()) {
        // Of the time before shards had records.
        parts.push_back({.id = info.shard,
                         .range_start = {},
                         .range_end = {},
                         .group = &kv_.host_.route(info.shard)});
    }
    for (const Keyspace::Part& part : parts) {
        if (part.group->has_replica()) {
            // A change that was cut short may have reached the shards alone, which act on it.
            info.options.history =
                std::chrono::milliseconds(part.group->shard().state().history_ms);
            break;
        }
    }
    KeyspaceHandle& shown = keyspaces_[info.name];
    if (shown == nullptr) {
        shown = std::make_shared<Keyspace>(info);
    }
    forget(shown->update(std::move(info), std::move(parts)));
    for (const ShardHandle& shard : shown->shards()) {
        shards_.insert_or_assign(shard->id(), shard);
    }
}

// From here on it is gone: handles that others keep say so.
void Kv::Catalog::stop_showing(std::string_view name) {
    const auto found = keyspaces_.find(name);
    forget(found->second->drop());
    keyspaces_.erase(found);
}

void Kv::Catalog::forget(const std::vector<ShardId>& gone) {
    for (const ShardId shard : gone) {
        shards_.erase(shard);
        kv_.host_.forget_route(shard);
    }
}

async::Task<Status> Kv::Catalog::reconcile() {
    co_await reconciling_.acquire();
    Status done = co_await reconcile_alone();
    reconciling_.release();
    co_return done;
}

// Whether the newest view asks for a replica that is not here, or none of one that is.
bool Kv::Catalog::differs() const {
    for (const ShardRecord& record : view().map->shards()) {
        if (is_listed(record) && !is_here(record.id)) {
            return true;
        }
    }
    return !unlisted().empty();
}

// Whether there is a replica, or a damaged one that the records have to let go first.
bool Kv::Catalog::is_here(ShardId shard) const {
    return kv_.host_.find_raft_group(shard) != nullptr ||
           std::ranges::any_of(kv_.host_.damaged(),
                               [shard](const auto& damaged) { return damaged.shard == shard; });
}

// Errors: kCorruption: a replica that must be here is missing.
async::Task<Status> Kv::Catalog::reconcile_alone() {
    if (!kv_.exclusion_.ok()) {
        co_return co_await put_away();
    }
    if (!differs()) {
        co_return Status();
    }
    if (!kv_.is_alone()) {
        // The view may be old: what it lists may have moved away since, and what it lacks come. A
        // replica made out of nothing, or removed, by old records would forget its votes.
        const Status refreshed = co_await refresh();
        if (!refreshed.ok()) {
            co_return Status();  // tried again
        }
    }
    const std::shared_ptr<const ClusterView> newest = kv_.directory().view();
    Status first;
    for (const ShardRecord& record : newest->map->shards()) {
        if (!is_here(record.id)) {
            const Status made = co_await make_missing(&record);
            first = first.ok() ? made : first;
        }
    }
    kv_.host_.forget_lost_log();
    KVSTORE_CO_CHECK_OK(first);
    co_return co_await remove_unlisted();
}

async::Task<Status> Kv::Catalog::make_missing(const ShardRecord* record) {
    if (!is_listed(*record)) {
        co_return Status();
    }
    const bool votes = lists(record->voters, kv_.self());
    if (votes && record->epoch != kFounding && kv_.is_alone()) {
        co_return Status(Code::kCorruption,
                         "keyspace '" + record->keyspace + "' lives in shards/" +
                             std::to_string(record->id.value()) +
                             ", which is missing; restore the data directory from a backup");
    }
    // What a lost replica has voted for and acknowledged counts, and nobody here knows it: it is
    // not made anew under the membership that it had. A learner may have been given a vote of which
    // the record does not tell yet, so it is believed to be a new one only while the log would know
    // better.
    if ((votes && record->epoch != kFounding) || kv_.host_.has_lost_log()) {
        const Status fenced =
            co_await kv_.host_.fence_missing(record->id, "the replica's files are missing");
        if (!fenced.ok()) {
            log_warning("a replica that is missing could not be fenced; it is tried again",
                        {{"shard", record->id.value()}, {"reason", fenced.to_string()}});
        }
        co_return Status();
    }
    replication::ShardDescription description = description_of(*record);
    if (votes) {
        description.founders = record->voters;
    } else {
        description.is_newcomer = true;
    }
    const auto created = co_await kv_.host_.create_shard(std::move(description));
    if (!created.ok()) {
        log_warning("a replica could not be made; it is tried again",
                    {{"shard", record->id.value()}, {"reason", created.status().to_string()}});
    }
    co_return Status();
}

bool Kv::Catalog::is_listed(const ShardRecord& record) const {
    return lists(record.voters, kv_.self()) || lists(record.learners, kv_.self());
}

// The replicas here of shards that were dropped or live elsewhere now.
std::vector<ShardId> Kv::Catalog::unlisted() const {
    std::vector<ShardId> shards;
    if (!view().metadata.cluster.has_value()) {
        return shards;
    }
    const auto add = [&](ShardId shard) {
        const ShardRecord* const record = view().map->find(shard);
        if (!lists_shard(making_, shard) && (record == nullptr || !is_listed(*record)) &&
            may_go(shard)) {
            shards.push_back(shard);
        }
    };
    for (const replication::ShardDescription& shard : kv_.host_.shards()) {
        add(shard.id);
    }
    for (const replication::DamagedReplica& damaged : kv_.host_.damaged()) {
        if (kv_.host_.find_raft_group(damaged.shard) == nullptr) {
            add(damaged.shard);
        }
    }
    return shards;
}

// Whoever lets the system shard go has others to follow, also when it starts again.
bool Kv::Catalog::may_go(ShardId shard) const {
    const NodeJudge* const judge = kv_.options_.cluster.judge;
    return shard != kSystemShard || (judge != nullptr && judge->has_noted_members() &&
                                     view().map->find(kSystemShard) != nullptr);
}

// The records may have changed since they were read, and a replica that is listed again may have
// promised something since. So it is silenced first, and the records are read once more: a promise
// that it made before then is of a listing that they show.
async::Task<Status> Kv::Catalog::remove_unlisted() {
    const std::vector<ShardId> doubtful = unlisted();
    if (doubtful.empty()) {
        co_return Status();
    }
    for (const ShardId shard : doubtful) {
        if (replication::RaftGroup* const group = kv_.host_.find_raft_group(shard)) {
            group->pause();
        }
    }
    Status known;
    if (!kv_.is_alone()) {
        known = co_await refresh();
    }
    const std::vector<ShardId> gone = known.ok() ? unlisted() : std::vector<ShardId>();
    for (const ShardId shard : doubtful) {
        replication::RaftGroup* const group = kv_.host_.find_raft_group(shard);
        if (lists_shard(gone, shard)) {
            KVSTORE_CO_CHECK_OK(co_await remove_shard(shard));
        } else if (group != nullptr) {
            group->resume();
        }
    }
    co_return Status();
}

// This node has left for good, and nobody answers it any more: it goes by what it has read. What is
// not listed where it is shown as gone will never be listed again. Where it was still asked to give
// everything away, it left when no record listed it, so all of it can go. Otherwise it was cut off,
// and keeps what it has, for people.
async::Task<Status> Kv::Catalog::put_away() {
    const cluster::NodeRecord* const self = view().metadata.find_node(kv_.self());
    if (self == nullptr) {
        co_return Status();
    }
    std::vector<ShardId> shards;
    if (cluster::has_left(self->state)) {
        shards = unlisted();
    } else if (self->state == cluster::NodeState::kDecommissioning) {
        for (const replication::ShardDescription& shard : kv_.host_.shards()) {
            shards.push_back(shard.id);
        }
        for (const replication::DamagedReplica& damaged : kv_.host_.damaged()) {
            shards.push_back(damaged.shard);
        }
    }
    for (const ShardId shard : shards) {
        // What the node shows of itself reads the system shard.
        if (shard != kSystemShard) {
            KVSTORE_CO_CHECK_OK(co_await remove_shard(shard));
        }
    }
    co_return Status();
}

// What no record lists is left over, unless the records themselves have been lost.
async::Task<Status> Kv::Catalog::remove_shard(ShardId shard) {
    log_info("removing a replica that no record lists", {{"shard", shard.value()}});
    const Status dropped = co_await kv_.host_.drop_shard(shard);
    if (!dropped.ok()) {
        // It counts for nothing wherever it stands.
        log_warning("a replica that no record lists could not be removed yet",
                    {{"shard", shard.value()}, {"reason", dropped.to_string()}});
    }
    co_return Status();
}

async::Task<void> Kv::Catalog::reconcile_loop() {
    while (!is_stopping_) {
        co_await kv_.env_.clock.sleep(kReconcileInterval);
        if (is_stopping_) {
            break;
        }
        const Status done = co_await reconcile();
        if (!done.ok()) {
            log_error("this node cannot do what the records say", {{"reason", done.to_string()}});
        }
        co_await end_founding();
    }
}

// Of those that this node leads, the shards whose founders all have their replica now.
std::vector<ShardRecord> Kv::Catalog::shards_being_founded() const {
    std::vector<ShardRecord> shards;
    for (const ShardRecord& record : view().map->shards()) {
        const replication::RaftGroup* const group = kv_.host_.find_raft_group(record.id);
        if (record.epoch != kFounding || group == nullptr || !group->is_leader()) {
            continue;
        }
        const std::optional<raft::NodeStatus> status = group->raft_status();
        // The first entry of a group has index 2.
        const bool are_all_there =
            status.has_value() && std::ranges::all_of(status->peers, [](const auto& peer) {
                return peer.match > Index(1);
            });
        if (are_all_there) {
            shards.push_back(record);
        }
    }
    return shards;
}

async::Task<void> Kv::Catalog::end_founding() {
    for (ShardRecord& record : shards_being_founded()) {
        std::vector<MetadataChange> changes(1);
        changes[0].key = cluster::shard_key(record.id);
        changes[0].expected = cluster::encode_shard(record);
        record.epoch = kFounded;
        changes[0].value = cluster::encode_shard(record);
        // What is missed is done at the next look.
        (void)co_await store_->write(std::move(changes), patience());
    }
}

}  // namespace kvstore::kv
