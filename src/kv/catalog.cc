#include "kv/catalog.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/parse.h"
#include "cluster/placement.h"
#include "kv/shard_records.h"

namespace kvstore::kv {
namespace {

using cluster::ClusterRecord;
using cluster::ClusterView;
using cluster::MetadataChange;
using cluster::NodeRecord;
using cluster::ShardRecord;

constexpr Duration kPatience = std::chrono::seconds(10);
// How often a change that meets another node's is begun anew.
constexpr int kAttemptsMax = 20;

Status check_options(const KeyspaceOptions& options) {
    if (options.replication == Replication::kQuorum) {
        return {Code::kUnimplemented, "replication 'quorum' needs several nodes; use 'strong'"};
    }
    const std::uint32_t factor = options.replication_factor;
    if (factor != 1 && factor != 3 && factor != 5 && factor != 7) {
        return {Code::kInvalidArgument,
                "replication_factor is 1, 3, 5 or 7, not " + std::to_string(factor)};
    }
    if (options.history.count() < 0 || options.history > kHistoryMax) {
        return {Code::kInvalidArgument, "history is between 0 and ten years"};
    }
    return {};
}

Status stopping_status() {
    return {Code::kUnavailable, "the server is stopping"};
}

Bytes keyspace_key(std::string_view name) {
    return Bytes(kKeyspacePrefix) + Bytes(name);
}

// The value of a row; null when there is none.
const Bytes* find_row(const ClusterView& view, ByteView key) {
    const auto found =
        std::ranges::find_if(view.rows.rows, [key](const auto& row) { return row.first == key; });
    return found == view.rows.rows.end() ? nullptr : &found->second;
}

MetadataChange add_row(Bytes key, Bytes value) {
    return {.key = std::move(key), .value = std::move(value), .expected = std::nullopt};
}

// The id behind every shard that has one, for directories of the time before there were records.
ShardId first_free_shard(const ClusterView& view) {
    std::uint64_t next = kFirstUserShard;
    if (const Bytes* taken = find_row(view, kNextShardKey)) {
        next += parse_uint64(*taken).value_or(0);
    }
    for (const ShardRecord& shard : view.metadata.shards) {
        next = std::max(next, shard.id.value() + 1);
    }
    return ShardId(next);
}

}  // namespace

Kv::Catalog::Catalog(Kv& kv)
    : kv_(kv),
      changes_(kv.env_.scheduler, 1),
      reconciling_(kv.env_.scheduler, 1),
      gate_(kv.env_.scheduler) {
    KeyspaceInfo info;
    info.name = "system";
    info.shard = kSystemShard;
    info.options.engine = replication::EngineKind::kMemory;
    system_ = std::make_shared<Keyspace>(std::move(info), &kv.host_.route(kSystemShard));
    store_ = std::make_unique<SystemStore>(kv, system_);
}

const ClusterView& Kv::Catalog::view() const {
    return *kv_.directory().view();
}

async::Deadline Kv::Catalog::patience() const {
    return {.at = kv_.env_.clock.now() + kPatience};
}

// ---- the beginning ----

async::Task<Status> Kv::Catalog::load() {
    replication::Host& host = kv_.host_;
    if (kv_.is_alone() && host.find_group(kSystemShard) == nullptr) {
        if (!host.shards().empty()) {
            co_return Status(Code::kCorruption,
                             "the system shard (shards/1) is missing while others exist; restore "
                             "the data directory from a backup");
        }
        replication::ShardDescription description;
        description.id = kSystemShard;
        description.engine = replication::EngineKind::kMemory;
        description.keyspace = "system";
        const auto created = co_await host.create_shard(std::move(description));
        if (!created.ok()) {
            co_return created.status();
        }
    }
    kv_.directory().add_listener([this](const ClusterView& newest) { follow(newest); });
    if (std::optional<cluster::SystemRows> rows = store_->read_local(kv_.directory().version())) {
        KVSTORE_CO_CHECK_OK(kv_.directory().update(*std::move(rows)));
    }
    KVSTORE_CO_CHECK_OK(show(view()));
    KVSTORE_CO_CHECK_OK(check_not_lost());
    if (kv_.is_alone() && !view().metadata.cluster.has_value()) {
        NodeRecord self;
        self.id = kv_.self();
        self.name = "node" + std::to_string(self.id.value());
        self.state = cluster::NodeState::kActive;
        std::vector<NodeRecord> nodes{self};
        std::vector<NodeId> voters{self.id};
        KVSTORE_CO_CHECK_OK(co_await found(std::move(nodes), std::move(voters)));
    }
    KVSTORE_CO_CHECK_OK(co_await reconcile());
    if (!kv_.is_alone()) {
        gate_.spawn(reconcile_loop());
    }
    co_return Status();
}

async::Task<Status> Kv::Catalog::found(std::vector<NodeRecord> nodes, std::vector<NodeId> voters) {
    KVSTORE_CO_CHECK_OK(co_await refresh());
    if (view().metadata.cluster.has_value()) {
        co_return Status(Code::kAlreadyExists, "the cluster has been founded");
    }
    std::vector<MetadataChange> changes;
    ClusterRecord record;
    record.cluster_id = kv_.options_.cluster_id;
    record.next_shard_id = first_free_shard(view());
    for (const NodeRecord& node : nodes) {
        record.next_node_id = std::max(record.next_node_id, NodeId(node.id.value() + 1));
        changes.push_back(add_row(cluster::node_key(node.id), cluster::encode_node(node)));
    }
    KeyspaceInfo system = system_->info();
    system.options.history = Duration(0);
    const ShardRecord system_record = shard_record(system, kFounded, voters);
    changes.push_back(
        add_row(cluster::shard_key(kSystemShard), cluster::encode_shard(system_record)));
    // Keyspaces of the time before shards had records: their only replica is here.
    for (const auto& [name, keyspace] : keyspaces_) {
        const ShardRecord shard = shard_record(keyspace->info(), kFounded, voters);
        changes.push_back(add_row(cluster::shard_key(shard.id), cluster::encode_shard(shard)));
    }
    changes.push_back(add_row(Bytes(cluster::kClusterKey), cluster::encode_cluster(record)));
    KVSTORE_CO_CHECK_OK(co_await store_->write(std::move(changes), patience()));
    co_return co_await refresh();
}

async::Task<Status> Kv::Catalog::refresh() {
    auto read = co_await store_->read(patience());
    KVSTORE_CO_TRY(cluster::SystemRows rows, std::move(read));
    co_return kv_.directory().update(std::move(rows));
}

// Errors: kCorruption: there are data, and no keyspaces.
Status Kv::Catalog::check_not_lost() const {
    // `default` is made at the first start, before anything is written, and never dropped.
    if (keyspaces_.contains("default")) {
        return {};
    }
    for (const replication::ShardDescription& shard : kv_.host_.shards()) {
        replication::Group* const group = kv_.host_.find_group(shard.id);
        if (shard.id != kSystemShard && group->shard().state().revision > Revision() &&
            kv_.is_alone()) {
            return {Code::kCorruption,
                    "the catalogue of keyspaces (shards/1) is empty, though shards/" +
                        std::to_string(shard.id.value()) + " (keyspace '" + shard.keyspace +
                        "') holds data; restore the data directory from a backup"};
        }
    }
    return {};
}

async::Task<void> Kv::Catalog::stop() {
    is_stopping_ = true;
    co_await gate_.close();
}

KeyspaceHandle Kv::Catalog::find(std::string_view name) const {
    const auto found = keyspaces_.find(name);
    return found == keyspaces_.end() ? nullptr : found->second;
}

std::vector<KeyspaceInfo> Kv::Catalog::list() const {
    std::vector<KeyspaceInfo> infos;
    infos.reserve(keyspaces_.size());
    for (const auto& [name, keyspace] : keyspaces_) {
        infos.push_back(keyspace->info());
    }
    return infos;
}

// ---- changes, one at a time ----

async::Task<Result<KeyspaceHandle>> Kv::Catalog::create(std::string name, KeyspaceOptions options) {
    if (!gate_.try_enter()) {
        co_return stopping_status();
    }
    co_await changes_.acquire();
    auto created = co_await create_alone(std::move(name), options);
    changes_.release();
    gate_.leave();
    co_return created;
}

async::Task<Result<KeyspaceInfo>> Kv::Catalog::change(std::string name, KeyspaceChange change) {
    if (!gate_.try_enter()) {
        co_return stopping_status();
    }
    co_await changes_.acquire();
    auto changed = co_await change_alone(std::move(name), change);
    changes_.release();
    gate_.leave();
    co_return changed;
}

async::Task<Status> Kv::Catalog::drop(std::string name) {
    if (!gate_.try_enter()) {
        co_return stopping_status();
    }
    co_await changes_.acquire();
    Status dropped = co_await drop_alone(std::move(name));
    changes_.release();
    gate_.leave();
    co_return dropped;
}

// As many nodes as the factor asks for: first who is usable, then who has the fewest replicas. This
// node alone when none is known.
std::vector<NodeId> Kv::Catalog::choose_voters(std::uint32_t replication_factor) const {
    struct Candidate {
        bool is_unusable;
        std::size_t load;
        NodeId id;
        auto operator<=>(const Candidate&) const = default;
    };
    const NodeJudge* const judge = kv_.options_.cluster.judge;
    std::vector<Candidate> candidates;
    for (const NodeRecord& node : view().metadata.nodes) {
        if (node.state != cluster::NodeState::kActive) {
            continue;
        }
        const auto load = std::ranges::count_if(
            view().map->shards(),
            [&node](const ShardRecord& shard) { return lists(shard.voters, node.id); });
        const bool is_usable =
            node.id == kv_.self() || (judge != nullptr && judge->is_usable(node.id));
        candidates.push_back(
            {.is_unusable = !is_usable, .load = static_cast<std::size_t>(load), .id = node.id});
    }
    std::ranges::sort(candidates);
    candidates.resize(std::min<std::size_t>(
        candidates.size(), cluster::effective_factor(replication_factor, candidates.size())));
    std::vector<NodeId> voters;
    for (const Candidate& candidate : candidates) {
        voters.push_back(candidate.id);
    }
    if (voters.empty()) {
        voters.push_back(kv_.self());
    }
    std::ranges::sort(voters);
    return voters;
}

async::Task<Result<KeyspaceHandle>> Kv::Catalog::create_alone(std::string name,
                                                              KeyspaceOptions options) {
    KVSTORE_CO_CHECK_OK(check_keyspace_name(name));
    KVSTORE_CO_CHECK_OK(check_options(options));
    Status created(Code::kConflict, "");
    for (int i = 0; i < kAttemptsMax && created.code() == Code::kConflict; ++i) {
        KVSTORE_CO_CHECK_OK(co_await refresh());
        if (find(name) != nullptr) {
            co_return Status(Code::kAlreadyExists, "keyspace '" + name + "' exists already");
        }
        const std::size_t count_max = kv_.options_.limits.keyspace_count_max;
        if (keyspaces_.size() >= count_max) {
            co_return Status(Code::kOverloaded,
                             "there are " + std::to_string(count_max) + " keyspaces already");
        }
        auto taken = co_await take_shard_id();
        if (!taken.ok()) {
            created = taken.status();
            continue;
        }
        KeyspaceInfo info{.name = name, .options = options, .shard = *taken};
        created = co_await create_once(std::move(info));
    }
    KVSTORE_CO_CHECK_OK(created);
    const Status refreshed = co_await refresh();
    if (refreshed.ok()) {
        (void)co_await reconcile();
    }
    KeyspaceHandle handle = find(name);
    if (handle == nullptr) {
        co_return Status(Code::kUnavailable,
                         Effect::kUnknown,
                         "keyspace '" + name + "' was made and cannot be seen yet");
    }
    co_return handle;
}

// An id that no shard has had, also none whose making failed half way.
// Errors: kConflict: another node took it.
async::Task<Result<ShardId>> Kv::Catalog::take_shard_id() {
    if (!view().metadata.cluster.has_value()) {
        co_return Status(Code::kUnavailable, "the cluster is being formed");
    }
    ClusterRecord record = *view().metadata.cluster;
    const ShardId taken = record.next_shard_id;
    std::vector<MetadataChange> changes(1);
    changes[0].key = Bytes(cluster::kClusterKey);
    changes[0].expected = cluster::encode_cluster(record);
    record.next_shard_id = ShardId(taken.value() + 1);
    changes[0].value = cluster::encode_cluster(record);
    KVSTORE_CO_CHECK_OK(co_await store_->write(std::move(changes), patience()));
    co_return taken;
}

// Errors: kConflict: another node's change came first. With no effect nothing is left of it.
async::Task<Status> Kv::Catalog::create_once(KeyspaceInfo info) {
    std::vector<NodeId> voters = choose_voters(info.options.replication_factor);
    const bool is_only_here = voters.size() == 1 && voters.front() == kv_.self();
    const ShardRecord shard =
        shard_record(info, is_only_here ? kFounded : kFounding, std::move(voters));
    if (is_only_here) {
        // Durable before the record refers to it.
        making_ = shard.id;
        const auto made = co_await kv_.host_.create_shard(description_of(shard));
        if (!made.ok()) {
            making_ = ShardId();
            co_return made.status();
        }
    }
    std::vector<MetadataChange> changes;
    changes.push_back(add_row(keyspace_key(info.name), encode_keyspace(info)));
    changes.push_back(add_row(cluster::shard_key(shard.id), cluster::encode_shard(shard)));
    Status written = co_await store_->write(std::move(changes), patience());
    if (is_only_here && !written.ok() && written.effect() == Effect::kNone) {
        // Known to have done nothing: the shard goes again. Otherwise the records decide.
        (void)co_await kv_.host_.drop_shard(shard.id);
    }
    making_ = ShardId();
    co_return written;
}

async::Task<Result<KeyspaceInfo>> Kv::Catalog::change_alone(std::string name,
                                                            KeyspaceChange change) {
    KVSTORE_CO_CHECK_OK(co_await refresh());
    const KeyspaceHandle handle = find(name);
    if (handle == nullptr) {
        co_return Status(Code::kNotFound, "no keyspace '" + name + "'");
    }
    KeyspaceInfo info = handle->info();
    info.options.history = change.history.value_or(info.options.history);
    info.options.replication_factor =
        change.replication_factor.value_or(info.options.replication_factor);
    KVSTORE_CO_CHECK_OK(check_options(info.options));
    if (change.history) {
        // The shard first: it is what acts on it, and doing it twice does no harm.
        KVSTORE_CO_CHECK_OK(co_await configure(handle, info.options.history));
        handle->info_.options.history = info.options.history;
    }
    std::vector<MetadataChange> changes;
    const Bytes* const stored = find_row(view(), keyspace_key(name));
    if (stored == nullptr) {
        co_return Status(Code::kNotFound, "no keyspace '" + name + "'");
    }
    changes.push_back(
        {.key = keyspace_key(name), .value = encode_keyspace(info), .expected = *stored});
    if (const ShardRecord* const shard = view().map->find(info.shard)) {
        ShardRecord changed = *shard;
        changed.history_ms = milliseconds(info.options.history);
        changes.push_back({.key = cluster::shard_key(shard->id),
                           .value = cluster::encode_shard(changed),
                           .expected = cluster::encode_shard(*shard)});
    }
    const Status written = co_await store_->write(std::move(changes), patience());
    if (!written.ok()) {
        co_return change.history ? written.with_unknown_effect() : written;
    }
    (void)co_await refresh();
    co_return info;
}

async::Task<Status> Kv::Catalog::configure(KeyspaceHandle keyspace, Duration history) {
    mvcc::Command command;
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kConfigure;
    operation.delta = static_cast<std::int64_t>(milliseconds(history));
    command.operations.push_back(operation);
    const auto executed = co_await kv_.execute(CallContext(), std::move(keyspace), &command);
    if (!executed.ok()) {
        co_return executed.status();
    }
    const Code code = executed->operations.front().code;
    if (code != Code::kOk) {
        co_return Status(code, "the shard refused the history");
    }
    co_return Status();
}

async::Task<Status> Kv::Catalog::drop_alone(std::string name) {
    if (name == "default") {
        co_return Status(Code::kInvalidArgument, "keyspace 'default' cannot be dropped");
    }
    Status dropped(Code::kConflict, "");
    for (int i = 0; i < kAttemptsMax && dropped.code() == Code::kConflict; ++i) {
        KVSTORE_CO_CHECK_OK(co_await refresh());
        const Bytes* const stored = find_row(view(), keyspace_key(name));
        const KeyspaceHandle handle = find(name);
        if (stored == nullptr || handle == nullptr) {
            co_return Status(Code::kNotFound, "no keyspace '" + name + "'");
        }
        std::vector<MetadataChange> changes;
        changes.push_back({.key = keyspace_key(name), .value = std::nullopt, .expected = *stored});
        if (const ShardRecord* const shard = view().map->find(handle->info().shard)) {
            changes.push_back({.key = cluster::shard_key(shard->id),
                               .value = std::nullopt,
                               .expected = cluster::encode_shard(*shard)});
        }
        dropped = co_await store_->write(std::move(changes), patience());
    }
    KVSTORE_CO_CHECK_OK(dropped);
    const Status refreshed = co_await refresh();
    if (refreshed.ok()) {
        (void)co_await reconcile();
    }
    co_return Status();
}

}  // namespace kvstore::kv
