// The operations of the store, as every front end calls them. Routing, consistency, admission and,
// later, authorization are decided here once, so that no protocol can forget them.
//
// Two surfaces over the same operations:
//   - plain calls for what need not wait: find() answers from memory, submit() hands a write to its
//     shard and tells the outcome to a Proposal. No allocation, no coroutine: the hot path;
//   - coroutines that own their data, for everything else.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/deadline.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "cluster/directory.h"
#include "cluster/metadata_store.h"
#include "env/env.h"
#include "kv/holders.h"
#include "kv/keyspace.h"
#include "kv/session_token.h"
#include "mvcc/command.h"
#include "mvcc/shard.h"
#include "replication/group.h"
#include "replication/host.h"

namespace kvstore::kv {

enum class Consistency : std::uint8_t { kLinearizable, kCausal, kBounded, kEventual };

// "linearizable", "causal", "bounded", "eventual", and the synonyms "strong". Nullopt: none of
// them.
[[nodiscard]] std::optional<Consistency> parse_consistency(std::string_view text);

// "linearizable", "causal", ...
[[nodiscard]] std::string_view consistency_name(Consistency consistency);

inline constexpr Duration kMaxStalenessDefault = std::chrono::seconds(5);

// What comes with every call from the edge.
struct CallContext {
    std::string identity;  // who calls; empty while access rules do not exist
    async::Deadline deadline;
    Consistency consistency = Consistency::kLinearizable;
    Duration max_staleness = kMaxStalenessDefault;  // of `bounded`
    // What the caller has seen. A read at any level is at least as fresh, and what it shows, or a
    // write does, is noted here before the call returns. Null: nobody keeps account.
    std::shared_ptr<SessionToken> session;
    std::string trace;  // W3C traceparent, passed on
};

struct Limits {
    std::size_t key_bytes_max = 64U << 10U;    // at most mvcc::kKeyBytesMax
    std::size_t value_bytes_max = 16U << 20U;  // at most mvcc::kValueBytesMax
    std::size_t batch_items_max = 10'000;      // asked by the front ends that have batches
    std::size_t scan_rows_max = 10'000;        // in one page
    std::size_t keyspace_count_max = 1'000;    // above which none is made; those that exist stay
    // Of all keyspaces on the memory engine together; 0: no limit. Looked at every
    // kMemoryCheckInterval, so it may be passed by what is written in that time.
    std::uint64_t memory_bytes_max = 0;
};

// A record that owns its value.
struct OwnedRecord {
    Bytes value;
    mvcc::Record record;  // its value view is empty: use `value`

    static OwnedRecord copy_of(const mvcc::Record& record);
};

// The outcome of one operation of a command, owned.
struct OperationOutcome {
    Code code = Code::kOk;
    bool changed = false;
    bool had_previous = false;
    std::optional<OwnedRecord> previous;
    std::int64_t number = 0;
    Bytes text;
};

struct CommandOutcome {
    bool conditions_held = true;
    Revision revision;
    Version stamp;
    bool changed = false;
    std::vector<OperationOutcome> operations;
};

// Of a replica on this node.
struct KeyspaceStatistics {
    KeyspaceInfo info;
    replication::ShardStatistics shard;
};

// The outcomes of independent operations, each in the place of its operation.
struct BatchOutcome {
    // An error is of the shard that holds the key, and tells the effect on it.
    std::vector<Result<OperationOutcome>> operations;
    Revision revision;  // 0: of several shards
};

struct RemoteRead;
struct RemoteAnswer;

// Who knows how the nodes of the cluster are.
class NodeJudge {
public:
    // Whether a node may be given replicas now.
    [[nodiscard]] virtual bool is_usable(NodeId node) const = 0;
    // Whether a start of this node without a replica of the system shard would find those who have
    // one: the members of the newest view are noted, durably.
    [[nodiscard]] virtual bool has_noted_members() const = 0;

protected:
    ~NodeJudge() = default;
};

// Lifetime  Owned by the node. stop() before destruction.
// Runs on   One core.
class Kv final : private replication::AskServer {
public:
    static constexpr Duration kMemoryCheckInterval = std::chrono::milliseconds(100);

