#include "replication/strong/node_watch.h"

#include <algorithm>
#include <utility>

#include "base/coding.h"
#include "base/log.h"
#include "wire/topics.h"

namespace kvstore::replication {
namespace {

// Some may be late or lost before an election timeout has passed.
constexpr std::uint32_t kSignsPerElection = 4;

}  // namespace

void encode_life_sign(const LifeSign& sign, Bytes& to) {
    put_varint(to, sign.incarnation);
    put_varint(to, sign.withdrawals);
}

Result<LifeSign> decode_life_signs(ByteView bytes) {
    Decoder decoder(bytes);
    LifeSign sign;
    do {
        sign.incarnation = decoder.varint();
        sign.withdrawals = decoder.varint();
    } while (decoder.ok() && !decoder.at_end());
    if (!decoder.ok()) {
        return Status(Code::kCorruption, "a sign of life cannot be read");
    }
    return sign;
}

NodeWatch::NodeWatch(rpc::Transport& transport, WatchedNodes& owner, std::uint32_t election_ticks)
    : transport_(transport),
      owner_(owner),
      silence_ticks_(election_ticks),
      sign_ticks_(std::max(1U, election_ticks / kSignsPerElection)) {
    transport_.add_service(wire::kLifeSignTopic, this);
}

void NodeWatch::tick(const std::vector<NodeId>& asleep_with, const LifeSign& own) {
    ++ticks_;
    for (auto& [id, peer] : peers_) {
        peer.is_watched = false;
    }
    for (const NodeId id : asleep_with) {
        Peer& peer = peers_[id];
        peer.is_watched = true;
        ++peer.silent_ticks;
        if (ticks_ % sign_ticks_ != 0) {
            continue;
        }
        if (Bytes* const buffer = transport_.message_buffer(id, wire::kLifeSignTopic)) {
            encode_life_sign(own, *buffer);
        }
    }
    std::vector<NodeId> silent;
    for (auto& [id, peer] : peers_) {
        if (!peer.is_watched) {
            peer.silent_ticks = 0;
        } else if (peer.silent_ticks > 0 && peer.silent_ticks % silence_ticks_ == 0) {
            silent.push_back(id);
        }
    }
    for (const NodeId id : silent) {
        owner_.on_node_silent(id);
    }
}

void NodeWatch::on_messages(NodeId from, rpc::Received messages) {
    const Result<LifeSign> sign = decode_life_signs(messages.bytes);
    if (!sign.ok()) {
        log_warning("a sign of life of a peer could not be read", {{"from", from.value()}});
        return;
    }
    Peer& peer = peers_[from];
    peer.silent_ticks = 0;
    // What it was when groups fell asleep is not known of a first sign.
    if (peer.sign != *sign) {
        peer.sign = *sign;
        owner_.on_node_changed(from);
    }
}

void NodeWatch::on_call(NodeId /*from*/, rpc::Received /*request*/, rpc::Responder responder) {
    responder.fail({Code::kUnimplemented, "signs of life are no calls"});
}

async::Task<Result<Bytes>> NodeWatch::on_stream(NodeId /*from*/,
                                                Bytes /*header*/,
                                                std::unique_ptr<rpc::IncomingStream> /*stream*/) {
    co_return Status(Code::kUnimplemented, "signs of life are not streamed");
}

}  // namespace kvstore::replication
