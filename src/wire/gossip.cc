#include "wire/gossip.h"

#include <utility>

#include "base/assert.h"
#include "base/coding.h"

namespace kvstore::wire {
namespace {

void encode_update(const GossipUpdate& update, Bytes& to) {
    put_varint(to, update.node.value());
    put_varint(to, update.incarnation);
    to.push_back(static_cast<char>(update.state));
    if (update.state == MemberState::kSuspect) {
        put_varint(to, update.accuser.value());
    }
}

// False when there is no such update there.
bool decode_update(Decoder& decoder, GossipUpdate& update) {
    update.node = NodeId(decoder.varint());
    update.incarnation = decoder.varint();
    update.state = static_cast<MemberState>(decoder.fixed<std::uint8_t>());
    if (update.state == MemberState::kSuspect) {
        update.accuser = NodeId(decoder.varint());
    }
    return decoder.ok() && update.node != NodeId() && update.state >= MemberState::kAlive &&
           update.state <= MemberState::kLeft;
}

bool decode_message(Decoder& decoder, GossipMessage& message) {
    message.kind = static_cast<GossipKind>(decoder.fixed<std::uint8_t>());
    message.number = decoder.varint();
    message.target = NodeId(decoder.varint());
    message.map_version = decoder.varint();
    const std::uint64_t count = decoder.varint();
    if (!decoder.ok() || message.kind < GossipKind::kPing || message.kind > GossipKind::kRequest ||
        count > kGossipUpdatesMax) {
        return false;
    }
    message.updates.resize(static_cast<std::size_t>(count));
    for (GossipUpdate& update : message.updates) {
        if (!decode_update(decoder, update)) {
            return false;
        }
    }
    return true;
}

}  // namespace

void encode_gossip(const GossipMessage& message, Bytes& to) {
    KVSTORE_ASSERT(message.updates.size() <= kGossipUpdatesMax);
    to.push_back(static_cast<char>(message.kind));
    put_varint(to, message.number);
    put_varint(to, message.target.value());
    put_varint(to, message.map_version);
    put_varint(to, message.updates.size());
    for (const GossipUpdate& update : message.updates) {
        encode_update(update, to);
    }
}

Status decode_gossip(ByteView batch, std::vector<GossipMessage>& messages) {
    const std::size_t before = messages.size();
    Decoder decoder(batch);
    while (!decoder.at_end()) {
        GossipMessage message;
        if (!decode_message(decoder, message)) {
            messages.resize(before);
            return {Code::kCorruption, "unreadable gossip"};
        }
        messages.push_back(std::move(message));
    }
    return {};
}

}  // namespace kvstore::wire
