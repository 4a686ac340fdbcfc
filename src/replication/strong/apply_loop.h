// Committed entries on their way into a shard, in order, in batches that the engine makes atomic.
//
// An engine that holds everything in memory is applied to at once. One that may have to go to the
// disk gets the records which a batch reads brought in first, so that applying never blocks the
// core.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "async/scheduler.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "mvcc/shard.h"
#include "raft/types.h"
#include "replication/group.h"
#include "replication/strong/digest_trail.h"
#include "replication/strong/group_meta.h"
#include "storage/engine.h"

namespace kvstore::replication {

// The group, as the loop sees it.
//
// Runs on   The core of the group, from inside the loop's calls and turn-end hook.
class ApplyOwner {
public:
    // Who waits for the outcome of this entry; null: nobody. Asked once for each entry, in order.
    virtual Proposal* take_proposal(Index index, Term term) = 0;
    // The configuration that is in force once the change in `entry` is applied.
    // Errors: kCorruption.
    virtual Result<raft::ConfState> apply_conf_change(const raft::Entry& entry) = 0;
    // Everything up to `index` is applied. May push() more.
    virtual void on_applied(Index index) = 0;
    // The replica cannot be trusted any more. Nothing more is applied.
    virtual void on_apply_failed(const Status& why) = 0;
    // Nothing is left to do.
    virtual void on_apply_idle() = 0;

protected:
    ~ApplyOwner() = default;
};

// Lifetime    Owned by its group. stop() or abandon() before destruction, when it has ever run.
// Runs on     The core of its group.
// Invariants  entries are applied in the order of their indexes, each once
//             the group's meta record and the rows are of the same applied index
class ApplyLoop final : private async::TurnEndHook {
public:
    // How many commands are applied between two commits of an engine that is slow.
    static constexpr std::size_t kBatchCommandsMax = 512;

    ApplyLoop(env::Env& env, ApplyOwner& owner);
    ApplyLoop(const ApplyLoop&) = delete;
    ApplyLoop& operator=(const ApplyLoop&) = delete;
    ~ApplyLoop() override;

    // What to apply to. Again when the replica's state is replaced. Requires: is_quiet().
    void attach(storage::Engine* engine, mvcc::Shard* shard, GroupMeta meta);

    // Adds a committed entry, and applies what can be applied with run().
    void push(raft::Entry entry) { queue_.push_back(std::move(entry)); }
    void run();
    // Applies one entry of a recovered log, and commits now and then.
    // Errors: kCorruption, kIoError.
    Status replay(const raft::Entry& entry);

    // One operation that no log has to hold, without encoding it, as the next index.
    // Requires: can_apply_at_once().
    void apply_at_once(Version stamp, const mvcc::Operation& operation, Proposal* proposal);
    [[nodiscard]] bool can_apply_at_once() const;

    [[nodiscard]] const GroupMeta& meta() const { return meta_; }
    // Everything up to here was given to the shard.
    [[nodiscard]] Index applied() const { return applied_; }
    // Of entries that were applied since the state came to be here.
    [[nodiscard]] const DigestTrail& digests() const { return digests_; }
    // The last one that was pushed, or applied.
    [[nodiscard]] Index last_pushed() const {
        return queue_.empty() ? applied_ : queue_.back().index;
    }

    // Whether a batch of applied commands is open, so that the engine may not be asked to persist
    // or to sweep.
    [[nodiscard]] bool is_in_batch() const { return is_applying_ || is_committing_; }
    [[nodiscard]] bool is_quiet() const { return queue_.empty() && !is_in_batch(); }

    // Whether what was applied cannot be committed until there is space on the disk.
    [[nodiscard]] bool is_out_of_room() const { return is_out_of_room_; }
    // From now on nothing waits for space: what cannot be committed is left to the log.
    void stop_waiting() { is_ending_ = true; }

    // Ends the open batch where that does not block. Errors: kUnavailable: it would; kDiskFull.
    Status finish_batch();
    // Commits what was applied at the end of this turn.
    void commit_later();

    // Applies nothing more, and drops what waits. What is under way ends.
    void halt();
    // The same until attach(). Suspends: until what is under way has ended.
    async::Task<void> pause();
    // Suspends: until a batch under way has ended. The engine is not touched after it.
    async::Task<void> stop();

private:
    // How long after the engine found the disk full it is asked again.
    static constexpr Duration kRoomPause = std::chrono::milliseconds(200);
    // Commands whose first record is fetched before they are applied.
    static constexpr std::size_t kLookAhead = 8;

    void run_at_turn_end() override;
    void start_applying();
    void apply_resident();
    async::Task<void> apply_with_prefetch();
    void hint_at(std::size_t position);
    bool apply_front();
    Status apply(const raft::Entry& entry);
    Status apply_command(const raft::Entry& entry);
    void note_digest();
    void store_meta();
    async::Task<void> commit_when_ready();
    async::Task<bool> commit_once_there_is_room();
    void fail(const Status& why);
    void note_idle();

    env::Env& env_;
    ApplyOwner& owner_;
    storage::Engine* engine_ = nullptr;
    mvcc::Shard* shard_ = nullptr;
    GroupMeta meta_;
    std::deque<raft::Entry> queue_;
    Index applied_;
    DigestTrail digests_;
    std::size_t replayed_ = 0;
    bool is_applying_ = false;
    bool is_committing_ = false;  // commit_when_ready() is under way: nothing may be applied
    bool is_paused_ = false;
    bool is_halted_ = false;
    bool is_out_of_room_ = false;
    bool is_ending_ = false;
    bool is_closed_ = false;  // the engine may not be touched any more
    async::Event quiet_;
    async::Gate gate_;
};

}  // namespace kvstore::replication
