#include "kv/kv.h"

#include <algorithm>
#include <utility>

#include "async/sync.h"
#include "base/log.h"
#include "kv/catalog.h"
#include "kv/inside.h"

namespace kvstore::kv {
namespace {

Status check_configured(const Limits& limits) {
    if (limits.key_bytes_max == 0 || limits.key_bytes_max > mvcc::kKeyBytesMax) {
        return {Code::kInvalidArgument,
                "limits.key_bytes_max is 1 to " + std::to_string(mvcc::kKeyBytesMax)};
    }
    if (limits.value_bytes_max == 0 || limits.value_bytes_max > mvcc::kValueBytesMax) {
        return {Code::kInvalidArgument,
                "limits.value_bytes_max is 1 to " + std::to_string(mvcc::kValueBytesMax)};
    }
    if (limits.scan_rows_max == 0) {
        return {Code::kInvalidArgument, "limits.scan_rows_max is at least 1"};
    }
    return {};
}

}  // namespace

std::optional<Consistency> parse_consistency(std::string_view text) {
    if (text == "linearizable" || text == "strong") {
        return Consistency::kLinearizable;
    }
    if (text == "causal") {
        return Consistency::kCausal;
    }
    if (text == "bounded") {
        return Consistency::kBounded;
    }
    if (text == "eventual") {
        return Consistency::kEventual;
    }
    return std::nullopt;
}

std::string_view consistency_name(Consistency consistency) {
    switch (consistency) {
        case Consistency::kLinearizable: return "linearizable";
        case Consistency::kCausal: return "causal";
        case Consistency::kBounded: return "bounded";
        case Consistency::kEventual: return "eventual";
    }
    return "linearizable";
}

OwnedRecord OwnedRecord::copy_of(const mvcc::Record& record) {
    OwnedRecord owned{.value = Bytes(record.value), .record = record};
    owned.record.value = {};
    return owned;
}

Kv::Kv(OpenKey /*key*/, env::Env& env, replication::Host& host, Options options)
    : env_(env), host_(host), options_(std::move(options)), gate_(env.scheduler) {}

Kv::~Kv() {
    env_.clock.cancel_timer(memory_timer_);
}

async::Task<Result<std::unique_ptr<Kv>>> Kv::open(env::Env* env,
                                                  replication::Host* host,
                                                  Options options) {
    KVSTORE_CO_CHECK_OK(check_configured(options.limits));
    auto kv = std::make_unique<Kv>(OpenKey(), *env, *host, std::move(options));
    const Status opened = co_await kv->open_catalog();
    if (!opened.ok()) {
        co_return opened;
    }
    co_return kv;
}

async::Task<Status> Kv::open_catalog() {
    catalog_ = std::make_unique<Catalog>(*this);
    host_.set_ask_server(this);
    KVSTORE_CO_CHECK_OK(co_await catalog_->load());
    if (is_alone() && default_ == nullptr) {
        std::vector<Bytes> unsplit;
        const auto created =
            co_await catalog_->create("default", options_.defaults, std::move(unsplit));
        if (!created.ok()) {
            co_return created.status();
        }
    }
    if (options_.limits.memory_bytes_max != 0) {
        check_memory();
    }
    co_return Status();
}

void Kv::exclude(Status why) {
    exclusion_ = std::move(why);
    host_.retire(exclusion_);
}

async::Task<void> Kv::stop() {
    env_.clock.cancel_timer(memory_timer_);
    // First, since its changes are made of what the gate would refuse.
    co_await catalog_->stop();
    host_.set_ask_server(nullptr);
    co_await gate_.close();
}

// ---- keyspaces ----

cluster::MetadataStore& Kv::metadata() {
    return catalog_->store();
}

async::Task<Status> Kv::found_cluster(std::vector<cluster::NodeRecord> nodes,
                                      std::vector<NodeId> voters) {
    const Status founded = co_await catalog_->found(std::move(nodes), std::move(voters));
    if (!founded.ok() && founded.code() != Code::kAlreadyExists) {
        co_return founded;
    }
    // Whoever founded it may have died before it made `default`.
    const auto created = co_await ensure_keyspace(CallContext(), "default");
    co_return created.status();
}

KeyspaceHandle Kv::find_keyspace(std::string_view name) const {
    return catalog_->find(name);
}

std::vector<KeyspaceInfo> Kv::keyspaces() const {
    return catalog_->list();
}

async::Task<Result<KeyspaceHandle>> Kv::create_keyspace(CallContext /*context*/,
                                                        std::string name,
                                                        KeyspaceOptions options,
                                                        std::vector<Bytes> split_at) {
    co_return co_await catalog_->create(std::move(name), options, std::move(split_at));
}

async::Task<Result<KeyspaceHandle>> Kv::ensure_keyspace(CallContext /*context*/, std::string name) {
    KeyspaceHandle found = catalog_->find(name);
    if (found != nullptr) {
        co_return found;
    }
    std::vector<Bytes> unsplit;
    auto created = co_await catalog_->create(name, options_.defaults, std::move(unsplit));
    if (!created.ok() && created.status().code() == Code::kAlreadyExists) {
        // Somebody else made it while this call waited for its turn.
        found = catalog_->find(name);
        if (found != nullptr) {
            co_return found;
        }
    }
    co_return created;
}

async::Task<Result<KeyspaceInfo>> Kv::change_keyspace(CallContext /*context*/,
                                                      std::string name,
                                                      KeyspaceChange change) {
    co_return co_await catalog_->change(std::move(name), change);
}

async::Task<Status> Kv::drop_keyspace(CallContext /*context*/, std::string name) {
    co_return co_await catalog_->drop(std::move(name));
}

// ---- plain calls ----

storage::Lookup Kv::find(Keyspace& keyspace, ByteView key, mvcc::Record* record) {
    // What does not answer is told by get().
    if (keyspace.is_dropped() || gate_.is_closing() || !exclusion_.ok()) {
        return storage::Lookup::kMustLoad;
    }
    replication::Group& group = keyspace.shard_of(key)->group();
    return group.can_read_now() ? group.shard().find(key, host_.now_ms(), record)
                                : storage::Lookup::kMustLoad;
}

void Kv::check_memory() {
    const std::uint64_t bytes = host_.memory_bytes();
    const bool is_full = bytes >= options_.limits.memory_bytes_max;
    if (is_full != is_memory_full_) {
        is_memory_full_ = is_full;
        log_warning(
            is_full ? "memory is full: writes that add data are refused" : "memory has room again",
            {{"bytes", bytes}, {"limits.memory_bytes_max", options_.limits.memory_bytes_max}});
    }
    memory_timer_ =
        env_.clock.start_timer(env_.clock.now() + kMemoryCheckInterval, [this] { check_memory(); });
}

}  // namespace kvstore::kv
