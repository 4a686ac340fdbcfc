#include "kv/catalog.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/parse.h"
#include "cluster/placement.h"
#include "kv/inside.h"
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

// Errors: kInvalidArgument.
Status check_split_points(const std::vector<Bytes>& split_at, const Limits& limits) {
    if (split_at.size() > Kv::kSplitPointsMax) {
        return {Code::kInvalidArgument,
                "a keyspace is split at " + std::to_string(Kv::kSplitPointsMax) +
                    " keys at most, not " + std::to_string(split_at.size())};
    }
    const Bytes* before = nullptr;
    for (const Bytes& key : split_at) {
        if (key.empty() || key.size() > limits.key_bytes_max) {
            return {Code::kInvalidArgument,
                    "a key to split at has 1 to " + std::to_string(limits.key_bytes_max) +
                        " bytes, not " + std::to_string(key.size())};
        }
        if (before != nullptr && key <= *before) {
            return {Code::kInvalidArgument,
                    "the keys to split at must rise, each above the one before"};
        }
        before = &key;
    }
    return {};
}

Bytes keyspace_key(std::string_view name) {
    return Bytes(kKeyspacePrefix) + Bytes(name);
}

MetadataChange add_row(Bytes key, Bytes value) {
    return {.key = std::move(key), .value = std::move(value), .expected = std::nullopt};
}

