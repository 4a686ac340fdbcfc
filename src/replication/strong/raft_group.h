// A shard's Raft group as one of its members drives it: the consensus core in the middle, the
// write-ahead log on one side, peers on the other, the shard behind.
//
//     propose -> gather, stamp -> end of turn: append -> peers and log -> majority -> apply ->
//     outcome
//
// Everything that comes in a turn (proposals, messages, reads) is handed to the core at its end:
// one log write and one message a peer serve it all. A leader's appends leave before its own log
// has them; votes and acknowledgements only after (RAFT.md).
//
// A group of one without a log (durability `memory`) has no core: its proposals are applied at
// once.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "async/sync.h"
#include "async/task.h"
#include "base/hlc.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "metrics/histogram.h"
#include "mvcc/shard.h"
#include "raft/node.h"
#include "replication/group.h"
#include "replication/raft_timing.h"
#include "replication/strong/apply_loop.h"
#include "replication/strong/entry_payload.h"
#include "replication/strong/group_meta.h"
#include "replication/strong/hand_over.h"
#include "replication/strong/raft_log.h"
#include "replication/strong/read_rounds.h"
#include "replication/strong/revision_waiters.h"
#include "storage/engine.h"
#include "storage/wal/wal.h"

namespace kvstore::replication {

class RaftGroup;

// Where a group's messages go. Null for a node that is alone.
//
// Runs on   The core of the group, from inside its calls; may not call back into it.
class RaftLink {
public:
    virtual ~RaftLink() = default;
    // May be lost.
    virtual void send(const raft::Message& message) = 0;
    // Streams the shard's state to message.to. RaftGroup::on_snapshot_sent() follows, later.
    virtual void send_snapshot(RaftGroup& group, const raft::Message& message) = 0;
    // The replica is no good any more.
    virtual void on_quarantine(RaftGroup& group) = 0;
};

// Told when another member leads, or none.
//
// Runs on   The core of the group, from inside its calls; may not call back into it.
class LeaderWatcher {
public:
    virtual void on_leader_change() = 0;

protected:
    ~LeaderWatcher() = default;
};

// A shard's state that was received whole and waits aside to take the place of a replica's.
//
// Lifetime  In the frame of whoever awaits RaftGroup::install_snapshot().
class ReceivedState {
public:
    // Puts it in the place of the replica's engine, which was closed, durably, and opens it.
    // Errors: kIoError, kDiskFull, kCorruption: the replica has no state any more.
    virtual async::Task<Result<std::unique_ptr<storage::Engine>>> adopt() = 0;

protected:
    ~ReceivedState() = default;
};

// What the groups of one core share.
struct GroupShared {
    env::Env& env;
    HybridClock& clock;
    NodeId self{1};
    std::uint64_t incarnation = 0;  // rises with every start of the node
    RaftTiming timing{};
    RaftLink* link = nullptr;     // null: no peers
    storage::Wal* wal = nullptr;  // null: durability is `memory`
    std::size_t proposal_bytes = 0;
    std::size_t proposal_bytes_max = 0;
    std::size_t gathered_bytes = 0;  // of proposals that go to the log at the end of this turn
    // Of a group's entries that stay in memory for peers that are behind.
    std::size_t log_bytes_max = 8U << 20U;
    std::uint64_t withdrawals = 0;  // rises when a group ends its part (node_watch.h)

