// The host, as the files that make it up see it: host.cc (shards come and go, peers, upkeep, the
// end), host_recovery.cc (the start), host_damage.cc (replicas that cannot be trusted).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "async/sync.h"
#include "replication/fenced_replicas.h"
#include "replication/host.h"
#include "replication/strong/commit_notices.h"
#include "replication/strong/digest_checks.h"
#include "replication/strong/maintenance.h"
#include "replication/strong/node_watch.h"
#include "replication/strong/raft_group.h"
#include "replication/strong/routes.h"
#include "replication/strong/state_exchange.h"
#include "wire/topics.h"

namespace kvstore::replication {

inline constexpr std::string_view kWalFolder = "wal";

struct Replica {
    ShardDescription description;
    std::unique_ptr<RaftGroup> group;
    std::unique_ptr<Maintenance> maintenance;
};

// Lifetime  As Host.
// Runs on   One core.
class NodeHost final : public Host,
                       private RaftLink,
                       private MessageSink,
                       private StateOwner,
                       private WatchedNodes,
                       private rpc::Service {
public:
    NodeHost(env::Env& env, HostOptions options);

    async::Task<Status> recover();

    Group& route(ShardId shard) override { return routes_.route(shard); }
    void forget_route(ShardId shard) override { routes_.forget(shard); }
    Group* find_group(ShardId shard) override { return routes_.find_with_replica(shard); }
    void set_ask_server(AskServer* server) override { routes_.set_ask_server(server); }
    RaftGroup* find_raft_group(ShardId shard) override {
        const auto found = replicas_.find(shard);
        return found == replicas_.end() ? nullptr : found->second.group.get();
    }
    [[nodiscard]] std::vector<ShardDescription> shards() const override;
    [[nodiscard]] std::vector<DamagedReplica> damaged() const override;
    [[nodiscard]] bool has_lost_log() const override { return has_lost_log_; }
    void forget_lost_log() override { has_lost_log_ = false; }
    async::Task<Status> fence_missing(ShardId shard, std::string why) override;
    void retire(const Status& why) override;
    async::Task<Result<Group*>> create_shard(ShardDescription description) override;
    async::Task<Status> drop_shard(ShardId shard) override;
    async::Task<Status> persist_shard(ShardId shard) override;
    async::Task<Status> persist_all() override;
    async::Task<Status> compact_all() override;
    HybridClock& clock() override { return clock_; }
    std::uint64_t now_ms() override;
    [[nodiscard]] storage::WalStatistics wal_statistics() const override {
        return wal_ ? wal_->statistics() : storage::WalStatistics{};
    }
    [[nodiscard]] Status log_health() const override { return shared_.log_health(); }
    [[nodiscard]] std::uint64_t memory_bytes() const override;
    std::vector<ShardStatistics> statistics() override;
    async::Task<Status> stop() override;

private:
    // How long the end waits for outcomes from other nodes.
    static constexpr Duration kForwardsPatience = std::chrono::seconds(1);
    // So many times the usual length of the log, entries of fenced replicas are kept in it.
    static constexpr std::uint64_t kFencedSegments = 4;
    // Above a count of the core's own (raft/read_index.cc).
    static constexpr unsigned kIncarnationBits = 41;
    // How often engines that flush by themselves are asked whether the log can go.
    static constexpr Duration kReleaseInterval = std::chrono::seconds(1);

    // ---- peers ----
    void send(const raft::Message& message) override { notices_.send(message); }
    void send_now(const raft::Message& message) override;
    void send_snapshot(RaftGroup& group, const raft::Message& message) override;
    void on_quarantine(RaftGroup& group) override;
    void on_messages(NodeId from, rpc::Received messages) override;
    void on_call(NodeId from, rpc::Received request, rpc::Responder responder) override;
    async::Task<Result<Bytes>> on_stream(NodeId from,
                                         Bytes header,
                                         std::unique_ptr<rpc::IncomingStream> stream) override;
    void on_peer_state(NodeId peer, bool is_connected) override;
    void on_node_silent(NodeId peer) override;
    void on_node_changed(NodeId peer) override;
    RaftGroup* find_replica(ShardId shard, ShardDescription* description) override;
    async::Task<Result<std::unique_ptr<storage::Engine>>> open_engine(ShardDescription description,
                                                                      std::string folder) override;

    async::Task<Result<std::unique_ptr<RaftGroup>>> open_group(ShardDescription description);
    async::Task<Status> open_shards();
    async::Task<Status> open_log();
    async::Task<Status> begin_groups();
    async::Task<Status> lose_log(Status why);
    // A failure of one replica: fences it where others can fill it anew, else is the answer.
    async::Task<Status> fence_or_fail(ShardId shard, Status why);
    async::Task<Status> fence(ShardId shard, Status why);
    async::Task<void> fence_and_report(ShardId shard, Status why);
    void fence_quarantined();
    async::Task<Status> drop_fenced(ShardId shard);
    async::Task<Result<Group*>> create_shard_inside(ShardDescription description);
    async::Task<Status> drop_shard_inside(ShardId shard);
    async::Task<Status> remove_dropped(ShardId shard);
    async::Task<Status> persist_every();
    async::Task<Status> compact_every();
    async::Task<void> tick_loop();
    void tick();
    void look_for_room();
    async::Task<void> release_loop();
    async::Task<void> digest_loop();
    void count_damaged();
    void shorten_log();
    void add(ShardDescription description, std::unique_ptr<RaftGroup> group);
    // Shards under their ids, which stay valid while shards come and go.
    [[nodiscard]] std::vector<ShardId> shard_ids() const;

    env::Env& env_;
    HostOptions options_;
    HybridClock clock_;
    CommitNotices notices_;
    GroupShared shared_;
    std::shared_ptr<storage::LsmShared> lsm_;
    std::unique_ptr<storage::Wal> wal_;
    std::map<ShardId, Replica> replicas_;
    Routes routes_;
    // Closed, but the log was not told and may still call them.
    std::vector<Replica> closed_;
    std::set<ShardId> half_made_;  // whose folders stand, and that never ran
    FencedReplicas fenced_;
    std::map<ShardId, Replica> fenced_groups_;  // those that were open; as closed_
    std::set<ShardId> closing_;                 // of fenced_groups_
    bool has_quarantined_ = false;              // that are not fenced yet
    bool has_lost_log_ = false;
    // Around everything that changes replicas_ or walks over it with suspensions.
    async::Gate gate_;
    std::optional<StateExchange> exchange_;  // none without peers
    std::optional<DigestChecks> digests_;    // the same
    std::optional<NodeWatch> watch_;         // the same
    // Null: not measured.
    metrics::Gauge* damaged_count_ = nullptr;
    metrics::Gauge* asleep_count_ = nullptr;
    metrics::Gauge* log_full_ = nullptr;
    std::vector<raft::Message> inbox_;  // of one call of on_messages(), to keep its capacity
    // Time goes on for groups until the last of them has stopped.
    async::Gate tick_gate_;
    bool is_ticking_over_ = false;
    bool is_log_full_ = false;  // as was said last
    Status retired_;            // why it takes no part any more; ok: it does
    bool is_recovered_ = false;
    bool is_stopping_ = false;

    friend class RecoveryVisitor;
};

}  // namespace kvstore::replication
