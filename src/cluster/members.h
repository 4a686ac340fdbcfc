// The service by which nodes of a cluster meet: a node that joins is given its id and what the
// cluster knows, nodes that come back say where they are now, and whoever holds no replica of the
// system shard is told what it says.
//
// Calls on wire::kClusterTopic; docs/internals/membership.md has their bytes. Any member answers
// any of them: reads and writes go through the MetadataStore, which finds the leader.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "async/deadline.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/callback.h"
#include "base/id.h"
#include "base/status.h"
#include "cluster/directory.h"
#include "cluster/internal/alarm.h"
#include "cluster/metadata_store.h"
#include "cluster/placement.h"
#include "cluster/shard_actor.h"
#include "env/env.h"
#include "rpc/transport.h"

namespace kvstore::cluster {

// Who a node is and where it answers, as it tells the others itself.
struct NodeFacts {
    std::string name;
    std::uint64_t store = 0;
    std::string peer_address;
    std::string http_address;
    std::string grpc_address;
    std::string resp_address;
    std::string zone;
    std::uint32_t protocol_version = 1;

    friend bool operator==(const NodeFacts&, const NodeFacts&) = default;
};

struct Joined {
    std::uint64_t cluster_id = 0;
    NodeId id;
    SystemRows rows;
};

// Asks the members at `addresses`, each once and one after the other, to take this node in, until
// `deadline`. Asking again, also of another member, gives the same id (by name and store), so who
// wants to wait for members asks again. A member of the same name with another store has lost its
// disk: it is marked replaced, and this node is a new one.
// Errors: kUnavailable: none of them took it in, with what each said; kConflict: the name is of a
//         live member with another store (wait for it to be found dead, or remove it), or the store
//         is, or was, that of another node; kInvalidArgument: no facts that a node can have.
async::Task<Result<Joined>> join_cluster(rpc::Transport* transport,
                                         std::vector<env::Address> addresses,
                                         NodeFacts facts,
                                         async::Deadline deadline);

// What a member answers to the connection of a node that has left, which that node believes.
[[nodiscard]] Status departed_status(const NodeRecord& record);

// One node's end of the service.
//
// Lifetime  Owned by the node; stop() before destruction, and the transport stops before that.
//           `store` may be null until set_store(): a node that has none yet answers kUnavailable.
// Runs on   One core.
class Members final : public rpc::Service {
public:
    struct Parts {
        env::Env& env;
        rpc::Transport& transport;
        Directory& directory;
        ShardActor& actor;
        NodeId self;
        NodeFacts facts;
        // A node's liveness now, from gossip.
        Callback<Liveness(NodeId)> liveness;
        // Told once when standing() turns bad. May be empty.
        Callback<void(const Status& why)> on_excluded = {};
    };
    // Registers itself with the transport.
    explicit Members(Parts parts);
    Members(const Members&) = delete;
    Members& operator=(const Members&) = delete;
    ~Members() override;

    void set_store(MetadataStore* store) { store_ = store; }

    // From now on: keeps this node's record true (addresses, kJoining to kActive) and the directory
    // new (from the local replica, else from members that have one), and the transport's peers and
    // their addresses as the directory says.
    void start();
    // Suspends: until the calls under way have ended: as soon as the store and the shards have
    //           answered, when the transport has stopped.
    async::Task<void> stop();

    // `from` knows a newer version of the rows, as gossip tells: they are asked for at once.
    void on_map_version(MapVersion version, NodeId from);
    // Why this node must not take part any more: its id was removed or replaced, is another
    // store's, or was never given (kConflict, kNotFound). Ok while nobody says so; then for good.
    [[nodiscard]] const Status& standing() const { return standing_; }

    // A step that a shard's leader on `node` is to carry out. Errors: as ShardActor::act(), and
    // those of a call.
    async::Task<Status> act(
        NodeId node, ActionKind kind, ShardId shard, NodeId about, async::Deadline deadline);
    // What `node` leads, and what is damaged on it. Errors: those of a call.
    async::Task<Result<ShardReport>> shard_report(NodeId node, async::Deadline deadline);

    // rpc::Service
    void on_messages(NodeId from, rpc::Received messages) override;
    void on_call(NodeId from, rpc::Received request, rpc::Responder responder) override;
    async::Task<Result<Bytes>> on_stream(NodeId from,
                                         Bytes header,
                                         std::unique_ptr<rpc::IncomingStream> stream) override;

private:
    static constexpr Duration kInterval = std::chrono::milliseconds(200);
    static constexpr Duration kBackoffMax = std::chrono::seconds(3);
    // How long another member is waited for.
    static constexpr Duration kAskPatience = std::chrono::seconds(2);
    // How long a call of another member may take here.
    static constexpr Duration kServePatience = std::chrono::seconds(5);
    // Who has a replica of the system shard asks others too, after so long: the replica may have
    // been left behind without anybody to tell it.
    static constexpr Duration kDoubtAfter = std::chrono::seconds(2);

    // When something may be tried again.
    struct Pace {
        MonotonicTime next;
        Duration pause = kInterval;
        void succeeded(MonotonicTime now, Duration rest);
        void failed(MonotonicTime now);
    };

    async::Task<void> run();
    [[nodiscard]] ShardReport own_report() const;
    void refresh_locally();
    async::Task<void> fetch();
    async::Task<Result<rpc::Received>> ask_there(NodeId node, Bytes request);
    async::Task<void> announce();
    async::Task<Status> announce_to_others(async::Deadline deadline);
    void sync_peers();
    void judge_standing();
    [[nodiscard]] Status refusal_by_peers() const;
    [[nodiscard]] bool is_announced() const;
    [[nodiscard]] bool has_replica() const;
    // Whom to ask next: those with a replica of the system shard, then all; 0: nobody is known.
    [[nodiscard]] NodeId next_to_ask();
    void update_directory(SystemRows rows, NodeId from);
    void exclude(const Status& why);

    async::Task<void> serve(NodeId from, Bytes request, rpc::Responder responder);
    async::Task<Result<Bytes>> answer(NodeId from, Bytes request);
    [[nodiscard]] Status check_member(NodeId from) const;
    [[nodiscard]] async::Deadline in(Duration span) const;

    Parts parts_;
    MetadataStore* store_ = nullptr;
    async::Gate gate_;
    internal::Alarm alarm_;
    bool is_running_ = false;
    Status standing_;
    MapVersion told_version_;  // the highest that was told
    NodeId told_by_;           // asked first; 0: has been asked
    std::uint64_t turn_ = 0;   // of next_to_ask()
    Pace fetching_;
    Pace announcing_;
    MapVersion peers_version_;  // of the view that the transport's peers are of
    std::map<NodeId, std::string> peers_;
};

}  // namespace kvstore::cluster
