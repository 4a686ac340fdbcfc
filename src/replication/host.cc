#include "replication/host.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "replication/node_host.h"
#include "replication/shard_folder.h"
#include "wire/raft_messages.h"

namespace kvstore::replication {
namespace {

metrics::Histogram* add_commit_latency(metrics::Registry* registry) {
    if (registry == nullptr) {
        return nullptr;
    }
    return &registry->add_histogram("kvstore_raft_commit_latency_seconds",
                                    "Time from the first proposal of a batch to its commit.",
                                    {},
                                    metrics::Unit::kNanoseconds);
}

Status stopping_status() {
    return {Code::kUnavailable, "the server is stopping"};
}

// Adds the nodes with the group's other members; each once.
void add_members(const RaftGroup& group, NodeId self, std::vector<NodeId>& nodes) {
    const raft::ConfState& members = group.configuration();
    for (const auto* const some : {&members.voters, &members.learners}) {
        for (const NodeId node : *some) {
            if (node != self && std::ranges::find(nodes, node) == nodes.end()) {
                nodes.push_back(node);
            }
        }
    }
}

}  // namespace

NodeHost::NodeHost(env::Env& env, HostOptions options)
    : env_(env),
      options_(std::move(options)),
      notices_(env.clock, *this),
      shared_{.env = env,
              .clock = clock_,
              .self = options_.self,
              .timing = options_.timing,
              .link = options_.transport != nullptr ? this : nullptr,
              .proposal_bytes_max = options_.proposal_bytes_max,
              .commit_latency = add_commit_latency(options_.registry)},
      lsm_(storage::make_lsm_shared(options_.lsm)),
      routes_(RouteShared{.env = env,
                          .transport = options_.transport,
                          .self = options_.self,
                          .locate = std::move(options_.locate),
                          .bytes_max = options_.proposal_bytes_max}),
      fenced_(env.disk),
      gate_(env.scheduler),
      tick_gate_(env.scheduler) {
    if (options_.transport != nullptr) {
        StateOwner& owner = *this;
        exchange_.emplace(env, owner, *options_.transport, options_.self);
        digests_.emplace(
            env, *options_.transport, options_.self, options_.registry, [this](ShardId shard) {
                return find_raft_group(shard);
            });
        options_.transport->add_service(wire::kRaftTopic, this);
        WatchedNodes& watched = *this;
        watch_.emplace(*options_.transport, watched, options_.timing.election_ticks);
    }
    if (options_.registry != nullptr) {
        damaged_count_ = &options_.registry->add_gauge(
            "kvstore_replication_damaged_replicas",
            "Replicas of this node that take no part, since they are damaged.");
        asleep_count_ = &options_.registry->add_gauge("kvstore_raft_groups_asleep",
                                                      "Replicas here whose idle groups sleep.");
        log_full_ = &options_.registry->add_gauge(
            "kvstore_wal_disk_full", "1 while the disk has no room for the log, else 0.");
    }
}

std::vector<ShardId> NodeHost::shard_ids() const {
    std::vector<ShardId> ids;
    ids.reserve(replicas_.size());
    for (const auto& [id, replica] : replicas_) {
        ids.push_back(id);
    }
    return ids;
}

std::vector<ShardDescription> NodeHost::shards() const {
    std::vector<ShardDescription> descriptions;
    descriptions.reserve(replicas_.size());
    for (const auto& [id, replica] : replicas_) {
        descriptions.push_back(replica.description);
    }
    return descriptions;
}

// ---- shards come and go ----

async::Task<Result<Group*>> NodeHost::create_shard(ShardDescription description) {
    if (!gate_.try_enter()) {
        co_return stopping_status();
    }
    auto created = co_await create_shard_inside(std::move(description));
    gate_.leave();
    co_return created;
}

async::Task<Result<Group*>> NodeHost::create_shard_inside(ShardDescription description) {
    KVSTORE_CO_CHECK_OK(retired_);
    if (replicas_.contains(description.id) || fenced_.contains(description.id)) {
        co_return Status(Code::kAlreadyExists,
                         "shard " + std::to_string(description.id.value()) + " exists already");
    }
    const ShardId id = description.id;
    if (half_made_.contains(id)) {
        // It never took part, so no promise is forgotten with it.
        KVSTORE_CO_CHECK_OK(co_await remove_shard_folder(&env_.disk, id));
        half_made_.erase(id);
    }
    const Status made = co_await create_shard_folder(&env_.disk, description);
    if (!made.ok()) {
        if (made.code() != Code::kAlreadyExists) {
            half_made_.insert(id);
        }
        co_return made;
    }
    auto opened = co_await open_group(description);
    if (!opened.ok()) {
        half_made_.insert(id);
        co_return opened.status();
    }
    std::unique_ptr<RaftGroup> group = *std::move(opened);
    RaftGroup* const raw = group.get();
    KVSTORE_ASSERT(!replicas_.contains(id));
    add(std::move(description), std::move(group));
    Status begun = retired_;
    if (begun.ok()) {
        begun = co_await raw->begin();
    }
    if (begun.ok()) {
        routes_.attach(id, raw);
        begun = co_await raw->wait_caught_up();
    }
    if (!begun.ok()) {
        routes_.detach(id);
        (void)co_await raw->abandon();
        // What it appended may still be on its way, and the log calls back.
        closed_.push_back(std::move(replicas_.extract(id).mapped()));
        co_return begun;
    }
    replicas_.at(id).maintenance->start();
    co_return &routes_.route(id);
}

void NodeHost::retire(const Status& why) {
    retired_ = why;
    for (const ShardId shard : shard_ids()) {
        replicas_.at(shard).group->retire(why);
    }
}

async::Task<Status> NodeHost::drop_shard(ShardId shard) {
    if (!gate_.try_enter()) {
        co_return stopping_status();
    }
    Status dropped = co_await drop_shard_inside(shard);
    gate_.leave();
    co_return dropped;
}

async::Task<Status> NodeHost::drop_shard_inside(ShardId shard) {
    if (fenced_.contains(shard)) {
        co_return co_await drop_fenced(shard);
    }
    auto node = replicas_.extract(shard);
    if (node.empty()) {
        co_return Status(Code::kNotFound, "no shard " + std::to_string(shard.value()));
    }
    Replica replica = std::move(node.mapped());
    routes_.detach(shard);
    replica.maintenance->request_stop();
    const Status closed = co_await replica.group->abandon();
    if (!closed.ok()) {
        log_warning("closing a dropped shard failed", {{"reason", closed.to_string()}});
    }
    co_await replica.maintenance->stop();
    Status removed = co_await remove_dropped(shard);
    if (!removed.ok()) {
        closed_.push_back(std::move(replica));
    }
    co_return removed;
}

// In an order in which a crash leaves either the folder with all that the log has for it, or a
// folder that counts for nothing.
async::Task<Status> NodeHost::remove_dropped(ShardId shard) {
    KVSTORE_CO_CHECK_OK(co_await mark_shard_folder_dropped(&env_.disk, shard));
    if (shared_.wal != nullptr) {
        KVSTORE_CO_CHECK_OK(shared_.wal->drop(GroupId(shard.value())));
    }
    const Status removed = co_await remove_shard_folder(&env_.disk, shard);
    if (!removed.ok()) {
        log_warning("the folder of a dropped shard could not be removed; the next start will",
                    {{"shard", shard.value()}, {"reason", removed.to_string()}});
    }
    co_return Status();
}
// ---- peers ----

void NodeHost::send_now(const raft::Message& message) {
    Bytes* const buffer = options_.transport->message_buffer(message.to, wire::kRaftTopic);
    if (buffer != nullptr) {
        wire::encode_raft_message(message, *buffer);
    }
}

void NodeHost::send_snapshot(RaftGroup& group, const raft::Message& message) {
    exchange_->send(ShardId(group.id().value()), message.to);
}

void NodeHost::on_messages(NodeId from, rpc::Received messages) {
    inbox_.clear();
    const Status decoded =
        wire::decode_raft_messages(messages.owner, messages.bytes, from, options_.self, inbox_);
    if (!decoded.ok()) {
        log_warning("messages of a peer could not be read; they are dropped",
                    {{"from", from.value()}, {"reason", decoded.to_string()}});
        return;
    }
    for (raft::Message& message : inbox_) {
        const auto found = replicas_.find(ShardId(message.group.value()));
        // States come as streams; a message alone has none.
        if (found != replicas_.end() && message.kind != raft::MessageKind::kSnapshot) {
            found->second.group->step(std::move(message));
        }
    }
}

void NodeHost::on_call(NodeId /*from*/, rpc::Received /*request*/, rpc::Responder responder) {
    responder.fail({Code::kUnimplemented, "replication takes no calls"});
}

async::Task<Result<Bytes>> NodeHost::on_stream(NodeId from,
                                               Bytes header,
                                               std::unique_ptr<rpc::IncomingStream> stream) {
    co_return co_await exchange_->receive(from, std::move(header), std::move(stream));
}

void NodeHost::on_peer_state(NodeId peer, bool is_connected) {
    for (auto& [id, replica] : replicas_) {
        replica.group->on_peer_state(peer, is_connected);
    }
}

RaftGroup* NodeHost::find_replica(ShardId shard, ShardDescription* description) {
    const auto found = replicas_.find(shard);
    if (found == replicas_.end()) {
        return nullptr;
    }
    *description = found->second.description;
    return found->second.group.get();
}

// ---- upkeep ----

async::Task<void> NodeHost::tick_loop() {
    while (!is_ticking_over_) {
        co_await env_.clock.sleep(options_.timing.tick);
        tick();
    }
}

// All groups in one turn, so that what they say to a node leaves in one message.
void NodeHost::tick() {
    look_for_room();
    std::vector<NodeId> asleep_with;
    std::int64_t asleep = 0;
    for (auto& [id, replica] : replicas_) {
        replica.group->tick();
        if (replica.group->is_asleep()) {
            ++asleep;
            add_members(*replica.group, options_.self, asleep_with);
        }
    }
    fence_quarantined();
    if (watch_) {
        watch_->tick(asleep_with,
                     {.incarnation = shared_.incarnation, .withdrawals = shared_.withdrawals});
    }
    if (asleep_count_ != nullptr) {
        asleep_count_->set(asleep);
        log_full_->set(is_log_full_ ? 1 : 0);
    }
    routes_.tick();
}

void NodeHost::look_for_room() {
    if (is_log_full_ == shared_.is_log_full()) {
        return;
    }
    is_log_full_ = !is_log_full_;
    if (is_log_full_) {
        log_warning(
            "the disk has no room for the log; this node takes no writes and leads nothing "
            "that another node can lead, until there is room",
            {{"node", options_.self.value()}});
    } else {
        log_info("the disk has room for the log again", {{"node", options_.self.value()}});
    }
}

void NodeHost::on_node_silent(NodeId peer) {
    for (auto& [id, replica] : replicas_) {
        replica.group->on_node_silent(peer);
    }
}

void NodeHost::on_node_changed(NodeId peer) {
    for (auto& [id, replica] : replicas_) {
        replica.group->on_node_changed(peer);
    }
}

async::Task<void> NodeHost::release_loop() {
    MonotonicTime next = env_.clock.now() + kReleaseInterval;
    while (!is_stopping_) {
        co_await env_.clock.sleep(std::chrono::milliseconds(100));
        if (env_.clock.now() < next) {
            continue;
        }
        next = env_.clock.now() + kReleaseInterval;
        for (auto& [id, replica] : replicas_) {
            replica.group->release_log();
        }
        shorten_log();
        count_damaged();
    }
}

void NodeHost::count_damaged() {
    if (damaged_count_ != nullptr) {
        damaged_count_->set(static_cast<std::int64_t>(damaged().size()));
    }
}

// One shard after the other: nothing waits for it.
async::Task<void> NodeHost::digest_loop() {
    MonotonicTime next = env_.clock.now() + options_.digest_interval;
    while (!is_stopping_) {
        co_await env_.clock.sleep(std::chrono::milliseconds(100));
        if (env_.clock.now() < next) {
            continue;
        }
        for (const ShardId id : shard_ids()) {
            if (!is_stopping_) {
                co_await digests_->check(id);
            }
        }
        next = env_.clock.now() + options_.digest_interval;
    }
}

// The shard to persist is the one that keeps the oldest segment, however little it has written
// since: a busy shard persisting again and again would free nothing.
void NodeHost::shorten_log() {
    if (shared_.wal == nullptr || wal_->statistics().segment_count <= options_.log_segments_max) {
        return;
    }
    const std::optional<GroupId> laggard = wal_->find_laggard();
    if (!laggard) {
        return;
    }
    const auto found = replicas_.find(ShardId(laggard->value()));
    if (found != replicas_.end()) {
        found->second.maintenance->request_snapshot();
    } else if (fenced_.contains(ShardId(laggard->value())) &&
               wal_->statistics().segment_count > kFencedSegments * options_.log_segments_max) {
        // Its entries are kept for people, but not at any price.
        log_warning("the log entries of a damaged replica are given up, for the log is long",
                    {{"shard", laggard->value()}});
        const Status dropped = wal_->drop(*laggard);
        if (!dropped.ok()) {
            log_warning("the log did not take it", {{"reason", dropped.to_string()}});
        }
    }
}

async::Task<Status> NodeHost::persist_shard(ShardId shard) {
    const auto found = replicas_.find(shard);
    if (found == replicas_.end()) {
        co_return Status(Code::kNotFound, "no shard " + std::to_string(shard.value()));
    }
    RaftGroup* const group = found->second.group.get();
    if (!group->gate().try_enter()) {
        co_return stopping_status();
    }
    Status persisted = co_await group->persist();
    group->gate().leave();
    co_return persisted;
}

async::Task<Status> NodeHost::persist_all() {
    if (!gate_.try_enter()) {
        co_return stopping_status();
    }
    Status persisted = co_await persist_every();
    gate_.leave();
    co_return persisted;
}

async::Task<Status> NodeHost::persist_every() {
    Status first;
    for (const ShardId id : shard_ids()) {
        if (!replicas_.contains(id)) {
            continue;  // dropped meanwhile
        }
        const Status persisted = co_await persist_shard(id);
        if (!persisted.ok() && first.ok()) {
            first = persisted;
        }
    }
    co_return first;
}

async::Task<Status> NodeHost::compact_all() {
    if (!gate_.try_enter()) {
        co_return stopping_status();
    }
    Status compacted = co_await compact_every();
    gate_.leave();
    co_return compacted;
}

async::Task<Status> NodeHost::compact_every() {
    KVSTORE_CO_CHECK_OK(co_await persist_every());
    Status first;
    for (const ShardId id : shard_ids()) {
        const auto found = replicas_.find(id);
        if (found == replicas_.end() || !found->second.group->gate().try_enter()) {
            continue;
        }
        RaftGroup* group = found->second.group.get();
        const Status compacted = co_await group->engine().compact();
        group->gate().leave();
        if (!compacted.ok() && first.ok()) {
            first = compacted;
        }
    }
    co_return first;
}

std::uint64_t NodeHost::now_ms() {
    // Never behind a stamp that was given: what has expired for a write has expired for a read.
    return std::max(to_unix_ms(env_.clock.wall_now()), clock_.last().milliseconds());
}

std::uint64_t NodeHost::memory_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [id, replica] : replicas_) {
        if (replica.description.engine == EngineKind::kMemory) {
            bytes += replica.group->engine().statistics().memory_bytes;
        }
    }
    return bytes;
}

