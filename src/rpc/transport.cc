#include "rpc/transport.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "async/sync.h"
#include "base/assert.h"
#include "rpc/internal/call_table.h"
#include "rpc/internal/core.h"
#include "rpc/internal/link.h"
#include "rpc/internal/one_call.h"
#include "rpc/internal/peer.h"
#include "rpc/internal/session.h"
#include "rpc/internal/stream_writer.h"

namespace kvstore::rpc {

Responder::Responder(std::shared_ptr<AnswerRoute> route, std::uint64_t call) noexcept
    : route_(std::move(route)), call_(call) {}

Responder& Responder::operator=(Responder&& other) noexcept {
    if (this != &other) {
        const Responder before(std::move(*this));
        route_ = std::move(other.route_);
        call_ = other.call_;
    }
    return *this;
}

Responder::~Responder() {
    if (route_ != nullptr) {
        fail(Status(Code::kUnavailable, Effect::kUnknown, "the service gave no answer"));
    }
}

void Responder::answer(ByteView answer) {
    KVSTORE_ASSERT(route_ != nullptr);
    std::exchange(route_, nullptr)->send_answer(call_, answer);
}

void Responder::fail(const Status& why) {
    KVSTORE_ASSERT(route_ != nullptr);
    KVSTORE_ASSERT(!why.ok());
    std::exchange(route_, nullptr)->send_error(call_, why);
}

namespace {

using internal::Core;
using internal::Link;
using internal::Peer;

Status no_such_peer(NodeId peer) {
    return {Code::kUnavailable, "no address of node " + std::to_string(peer.value()) + " is known"};
}

// The answer to a call, for the coroutine in whose frame this stands.
class AnswerShot final : public CallSink {
public:
    explicit AnswerShot(async::Scheduler& scheduler) : shot_(scheduler) {}
    void on_answer(Received answer) override { shot_.set(std::move(answer)); }
    void on_failed(const Status& why) override { shot_.set(Result<Received>(why)); }
    [[nodiscard]] async::OneShot<Result<Received>>& shot() { return shot_; }

private:
    async::OneShot<Result<Received>> shot_;
};

class NodeTransport final : public Transport {
public:
    NodeTransport(env::Env& env, Options options, AdmitPeer admit)
        : core_(env, std::move(options), std::move(admit)), sessions_(core_) {
        KVSTORE_ASSERT(core_.options.frame_bytes_max <= wire::kFramePayloadMax);
        KVSTORE_ASSERT(core_.options.calls_max <= internal::CallTable::kCallsMax);
        core_.on_refused_by = [this](NodeId peer, const Status& why) {
            if (Peer* known = find_peer(peer); known != nullptr) {
                known->note_refusal(why);
            }
        };
    }
    NodeTransport(const NodeTransport&) = delete;
    NodeTransport& operator=(const NodeTransport&) = delete;
    ~NodeTransport() override { KVSTORE_ASSERT(core_.is_stopping && core_.gate.count() == 0); }

    void add_service(Topic topic, Service* service) override {
        KVSTORE_ASSERT(core_.find_service(topic) == nullptr);
        core_.services.emplace_back(topic, service);
    }

    Result<env::Address> listen(const env::Address& address) override {
        KVSTORE_ASSERT(listener_ == nullptr && !core_.is_stopping);
        KVSTORE_TRY(listener_,
                    core_.env.network.listen(address, [this](env::Connection& connection) {
                        return sessions_.accept(connection);
                    }));
        return listener_->local();
    }

    void set_peer(NodeId peer, const env::Address& address) override {
        if (core_.is_stopping) {
            return;
        }
        std::shared_ptr<Peer>& known = peers_[peer];
        if (known == nullptr) {
            known = std::make_shared<Peer>(core_, peer, address);
        } else {
            known->set_address(address);
        }
    }

    void remove_peer(NodeId peer) override {
        const Status why(Code::kUnavailable, "the peer was removed");
        if (const auto at = peers_.find(peer); at != peers_.end()) {
            const std::shared_ptr<Peer> removed = std::move(at->second);
            peers_.erase(at);
            removed->shut_down(why);
        }
        close_links(why, peer);
    }

