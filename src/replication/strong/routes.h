// The ways from this node to all shards, and what other nodes want of the replicas here: proposals,
// who leads, questions.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "async/deadline.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "replication/host.h"
#include "replication/strong/forward_codec.h"
#include "replication/strong/leader_finder.h"
#include "replication/strong/routed_group.h"
#include "rpc/transport.h"

namespace kvstore::replication {

// Lifetime  Owned by the host. finish() before destruction; replicas outlive it.
// Runs on   One core.
class Routes final : private rpc::Service {
public:
    // Serves wire::kForwardTopic where there is a transport.
    explicit Routes(RouteShared shared);
    Routes(const Routes&) = delete;
    Routes& operator=(const Routes&) = delete;
    ~Routes() override = default;

    RoutedGroup& route(ShardId shard);
    // Null when there is no replica here that takes part.
    [[nodiscard]] RoutedGroup* find_with_replica(ShardId shard);
    void forget(ShardId shard);

    // The replica has begun to take part, and is about to end. Requires: it outlives the time
    // between.
    void attach(ShardId shard, RaftGroup* replica);
    void detach(ShardId shard);
    // The replica here is damaged; ok: it is not there any more.
    void set_damage(ShardId shard, Status why);

    void set_ask_server(AskServer* server) { ask_server_ = server; }
    void tick();
    // Refuses what waits, and what comes.
    void refuse();
    // Suspends: as RoutedGroup::finish().
    async::Task<void> finish(async::Deadline deadline);

private:
    using Map = std::map<ShardId, std::unique_ptr<RoutedGroup>>;

    void on_messages(NodeId from, rpc::Received messages) override;
    void on_call(NodeId from, rpc::Received request, rpc::Responder responder) override;
    async::Task<Result<Bytes>> on_stream(NodeId from,
                                         Bytes header,
                                         std::unique_ptr<rpc::IncomingStream> stream) override;
    void on_ask(const ForwardRequest& request, rpc::Received received, rpc::Responder responder);
    void retire(Map::iterator at);

    RouteShared shared_;
    Map routes_;
    std::map<ShardId, Status> damage_;                   // of replicas here
    std::set<ShardId> forgotten_;                        // but with a replica here
    std::vector<std::unique_ptr<RoutedGroup>> retired_;  // until nothing is under way
    AskServer* ask_server_ = nullptr;
    bool is_refusing_ = false;
};

// Proposes a peer's command and answers with its outcome. Null `group`: there is none here.
void serve_proposal(RaftGroup* group, const ForwardRequest& request, rpc::Responder responder);

}  // namespace kvstore::replication
