// A node as a member of its cluster: how it comes to belong (founded alone, founded with others, or
// joined), the transport to its peers, and what runs the cluster on it: gossip, the members'
// service, the control loop.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/sync.h"
#include "async/task.h"
#include "base/status.h"
#include "cluster/administration.h"
#include "cluster/controller.h"
#include "cluster/directory.h"
#include "cluster/gossip.h"
#include "cluster/meeting.h"
#include "cluster/members.h"
#include "env/env.h"
#include "kv/kv.h"
#include "metrics/registry.h"
#include "replication/host.h"
#include "replication/host_shard_actor.h"
#include "rpc/transport.h"
#include "server/config.h"
#include "server/data_directory.h"

namespace kvstore::server {

// Lifetime  Owned by the node, around host and kv: opened before them, stop_cluster() before kv
//           stops, stop_transport() after the host has.
// Runs on   One core.
class ClusterNode final : public kv::NodeJudge, private cluster::GossipListener {
public:
    // Finds out which node of which cluster this is, where need be by meeting or joining others,
    // and listens for peers.
    // Suspends: until that is known; says in the log whom it waits for.
    // Errors: kInvalidArgument (a list that cannot be), kConflict (the name is taken), those of
    //         listening and of the disk.
    static async::Task<Result<std::unique_ptr<ClusterNode>>> open(env::Env* env,
                                                                  const Config* config,
                                                                  DataDirectory* data,
                                                                  metrics::Registry* registry);
    ClusterNode(env::Env& env, const Config& config, DataDirectory& data);
    ClusterNode(const ClusterNode&) = delete;
    ClusterNode& operator=(const ClusterNode&) = delete;
    ~ClusterNode();

    [[nodiscard]] NodeId self() const { return data_.number; }
    [[nodiscard]] rpc::Transport& transport() { return *transport_; }
    [[nodiscard]] cluster::Directory& directory() { return directory_; }
    [[nodiscard]] const env::Address& peer_address() const { return listening_; }
    // Where peers are told to find this node.
    [[nodiscard]] env::Address advertised() const;
    // The nodes that hold a shard, by the newest view.
    [[nodiscard]] std::vector<NodeId> locate(ShardId shard) const;

    // Whether others belong to the cluster, as far as is known, so that they can fill what is
    // damaged here.
    [[nodiscard]] bool has_others() const;

    // Makes this founder's replica of the system shard, the first time.
    // Errors: those of Host::create_shard().
    async::Task<Status> begin(replication::Host* host);
    // Takes part, over what was opened. `addresses` are where clients find this node.
    void start(replication::Host& host, kv::Kv& kv, cluster::NodeFacts addresses);
    // Suspends: until `default` can be seen here.
    async::Task<void> wait_founded();

    // Why this node must not take part any more; ok while nobody says so.
    [[nodiscard]] Status standing() const;

    // Hands the leadership of its shards to others, as far as they take it in a moment.
    async::Task<void> give_leaders_away();
    async::Task<void> stop_cluster();
    async::Task<void> stop_transport();

    [[nodiscard]] bool is_usable(NodeId node) const override;
    [[nodiscard]] bool has_noted_members() const override;
    // Requires: start().
    [[nodiscard]] cluster::Administration& administration() { return *administration_; }
    [[nodiscard]] const cluster::Controller* controller() const { return controller_.get(); }

private:
    async::Task<Status> settle_identity();
    async::Task<Status> found_with_others();
    async::Task<Status> join(std::vector<env::Address> addresses);
    Status listen(metrics::Registry* registry);
    [[nodiscard]] std::unique_ptr<rpc::Transport> make_transport(metrics::Registry* registry);
    [[nodiscard]] cluster::NodeFacts facts() const;
    Status judge(const wire::Hello& hello) const;
    [[nodiscard]] cluster::Liveness liveness(NodeId node) const;
    [[nodiscard]] std::vector<NodeId> system_voters() const;
    [[nodiscard]] std::vector<cluster::LedShard> led_with_others() const;
    void follow(const cluster::ClusterView& view);
    async::Task<void> found_loop();
    async::Task<void> end_founding();
    async::Task<Status> load_members();
    [[nodiscard]] bool is_told_of_others() const;
    async::Task<void> save_members();
    void on_node_state(NodeId node, const cluster::NodeLiveness& liveness) override;
    void on_map_version(cluster::MapVersion version, NodeId from) override;

    env::Env& env_;
    const Config& config_;
    DataDirectory& data_;
    std::vector<cluster::Founder>
        founders_;  // with their stores; none once the cluster has records
    cluster::Directory directory_;
    std::unique_ptr<cluster::MeetingService> meeting_;
    std::unique_ptr<rpc::Transport> transport_;
    env::Address listening_;
    replication::Host* host_ = nullptr;
    kv::Kv* kv_ = nullptr;
    std::unique_ptr<replication::HostShardActor> actor_;
    std::unique_ptr<cluster::Gossip> gossip_;
    std::unique_ptr<cluster::Members> members_;
    std::unique_ptr<cluster::Controller> controller_;
    std::unique_ptr<cluster::ClusterAdministration> administration_;
    Bytes saved_members_;
    bool is_saving_ = false;
    bool is_stopping_ = false;
    async::Gate gate_;
};

}  // namespace kvstore::server
