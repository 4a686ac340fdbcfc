// A transport whose calls are answered by the test, in whatever order it likes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "rpc/transport.h"

namespace kvstore::replication::testing {

class ScriptedTransport final : public rpc::Transport {
public:
    struct Call {
        NodeId to;
        Bytes request;
        rpc::CallSink* sink = nullptr;  // null once told

        void answer(Bytes bytes) {
            auto owner = std::make_shared<const Bytes>(std::move(bytes));
            const ByteView view = *owner;
            take()->on_answer({.owner = std::move(owner), .bytes = view});
        }
        void fail(const Status& why) { take()->on_failed(why); }

    private:
        rpc::CallSink* take() {
            KVSTORE_ASSERT(sink != nullptr);
            return std::exchange(sink, nullptr);
        }
    };

    std::deque<Call> calls;  // all there ever were; none moves
    std::set<NodeId> unreachable;

    Status start_call(NodeId peer,
                      rpc::Topic /*topic*/,
                      ByteView request,
                      async::Deadline /*deadline*/,
                      rpc::CallSink* sink) override {
        if (unreachable.contains(peer)) {
            return {Code::kUnavailable, "unreachable"};
        }
        calls.push_back({.to = peer, .request = Bytes(request), .sink = sink});
        return {};
    }

    // What was said to each node, for a test that wants to see messages; else they are dropped.
    bool keeps_messages = false;
    std::map<NodeId, Bytes> messages;
    std::map<rpc::Topic, rpc::Service*> services;

    void add_service(rpc::Topic topic, rpc::Service* service) override {
        services.emplace(topic, service);
    }
    [[nodiscard]] Bytes* message_buffer(NodeId peer, rpc::Topic /*topic*/) override {
        return keeps_messages ? &messages[peer] : nullptr;
    }

    // Nothing of the rest is used.
    Result<env::Address> listen(const env::Address& address) override { return address; }
    void set_peer(NodeId /*peer*/, const env::Address& /*address*/) override {}
    void remove_peer(NodeId /*peer*/) override {}
    [[nodiscard]] bool is_connected(NodeId /*peer*/) const override { return true; }
    [[nodiscard]] std::vector<rpc::PeerStatus> peers() const override { return {}; }
    async::Task<Result<rpc::Received>> call(NodeId /*peer*/,
                                            rpc::Topic /*topic*/,
                                            Bytes /*request*/,
                                            async::Deadline /*deadline*/) override {
        co_return unused();
    }
    async::Task<Result<rpc::Received>> call_address(env::Address /*address*/,
                                                    rpc::Topic /*topic*/,
                                                    Bytes /*request*/,
                                                    async::Deadline /*deadline*/) override {
        co_return unused();
    }
    async::Task<Result<std::unique_ptr<rpc::OutgoingStream>>> open_stream(
        NodeId /*peer*/,
        rpc::Topic /*topic*/,
        Bytes /*header*/,
        async::Deadline /*deadline*/) override {
        co_return unused();
    }
    [[nodiscard]] rpc::TransportStatistics statistics() const override { return {}; }
    async::Task<void> stop() override { co_return; }

private:
    static Status unused() { return {Code::kUnimplemented, "scripted"}; }
};

}  // namespace kvstore::replication::testing