    // Whether the log takes another entry of a usual size. Errors: as storage::Wal::check_append().
    [[nodiscard]] Status log_health() const;
    [[nodiscard]] bool is_log_full() const { return log_health().code() == Code::kDiskFull; }
    metrics::Histogram* commit_latency = nullptr;  // null: not measured
};

// Lifetime   Owned by the host; stop() or abandon() before destruction. `shared` outlives it.
// Runs on    One core.
//
// Invariants
//   applied <= committed; what is applied here is durable here, or in the engine
//   a proposal is told its outcome only after its entry is committed and applied
class RaftGroup final : public Group,
                        private storage::WalClient,
                        private async::TurnEndHook,
                        private ApplyOwner {
public:
    // The group of a replica whose engine is open. `founders` are the voters with which it began;
    // none for a member that joined later and is sent what it lacks. They count only until the
    // engine says more.
    // Errors: kCorruption, kIoError; the engine is closed then.
    static async::Task<Result<std::unique_ptr<RaftGroup>>> open(
        GroupShared* shared,
        GroupId id,
        std::unique_ptr<storage::Engine> engine,
        std::vector<NodeId> founders,
        std::uint64_t history_ms);
    // For open() alone. Requires: `shard` is over `engine`; `meta` is of its applied index.
    RaftGroup(GroupShared& shared,
              GroupId id,
              std::unique_ptr<storage::Engine> engine,
              std::unique_ptr<mvcc::Shard> shard,
              GroupMeta meta);
    ~RaftGroup() override;

    // ---- Group ----

    [[nodiscard]] bool has_replica() const override { return true; }
    // A replica knows no other way than its own.
    async::Task<Result<Bytes>> ask(Bytes request, AskWhom whom, async::Deadline deadline) override;
    Status propose(const mvcc::Operation& operation, Proposal* proposal) override;
    Status propose(const mvcc::Command& command, Proposal* proposal) override;
    [[nodiscard]] bool can_read_now() const override;
    async::Task<Status> read_barrier(async::Deadline deadline) override;
    // Counts from when the newest read round began that was confirmed and is applied, by this
    // node's clock alone. What a leader's messages say is no proof: they may be from before a pause
    // of this process, or from a leader that has been replaced, and a heartbeat's commit index is
    // cut to what this member is known to have.
    [[nodiscard]] Duration staleness() const override;
    async::Task<Status> wait_applied(Revision revision, async::Deadline deadline) override;
    [[nodiscard]] mvcc::Shard& shard() override { return *shard_; }
    [[nodiscard]] async::Gate& gate() override { return *gate_; }
    void note_damage(const Status& why) override;
    [[nodiscard]] const Status& health() const override { return health_; }
    [[nodiscard]] bool has_sound_state() const override { return !is_quarantined_; }

    // ---- recovery, for the host: what the log holds, in its order, then begin() ----

    // Errors: kCorruption: entries are missing before this one, a checksum does not fit, or it
    //         cannot be applied.
    Status replay_entry(const storage::LogEntry& entry);
    Status replay_state(const storage::LogState& state);
    Status replay_start(Term term, Index index);
    // What was replayed so far was of an earlier replica with this id.
    void replay_drop();
    // Ends the replay and takes part from now on.
    // Errors: of the engine and the log.
    async::Task<Status> begin();
    // Suspends: a group of one until everything in its log is applied and it takes proposals.
    // Errors: why it never will.
    async::Task<Status> wait_caught_up();

    // ---- the core's loop, for the host ----

    void step(raft::Message message);
    void tick();
    void on_snapshot_sent(NodeId peer, raft::SnapshotOutcome outcome);
    // Rows of the replica as it stands, for a peer: their applied index and what they say of the
    // group (group_meta.h) are what they will be installed as.
    // Errors: kUnavailable (not now: a batch is being applied, or the replica is no good).
    Result<std::unique_ptr<storage::SnapshotSource>> snapshot_source();
    // Takes a leader's snapshot message whose state has been received.
    // Suspends: until it is installed. Errors: kConflict: it is older than what is here; those of
    //           `state`, which quarantine the replica; kUnavailable (stopping, another is under
    //           way).
    async::Task<Status> install_snapshot(raft::Message message, ReceivedState* state);
    void on_peer_state(NodeId peer, bool is_connected);
    void wake();
    // Costs no tick and says nothing: somebody else watches over the other members' nodes, and
    // tells what he finds.
    [[nodiscard]] bool is_asleep() const;
    void on_node_silent(NodeId peer);
    void on_node_changed(NodeId peer);

    // ---- leadership and membership, for the host ----

    [[nodiscard]] bool is_leader() const;
    // Leads, and does not hand leadership over just now.
    [[nodiscard]] bool takes_proposals() const;
    // What is here cannot be trusted: it takes no part any more, and shows nothing.
    [[nodiscard]] bool is_quarantined() const { return is_quarantined_; }
    void quarantine(const Status& why);
    // No other node has what this one has.
    [[nodiscard]] bool is_only_voter() const { return is_alone_; }
    // Says and hears nothing until resume(): whoever wants to remove the replica makes sure that it
    // promises nothing more while he asks whether he may.
    void pause() { is_paused_ = true; }
    void resume() { is_paused_ = is_retired_; }
    [[nodiscard]] bool is_paused() const { return is_paused_; }
    // The disk has no space for the log, or for the engine.
    [[nodiscard]] bool is_out_of_room() const {
        return apply_.is_out_of_room() || shared_.is_log_full();
    }
    // It led here lately, and handed over since its log was much slower than the others'.
    [[nodiscard]] bool gave_up_for_slow_log() const {
        return hand_over_.gave_up_slow(shared_.env.clock.now());
    }
    // As pause(), for good: it leads nothing and follows nobody. What was proposed, and reads that
    // wait, are told `why`.
    void retire(const Status& why);

    // Null: nobody is told.
    void set_leader_watcher(LeaderWatcher* watcher) { watcher_ = watcher; }
    // 0: not known.
    [[nodiscard]] NodeId leader() const;
    [[nodiscard]] Term term() const;
    [[nodiscard]] const raft::ConfState& configuration() const { return apply_.meta().conf; }
    [[nodiscard]] std::optional<raft::NodeStatus> raft_status() const;
    // What is known of the digest at applied indexes, rising; the last is of now.
    [[nodiscard]] std::vector<DigestPoint> digests() const;
    // Suspends: until the change is applied here, and a joint configuration left.
    // Errors: see raft/membership.h; kUnavailable with an unknown effect when leadership was lost.
    async::Task<Status> change_membership(raft::ConfChange change);
    // Before the replica of a voter that was removed may go for good. That a change was committed
    // is written with what comes next; members that restart before that still count the one that
    // went. Suspends: until a majority of those who stay know the members of now after a restart
    // too. Errors: as a proposal's.
    async::Task<Status> settle_membership();
    // Errors: see raft/transfer.h; kUnavailable: the heir lags behind. Returns before it has
    // happened.
    Status transfer_leader(NodeId heir);

    // ---- upkeep, for the host and its maintenance ----

    // Commits what was applied, so that the engine's rows and applied index agree, and makes it
    // durable without the log. Errors: as Engine::persist(); those of a commit, which quarantine.
    async::Task<Status> persist();
    // Deletes up to `count_max` rows of compacted history. Errors: kUnavailable: not now.
    // kCorruption, kIoError: the replica is quarantined.
    Status sweep(std::size_t count_max);
    // Lets the log go up to what the engine has made durable.
    void release_log();
    // "Now" as the next command's stamp will see it, or a little before.
    [[nodiscard]] std::uint64_t now_ms() const;
    [[nodiscard]] GroupId id() const { return id_; }
    [[nodiscard]] Index last_index() const;
    [[nodiscard]] storage::Engine& engine() { return *engine_; }

    // From now on every proposal is refused with kUnavailable; those under way go on.
    void refuse_proposals() { is_stopping_ = true; }
    // Refuses proposals, waits for those under way, closes the engine. A persist() under way ends
    // with kUnavailable.
    async::Task<Status> stop();
    // As stop(), but what is under way fails with kUnavailable.
    async::Task<Status> abandon();

private:
    // Proposals of a leader that lost its place are told "unknown" after so long, when no other
    // leader has said what became of them.
    static constexpr Duration kLostPatience = std::chrono::seconds(3);
    // How long a read waits for a leader and a majority, or for this replica to catch up, when its
    // own deadline is later.
    static constexpr Duration kReadPatience = std::chrono::seconds(3);

    // A command that was gathered, or is in the log and not applied.
    struct Pending {
        Proposal* proposal = nullptr;
        std::size_t bytes = 0;
        Index index;  // 0: gathered
        Term term;
    };
    // What becomes durable with a write of the log.
    struct Persisting {
        std::uint64_t seq = 0;
        std::uint64_t write = 0;
        std::vector<raft::Message> then_send;
    };
    // Whoever waits for a change of membership, in whose frame it lives.
    struct ConfWaiter {
        explicit ConfWaiter(async::Scheduler& scheduler) : told(scheduler) {}
        async::OneShot<Status> told;
        raft::Proposed proposed;
    };

    // ---- proposals ----
    Status admit(std::size_t command_size);
    [[nodiscard]] Status not_leader() const;
    Status gather(ByteView command, Proposal* proposal);
    void propose_gathered();
    void fail_gathered(const Status& why);
    void fail_pending(const Status& why);
    void settle(const Pending& pending);

    // ---- the two sides of a Ready ----
    void run_at_turn_end() override;
    void run_soon();
    void pump();
    void take(raft::Ready ready);
    void note_role(const raft::SoftState& soft);
    void send(const std::vector<raft::Message>& messages);
    void write_ready();
    // Whether what was appended waits for room on a full disk. Proposals that wait for longer than
    // their patience are told that nothing is known.
    bool note_stall(MonotonicTime now);
    Status append_to_log(const raft::Ready& ready);
    void persisted_through(std::uint64_t write);
    void on_durable(Index last) override;
    void on_log_failed(const Status& why) override;
    void begin_reads();
    void fail_reads(const Status& why);
    void consider_handing_over();
    // The log is full, and another member may be better off.
    [[nodiscard]] bool gives_way() const;

    // ---- applying ----
    Proposal* take_proposal(Index index, Term term) override;
    Result<raft::ConfState> apply_conf_change(const raft::Entry& entry) override;
    void on_applied(Index index) override;
    void on_apply_failed(const Status& why) override;
    void on_apply_idle() override;
    void trim_log();

    // ---- snapshots ----
    async::Task<void> install(raft::Ready ready);
    async::Task<Status> replace_state();

    // ---- recovery ----
    Status replay_committed(Index commit);
    void make_node();

    void note_idle();
    [[nodiscard]] bool is_idle() const;

    GroupShared& shared_;
    GroupId id_;
    LeaderWatcher* watcher_ = nullptr;
    std::unique_ptr<storage::Engine> engine_;
    std::unique_ptr<mvcc::Shard> shard_;
    ApplyLoop apply_;
    RaftLog log_;
    std::optional<raft::Node> node_;  // none: alone and without a log
    raft::HardState hard_;            // what was replayed; later the newest
    bool is_hard_unsaved_ = false;    // the log has an older one

    PayloadArena arena_;
    Bytes scratch_;
    std::vector<raft::Payload> gathered_;
    std::deque<Pending>
        pending_;  // in the order of the log; the last gathered_.size() are not in it
    std::deque<raft::Ready> unwritten_;  // not in the log yet; waiting only while the disk is full
    std::deque<Persisting> persisting_;
    ReadRounds reads_;
    HandOver hand_over_;
    RevisionWaiters waiters_;  // for revisions that sessions have seen elsewhere
    std::vector<ConfWaiter*> conf_waiters_;
    std::optional<MonotonicTime> lost_at_;  // when leadership with proposals under way was lost
    std::optional<MonotonicTime> stalled_at_;
    MonotonicTime batch_began_;
    Term served_term_;  // of the newest leader of which an entry is applied

    Index recovered_last_;      // of the last entry that the log has shown
    bool is_continued_ = true;  // by the recovered log, what the engine holds

    Status health_;
    bool is_alone_ = false;      // the only voter
    bool is_caught_up_ = false;  // alone: everything that was ever acknowledged is applied
    bool is_quarantined_ = false;
    bool is_stopping_ = false;
    bool is_paused_ = false;
    bool is_retired_ = false;
    bool is_pumping_ = false;
    bool is_closed_ = false;  // the engine and the log may not be touched any more
    async::Event idle_;
    async::Event caught_up_;
    ReceivedState* received_ = nullptr;  // waits to be installed
    bool is_installing_ = false;         // the engine is being replaced: nothing else may happen
    bool is_engine_closed_ = false;      // by an install, also by one that failed then
    async::Event installed_;
    // Around users of the shard; another one with each state that is installed.
    std::unique_ptr<async::Gate> gate_;
    async::Gate tasks_;
};

}  // namespace kvstore::replication
