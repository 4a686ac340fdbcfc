// What the leader of a shard does by itself: expires keys, compacts history, makes snapshots.
#pragma once

#include <cstdint>
#include <vector>

#include "async/task.h"
#include "base/time.h"
#include "mvcc/shard.h"
#include "replication/strong/raft_group.h"

namespace kvstore::replication {

struct MaintenanceOptions {
    Duration snapshot_interval;  // 0: only those that are asked for
    // When records that have run out are looked for. TTL promises at most one second.
    Duration expiry_interval = std::chrono::milliseconds(100);
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
    void request_snapshot() { snapshot_is_wanted_ = true; }
    void request_stop() { is_stopping_ = true; }
    // Suspends: until the loops have ended.
    async::Task<void> stop();

private:
    static constexpr std::size_t kExpireBatch = 512;
    // Of the keys in one batch: far below what one entry of the log holds.
    static constexpr std::size_t kExpireBytes = 1U << 20U;
    // What is broken stays broken for a while: it is not looked at ten times a second.
    static constexpr Duration kAfterFailure = std::chrono::seconds(5);
    static constexpr std::size_t kSweepBatch = 512;

    async::Task<void> expire_loop();
    async::Task<void> compact_loop();
    async::Task<void> snapshot_loop();
    async::Task<bool> expire_some();
    async::Task<Status> propose_expiry(std::vector<mvcc::ExpiredKey> expired);
    async::Task<void> compact_history();
    async::Task<void> sweep();
    async::Task<Status> propose_and_wait(const mvcc::Command* command);
    // Waits for `span` or until stop(). Returns: whether to go on.
    async::Task<bool> pause(Duration span);
    async::Task<bool> pause_until_snapshot();

    env::Env& env_;
    RaftGroup& group_;
    MaintenanceOptions options_;
    async::Gate gate_;
    bool snapshot_is_wanted_ = false;
    bool is_stopping_ = false;
};

}  // namespace kvstore::replication
