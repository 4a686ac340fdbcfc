// What nodes ask one another about a shard, as calls on wire::kForwardTopic. A request:
//
//     format (1 byte: 1), kind (1 byte), shard, and by kind
//         1 propose     term, and the command as mvcc::encode_command() has it
//         2 who leads   nothing
//         3 ask         whom (1 byte: 1 the leader, 2 any replica), and the question
//         4 digests     nothing
//         5 diverged    the digest that a majority holds (digest_trail.h)
//
// Answers: an outcome (outcome_codec.h); a leader (format (1 byte: 1), node, term); what the asked
// service says; digests (digest_trail.h); nothing. Integers are varints. docs/internals/wire.md
// shows an example.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "replication/group.h"

namespace kvstore::replication {

enum class ForwardKind : std::uint8_t {
    kPropose = 1,
    kWhoLeads = 2,
    kAsk = 3,
    kDigests = 4,   // of the replica on the other node
    kDiverged = 5,  // the replica on the other node differs from a majority
};

struct ForwardRequest {
    ForwardKind kind = ForwardKind::kWhoLeads;
    ShardId shard{};
    // kPropose: in which the sender believes. The leader of another term refuses.
    Term term{};
    AskWhom whom = AskWhom::kLeader;  // kAsk
    // kPropose: the command, which the leader stamps; kAsk: the question; kDiverged: the digest. A
    // view.
    ByteView body{};
};

void encode_forward_request(const ForwardRequest& request, Bytes& to);
// Errors: kCorruption; kUnimplemented: a format or kind of a later version.
Result<ForwardRequest> decode_forward_request(ByteView bytes);

struct LeaderAnswer {
    NodeId leader;  // 0: none is known
    Term term;
};

void encode_leader_answer(const LeaderAnswer& answer, Bytes& to);
// Errors: kCorruption.
Result<LeaderAnswer> decode_leader_answer(ByteView bytes);

}  // namespace kvstore::replication
