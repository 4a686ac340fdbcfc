// What nodes say to one another about who is alive: the messages of the failure detector
// (cluster/failure_detector.h), as bytes.
//
// A batch is a sequence of messages, one behind the other:
//
//     u8      kind
//     varint  number         of the probe that it belongs to
//     varint  target         of a request: whom to probe; of its answer: who was probed; else 0
//     varint  map version    the highest that the sender knows
//     varint  count of updates, and each: varint node, varint incarnation, u8 state,
//             varint accuser (of a suspicion only)
//
// Both ends are known from the connection. A change of this layout raises kProtocolVersion
// (handshake.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"

namespace kvstore::wire {

// Of one message. Bounds what a corrupt count can ask for.
inline constexpr std::size_t kGossipUpdatesMax = 64;

enum class GossipKind : std::uint8_t {
    kPing = 1,
    kAck = 2,      // the answer to a ping, also by way of who was asked for it
    kNack = 3,     // who was asked to probe has had no answer
    kRequest = 4,  // asks to probe `target`
};

// In the order in which they override one another at one incarnation.
enum class MemberState : std::uint8_t {
    kAlive = 1,
    kSuspect = 2,
    kDead = 3,
    kLeft = 4,  // said so itself
};

// What somebody holds of a node.
struct GossipUpdate {
    NodeId node;
    std::uint64_t incarnation = 0;  // raised by the node itself alone, to answer what is said of it
    MemberState state = MemberState::kAlive;
    NodeId accuser;  // of a suspicion: whose probe had no answer

    friend bool operator==(const GossipUpdate&, const GossipUpdate&) = default;
};

struct GossipMessage {
    GossipKind kind = GossipKind::kPing;
    std::uint64_t number = 0;
    NodeId target;
    std::uint64_t map_version = 0;
    std::vector<GossipUpdate> updates;  // the first is about the sender

    friend bool operator==(const GossipMessage&, const GossipMessage&) = default;
};

// Appends the message. Requires: at most kGossipUpdatesMax updates.
void encode_gossip(const GossipMessage& message, Bytes& to);

// Takes a batch apart and appends its messages.
// Errors: kCorruption: `messages` is as it was.
Status decode_gossip(ByteView batch, std::vector<GossipMessage>& messages);

}  // namespace kvstore::wire
