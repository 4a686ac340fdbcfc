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
        if (is_listed(record) && kv_.host_.find_group(record.id) == nullptr) {
            return true;
        }
    }
    return std::ranges::any_of(kv_.host_.shards(),
                               [this](const auto& shard) { return is_unlisted(shard.id); });
}

// Errors: kCorruption: a replica that must be here is missing.
async::Task<Status> Kv::Catalog::reconcile_alone() {
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
        if (kv_.host_.find_group(record.id) == nullptr) {
            const Status made = co_await make_missing(&record);
            first = first.ok() ? made : first;
        }
    }
    KVSTORE_CO_CHECK_OK(first);
    co_return co_await remove_unlisted();
}

async::Task<Status> Kv::Catalog::make_missing(const ShardRecord* record) {
    if (!is_listed(*record)) {
        co_return Status();
    }
    const bool votes = lists(record->voters, kv_.self());
    if (votes && record->epoch != kFounding) {
        if (record->voters.size() > 1) {
            log_error("a replica of a shard is missing; remove this node and join it anew",
                      {{"shard", record->id.value()}});
            co_return Status();
        }
        co_return Status(Code::kCorruption,
                         "keyspace '" + record->keyspace + "' lives in shards/" +
                             std::to_string(record->id.value()) +
                             ", which is missing; restore the data directory from a backup");
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

// Whether a replica is of a shard that was dropped or lives elsewhere now.
bool Kv::Catalog::is_unlisted(ShardId shard) const {
    if (!view().metadata.cluster.has_value() || shard == kSystemShard ||
        std::ranges::find(making_, shard) != making_.end()) {
        return false;
    }
    const ShardRecord* const record = view().map->find(shard);
    return record == nullptr || !is_listed(*record);
}

async::Task<Status> Kv::Catalog::remove_unlisted() {
    for (const replication::ShardDescription& shard : kv_.host_.shards()) {
        if (is_unlisted(shard.id)) {
            KVSTORE_CO_CHECK_OK(co_await remove_shard(shard));
        }
    }
    co_return Status();
}

// What no record lists is left over, unless the records themselves have been lost.
async::Task<Status> Kv::Catalog::remove_shard(replication::ShardDescription shard) {
    log_info("removing a replica that no record lists",
             {{"shard", shard.id.value()}, {"keyspace", shard.keyspace}});
    const Status dropped = co_await kv_.host_.drop_shard(shard.id);
    if (!dropped.ok()) {
        // It counts for nothing wherever it stands.
        log_warning("a replica that no record lists could not be removed yet",
                    {{"shard", shard.id.value()}, {"reason", dropped.to_string()}});
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
