// The shard replicas of one core: one write-ahead log for all of them, an engine each, and what a
// leader does by itself (expiry, compaction of history, snapshots).
//
// Folders, below the data directory:
//
//     wal/              the log
//     shards/<id>/      a shard: `shard` (what it is), `engine/` (its data); `damaged` where it is
//     wal-damaged-<n>/  logs that could not be read, for people
//
// A shard's folder is durable before anything refers to it, and is removed after nothing does; so a
// crash leaves at most folders that nobody refers to, which the owner of the catalogue removes. Its
// entries leave the log after the folder is marked as dropped: what the log lacks is never
// replayed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/callback.h"
#include "base/hlc.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "metrics/registry.h"
#include "replication/group.h"
#include "replication/raft_timing.h"
#include "rpc/transport.h"
#include "storage/engines.h"
#include "storage/wal/wal.h"

namespace kvstore::replication {

class RaftGroup;

enum class EngineKind : std::uint8_t { kLsm = 1, kMemory = 2 };

struct ShardDescription {
    ShardId id;
    EngineKind engine = EngineKind::kLsm;
    std::uint64_t history_ms = 0;  // at creation
    std::string keyspace{};        // for people who look at the folder
    // The voters with which the group began; empty: this node alone.
    std::vector<NodeId> founders{};
    // Joins a group that others founded, and is sent what it lacks.
    bool is_newcomer = false;
};

// A replica that is fenced: it neither votes nor acknowledges nor shows anything, until its shard
// is dropped here and made anew.
struct DamagedReplica {
    ShardId shard;
    Status why;
};

struct HostSettings {
    storage::WalOptions wal;
    // Other nodes belong to the cluster too: what is damaged here is fenced, and the others fill it
    // anew. Without them the host does not open over damage.
    bool has_others = false;
    // Between comparisons of the digests of a shard that has changed; 0: never.
    Duration digest_interval = std::chrono::seconds(10);
    Duration snapshot_interval = std::chrono::seconds(300);  // 0: only when the log grows long
    // A log of more segments makes the shard that holds back the oldest one persist.
    std::uint64_t log_segments_max = 12;
    storage::LsmSharedOptions lsm;
    storage::Compression compression = storage::Compression::kLz4;
    // Bytes of proposals under way here, and as many on their way to other nodes, above which
    // propose() answers kOverloaded.
    std::uint64_t proposal_bytes_max = 256ULL << 20U;
    NodeId self{1};
    RaftTiming timing{.hibernate_after_ticks = 30};
    // The way to other nodes; null: there are none.
    rpc::Transport* transport = nullptr;
    // Where the groups' instruments are added; null: nowhere.
    metrics::Registry* registry = nullptr;
};

struct HostOptions : HostSettings {
    // The nodes that have replicas of a shard, as far as is known. Empty: only this node has any.
    Callback<std::vector<NodeId>(ShardId)> locate{};
};

// Answers what other nodes ask about shards of this one (Group::ask()).
//
// Lifetime  Outlives the host, or until it is taken back by set_ask_server(nullptr).
class AskServer {
public:
    // There is a replica of the shard here, which leads when the leader was asked.
    virtual void on_ask(ShardId shard, rpc::Received request, rpc::Responder responder) = 0;

protected:
    ~AskServer() = default;
};

struct ShardStatistics {
    ShardDescription description;
    mvcc::ShardState state;
    Index applied;
    Index durable;
    storage::EngineStatistics engine;
    Status health;
    NodeId leader;  // 0: not known
    std::vector<NodeId> voters;
    std::vector<NodeId> learners;
    std::uint64_t elections_won = 0;  // by the replica here, since the start
};

// Lifetime  Owned by the node. stop() before destruction.
// Runs on   One core.
class Host {
public:
    virtual ~Host() = default;

    // Opens every shard folder, recovers the log into them, and is ready.
    // With HostSettings::has_others, a replica whose files or log are damaged or gone is fenced
    // (damaged()), and a log that cannot be read is moved aside, to wal-damaged-<n>/.
    // Errors: kCorruption with the place and the command that helps, also where there are shards
    //         and no log; kIoError, kDiskFull, ...
    static async::Task<Result<std::unique_ptr<Host>>> open(env::Env* env, HostOptions options);

