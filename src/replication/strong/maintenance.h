// What the leader of a shard does by itself: expires keys, compacts history, makes snapshots.
#pragma once

#include <cstdint>

#include "async/task.h"
#include "base/time.h"
#include "replication/strong/single_group.h"

namespace kvstore::replication {

struct MaintenanceOptions {
    Duration snapshot_interval;
    // When records that have run out are looked for. TTL promises at most one second.
    Duration expiry_interval = std::chrono::milliseconds(100);
    Duration compaction_interval = std::chrono::seconds(5);
};

// The three loops of one group. Each ends soon after the group's gate begins to close.
//
// Lifetime  Owned beside its group; stop() before the group's.
// Runs on   One core.
class Maintenance {
public:
    Maintenance(env::Env& env, SingleGroup& group, MaintenanceOptions options);
    Maintenance(const Maintenance&) = delete;
    Maintenance& operator=(const Maintenance&) = delete;
    ~Maintenance() = default;

    void start();
    async::Task<void> stop();

private:
    static constexpr std::size_t kExpireBatch = 512;
    static constexpr std::size_t kSweepBatch = 512;

    async::Task<void> expire_loop();
    async::Task<void> compact_loop();
    async::Task<void> snapshot_loop();
    async::Task<bool> expire_some();
    async::Task<void> compact_history();
    async::Task<void> sweep();
    async::Task<Status> propose_and_wait(const mvcc::Command* command);
    // Waits for `span` or until stop(). Returns: whether to go on.
    async::Task<bool> pause(Duration span);
    [[nodiscard]] std::uint64_t now_ms() const;

    env::Env& env_;
    SingleGroup& group_;
    MaintenanceOptions options_;
    async::Gate gate_;
    bool is_stopping_ = false;
};

}  // namespace kvstore::replication
