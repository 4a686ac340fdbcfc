#include "server/node.h"

#include <algorithm>
#include <utility>

#include "base/build_info.h"
#include "base/log.h"
#include "server/advertised.h"

namespace kvstore::server {
namespace {

replication::HostOptions host_options(const Config& config, metrics::Registry& registry) {
    replication::HostOptions options;
    options.registry = &registry;
    options.wal.durability = config.durability;
    options.wal.segment_bytes = config.wal_segment_bytes;
    options.snapshot_interval = config.snapshot_interval;
    options.lsm.cache_bytes = config.lsm_cache_bytes;
    options.lsm.write_buffer_bytes = config.lsm_write_buffer_bytes;
    options.compression = config.lsm_compression;
    options.proposal_bytes_max = config.proposal_bytes_max;
    return options;
}

kv::Kv::Options kv_options(const Config& config) {
    kv::Kv::Options options;
    options.limits = config.limits;
    options.defaults.replication_factor = config.replication_factor;
    options.defaults.engine = config.default_engine;
    options.defaults.history = config.default_history;
    options.replace_after =
        std::chrono::duration_cast<std::chrono::milliseconds>(config.replace_after);
    return options;
}

}  // namespace

Node::Node(StartKey /*key*/, env::Env& env, Config config)
    : env_(env), config_(std::move(config)), gate_(env.scheduler), started_(env.clock.now()) {}

Node::~Node() = default;

async::Task<Result<std::unique_ptr<Node>>> Node::start(env::Env* env,
                                                       Config config,
                                                       Callback<void()> on_shutdown) {
    auto node = std::make_unique<Node>(StartKey(), *env, std::move(config));
    const Status opened = co_await node->open(std::move(on_shutdown));
    if (!opened.ok()) {
        (void)co_await node->stop();
        co_return opened;
    }
    co_return node;
}

async::Task<Status> Node::open(Callback<void()> on_shutdown) {
    KVSTORE_CO_CHECK_OK(check_config(config_));
    KVSTORE_CO_CHECK_OK(co_await open_storage());
    // What connects meanwhile is accepted when this turn has ended: then the front ends are there.
    KVSTORE_CO_CHECK_OK(listen());
    if (cluster_ != nullptr) {
        cluster::NodeFacts facts;
        const NodeAddresses told = advertised();
        facts.http_address = told.http.to_string();
        facts.grpc_address = told.grpc.to_string();
        facts.resp_address = told.resp.to_string();
        cluster_->start(*host_, *kv_, std::move(facts));
        co_await cluster_->wait_founded();
    }
    make_front_ends(std::move(on_shutdown));
    add_metrics();
    if (config_.performance_log_interval.count() > 0) {
        gate_.spawn(performance_loop());
    }
    log_info("ready",
             {{"node", config_.id},
              {"http", http_listener_->local().to_string()},
              {"resp", resp_listener_->local().to_string()},
              {"durability", durability_name(config_.durability)}});
    co_return Status();
}

// Without a log nothing can be replicated truthfully.
bool Node::is_alone() const {
    return config_.alone || config_.durability == storage::Durability::kMemory;
}

async::Task<Status> Node::open_storage() {
    FreshIdentity fresh;
    fresh.store = env_.entropy.next() | 1U;  // 0 means "not known"
    const bool begins_alone =
        config_.join.empty() && config_.peers.empty() && config_.initial_cluster.empty();
    if (begins_alone) {
        fresh.cluster_id = env_.entropy.next() | 1U;
        fresh.number = NodeId(1);
        const std::vector<cluster::Founder> founders{{.number = fresh.number,
                                                      .name = config_.id,
                                                      .address = config_.peer_addr,
                                                      .store = fresh.store}};
        fresh.founding = cluster::encode_founding(founders);
    }
    auto opened = co_await open_data_directory(&env_.disk, config_.id, std::move(fresh));
    KVSTORE_CO_TRY(directory_, std::move(opened));
    replication::HostOptions options = host_options(config_, registry_);
    options.self = directory_.number;
    if (!is_alone()) {
        auto joined = co_await ClusterNode::open(&env_, &config_, &directory_, &registry_);
        KVSTORE_CO_TRY(cluster_, std::move(joined));
        options.self = cluster_->self();
        options.transport = &cluster_->transport();
        options.has_others = cluster_->has_others();
        options.locate = [this](ShardId shard) {
            return cluster_->locate(shard);
        };
    }
    auto host = co_await replication::Host::open(&env_, std::move(options));
    KVSTORE_CO_TRY(host_, std::move(host));
    kv::Kv::Options store_options = kv_options(config_);
    store_options.cluster.self = directory_.number;
    store_options.cluster_id = cluster_id_of(directory_.cluster_id);
    if (cluster_ != nullptr) {
        KVSTORE_CO_CHECK_OK(co_await cluster_->begin(host_.get()));
        store_options.cluster.directory = &cluster_->directory();
        store_options.cluster.judge = cluster_.get();
    }
    auto kv = co_await kv::Kv::open(&env_, host_.get(), std::move(store_options));
    KVSTORE_CO_TRY(kv_, std::move(kv));
    co_return Status();
}

kv::Administration& Node::administration() {
    if (cluster_ != nullptr) {
        return cluster_->administration();
    }
    if (alone_ == nullptr) {
        cluster::NodeRecord self;
        self.id = directory_.number;
        self.name = config_.id;
        self.store = directory_.store;
        self.zone = config_.zone;
        self.http_address = http_listener_->local().to_string();
        self.grpc_address = grpc_listener_->local().to_string();
        self.resp_address = resp_listener_->local().to_string();
        alone_ = std::make_unique<kv::AloneAdministration>(*kv_, std::move(self));
    }
    return *alone_;
}

void Node::make_front_ends(Callback<void()> on_shutdown) {
    rest::NodeFacts facts;
    facts.node_id = directory_.node_id;
    facts.cluster_id = directory_.cluster_id;
    facts.version = build_info().version;
    facts.durability = durability_name(config_.durability);
    const NodeAddresses told = advertised();
    facts.http_address = told.http.to_string();
    facts.grpc_address = told.grpc.to_string();
    facts.resp_address = told.resp.to_string();
    facts.started = started_;
    rest_ = std::make_unique<rest::RestService>(
        *kv_, registry_, std::move(facts), [this] { return ready_checks(); }, administration());

    http::ServerOptions http_options;
    http_options.connections_max = config_.connections_max;
    http_options.body_timeout = config_.request_timeout;
    http_options.header_timeout = std::min(http_options.header_timeout, config_.request_timeout);
    http_ = std::make_unique<http::Server>(env_, *rest_, http_options);

    resp::Options resp_options;
    resp_options.connections_max = config_.connections_max;
    resp_options.request_timeout = config_.request_timeout;
    resp_options.durability = durability_name(config_.durability);
    resp_options.port = resp_listener_->local().port;
    resp_options.on_shutdown = std::move(on_shutdown);
    resp_ = std::make_unique<resp::RespServer>(*kv_, std::move(resp_options), registry_);
}

Status Node::listen() {
    // A node that waits for its cluster turns clients away.
    using Handler = std::unique_ptr<env::ConnectionHandler>;
    const auto accept_http = [this](env::Connection& connection) {
        return http_ != nullptr ? http_->accept(connection) : Handler();
    };
    const auto accept_resp = [this](env::Connection& connection) {
        return resp_ != nullptr ? resp_->accept(connection) : Handler();
    };
    KVSTORE_TRY(resp_listener_, env_.network.listen(config_.resp_addr, accept_resp));
    KVSTORE_TRY(http_listener_, env_.network.listen(config_.http_addr, accept_http));
    // HTTP answers on the gRPC port too.
    KVSTORE_TRY(grpc_listener_, env_.network.listen(config_.grpc_addr, accept_http));
    return {};
}

NodeAddresses Node::addresses() const {
    return {.http = http_listener_->local(),
            .grpc = grpc_listener_->local(),
            .resp = resp_listener_->local(),
            .peer = cluster_ != nullptr ? cluster_->peer_address() : env::Address{}};
}

NodeAddresses Node::advertised() const {
    const NodeAddresses listening = addresses();
    const env::Address peer =
        cluster_ != nullptr ? cluster_->advertised() : advertised_peer(config_, config_.peer_addr);
    return {.http = advertised_to_clients(config_.advertise_http, listening.http, peer),
            .grpc = advertised_to_clients(config_.advertise_grpc, listening.grpc, peer),
            .resp = advertised_to_clients(config_.advertise_resp, listening.resp, peer),
            .peer = peer};
}

// What is wrong with replicas that this node does without: it serves their shards through others.
Status Node::fenced_replicas() {
    constexpr std::size_t kShownMax = 3;
    std::size_t count = 0;
    std::string shown;
    for (const replication::DamagedReplica& damaged : host_->damaged()) {
        if (host_->find_raft_group(damaged.shard) != nullptr) {
            continue;  // it is nowhere else: a matter of `shards`
        }
        if (++count <= kShownMax) {
            shown += "; shard " + std::to_string(damaged.shard.value()) + ": " +
                     std::string(damaged.why.message());
        }
    }
    if (count == 0) {
        return {};
    }
    return {Code::kCorruption,
            std::to_string(count) + " damaged, to be made anew from other nodes" + shown};
}

std::vector<rest::ReadyCheck> Node::ready_checks() {
    Status shards;
    for (const replication::ShardStatistics& shard : host_->statistics()) {
        if (!shard.health.ok()) {
            shards =
                shard.health.with_context("shard " + std::to_string(shard.description.id.value()));
        }
    }
    const Status serving =
        is_stopping_ ? Status(Code::kUnavailable, "the server is stopping") : Status();
    std::vector<rest::ReadyCheck> checks{
        {.name = "serving", .status = serving},
        {.name = "shards", .status = shards},
        {.name = "log", .status = host_->log_health()},
        {.name = "replicas", .status = fenced_replicas(), .is_warning = true}};
    if (cluster_ != nullptr) {
        checks.push_back({.name = "membership", .status = cluster_->standing()});
    }
    return checks;
}

void Node::add_metrics() {
    const BuildInfo& build = build_info();
    registry_
        .add_gauge("kvstore_build_info",
                   "1; the labels say what was built.",
                   {{"version", std::string(build.version)},
                    {"commit", std::string(build.git_commit)},
                    {"compiler", std::string(build.compiler)}})
        .set(1);
    const auto wal_counter = [this](std::string_view name,
                                    std::string_view help,
                                    std::uint64_t storage::WalStatistics::* field) {
        registrations_.push_back(registry_.add_counter_callback(name, help, {}, [this, field] {
            return static_cast<double>(host_->wal_statistics().*field);
        }));
    };
    wal_counter("kvstore_wal_records_total",
                "Group commits written to the log.",
                &storage::WalStatistics::record_count);
    wal_counter("kvstore_wal_bytes_written_total",
                "Bytes written to the log.",
                &storage::WalStatistics::bytes_written);
    wal_counter("kvstore_wal_syncs_total",
                "Times the log was made durable.",
                &storage::WalStatistics::sync_count);
    // Every entry of the log is one command of a shard.
    wal_counter("kvstore_storage_operations_total",
                "Commands that the shards of this node took.",
                &storage::WalStatistics::entry_count);
    registrations_.push_back(registry_.add_gauge_callback(
        "kvstore_http_connections_open", "Connections of HTTP clients now.", {}, [this] {
            return static_cast<double>(http_->statistics().connection_count);
        }));
    registrations_.push_back(registry_.add_counter_callback(
        "kvstore_http_refused_total",
        "Requests and connections that were malformed, too large, too slow or too many.",
        {},
        [this] { return static_cast<double>(http_->statistics().refused_count); }));
    registrations_.push_back(
        registry_.add_counter_callback("kvstore_raft_leader_elections_total",
                                       "Elections that a replica of this node won.",
                                       {},
                                       [this] {
                                           double won = 0;
                                           for (const auto& shard : host_->statistics()) {
                                               won += static_cast<double>(shard.elections_won);
                                           }
                                           return won;
                                       }));
    registrations_.push_back(registry_.add_gauge_callback(
        "kvstore_storage_compaction_duration_seconds",
        "Time spent compacting the engines' files since the start.",
        {},
        [this] {
            double seconds = 0;
            for (const replication::ShardStatistics& shard : host_->statistics()) {
                seconds += static_cast<double>(shard.engine.compaction_nanoseconds) / 1e9;
            }
            return seconds;
        }));
    registrations_.push_back(
        registry_.add_gauge_callback("kvstore_storage_keys", "Keys in all keyspaces.", {}, [this] {
            double keys = 0;
            for (const kv::KeyspaceStatistics& keyspace : kv_->statistics()) {
                keys += static_cast<double>(keyspace.shard.state.key_count);
            }
            return keys;
        }));
}

// "Monitor the performance via logs": a line now and then, when there was something to tell.
async::Task<void> Node::performance_loop() {
    constexpr Duration kNap = std::chrono::milliseconds(100);
    std::uint64_t entries_before = 0;
    MonotonicTime before = env_.clock.now();
    while (!is_stopping_) {
        co_await env_.clock.sleep(kNap);
        const Duration span = env_.clock.now() - before;
        if (span < config_.performance_log_interval) {
            continue;
        }
        const storage::WalStatistics wal = host_->wal_statistics();
        const std::uint64_t entries = wal.entry_count - entries_before;
        if (entries > 0) {
            const double seconds = std::chrono::duration<double>(span).count();
            log_info("performance",
                     {{"writes_per_second", static_cast<double>(entries) / seconds},
                      {"log_bytes", wal.bytes_written},
                      {"log_syncs", wal.sync_count}});
        }
        entries_before = wal.entry_count;
        before = env_.clock.now();
    }
}

async::Task<Status> Node::stop() {
    is_stopping_ = true;
    if (cluster_) {
        co_await cluster_->give_leaders_away();
    }
    http_listener_.reset();
    grpc_listener_.reset();
    resp_listener_.reset();
    co_await gate_.close();
    if (resp_) {
        co_await resp_->stop();
    }
    if (http_) {
        co_await http_->stop();
    }
    registrations_.clear();
    if (cluster_) {
        co_await cluster_->stop_cluster();
    }
    if (kv_) {
        co_await kv_->stop();
    }
    Status stopped;
    if (host_) {
        stopped = co_await host_->stop();
    }
    if (cluster_) {
        co_await cluster_->stop_transport();
    }
    co_return stopped;
}

}  // namespace kvstore::server
