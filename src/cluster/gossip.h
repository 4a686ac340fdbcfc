// Runs the failure detector of this node over the transport and the clock, and tells a listener
// what it finds.
//
// What it says of a node is a belief, never a ground for safety: Raft decides who leads and what is
// committed. It serves placement (who is dead long enough to be replaced), routing (whom to ask
// first) and people.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "base/time.h"
#include "cluster/failure_detector.h"
#include "cluster/shard_map.h"
#include "env/env.h"
#include "rpc/transport.h"
#include "wire/gossip.h"
#include "wire/topics.h"

namespace kvstore::cluster {

struct NodeLiveness {
    wire::MemberState state = wire::MemberState::kAlive;
    MonotonicTime since;  // when this node came to hold it
};

// Told what changes.
//
// Runs on   The core of its Gossip, never from inside a call to it. May call back into it.
class GossipListener {
public:
    virtual void on_node_state(NodeId node, const NodeLiveness& liveness) = 0;
    // `from` knows a higher version of the shard map than any seen here before; it may have it
    // only by hearsay.
    virtual void on_map_version(MapVersion version, NodeId from) = 0;

protected:
    ~GossipListener() = default;
};

struct GossipOptions {
    Duration tick = std::chrono::milliseconds(100);
    FailureDetectorOptions detector;
};

struct GossipStatistics {
    std::uint64_t messages_sent = 0;
    std::uint64_t messages_unsendable = 0;  // the peer was not connected, or did not keep up
    std::uint64_t messages_received = 0;
    std::uint64_t batches_damaged = 0;
};

// Lifetime   Owned by the node. stop() before destruction; the transport stops before that too, so
//            that nothing more comes in. Env, transport and listener outlive it.
// Runs on    One core.
class Gossip final : public rpc::Service {
public:
    // Registers itself with the transport.
    Gossip(env::Env& env,
           rpc::Transport& transport,
           NodeId self,
           GossipOptions options,
           GossipListener* listener);
    Gossip(const Gossip&) = delete;
    Gossip& operator=(const Gossip&) = delete;
    ~Gossip() override;

    void start();
    // Nothing is sent, heard or told from now on.
    void stop();

    // As FailureDetector::set_members(). The transport is to know their addresses.
    void set_members(const std::vector<NodeId>& members);
    // This node has the shard map at `version`.
    void raise_map_version(MapVersion version);
    // Says goodbye, so that nobody looks for this node. Before stop(), in an earlier turn.
    void leave();

    // Nullopt: no member, or this node itself.
    [[nodiscard]] std::optional<NodeLiveness> find(NodeId node) const;
    // The highest that was raised or heard.
    [[nodiscard]] MapVersion map_version() const { return MapVersion(detector_.map_version()); }
    [[nodiscard]] const GossipStatistics& statistics() const { return statistics_; }

    void on_messages(NodeId from, rpc::Received messages) override;
    void on_call(NodeId from, rpc::Received request, rpc::Responder responder) override;
    async::Task<Result<Bytes>> on_stream(NodeId from,
                                         Bytes header,
                                         std::unique_ptr<rpc::IncomingStream> stream) override;

private:
    void start_timer(Duration after);
    void on_tick();
    void carry_out();

    env::Env& env_;
    rpc::Transport& transport_;
    GossipOptions options_;
    GossipListener* listener_;
    FailureDetector detector_;
    std::map<NodeId, NodeLiveness> nodes_;
    env::TimerId timer_;
    bool is_running_ = false;
    GossipStatistics statistics_;
};

}  // namespace kvstore::cluster
