// A group of one: its log is the write-ahead log, and what is durable there is committed.
//
//     propose -> encode, stamp -> log (group commit of the turn) -> durable -> apply -> outcome
//
// With durability `memory` there is no log: a proposal is applied at once.
#pragma once

#include <cstdint>
#include <memory>

#include "async/sync.h"
#include "async/task.h"
#include "base/hlc.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "metrics/histogram.h"
#include "mvcc/shard.h"
#include "replication/group.h"
#include "replication/strong/command_queue.h"
#include "storage/engine.h"
#include "storage/wal/wal.h"

namespace kvstore::replication {

// What the groups of one core share.
struct GroupShared {
    env::Env& env;
    HybridClock& clock;
    storage::Wal* wal = nullptr;  // null: durability is `memory`
    std::size_t proposal_bytes = 0;
    std::size_t proposal_bytes_max = 0;
    metrics::Histogram* commit_latency = nullptr;  // null: not measured
};

// Lifetime   Owned by the host; stop() before destruction. `shared` outlives it.
// Runs on    One core.
//
// Invariants
//   applied <= durable <= last index
//   a proposal is told its outcome only after its index is durable and applied
class SingleGroup final : public Group, private storage::WalClient, private async::TurnEndHook {
public:
    SingleGroup(GroupShared& shared,
                GroupId id,
                std::unique_ptr<storage::Engine> engine,
                std::unique_ptr<mvcc::Shard> shard);
    ~SingleGroup() override;

    Status propose(const mvcc::Operation& operation, Proposal* proposal) override;
    Status propose(const mvcc::Command& command, Proposal* proposal) override;
    [[nodiscard]] bool can_read_now() const override { return !is_quarantined_; }
    async::Task<Status> read_barrier(async::Deadline deadline) override;
    [[nodiscard]] mvcc::Shard& shard() override { return *shard_; }
    [[nodiscard]] const Status& health() const override { return health_; }

    // ---- for the host ----

    // One entry of the recovered log. Entries that the engine holds already are passed over.
    // Errors: kCorruption: entries are missing before this one, or it cannot be applied.
    Status replay(Index index, ByteView command);
    // Ends the replay: commits what is left of the last batch and takes proposals from now on.
    async::Task<Status> finish_replay();

    // Says in the log that it continues after what the engine holds, though entries before are not
    // in it. Requires: the engine holds everything up to last_index().
    Status restart_log();

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
    [[nodiscard]] Index last_index() const { return last_index_; }
    [[nodiscard]] storage::Engine& engine() { return *engine_; }
    [[nodiscard]] async::Gate& gate() override { return gate_; }

    // From now on every proposal is refused with kUnavailable; those under way go on.
    void refuse_proposals() { is_stopping_ = true; }
    // Refuses proposals, waits for those under way, closes the engine. A persist() under way ends
    // with kUnavailable.
    async::Task<Status> stop();
    // As stop(), but what is under way fails with kUnavailable.
    async::Task<Status> abandon();

private:
    // Commands applied between two commits of the engine while replaying, or off a slow engine.
    static constexpr std::size_t kBatchCommandsMax = 512;
    // Commands whose first record is fetched before they are applied.
    static constexpr std::size_t kLookAhead = 8;

    Status admit(std::size_t command_size);
    Status propose_encoded(ByteView command, Proposal* proposal);
    [[nodiscard]] bool can_apply_at_once() const;
    Status apply_at_once(const mvcc::Operation& operation, Proposal* proposal);

    void on_durable(Index last) override;
    void on_log_failed(const Status& why) override;
    void run_at_turn_end() override;

    void apply_durable();
    void start_applying();
    void apply_resident();
    async::Task<void> apply_with_prefetch();
    void hint_at(std::size_t position);
    bool apply_front();
    void commit_later();
    async::Task<void> commit_when_ready();
    void quarantine(const Status& why);
    void fail_pending(const Status& why);
    void note_idle();

    GroupShared& shared_;
    GroupId id_;
    std::unique_ptr<storage::Engine> engine_;
    std::unique_ptr<mvcc::Shard> shard_;
    CommandQueue queue_;
    Bytes scratch_;
    Index last_index_;
    Index durable_index_;
    MonotonicTime batch_began_;  // when the oldest proposal that is not durable came
    std::size_t replayed_ = 0;
    Status health_;
    bool is_quarantined_ = false;
    bool is_stopping_ = false;
    bool is_closed_ = false;  // the engine may not be touched any more
    bool is_applying_ = false;
    bool is_committing_ = false;  // commit_when_ready() is under way: nothing may be applied
    async::Event idle_;
    async::Gate gate_;
};

}  // namespace kvstore::replication
