#include "rpc/internal/session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "rpc/internal/dial.h"
#include "rpc/internal/stream_reader.h"
#include "wire/status.h"

namespace kvstore::rpc::internal {

using wire::ConnectionUse;
using wire::FrameKind;

void Session::on_frame(const wire::FrameHeader& header, ByteView payload) {
    // Services may end this connection.
    const std::shared_ptr<Session> keep = shared_from_this();
    if (!has_begun_) {
        on_hello(header, payload);
        return;
    }
    const bool is_peer = use_ == ConnectionUse::kPeer;
    if (header.kind == FrameKind::kMessages && is_peer) {
        on_messages(header, payload);
    } else if (header.kind == FrameKind::kCall && use_ != ConnectionUse::kStream) {
        on_call(header, payload);
    } else if (header.kind == FrameKind::kStreamBegin && use_ == ConnectionUse::kStream) {
        on_stream_begin(header, payload);
    } else if (header.kind == FrameKind::kHelloRefusal) {
        on_refusal(payload);
    } else {
        link_->end_damaged("a frame that does not belong here");
    }
}

void Session::on_hello(const wire::FrameHeader& header, ByteView payload) {
    const auto use = static_cast<ConnectionUse>(header.topic);
    const auto hello = wire::decode_hello(payload);
    if (header.kind != FrameKind::kHello || !hello.ok() || use < ConnectionUse::kPeer ||
        use > ConnectionUse::kStream) {
        link_->end_damaged("no hello");
        return;
    }
    Status verdict = judge_hello(core_, *hello, NodeId());
    if (verdict.ok() && use == ConnectionUse::kPeer && hello->node != NodeId()) {
        verdict = sessions_.admit(hello->node, hello->incarnation);
    }
    if (!verdict.ok()) {
        refuse(core_, *link_, verdict);
        sessions_.forget(*this);
        return;
    }
    has_begun_ = true;
    node_ = hello->node;
    incarnation_ = hello->incarnation;
    use_ = use;
    wire::Hello mine = core_.options.self;
    mine.target = node_;
    Bytes answer;
    wire::encode_hello(mine, answer);
    link_->begin(node_);
    link_->send(FrameKind::kHello, 0, 0, answer);
}

void Session::on_refusal(ByteView payload) {
    Status why;
    if (!wire::decode_status(payload, why).ok()) {
        link_->end_damaged("an unreadable refusal");
        return;
    }
    core_.instruments.handshakes_refused.add();
    core_.on_refused_by(node_, why);
    link_->close(why);
}

void Session::on_messages(const wire::FrameHeader& header, ByteView payload) {
    // A topic that nobody serves is one of a later version.
    if (Service* service = core_.find_service(header.topic); service != nullptr) {
        service->on_messages(node_, Link::kept_alone(payload));
    }
}

void Session::on_call(const wire::FrameHeader& header, ByteView payload) {
    core_.instruments.calls_received.add();
    ++calls_open_;
    Service* service = core_.find_service(header.topic);
    if (service == nullptr) {
        send_error(header.call,
                   Status(Code::kUnimplemented,
                          "this node serves no calls on topic " + std::to_string(header.topic)));
    } else if (calls_open_ > core_.options.calls_max) {
        send_error(header.call, Status(Code::kOverloaded, "too many calls are open"));
    } else {
        Received request = link_->kept(payload);
        service->on_call(node_, std::move(request), Responder(shared_from_this(), header.call));
    }
}

void Session::send_answer(std::uint64_t call, ByteView answer) {
    if (!link_->is_open()) {
        return;
    }
    if (answer.size() > core_.options.frame_bytes_max) {
        send_error(call,
                   Status(Code::kTooLarge,
                          Effect::kUnknown,
                          "an answer of " + std::to_string(answer.size()) + " bytes"));
        return;
    }
    --calls_open_;
    link_->send(FrameKind::kAnswer, 0, call, answer);
    end_if_not_read();
}

void Session::send_error(std::uint64_t call, const Status& why) {
    if (!link_->is_open()) {
        return;
    }
    --calls_open_;
    Bytes payload;
    wire::encode_status(why, payload);
    link_->send(FrameKind::kErrorAnswer, 0, call, payload);
    end_if_not_read();
}

// An answer cannot be dropped: who waits for it would not know. A broken connection tells him.
void Session::end_if_not_read() {
    if (link_->waiting() > core_.options.peer_output_max) {
        link_->close(Status(Code::kOverloaded, "the peer does not take its answers"));
    }
}

void Session::on_stream_begin(const wire::FrameHeader& header, ByteView payload) {
    Service* service = core_.find_service(header.topic);
    if (service == nullptr) {
        Bytes error;
        wire::encode_status(
            Status(Code::kUnimplemented,
                   "this node serves no streams on topic " + std::to_string(header.topic)),
            error);
        link_->send(FrameKind::kStreamError, 0, 0, error);
        link_->close_after_flush();
    } else {
        serve_stream(core_, link_, service, node_, Bytes(payload));
    }
    sessions_.forget(*this);
}

void Session::on_link_down(const Status& /*why*/) {
    sessions_.forget(*this);
}

std::unique_ptr<env::ConnectionHandler> Sessions::accept(env::Connection& connection) {
    if (core_.is_stopping || core_.incoming_connections >= core_.options.incoming_connections_max) {
        return nullptr;
    }
    auto link = std::make_shared<Link>(core_, Link::Role::kAccepted);
    std::unique_ptr<env::ConnectionHandler> handler = link->make_handler();
    const bool is_open = link->attach(connection);
    KVSTORE_ASSERT(is_open);
    link->set_deadline(core_.now() + core_.options.connect_timeout, "no hello in time");
    sessions_.push_back(std::make_shared<Session>(core_, *this, link));
    link->set_user(sessions_.back().get());
    return handler;
}

Status Sessions::admit(NodeId node, std::uint64_t incarnation) {
    const auto same = std::find_if(sessions_.begin(), sessions_.end(), [node](const auto& other) {
        return other->node() == node && other->use() == ConnectionUse::kPeer;
    });
    if (same == sessions_.end()) {
        return {};
    }
    if ((*same)->incarnation() > incarnation) {
        return {Code::kConflict,
                "a later start of node " + std::to_string(node.value()) + " is connected already"};
    }
    // Forgotten while it closes.
    std::shared_ptr<Session> replaced = *same;
    replaced->link().close(Status(Code::kUnavailable, "a newer connection has taken its place"));
    return {};
}

void Sessions::forget(const Session& session) {
    std::erase_if(sessions_, [&session](const auto& other) { return other.get() == &session; });
}

}  // namespace kvstore::rpc::internal
