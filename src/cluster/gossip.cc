#include "cluster/gossip.h"

#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace kvstore::cluster {

Gossip::Gossip(env::Env& env,
               rpc::Transport& transport,
               NodeId self,
               GossipOptions options,
               GossipListener* listener)
    : env_(env),
      transport_(transport),
      options_(options),
      listener_(listener),
      detector_(self, options.detector, env.entropy.next()) {
    transport_.add_service(wire::kGossipTopic, this);
}

Gossip::~Gossip() {
    KVSTORE_ASSERT(!is_running_);
}

void Gossip::start() {
    KVSTORE_ASSERT(!is_running_);
    is_running_ = true;
    // Nodes that were started together need not speak together.
    const auto ticks = static_cast<std::uint64_t>(options_.tick.count());
    start_timer(Duration(env_.entropy.next() % ticks));
}

void Gossip::stop() {
    is_running_ = false;
    env_.clock.cancel_timer(timer_);
}

void Gossip::set_members(const std::vector<NodeId>& members) {
    detector_.set_members(members);
    std::erase_if(nodes_,
                  [this](const auto& entry) { return detector_.find(entry.first) == nullptr; });
    for (const NodeId node : members) {
        if (detector_.find(node) != nullptr) {
            nodes_.try_emplace(
                node, NodeLiveness{.state = wire::MemberState::kAlive, .since = env_.clock.now()});
        }
    }
}

void Gossip::raise_map_version(MapVersion version) {
    detector_.raise_map_version(version.value());
}

void Gossip::leave() {
    detector_.leave();
    carry_out();
}

std::optional<NodeLiveness> Gossip::find(NodeId node) const {
    const auto found = nodes_.find(node);
    return found == nodes_.end() ? std::nullopt : std::optional(found->second);
}

void Gossip::start_timer(Duration after) {
    timer_ = env_.clock.start_timer(env_.clock.now() + after, [this] { on_tick(); });
}

// A tick that comes late is one tick: what was not listened to does not count as silence.
void Gossip::on_tick() {
    detector_.tick();
    start_timer(options_.tick);
    carry_out();
}

void Gossip::on_messages(NodeId from, rpc::Received messages) {
    if (!is_running_) {
        return;
    }
    std::vector<wire::GossipMessage> decoded;
    if (!wire::decode_gossip(messages.bytes, decoded).ok()) {
        ++statistics_.batches_damaged;
        log_warning("gossip cannot be read", {{"from", from.value()}});
        return;
    }
    statistics_.messages_received += decoded.size();
    for (const wire::GossipMessage& message : decoded) {
        detector_.receive(from, message);
    }
    carry_out();
}

void Gossip::on_call(NodeId /*from*/, rpc::Received /*request*/, rpc::Responder responder) {
    responder.fail(Status(Code::kUnimplemented, "gossip has no calls"));
}

async::Task<Result<Bytes>> Gossip::on_stream(NodeId /*from*/,
                                             Bytes /*header*/,
                                             std::unique_ptr<rpc::IncomingStream> /*stream*/) {
    co_return Status(Code::kUnimplemented, "gossip has no streams");
}

void Gossip::carry_out() {
    const FailureDetectorOutput output = detector_.take_output();
    for (const auto& [to, message] : output.messages) {
        Bytes* buffer = transport_.message_buffer(to, wire::kGossipTopic);
        if (buffer == nullptr) {
            ++statistics_.messages_unsendable;
            continue;
        }
        wire::encode_gossip(message, *buffer);
        ++statistics_.messages_sent;
    }
    for (const auto& change : output.changes) {
        nodes_[change.node] = {.state = change.state, .since = env_.clock.now()};
    }
    // The listener may call back in, stop() and set_members() too.
    for (const auto& change : output.changes) {
        if (is_running_ && detector_.find(change.node) != nullptr) {
            listener_->on_node_state(change.node,
                                     {.state = change.state, .since = env_.clock.now()});
        }
    }
    if (output.map_version_from != NodeId() && is_running_) {
        listener_->on_map_version(map_version(), output.map_version_from);
    }
}

}  // namespace kvstore::cluster