// The id behind every shard that has one, for directories of the time before there were records.
ShardId first_free_shard(const ClusterView& view) {
    std::uint64_t next = kFirstUserShard;
    if (const std::optional<Bytes> taken = view.rows.find(kNextShardKey)) {
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
    shards_.emplace(kSystemShard, system_->shards().front());
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
    record.replace_after = kv_.options_.replace_after;
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
    if (!kv_.is_alone()) {
        return {};  // what is here may be a shard of which this node will hear
    }
    for (const replication::ShardDescription& shard : kv_.host_.shards()) {
        replication::Group* const group = kv_.host_.find_group(shard.id);
        if (shard.id != kSystemShard && group->shard().state().revision > Revision()) {
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

ShardHandle Kv::Catalog::find_shard(ShardId id) const {
    const auto found = shards_.find(id);
    return found == shards_.end() ? nullptr : found->second;
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

template <typename T>
async::Task<T> Kv::Catalog::in_turn(async::Task<T> change) {
    const Inside inside(gate_);
    KVSTORE_CO_CHECK_OK(inside.status());
    co_await changes_.acquire();
    auto outcome = co_await std::move(change);
    changes_.release();
    co_return outcome;
}

async::Task<Result<KeyspaceHandle>> Kv::Catalog::create(std::string name,
                                                        KeyspaceOptions options,
                                                        std::vector<Bytes> split_at) {
    return in_turn(create_alone(std::move(name), options, std::move(split_at)));
}

async::Task<Result<KeyspaceInfo>> Kv::Catalog::change(std::string name, KeyspaceChange change) {
    return in_turn(change_alone(std::move(name), change));
}

async::Task<Status> Kv::Catalog::drop(std::string name) {
    return in_turn(drop_alone(std::move(name)));
}

// As many nodes as the factor asks for: first who is usable, then who has the fewest replicas. This
// node alone when none is known.
std::vector<std::vector<NodeId>> Kv::Catalog::choose_voters(std::uint32_t replication_factor,
                                                            std::size_t count) const {
    struct Candidate {
        bool is_unusable;
        std::size_t load;
        NodeId id;
        auto operator<=>(const Candidate&) const = default;
    };
    const NodeJudge* const judge = kv_.options_.cluster.judge;
    std::vector<Candidate> candidates;
    for (const NodeRecord& node : view().metadata.nodes) {
        if (node.state != cluster::NodeState::kActive || node.is_learner) {
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
    if (candidates.empty()) {
        candidates.push_back({.is_unusable = false, .load = 0, .id = kv_.self()});
    }
    const std::size_t factor = cluster::effective_factor(replication_factor, candidates.size());
    std::vector<std::vector<NodeId>> voters(count);
    for (std::vector<NodeId>& of_one : voters) {
        std::ranges::sort(candidates);
        for (std::size_t i = 0; i < factor; ++i) {
            of_one.push_back(candidates[i].id);
            ++candidates[i].load;
        }
        std::ranges::sort(of_one);
    }
    return voters;
}

async::Task<Result<KeyspaceHandle>> Kv::Catalog::create_alone(std::string name,
                                                              KeyspaceOptions options,
                                                              std::vector<Bytes> split_at) {
    KVSTORE_CO_CHECK_OK(check_keyspace_name(name));
    KVSTORE_CO_CHECK_OK(check_options(options));
    KVSTORE_CO_CHECK_OK(check_split_points(split_at, kv_.options_.limits));
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
        auto taken = co_await take_shard_ids(split_at.size() + 1);
        if (!taken.ok()) {
            created = taken.status();
            continue;
        }
        KeyspaceInfo info{.name = name, .options = options, .shard = *taken};
        created = co_await create_once(std::move(info), split_at);
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

// Ids that no shard has had, also none whose making failed half way.
// Returns: the first of so many in a row.
// Errors: kConflict: another node took them.
async::Task<Result<ShardId>> Kv::Catalog::take_shard_ids(std::size_t count) {
    if (!view().metadata.cluster.has_value()) {
        co_return Status(Code::kUnavailable, "the cluster is being formed");
    }
    ClusterRecord record = *view().metadata.cluster;
    const ShardId taken = record.next_shard_id;
    std::vector<MetadataChange> changes(1);
    changes[0].key = Bytes(cluster::kClusterKey);
    changes[0].expected = cluster::encode_cluster(record);
    record.next_shard_id = ShardId(taken.value() + count);
    changes[0].value = cluster::encode_cluster(record);
    KVSTORE_CO_CHECK_OK(co_await store_->write(std::move(changes), patience()));
    co_return taken;
}

// Errors: kConflict: another node's change came first. With no effect nothing is left of it.
async::Task<Status> Kv::Catalog::create_once(KeyspaceInfo info, std::vector<Bytes> split_at) {
    const std::size_t count = split_at.size() + 1;
    const std::vector<std::vector<NodeId>> voters =
        choose_voters(info.options.replication_factor, count);
    const std::vector<NodeId> here{kv_.self()};
    std::vector<MetadataChange> changes;
    changes.push_back(add_row(keyspace_key(info.name), encode_keyspace(info)));
    std::vector<ShardRecord> only_here;
    for (std::size_t i = 0; i < count; ++i) {
        ShardRecord shard = shard_record(info, voters[i] == here ? kFounded : kFounding, voters[i]);
        shard.id = ShardId(info.shard.value() + i);
        shard.range_start = i == 0 ? Bytes() : split_at[i - 1];
        shard.range_end = i + 1 == count ? Bytes() : split_at[i];
        changes.push_back(add_row(cluster::shard_key(shard.id), cluster::encode_shard(shard)));
        if (voters[i] == here) {
            only_here.push_back(std::move(shard));
        }
    }
    // Durable before the records refer to them.
    Status done = co_await make_here(std::move(only_here));
    if (done.ok()) {
        done = co_await store_->write(std::move(changes), patience());
    }
    if (!done.ok() && done.effect() == Effect::kNone) {
        // Known to have done nothing: the shards go again. Otherwise the records decide.
        co_await unmake_here();
    }
    making_.clear();
    co_return done;
}

async::Task<Status> Kv::Catalog::make_here(std::vector<ShardRecord> shards) {
    for (const ShardRecord& shard : shards) {
        making_.push_back(shard.id);
    }
    for (const ShardRecord& shard : shards) {
        const auto made = co_await kv_.host_.create_shard(description_of(shard));
        if (!made.ok()) {
            co_return made.status();
        }
    }
    co_return Status();
}

async::Task<void> Kv::Catalog::unmake_here() {
    const std::vector<ShardId> made = making_;
    for (const ShardId shard : made) {
        if (kv_.host_.find_group(shard) != nullptr) {
            (void)co_await kv_.host_.drop_shard(shard);
        }
    }
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
        follow(view());
    }
    const std::optional<Bytes> stored = view().rows.find(keyspace_key(name));
    if (!stored.has_value()) {
        co_return Status(Code::kNotFound, "no keyspace '" + name + "'");
    }
    std::vector<MetadataChange> changes;
    changes.push_back(
        {.key = keyspace_key(name), .value = encode_keyspace(info), .expected = stored});
    for (const ShardRecord& shard : view().map->shards(name)) {
        ShardRecord changed = shard;
        changed.history_ms = milliseconds(info.options.history);
        changes.push_back({.key = cluster::shard_key(shard.id),
                           .value = cluster::encode_shard(changed),
                           .expected = cluster::encode_shard(shard)});
    }
    const Status written = co_await store_->write(std::move(changes), patience());
    if (!written.ok()) {
        co_return change.history ? written.with_unknown_effect() : written;
    }
    (void)co_await refresh();
    co_return info;
}

async::Task<Status> Kv::Catalog::configure(KeyspaceHandle keyspace, Duration history) {
    const std::vector<ShardHandle> shards = keyspace->shards();
    for (std::size_t at = 0; at < shards.size(); ++at) {
        mvcc::Command command;
        mvcc::Operation& operation = command.operations.emplace_back();
        operation.kind = mvcc::OperationKind::kConfigure;
        operation.key = shards[at]->range_start();  // says of which shard
        operation.delta = static_cast<std::int64_t>(milliseconds(history));
        const auto executed = co_await kv_.execute(CallContext(), keyspace, &command);
        if (!executed.ok()) {
            co_return at == 0 ? executed.status() : executed.status().with_unknown_effect();
        }
        const Code code = executed->operations.front().code;
        if (code != Code::kOk) {
            co_return Status(code, "the shard refused the history");
        }
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
        const std::optional<Bytes> stored = view().rows.find(keyspace_key(name));
        if (!stored.has_value() || find(name) == nullptr) {
            co_return Status(Code::kNotFound, "no keyspace '" + name + "'");
        }
        std::vector<MetadataChange> changes;
        changes.push_back({.key = keyspace_key(name), .value = std::nullopt, .expected = stored});
        for (const ShardRecord& shard : view().map->shards(name)) {
            changes.push_back({.key = cluster::shard_key(shard.id),
                               .value = std::nullopt,
                               .expected = cluster::encode_shard(shard)});
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