std::vector<ShardStatistics> NodeHost::statistics() {
    std::vector<ShardStatistics> all;
    all.reserve(replicas_.size());
    for (auto& [id, replica] : replicas_) {
        const storage::Engine& engine = replica.group->engine();
        const std::optional<raft::NodeStatus> raft = replica.group->raft_status();
        all.push_back({.description = replica.description,
                       .state = replica.group->shard().state(),
                       .applied = replica.group->shard().applied_index(),
                       .durable = engine.durable_index(),
                       .engine = engine.statistics(),
                       .health = replica.group->health(),
                       .leader = replica.group->leader(),
                       .voters = replica.group->configuration().voters,
                       .learners = replica.group->configuration().learners,
                       .elections_won = raft ? raft->counters.elections_won : 0});
    }
    return all;
}

async::Task<Status> NodeHost::stop() {
    is_stopping_ = true;
    routes_.refuse();
    for (auto& [id, replica] : replicas_) {
        replica.group->refuse_proposals();
        replica.maintenance->request_stop();
    }
    if (exchange_) {
        co_await exchange_->stop();
    }
    co_await gate_.close();
    Status first;
    const auto note = [&first](const Status& status) {
        if (!status.ok() && first.ok()) {
            first = status;
        }
    };
    // Without a log, what was applied is durable only by persisting it now.
    if (is_recovered_ && shared_.wal == nullptr) {
        const Status persisted = co_await persist_every();
        note(persisted);
    }
    for (auto& [id, replica] : replicas_) {
        // A snapshot under way is cut short: the log has what it would hold. What was replayed of a
        // log that turned out unreadable is not committed.
        async::Task<Status> stopping =
            is_recovered_ ? replica.group->stop() : replica.group->abandon();
        const Status stopped = co_await std::move(stopping);
        note(stopped);
        co_await replica.maintenance->stop();
    }
    const async::Deadline soon = async::Deadline::after(env_.clock.now(), kForwardsPatience);
    co_await routes_.finish(soon);
    is_ticking_over_ = true;
    co_await tick_gate_.close();
    notices_.stop();
    if (wal_) {
        const Status stopped = co_await wal_->stop();
        note(stopped);
    }
    co_return first;
}

async::Task<Result<std::unique_ptr<Host>>> Host::open(env::Env* env, HostOptions options) {
    auto host = std::make_unique<NodeHost>(*env, std::move(options));
    const Status recovered = co_await host->recover();
    if (!recovered.ok()) {
        (void)co_await host->stop();
        co_return recovered;
    }
    co_return std::unique_ptr<Host>(std::move(host));
}

}  // namespace kvstore::replication
