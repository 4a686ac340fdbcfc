// What the leader of a shard does by itself: expires keys, compacts history, makes snapshots.
#pragma once

#include <cstdint>
#include <vector>

#include "async/sync.h"
#include "async/task.h"
#include "base/time.h"
#include "mvcc/shard.h"
#include "replication/strong/raft_group.h"

namespace kvstore::replication {

struct MaintenanceOptions {
    Duration snapshot_interval;  // 0: only those that are asked for
    // When records that have run out are looked for. TTL promises at most one second.
    Duration expiry_interval = std::chrono::milliseconds(100);
    // The same while no record has a time to live, or another node leads.
    Duration quiet_interval = std::chrono::milliseconds(500);
    Duration compaction_interval = std::chrono::seconds(5);
};

// The three loops of one group.
//
// Lifetime  Owned beside its group. Ends in three steps: request_stop(), the group's stop() (which
//           cuts a snapshot short), stop().
// Runs on   One core.
// Never     Touches the engine after request_stop(), but for what is under way.
class Maintenance {
public:
    Maintenance(env::Env& env, RaftGroup& group, MaintenanceOptions options);
    Maintenance(const Maintenance&) = delete;
    Maintenance& operator=(const Maintenance&) = delete;
    ~Maintenance() = default;

    void start();
    // Makes a snapshot soon, whatever the interval.
    void request_snapshot();
    void request_stop();
    // Suspends: until the loops have ended.
    async::Task<void> stop();

private:
    static constexpr std::size_t kExpireBatch = 512;
    // Of the keys in one batch: far below what one entry of the log holds.
    static constexpr std::size_t kExpireBytes = 1U << 20U;
    // What is broken stays broken for a while: it is not looked at ten times a second.
    static constexpr Duration kAfterFailure = std::chrono::seconds(5);
    static constexpr std::size_t kSweepBatch = 512;

    // A sleep of one loop that can be cut short. It costs nothing while it lasts.
    class Nap {
    public:
        explicit Nap(env::Env& env) : env_(env), is_over_(env.scheduler) {}
        // Suspends: until then, or cut_short(). Requires: nobody else waits.
        async::Task<void> wait_until(MonotonicTime when);
        void cut_short() { is_over_.set(); }

    private:
        env::Env& env_;
        async::Event is_over_;
    };

    async::Task<void> expire_loop();
    async::Task<void> compact_loop();
    async::Task<void> snapshot_loop();
    async::Task<bool> expire_some();
    async::Task<Status> propose_expiry(std::vector<mvcc::ExpiredKey> expired);
    async::Task<void> compact_history();
    async::Task<void> sweep();
    async::Task<Status> propose_and_wait(const mvcc::Command* command);
    // Waits for `span` or until request_stop(). Returns: whether to go on.
    async::Task<bool> pause(Nap* nap, Duration span);
    async::Task<bool> pause_until_snapshot();

    env::Env& env_;
    RaftGroup& group_;
    MaintenanceOptions options_;
    async::Gate gate_;
    Nap expiry_nap_;
    Nap compaction_nap_;
    Nap snapshot_nap_;
    bool snapshot_is_wanted_ = false;
    bool is_stopping_ = false;
};

}  // namespace kvstore::replication
