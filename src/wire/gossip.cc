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

bool is_within(std::uint8_t value, auto first, auto last) {
    return value >= static_cast<std::uint8_t>(first) && value <= static_cast<std::uint8_t>(last);
}

// False when there is no such update there.
bool decode_update(Decoder& decoder, GossipUpdate& update) {
    update.node = NodeId(decoder.varint());
    update.incarnation = decoder.varint();
    const auto state = decoder.fixed<std::uint8_t>();
    if (!is_within(state, MemberState::kAlive, MemberState::kLeft)) {
        return false;
    }
    update.state = static_cast<MemberState>(state);
    if (update.state == MemberState::kSuspect) {
        update.accuser = NodeId(decoder.varint());
    }
    return decoder.ok() && update.node != NodeId();
}

bool decode_message(Decoder& decoder, GossipMessage& message) {
    const auto kind = decoder.fixed<std::uint8_t>();
    message.number = decoder.varint();
    message.target = NodeId(decoder.varint());
    message.map_version = decoder.varint();
    const std::uint64_t count = decoder.varint();
    if (!decoder.ok() || !is_within(kind, GossipKind::kPing, GossipKind::kRequest) ||
        count > kGossipUpdatesMax) {
        return false;
    }
    message.kind = static_cast<GossipKind>(kind);
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
