#include "kv/catalog.h"

#include <set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/parse.h"

namespace kvstore::kv {
namespace {

mvcc::Operation put_operation(ByteView key, ByteView value) {
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kPut;
    operation.key = key;
    operation.argument = value;
    return operation;
}

std::uint64_t milliseconds(Duration duration) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

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

}  // namespace

Kv::Catalog::Catalog(Kv& kv, std::size_t count_max)
    : kv_(kv), count_max_(count_max), changes_(kv.env_.scheduler, 1), gate_(kv.env_.scheduler) {}

async::Task<Status> Kv::Catalog::load() {
    replication::Host& host = kv_.host_;
    replication::Group* group = host.find_group(kSystemShard);
    if (group == nullptr) {
        if (!host.shards().empty()) {
            co_return Status(Code::kCorruption,
                             "the system shard (shards/1) is missing while others exist; restore "
                             "the data directory from a backup");
        }
        replication::ShardDescription description;
        description.id = kSystemShard;
        description.engine = replication::EngineKind::kMemory;
        description.keyspace = "system";
        auto created = co_await host.create_shard(std::move(description));
        KVSTORE_CO_TRY(group, std::move(created));
    }
    KeyspaceInfo system_info;
    system_info.name = "system";
    system_info.shard = kSystemShard;
    system_ = std::make_shared<Keyspace>(std::move(system_info), group);

    KVSTORE_CO_CHECK_OK(co_await load_keyspaces());
    co_return co_await remove_unreferenced();
}

// All of them, however many this start would allow to be made: what is not found here is removed.
async::Task<Status> Kv::Catalog::load_keyspaces() {
    mvcc::ScanRequest request;
    request.from = kKeyspacePrefix;
    request.to = prefix_end(kKeyspacePrefix);
    for (bool has_more = true; has_more;) {
        auto scanned = co_await kv_.scan(CallContext(), system_, request);
        KVSTORE_CO_TRY(mvcc::ScanPage page, std::move(scanned));
        for (const mvcc::ScanRow& row : page.rows) {
            KVSTORE_CO_CHECK_OK(add(row));
        }
        has_more = page.has_more;
        request.from = std::move(page.next);
    }
    co_return Status();
}

Status Kv::Catalog::add(const mvcc::ScanRow& row) {
    const std::string name = row.key.substr(kKeyspacePrefix.size());
    KVSTORE_TRY(KeyspaceInfo info, decode_keyspace(name, row.value));
    replication::Group* const group = kv_.host_.find_group(info.shard);
    if (group == nullptr) {
        return {Code::kCorruption,
                "keyspace '" + name + "' lives in shards/" + std::to_string(info.shard.value()) +
                    ", which is missing; restore the data directory from a backup"};
    }
    // A change that was cut short may have reached the shard alone, and the shard acts on it.
    info.options.history = std::chrono::milliseconds(group->shard().state().history_ms);
    keyspaces_.emplace(name, std::make_shared<Keyspace>(std::move(info), group));
    return {};
}

// Shards of keyspaces whose creation or drop was cut short.
async::Task<Status> Kv::Catalog::remove_unreferenced() {
    std::set<ShardId> referenced{kSystemShard};
    for (const auto& [name, keyspace] : keyspaces_) {
        referenced.insert(keyspace->info().shard);
    }
    for (const replication::ShardDescription& shard : kv_.host_.shards()) {
        if (!referenced.contains(shard.id)) {
            KVSTORE_CO_CHECK_OK(co_await remove_shard(shard));
        }
    }
    co_return Status();
}

// Errors: kCorruption: it is not left over; the catalogue is.
async::Task<Status> Kv::Catalog::remove_shard(replication::ShardDescription shard) {
    // `default` is made at the first start, before anything is written, and never dropped.
    replication::Group* const group = kv_.host_.find_group(shard.id);
    const bool is_catalogue_lost = !keyspaces_.contains("default");
    if (is_catalogue_lost && group->shard().state().revision > Revision()) {
        co_return Status(Code::kCorruption,
                         "the catalogue of keyspaces (shards/1) is empty, though shards/" +
                             std::to_string(shard.id.value()) + " (keyspace '" + shard.keyspace +
                             "') holds data; restore the data directory from a backup");
    }
    log_info("removing a shard that no keyspace refers to",
             {{"shard", shard.id.value()}, {"keyspace", shard.keyspace}});
    const Status dropped = co_await kv_.host_.drop_shard(shard.id);
    if (!dropped.ok()) {
        // It counts for nothing wherever it stands.
        log_warning("a shard that no keyspace refers to could not be removed yet",
                    {{"shard", shard.id.value()}, {"reason", dropped.to_string()}});
    }
    co_return Status();
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
        co_return Status(Code::kUnavailable, "the server is stopping");
    }
    co_await changes_.acquire();
    auto created = co_await create_alone(std::move(name), options);
    changes_.release();
    gate_.leave();
    co_return created;
}

