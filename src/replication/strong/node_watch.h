// Keeps watch over the nodes with which groups of this one sleep.
//
// A group that sleeps says nothing, so nobody would notice that its leader has died. Its members'
// nodes say so for all their groups at once: as long as groups sleep between two nodes, each sends
// the other a sign of life a few times per election timeout. A group is woken when the other's
// node gave none for an election timeout, or when its sign has changed: it has begun another life,
// or some replica there has ended its part.
//
// Why not the failure detector of gossip: it is sure after some seconds, and speaks of a node that
// answers to anybody; a group needs to know within one election timeout, and of this very way.
// Why not the connection: one that was cut off breaks after seconds; that it broke only hastens
// what this finds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "rpc/transport.h"

namespace kvstore::replication {

// What a node says of itself to those with whom its groups sleep.
struct LifeSign {
    std::uint64_t incarnation = 0;  // rises with every start
    // Rises when a replica ends its part: is dropped or quarantined, or its log has failed. What
    // slept with it must not go on to.
    std::uint64_t withdrawals = 0;
    friend bool operator==(const LifeSign&, const LifeSign&) = default;
};

void encode_life_sign(const LifeSign& sign, Bytes& to);
// The last of several. Errors: kCorruption.
Result<LifeSign> decode_life_signs(ByteView bytes);

// Told what is found. From inside tick(), or when a sign comes.
class WatchedNodes {
public:
    // Nothing came from `peer` for an election timeout. Told again as long as that goes on.
    virtual void on_node_silent(NodeId peer) = 0;
    // What slept because of it may have lost its leader.
    virtual void on_node_changed(NodeId peer) = 0;

protected:
    ~WatchedNodes() = default;
};

// Lifetime  Owned by the host. The transport stops before it ends.
// Runs on   One core.
class NodeWatch final : private rpc::Service {
public:
    // Serves wire::kLifeSignTopic.
    NodeWatch(rpc::Transport& transport, WatchedNodes& owner, std::uint32_t election_ticks);
    NodeWatch(const NodeWatch&) = delete;
    NodeWatch& operator=(const NodeWatch&) = delete;
    ~NodeWatch() override = default;

    // `asleep_with`: the nodes with which groups sleep now. A tick that comes late is one tick:
    // what was not listened to is no silence.
    void tick(const std::vector<NodeId>& asleep_with, const LifeSign& own);

private:
    struct Peer {
        std::uint32_t silent_ticks = 0;
        bool is_watched = false;
        std::optional<LifeSign> sign;  // the last that was heard
    };

    void on_messages(NodeId from, rpc::Received messages) override;
    void on_call(NodeId from, rpc::Received request, rpc::Responder responder) override;
    async::Task<Result<Bytes>> on_stream(NodeId from,
                                         Bytes header,
                                         std::unique_ptr<rpc::IncomingStream> stream) override;

    rpc::Transport& transport_;
    WatchedNodes& owner_;
    std::uint32_t silence_ticks_;  // after so many a node is silent
    std::uint32_t sign_ticks_;     // between two signs
    std::uint64_t ticks_ = 0;
    std::map<NodeId, Peer> peers_;
};

}  // namespace kvstore::replication