    // The way to a shard, whether or not it has a replica here: made when it is first asked for,
    // and the same until forget_route() or stop(). Proposals through it are forwarded where this
    // node does not lead.
    [[nodiscard]] virtual Group& route(ShardId shard) = 0;
    // Ends the way to a shard that is no more: what waits fails, what is under way is told. While
    // a replica is still here it stays until that is dropped.
    virtual void forget_route(ShardId shard) = 0;
    // As route(), but null when there is no replica here.
    [[nodiscard]] virtual Group* find_group(ShardId shard) = 0;
    // Who answers what other nodes ask; null: they are told kUnavailable.
    virtual void set_ask_server(AskServer* server) = 0;
    // The replica itself, for whoever moves members and leaders (strong/raft_group.h); null when
    // there is none.
    [[nodiscard]] virtual RaftGroup* find_raft_group(ShardId shard) = 0;
    [[nodiscard]] virtual std::vector<ShardDescription> shards() const = 0;

    // Replicas that take no part, by shard: the fenced, and those of a shard that is nowhere else,
    // which stay to say why.
    [[nodiscard]] virtual std::vector<DamagedReplica> damaged() const = 0;
    // Whether this start found the log damaged or gone, so that a replica which is not here may
    // have been lost with it; until forget_lost_log().
    [[nodiscard]] virtual bool has_lost_log() const = 0;
    virtual void forget_lost_log() = 0;
    // Fences a replica that should be here and is not, durably: what it has promised is not known
    // any more. Errors: kAlreadyExists: it is here; kDiskFull, kIoError.
    virtual async::Task<Status> fence_missing(ShardId shard, std::string why) = 0;

    // Makes an empty shard, durable when it returns.
    // Errors: kAlreadyExists (also a fenced one), kUnavailable (stopping); kDiskFull, kIoError: the
    // folder may remain,
    //         and counts for nothing.
    virtual async::Task<Result<Group*>> create_shard(ShardDescription description) = 0;

    // Ends the replica, also a fenced one, and removes its folder. Its proposals fail with
    // kUnavailable (unknown effect); no pointer to its RaftGroup may be used after the call began.
    // Its route stays. Errors: kNotFound, kUnavailable (stopping). kIoError: it is gone from this
    // host, and its
    //         folder may be back after a restart.
    virtual async::Task<Status> drop_shard(ShardId shard) = 0;

    // This node belongs to its cluster no more: its replicas say and hear nothing from now on, so
    // they call no elections, and what waits for them is told `why`. They stay on the disk until
    // they are dropped; none is made any more.
    virtual void retire(const Status& why) = 0;

    // As persist_all(), for one shard. Errors: kNotFound; as persist_all().
    virtual async::Task<Status> persist_shard(ShardId shard) = 0;

    // Makes everything applied durable in the engines and lets the log go (`kvstore compact`,
    // SaveToFile). Every shard is tried.
    // Errors: the first shard's: kDiskFull, kIoError (the log is still needed); kCorruption
    //         (quarantined); kUnavailable (stopping).
    virtual async::Task<Status> persist_all() = 0;
    // Also compacts the engines' files.
    virtual async::Task<Status> compact_all() = 0;

    // Stamps for commands; also for answers that show "now".
    [[nodiscard]] virtual HybridClock& clock() = 0;
    [[nodiscard]] virtual std::uint64_t now_ms() = 0;

    // What the shards on the memory engine hold in memory. Cheap.
    [[nodiscard]] virtual std::uint64_t memory_bytes() const = 0;
    [[nodiscard]] virtual storage::WalStatistics wal_statistics() const = 0;
    // Whether the log takes writes. Errors: kDiskFull: not until there is room, and what this node
    // leads goes to others meanwhile; kUnavailable: it has failed, and will not before a restart.
    [[nodiscard]] virtual Status log_health() const = 0;
    [[nodiscard]] virtual std::vector<ShardStatistics> statistics() = 0;

    // Finishes what was proposed, persists where no log holds it, ends. Proposals are refused from
    // the call on.
    // Errors: the first that was met; everything is ended all the same.
    virtual async::Task<Status> stop() = 0;
};

}  // namespace kvstore::replication