async::Task<Result<KeyspaceInfo>> Kv::Catalog::change(std::string name, KeyspaceChange change) {
    if (!gate_.try_enter()) {
        co_return Status(Code::kUnavailable, "the server is stopping");
    }
    co_await changes_.acquire();
    auto changed = co_await change_alone(std::move(name), change);
    changes_.release();
    gate_.leave();
    co_return changed;
}

async::Task<Status> Kv::Catalog::drop(std::string name) {
    if (!gate_.try_enter()) {
        co_return Status(Code::kUnavailable, "the server is stopping");
    }
    co_await changes_.acquire();
    Status dropped = co_await drop_alone(std::move(name));
    changes_.release();
    gate_.leave();
    co_return dropped;
}

async::Task<Status> Kv::Catalog::write(mvcc::Operation operation) {
    mvcc::Command command;
    command.operations.push_back(operation);
    const auto executed = co_await kv_.execute(CallContext(), system_, &command);
    if (!executed.ok()) {
        co_return executed.status();
    }
    const Status persisted = co_await kv_.host_.persist_shard(kSystemShard);
    if (!persisted.ok()) {
        // The log has it, where there is one.
        log_warning("persisting the catalogue failed", {{"reason", persisted.to_string()}});
    }
    co_return Status();
}

async::Task<Result<ShardId>> Kv::Catalog::take_shard_id() {
    mvcc::Command command;
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kIncrement;
    operation.key = kNextShardKey;
    operation.delta = 1;
    operation.expiry_mode = mvcc::ExpiryMode::kKeep;
    command.operations.push_back(operation);
    auto executed = co_await kv_.execute(CallContext(), system_, &command);
    KVSTORE_CO_TRY(const CommandOutcome outcome, std::move(executed));
    if (outcome.operations.size() != 1 || outcome.operations[0].code != Code::kOk) {
        co_return Status(Code::kCorruption, "the system shard's shard counter is unreadable");
    }
    co_return ShardId(kFirstUserShard + static_cast<std::uint64_t>(outcome.operations[0].number) -
                      1);
}

async::Task<Result<KeyspaceHandle>> Kv::Catalog::create_alone(std::string name,
                                                              KeyspaceOptions options) {
    KVSTORE_CO_CHECK_OK(check_keyspace_name(name));
    KVSTORE_CO_CHECK_OK(check_options(options));
    if (find(name) != nullptr) {
        co_return Status(Code::kAlreadyExists, "keyspace '" + name + "' exists already");
    }
    if (keyspaces_.size() >= count_max_) {
        co_return Status(Code::kOverloaded,
                         "there are " + std::to_string(count_max_) + " keyspaces already");
    }
    auto taken = co_await take_shard_id();
    KVSTORE_CO_TRY(const ShardId shard, std::move(taken));
    KeyspaceInfo info{.name = name, .options = options, .shard = shard};
    // The shard is durable before the record refers to it.
    replication::ShardDescription description;
    description.id = shard;
    description.engine = options.engine;
    description.history_ms = milliseconds(options.history);
    description.keyspace = name;
    auto created = co_await kv_.host_.create_shard(std::move(description));
    KVSTORE_CO_TRY(replication::Group* const group, std::move(created));

    const Bytes key = Bytes(kKeyspacePrefix) + name;
    const Bytes stored = encode_keyspace(info);
    const mvcc::Operation put = put_operation(key, stored);
    const Status written = co_await write(put);
    if (!written.ok()) {
        // Known to have done nothing: the shard goes again. Otherwise the next start decides.
        if (written.effect() == Effect::kNone) {
            (void)co_await kv_.host_.drop_shard(shard);
        }
        co_return written;
    }
    auto handle = std::make_shared<Keyspace>(std::move(info), group);
    keyspaces_.emplace(std::move(name), handle);
    co_return handle;
}

async::Task<Result<KeyspaceInfo>> Kv::Catalog::change_alone(std::string name,
                                                            KeyspaceChange change) {
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
    const Bytes key = Bytes(kKeyspacePrefix) + name;
    const Bytes stored = encode_keyspace(info);
    const mvcc::Operation put = put_operation(key, stored);
    const Status written = co_await write(put);
    if (!written.ok()) {
        co_return change.history ? written.with_unknown_effect() : written;
    }
    handle->info_ = info;
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
    const KeyspaceHandle handle = find(name);
    if (handle == nullptr) {
        co_return Status(Code::kNotFound, "no keyspace '" + name + "'");
    }
    const Bytes key = Bytes(kKeyspacePrefix) + name;
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kDelete;
    operation.key = key;
    KVSTORE_CO_CHECK_OK(co_await write(operation));
    // From here on it is gone: handles that others keep say so.
    keyspaces_.erase(name);
    handle->group_ = nullptr;
    const Status dropped = co_await kv_.host_.drop_shard(handle->info().shard);
    if (!dropped.ok()) {
        log_warning("a dropped keyspace's data could not be removed yet; the next start will",
                    {{"keyspace", name}, {"reason", dropped.to_string()}});
    }
    co_return Status();
}

}  // namespace kvstore::kv
