#include "replication/strong/forward_codec.h"

#include "base/coding.h"

namespace kvstore::replication {
namespace {

constexpr std::uint8_t kFormat = 1;

}  // namespace

void encode_forward_request(const ForwardRequest& request, Bytes& to) {
    put_fixed(to, kFormat);
    put_fixed(to, request.kind);
    put_varint(to, request.shard.value());
    switch (request.kind) {
        case ForwardKind::kPropose: put_varint(to, request.term.value()); break;
        case ForwardKind::kWhoLeads:
        case ForwardKind::kDigests: return;
        case ForwardKind::kDiverged: break;
        case ForwardKind::kAsk: put_fixed(to, request.whom); break;
    }
    to.append(request.body);
}

Result<ForwardRequest> decode_forward_request(ByteView bytes) {
    Decoder decoder(bytes);
    ForwardRequest request;
    const auto format = decoder.fixed<std::uint8_t>();
    request.kind = decoder.fixed<ForwardKind>();
    request.shard = ShardId(decoder.varint());
    const Status unreadable(Code::kCorruption, "unreadable request about a shard");
    if (!decoder.ok()) {
        return unreadable;
    }
    if (format != kFormat || request.kind < ForwardKind::kPropose ||
        request.kind > ForwardKind::kDiverged) {
        return Status(Code::kUnimplemented, "a request about a shard of a later version");
    }
    if (request.kind == ForwardKind::kPropose) {
        request.term = Term(decoder.varint());
    } else if (request.kind == ForwardKind::kAsk) {
        request.whom = decoder.fixed<AskWhom>();
        if (request.whom != AskWhom::kLeader && request.whom != AskWhom::kAnyReplica) {
            return unreadable;
        }
    } else if (request.kind != ForwardKind::kDiverged && !decoder.at_end()) {
        return unreadable;
    }
    request.body = decoder.rest();
    if (!decoder.ok()) {
        return unreadable;
    }
    return request;
}

void encode_leader_answer(const LeaderAnswer& answer, Bytes& to) {
    put_fixed(to, kFormat);
    put_varint(to, answer.leader.value());
    put_varint(to, answer.term.value());
}

Result<LeaderAnswer> decode_leader_answer(ByteView bytes) {
    Decoder decoder(bytes);
    const auto format = decoder.fixed<std::uint8_t>();
    const NodeId leader(decoder.varint());
    const Term term(decoder.varint());
    if (format != kFormat || !decoder.at_end()) {
        return Status(Code::kCorruption, "unreadable answer to who leads a shard");
    }
    return LeaderAnswer{.leader = leader, .term = term};
}

}  // namespace kvstore::replication