    // A node of a cluster. Both outlive kv; nothing is told to the directory after stop().
    struct ClusterParts {
        cluster::Directory* directory = nullptr;
        const NodeJudge* judge = nullptr;
        NodeId self{1};
    };

    struct Options {
        Limits limits;
        KeyspaceOptions defaults;  // of keyspaces made without saying more, and of `default`
        // Without a directory this node is alone: it founds the cluster of itself.
        ClusterParts cluster;
        // Of the cluster that this node founds.
        std::uint64_t cluster_id = 1;
        std::chrono::milliseconds replace_after = std::chrono::minutes(5);
    };

    // Opens the catalogue over `host` (which outlives it) and removes shards that no keyspace
    // refers to. A node that is alone makes `default` where it does not exist; in a cluster that
    // has no records yet, found_cluster() does. Errors: kInvalidArgument (limits that no command
    // could keep), kCorruption (a record, or a shard
    //         that is missing, or a catalogue that is empty though there are data), kIoError,
    //         kDiskFull.
    static async::Task<Result<std::unique_ptr<Kv>>> open(env::Env* env,
                                                         replication::Host* host,
                                                         Options options);
    // For open() alone.
    class OpenKey {
        friend class Kv;
        OpenKey() = default;
    };
    Kv(OpenKey key, env::Env& env, replication::Host& host, Options options);
    Kv(const Kv&) = delete;
    Kv& operator=(const Kv&) = delete;
    virtual ~Kv();

    // ---- keyspaces ----

    // For whoever runs the cluster: the system shard's rows, also where it has no replica.
    [[nodiscard]] cluster::MetadataStore& metadata();
    // Writes the first records of a cluster whose system shard has its replicas on `voters`: who
    // belongs, and `default` on as many as the defaults say.
    // Where that has happened already nothing is done. Errors: those of a write.
    async::Task<Status> found_cluster(std::vector<cluster::NodeRecord> nodes,
                                      std::vector<NodeId> voters);

    // Null when there is none of this name.
    [[nodiscard]] KeyspaceHandle find_keyspace(std::string_view name) const;
    // Null only in a cluster that this node knows nothing of yet.
    [[nodiscard]] const KeyspaceHandle& default_keyspace() const { return default_; }
    // By name.
    [[nodiscard]] std::vector<KeyspaceInfo> keyspaces() const;
    // Names are 1 to 128 of a-z A-Z 0-9 . _ - and '/' between parts; "system" is taken.
    // Errors: kAlreadyExists, kInvalidArgument, kUnimplemented (quorum, until several nodes can
    // hold
    //         it), kOverloaded (too many), and a write's errors.
    // `split_at`: the first key of each shard but the first, rising; at most kSplitPointsMax.
    static constexpr std::size_t kSplitPointsMax = 255;
    async::Task<Result<KeyspaceHandle>> create_keyspace(CallContext context,
                                                        std::string name,
                                                        KeyspaceOptions options,
                                                        std::vector<Bytes> split_at = {});
    // The keyspace, made with the defaults where it does not exist (Redis databases).
    async::Task<Result<KeyspaceHandle>> ensure_keyspace(CallContext context, std::string name);
    struct KeyspaceChange {
        std::optional<Duration> history;
        std::optional<std::uint32_t> replication_factor;
    };
    // Errors: kNotFound, kInvalidArgument, and a write's errors; with an unknown effect a part of
    // the
    //         change may be in force.
    async::Task<Result<KeyspaceInfo>> change_keyspace(CallContext context,
                                                      std::string name,
                                                      KeyspaceChange change);
    // Errors: kNotFound, kInvalidArgument (`default` stays), and a write's errors.
    async::Task<Status> drop_keyspace(CallContext context, std::string name);

    // ---- plain calls ----

    // Milliseconds since 1970 as answers and expiry see them; never goes back.
    [[nodiscard]] std::uint64_t now_ms() { return host_.now_ms(); }

    // Reads the newest record. Views last until the next call into kv or the end of the turn.
    // kMustLoad: the read has to wait; use get().
    storage::Lookup find(Keyspace& keyspace, ByteView key, mvcc::Record* record);
    // The same for a call that has a level or a session. kMustLoad also where the replica here is
    // not fresh enough by itself.
    storage::Lookup find(const CallContext& context,
                         Keyspace& keyspace,
                         ByteView key,
                         mvcc::Record* record);

