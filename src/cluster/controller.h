// The control loop: whoever leads the system shard reads the records, asks the leaders of the
// shards how they stand, plans (placement.h), and carries the plan out, one step a shard at a time.
//
// The order that keeps every step safe, whenever it is cut short:
//   - a shard's record lists a replica before its group does, and no longer than it: the node makes
//     the replica when it sees itself listed, and removes it when it is not listed any more;
//   - adding:   record (learner), then group (learner); promoting: group, then record;
//     removing: group, then record;
//   - the record follows the group: what a group's leader tells counts, and a record that says
//     otherwise about voters is brought up to it.
// Every change of a shard's replicas raises its epoch by one, and is written only while the record
// is as it was read. Why no order of crashes, delays and deposed leaders makes a group count on a
// replica that its node has removed: docs/internals/membership.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "async/sync.h"
#include "async/task.h"
#include "base/callback.h"
#include "base/id.h"
#include "base/time.h"
#include "cluster/gossip.h"
#include "cluster/internal/alarm.h"
#include "cluster/members.h"
#include "cluster/metadata_store.h"
#include "cluster/placement.h"
#include "env/env.h"

namespace kvstore::cluster {

struct ControllerOptions {
    // Between rounds; a tenth of it after one that has changed something.
    Duration interval = std::chrono::milliseconds(500);
    PlacementOptions placement;  // but replace_after, which is the ClusterRecord's
    // How many replicas the keyspace wants, by its own record among `rows`.
    Callback<std::uint32_t(std::string_view keyspace, const SystemRows& rows)> factor_of;
};

struct ControllerStatistics {
    std::uint64_t rounds = 0;
    std::uint64_t actions = 0;   // carried out to their end, repairs too
    std::uint64_t failures = 0;  // steps and rounds that were cut short
};

// Lifetime  Owned by the node; stop() before destruction. The parts outlive it.
// Runs on   One core.
class Controller {
public:
    Controller(env::Env& env,
               MetadataStore& store,
               Members& members,
               const Gossip& gossip,
               NodeId self,
               ControllerOptions options);
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;
    ~Controller();

    void start();
    // Suspends: until what is under way has ended, or its deadline has come (3 s).
    async::Task<void> stop();

    // What could not be done in the last round, for people.
    [[nodiscard]] const std::vector<Obstacle>& obstacles() const { return obstacles_; }
    [[nodiscard]] ControllerStatistics statistics() const { return statistics_; }

private:
    class Round;

    async::Task<void> run();
    // Whether this node is still the one to act.
    [[nodiscard]] bool may_go_on() const { return is_running_ && store_.is_leader(); }

    env::Env& env_;
    MetadataStore& store_;
    Members& members_;
    const Gossip& gossip_;
    NodeId self_;
    ControllerOptions options_;
    async::Gate gate_;
    internal::Alarm alarm_;
    bool is_running_ = false;
    std::vector<Obstacle> obstacles_;
    ControllerStatistics statistics_;
};

}  // namespace kvstore::cluster
