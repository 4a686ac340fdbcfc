// What is true of a simulated cluster, outside all of its hosts: the rows of the system shard, and
// the group of every shard. Nodes see and change it through TruthStore and TruthShards, which take
// time and fail as the real ones do. Whatever breaks a rule of controller.h is written down.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "base/random.h"
#include "cluster/metadata_store.h"
#include "cluster/shard_actor.h"
#include "env/env.h"
#include "sim/world.h"

namespace kvstore::cluster::testing {

struct Group {
    struct Change {
        ActionKind kind = ActionKind::kAddLearner;
        NodeId node;
    };
    LedShard led;  // of its leader; caught_up is filled in when somebody asks
    NodeId leader;
    std::map<NodeId, MonotonicTime> full_at;  // of learners that have a replica
    std::optional<Change> pending;
    // A leader that was deposed and does not know it yet, and what it believes.
    NodeId deposed;
    LedShard believed;
    MonotonicTime deposed_until;
};

// One in so many; 0: never.
struct TruthFaults {
    std::uint32_t read_fails = 0;
    std::uint32_t write_fails = 0;    // without an effect
    std::uint32_t write_unknown = 0;  // with or without one, and nobody is told
    std::uint32_t act_fails = 0;
    std::uint32_t act_unknown = 0;
};

// Lifetime  Outlives the hosts.
class ClusterTruth {
public:
    ClusterTruth(sim::World& world, std::uint64_t seed) : world_(world), random_(seed) {}
    ClusterTruth(const ClusterTruth&) = delete;
    ClusterTruth& operator=(const ClusterTruth&) = delete;

    // ---- for tests ----

    void put(Bytes key, Bytes value);
    void add_shard(const ShardRecord& record);
    [[nodiscard]] SystemRows rows() const;
    [[nodiscard]] Metadata metadata() const;
    [[nodiscard]] Group& group(ShardId id) { return groups_.at(id); }
    [[nodiscard]] const std::map<ShardId, Group>& groups() const { return groups_; }
    [[nodiscard]] NodeId controller() const;
    // Which host a node runs on now.
    std::map<NodeId, sim::Host*> homes;
    TruthFaults faults;
    // Writes and changes of groups so far; `on_step` is called after each.
    std::uint64_t steps = 0;
    Callback<void()> on_step;
    std::vector<std::string> violations;
    // Learners of groups whose records do not list them. Only a controller that was paused for so
    // long that others have taken its step back can leave one (docs/internals/membership.md).
    std::vector<std::string> strays;

    // Leaders that are gone are followed by others, where a majority is there.
    void elect();
    // Makes another live voter the leader, where there is one. The old one may not know for a
    // while.
    void depose(ShardId id, Duration unknowing);
    // The replica takes no part from now on, until its node has removed it.
    void damage(ShardId shard, NodeId node);
    [[nodiscard]] bool is_damaged(ShardId shard, NodeId node) const {
        return damaged_.contains({shard, node});
    }
    // Whether a member of a group is.
    [[nodiscard]] bool has_damaged() const;
    // What the node says of its disk.
    void set_disk(NodeId node, DiskState state) { disks_[node] = state; }
    [[nodiscard]] DiskState disk(NodeId node) const {
        const auto found = disks_.find(node);
        return found == disks_.end() ? DiskState::kFine : found->second;
    }
    [[nodiscard]] bool is_live(NodeId node) const;
    // Is live, and its replica is undamaged.
    [[nodiscard]] bool takes_part(const Group& group, NodeId node) const;
    [[nodiscard]] bool has_majority(const Group& group) const;
    // The same with those who went down so lately that nobody has found it out.
    [[nodiscard]] bool is_believed_to_have_majority(const Group& group) const;

    // ---- for TruthStore, TruthShards, and nodes ----

    Status write(const std::vector<MetadataChange>& changes);
    void carry_out(ShardId id, Group::Change change);
    // A node has made, or removed, a replica.
    void made(ShardId shard, NodeId node);
    void dropped(ShardId shard, NodeId node);
    [[nodiscard]] bool strikes(std::uint32_t one_in) {
        return one_in != 0 && random_.chance(1, one_in);
    }
    [[nodiscard]] Duration some(Duration low, Duration high);
    [[nodiscard]] MonotonicTime now() const { return world_.now(); }
    void violate(std::string what) { violations.push_back(std::move(what)); }

private:
    void check_rows(const std::map<Bytes, Bytes>& before);
    void check_listed();
    void count_step();
    void lead(Group& group, NodeId leader);

    sim::World& world_;
    Random random_;
    std::map<Bytes, Bytes> rows_;
    std::uint64_t version_ = 1;
    std::map<NodeId, MonotonicTime> seen_;  // up; by elect()
    std::map<ShardId, Group> groups_;
    std::set<std::pair<ShardId, NodeId>> damaged_;
    std::map<NodeId, DiskState> disks_;
};

class TruthStore final : public MetadataStore {
public:
    TruthStore(env::Env& env, ClusterTruth& truth, NodeId self)
        : env_(env), truth_(truth), self_(self) {}

    async::Task<Result<SystemRows>> read(async::Deadline deadline) override;
    async::Task<Status> write(std::vector<MetadataChange> changes,
                              async::Deadline deadline) override;
    [[nodiscard]] std::optional<SystemRows> read_local(MapVersion known) override;
    [[nodiscard]] bool is_leader() const override;

private:
    env::Env& env_;
    ClusterTruth& truth_;
    NodeId self_;
};

class TruthShards final : public ShardActor {
public:
    TruthShards(env::Env& env, ClusterTruth& truth, NodeId self)
        : env_(env), truth_(truth), self_(self) {}

    [[nodiscard]] std::vector<LedShard> led_shards() const override;
    [[nodiscard]] std::vector<ShardId> damaged_shards() const override;
    [[nodiscard]] DiskState disk() const override { return truth_.disk(self_); }
    async::Task<Status> act(ActionKind kind,
                            ShardId shard,
                            NodeId node,
                            async::Deadline deadline) override;

private:
    env::Env& env_;
    ClusterTruth& truth_;
    NodeId self_;
};

}  // namespace kvstore::cluster::testing