    // Checks limits and proposes. See Group::propose() for the outcome and the errors; and
    // kMemoryFull: the keyspace is on the memory engine, the operation may add data, and
    // Limits::memory_bytes_max is reached. kInvalidArgument: the keys are in several shards.
    // `shard`, where given, is told before the proposal is.
    Status submit(const Keyspace& keyspace,
                  const mvcc::Operation& operation,
                  replication::Proposal* proposal,
                  ShardId* shard = nullptr);
    Status submit(const Keyspace& keyspace,
                  const mvcc::Command& command,
                  replication::Proposal* proposal,
                  ShardId* shard = nullptr);

    // ---- coroutines ----

    // The deadline of a read is looked at before it begins; what has gone to the disk is waited
    // for.

    // `as_of` 0: the newest. Nullopt: absent.
    // Errors: kCompacted, kFutureRevision (also: the session has seen what does not exist),
    //         kUnavailable (no majority, or the replica here is too far behind the session),
    //         kDeadlineExceeded, kOverloaded, kCorruption, kIoError, kNotFound (the keyspace was
    //         dropped).
    async::Task<Result<std::optional<OwnedRecord>>> get(CallContext context,
                                                        KeyspaceHandle keyspace,
                                                        Bytes key,
                                                        Revision as_of);
    // Several keys, those of one shard at one moment; the answers stand in the order of the keys.
    // Errors: as get(); kTooLarge: the values have more than `values_bytes_max` bytes together.
    async::Task<Result<std::vector<std::optional<OwnedRecord>>>> get_many(
        CallContext context,
        KeyspaceHandle keyspace,
        std::vector<Bytes> keys,
        std::size_t values_bytes_max = ~std::size_t{0});

    // The views in `command` must live until the call returns: a caller keeps what they show in its
    // own frame.
    // Errors: as submit(), then as Proposal::on_failed(); kDeadlineExceeded: effect none when it
    // had
    //         passed before the call, unknown when it passes before the outcome is known.
    //         Conditions that do not hold are outcomes, not errors.
    async::Task<Result<CommandOutcome>> execute(CallContext context,
                                                KeyspaceHandle keyspace,
                                                const mvcc::Command* command);

    // Independent operations: those of one shard are one command, the shards know nothing of each
    // other. `operations` and what they show must live until the call returns.
    // Errors: those of execute(), where nothing was done in any shard; else each has its own.
    async::Task<Result<BatchOutcome>> execute_batch(CallContext context,
                                                    KeyspaceHandle keyspace,
                                                    const std::vector<mvcc::Operation>* operations);
    // Deletes what is in the range (`to` empty: to the last key), one shard after the other.
    // Returns: how many. Errors: as execute(); with effect unknown where some shards are done.
    async::Task<Result<std::uint64_t>> delete_range(CallContext context,
                                                    KeyspaceHandle keyspace,
                                                    Bytes from,
                                                    Bytes to);

    // One page of at most Limits::scan_rows_max rows; of several shards each at its own moment, and
    // without a revision. Errors: as get(); kInvalidArgument: `as_of` of several shards.
    async::Task<Result<mvcc::ScanPage>> scan(CallContext context,
                                             KeyspaceHandle keyspace,
                                             mvcc::ScanRequest request);
    // How many keys there are, those included whose time is up and that are not deleted yet.
    // Errors: as get().
    async::Task<Result<std::uint64_t>> count_keys(CallContext context, KeyspaceHandle keyspace);

    // ---- replicas ----

    // How many members of the shard's group, besides its leader, are known to hold everything up to
    // an index: learners too, and as durably as they hold anything.
    // Suspends: until so many do as are wanted, or the wait is over.
    // Errors: kUnavailable, kDeadlineExceeded, kOverloaded: whoever leads could not be asked.
    async::Task<Result<Holders>> count_holders(ShardHandle shard, HoldersQuestion question);
    // How many, besides one, certainly hold what was acknowledged, without asking: of a majority.
    [[nodiscard]] std::uint64_t certain_holders(ShardId shard);

