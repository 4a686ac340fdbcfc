// A cluster of simulated hosts with everything that this module runs on a node (transport, gossip,
// directory, members, controller), over the shared truth of cluster_truth.h.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "cluster/administration.h"
#include "cluster/controller.h"
#include "cluster/directory.h"
#include "cluster/gossip.h"
#include "cluster/members.h"
#include "cluster/testing/cluster_truth.h"
#include "cluster/testing/rows.h"
#include "rpc/transport.h"
#include "sim/world.h"

namespace kvstore::cluster::testing {

// Lifetime  Of the host's process: buried by a crash.
class MemberNode final : private GossipListener {
public:
    MemberNode(env::Env& env,
               ClusterTruth& truth,
               NodeId self,
               NodeFacts facts,
               std::uint64_t incarnation,
               SystemRows rows);
    void start();
    async::Task<void> stop();

    NodeId self;
    std::unique_ptr<rpc::Transport> transport;
    TruthStore store;
    TruthShards shards;
    Directory directory;
    Gossip gossip;
    Members members;
    Controller controller;
    ClusterAdministration administration;
    std::set<ShardId> replicas;

private:
    void on_node_state(NodeId node, const NodeLiveness& liveness) override;
    void on_map_version(MapVersion version, NodeId from) override;
    [[nodiscard]] Status judge(const wire::Hello& hello) const;
    void follow(const ClusterView& view);

    ClusterTruth& truth_;
};

// Hosts are numbered from 1; the ids of their nodes may be others.
class MemberWorld {
public:
    explicit MemberWorld(std::uint64_t seed);
    MemberWorld(const MemberWorld&) = delete;
    MemberWorld& operator=(const MemberWorld&) = delete;
    ~MemberWorld();

    // Node 1 with the system shard and `shards` others on it.
    void bootstrap(std::uint64_t shards);
    // The next host, on which nothing runs yet.
    std::uint64_t add_host();
    // Asks `targets` (hosts) to take host `number` in, as its own program would.
    Result<Joined> try_join(std::uint64_t number, std::vector<std::uint64_t> targets);
    Result<Joined> try_join(std::uint64_t number,
                            std::vector<env::Address> targets,
                            NodeFacts facts);
    // Adds a host, joins until it is taken in, and starts its node. Returns its number.
    std::uint64_t add_node();
    void start(std::uint64_t number, const Joined& joined);
    void crash(std::uint64_t number);
    // The same node again, with the rows of now, or those that its disk held.
    void restart(std::uint64_t number) { restart(number, truth.rows()); }
    void restart(std::uint64_t number, SystemRows rows);
    // The host comes back with an empty disk, and nothing runs on it.
    void wipe(std::uint64_t number);
    void set_state(NodeId node, NodeState state);

    [[nodiscard]] bool is_up(std::uint64_t number) const {
        return slots_[number - 1].node != nullptr && slots_[number - 1].host->is_up();
    }
    [[nodiscard]] MemberNode& node(std::uint64_t number) { return *slots_[number - 1].node; }
    [[nodiscard]] NodeId id(std::uint64_t number) const { return slots_[number - 1].id; }
    [[nodiscard]] sim::Host& host(std::uint64_t number) { return *slots_[number - 1].host; }
    [[nodiscard]] std::uint64_t size() const { return slots_.size(); }
    // The host whose node leads the system shard; 0: nobody.
    [[nodiscard]] std::uint64_t controller_host() const;

    // Whether every shard has `replicas` voters (the system shard at most 5), all on live members,
    // records and groups agree, and all nodes know it.
    [[nodiscard]] bool is_settled(std::size_t replicas, std::size_t system_replicas) const;
    bool settles(std::size_t replicas, std::size_t system_replicas, Duration limit);
    // For messages of tests: records and groups.
    [[nodiscard]] std::string describe() const;

    sim::World world;
    ClusterTruth truth;

private:
    struct Slot {
        sim::Host* host = nullptr;
        std::unique_ptr<MemberNode> node;
        NodeId id;
        std::uint64_t store = 0;
        std::uint64_t incarnation = 0;
    };

    void begin(std::uint64_t number, SystemRows rows);
    void watch();
    [[nodiscard]] NodeFacts facts(std::uint64_t number) const;

    LogLevel log_level_before_;
    std::vector<Slot> slots_;
};

}  // namespace kvstore::cluster::testing