    bool is_connected(NodeId peer) const override {
        const Peer* known = find_peer(peer);
        return known != nullptr && known->is_connected();
    }

    std::vector<PeerStatus> peers() const override {
        std::vector<PeerStatus> all;
        for (const auto& [id, peer] : peers_) {
            all.push_back(peer->status());
        }
        return all;
    }

    Bytes* message_buffer(NodeId peer, Topic topic) override {
        Peer* known = find_peer(peer);
        if (known == nullptr) {
            core_.instruments.messages_dropped.add();
            return nullptr;
        }
        return known->message_buffer(topic);
    }

    Status start_call(NodeId peer,
                      Topic topic,
                      ByteView request,
                      async::Deadline deadline,
                      CallSink* sink) override {
        Peer* known = find_peer(peer);
        return known == nullptr ? no_such_peer(peer)
                                : known->start_call(topic, request, deadline, sink);
    }

    async::Task<Result<Received>> call(NodeId peer,
                                       Topic topic,
                                       Bytes request,
                                       async::Deadline deadline) override {
        AnswerShot sink(core_.env.scheduler);
        KVSTORE_CO_CHECK_OK(start_call(peer, topic, request, deadline, &sink));
        Result<Received> answer = co_await sink.shot();
        co_return answer;
    }

    async::Task<Result<Received>> call_address(env::Address address,
                                               Topic topic,
                                               Bytes request,
                                               async::Deadline deadline) override {
        if (!core_.gate.try_enter()) {
            co_return Status(Code::kUnavailable, "the transport has stopped");
        }
        auto answer = co_await internal::call_address(
            &core_, std::move(address), topic, std::move(request), deadline);
        core_.gate.leave();
        co_return answer;
    }

    async::Task<Result<std::unique_ptr<OutgoingStream>>> open_stream(
        NodeId peer, Topic topic, Bytes header, async::Deadline deadline) override {
        const Peer* known = find_peer(peer);
        if (known == nullptr) {
            co_return no_such_peer(peer);
        }
        if (!core_.gate.try_enter()) {
            co_return Status(Code::kUnavailable, "the transport has stopped");
        }
        env::Address address = known->address();
        auto stream = co_await internal::open_stream(
            &core_, peer, std::move(address), topic, std::move(header), deadline);
        core_.gate.leave();
        co_return stream;
    }

    TransportStatistics statistics() const override {
        const Instruments& counted = core_.instruments;
        return {.messages_dropped = counted.messages_dropped.value(),
                .frames_sent = counted.frames_sent.value(),
                .frames_received = counted.frames_received.value(),
                .bytes_sent = counted.bytes_sent.value(),
                .bytes_received = counted.bytes_received.value(),
                .frames_damaged = counted.frames_damaged.value(),
                .handshakes_refused = counted.handshakes_refused.value()};
    }

    async::Task<void> stop() override {
        const Status why(Code::kUnavailable, "the transport stops");
        core_.is_stopping = true;
        listener_.reset();
        for (const auto& [id, peer] : peers_) {
            peer->shut_down(why);
        }
        close_links(why, NodeId());
        co_await core_.gate.close();
    }

private:
    [[nodiscard]] Peer* find_peer(NodeId peer) const {
        const auto at = peers_.find(peer);
        return at == peers_.end() ? nullptr : at->second.get();
    }

    // Those of `peer`; 0: all. Whoever is told may close others.
    void close_links(const Status& why, NodeId peer) {
        std::vector<std::uint64_t> numbers;
        for (const auto& [number, link] : core_.links) {
            if (peer == NodeId() || link->peer() == peer) {
                numbers.push_back(number);
            }
        }
        for (const std::uint64_t number : numbers) {
            if (const auto at = core_.links.find(number); at != core_.links.end()) {
                at->second->abort(why);
            }
        }
    }

    Core core_;
    internal::Sessions sessions_;
    std::unique_ptr<env::Listener> listener_;
    std::map<NodeId, std::shared_ptr<Peer>> peers_;
};

}  // namespace

std::unique_ptr<Transport> Transport::make(env::Env& env, Options options, AdmitPeer admit) {
    return std::make_unique<NodeTransport>(env, std::move(options), std::move(admit));
}

}  // namespace kvstore::rpc