    // ---- administration ----

    [[nodiscard]] NodeId self() const { return options_.cluster.self; }
    [[nodiscard]] std::vector<KeyspaceStatistics> statistics();
    [[nodiscard]] replication::Host& host() { return host_; }
    [[nodiscard]] const Limits& limits() const { return options_.limits; }
    [[nodiscard]] const Options& options() const { return options_; }
    [[nodiscard]] env::Env& env() { return env_; }

    // Refuses every operation from now on with `why`, and ends the part of its replicas: this node
    // is none of its cluster any more, and what it holds may be old. Requires: `why` has no effect.
    void exclude(Status why);

    // Refuses new work with kUnavailable and waits for coroutines under way.
    async::Task<void> stop();

private:
    class Catalog;
    friend class SystemStore;

    Status check_limits(const mvcc::Operation& operation) const;
    Status check_limits(const mvcc::Command& command) const;
    Status check_key(ByteView key, std::size_t bytes_max) const;
    Status check_value(ByteView value) const;
    void check_memory();
    // Errors: kMemoryFull.
    Status check_room(const Keyspace& keyspace) const;
    static bool adds_data(const mvcc::Operation& operation);
    // Whether its result can be larger than its argument: it is then proposed with our limit.
    static bool grows(const mvcc::Operation& operation);
    async::Task<Status> open_catalog();

    Status submit_in(const Keyspace& keyspace,
                     KeyspaceShard& shard,
                     const mvcc::Operation& operation,
                     replication::Proposal* proposal);
    Status submit_in(const Keyspace& keyspace,
                     KeyspaceShard& shard,
                     const mvcc::Command& command,
                     replication::Proposal* proposal);

    // ---- reads of one shard ----
    using Records = std::vector<std::optional<OwnedRecord>>;
    async::Task<Result<std::optional<OwnedRecord>>> get_in(CallContext context,
                                                           ShardHandle shard,
                                                           Bytes key,
                                                           Revision as_of);
    async::Task<Result<Records>> get_many_in(CallContext context,
                                             ShardHandle shard,
                                             std::vector<Bytes> keys,
                                             std::size_t values_bytes_max);
    async::Task<Result<mvcc::ScanPage>> scan_in(CallContext context,
                                                ShardHandle shard,
                                                mvcc::ScanRequest request);

    // ---- reads of several shards ----
    struct ReadPart;
    struct DividedRead;
    async::Task<void> read_part(CallContext context,
                                std::shared_ptr<DividedRead> read,
                                std::size_t at,
                                std::size_t values_bytes_max);

    // ---- shards that have no replica here (remote.cc) ----
    async::Task<Result<RemoteAnswer>> ask(const CallContext* context,
                                          ShardHandle shard,
                                          RemoteRead read);
    async::Task<Result<Records>> ask_for_keys(CallContext context,
                                              ShardHandle shard,
                                              std::vector<Bytes> keys,
                                              Revision as_of,
                                              std::size_t values_bytes_max);
    async::Task<Result<mvcc::ScanPage>> ask_for_page(CallContext context,
                                                     ShardHandle shard,
                                                     mvcc::ScanRequest request);
    async::Task<Result<Holders>> count_holders_here(ShardHandle shard, HoldersQuestion question);
    void on_ask(ShardId shard, rpc::Received request, rpc::Responder responder) override;
    async::Task<void> serve(ShardId shard, Bytes request, rpc::Responder responder);
    async::Task<Result<RemoteAnswer>> answer(ShardId shard, Bytes request);

    [[nodiscard]] bool is_alone() const { return options_.cluster.directory == nullptr; }
    cluster::Directory& directory() {
        return is_alone() ? own_directory_ : *options_.cluster.directory;
    }

    env::Env& env_;
    replication::Host& host_;
    Options options_;
    cluster::Directory own_directory_;  // of a node that is alone
    std::unique_ptr<Catalog> catalog_;
    KeyspaceHandle default_;
    bool is_memory_full_ = false;
    env::TimerId memory_timer_;
    Status exclusion_;  // ok: none
    async::Gate gate_;
};

}  // namespace kvstore::kv
