// A transport that keeps what it is given, for tests of services that only send messages.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "rpc/transport.h"

namespace kvstore::cluster::testing {

class FakeTransport final : public rpc::Transport {
public:
    std::map<NodeId, Bytes> sent;  // since the last take(), by receiver
    std::set<NodeId> unreachable;
    std::map<rpc::Topic, rpc::Service*> services;

    [[nodiscard]] std::map<NodeId, Bytes> take() { return std::exchange(sent, {}); }

    void add_service(rpc::Topic topic, rpc::Service* service) override {
        services.emplace(topic, service);
    }
    [[nodiscard]] Bytes* message_buffer(NodeId peer, rpc::Topic /*topic*/) override {
        return unreachable.contains(peer) ? nullptr : &sent[peer];
    }

    // Nothing of the rest is used.
    Result<env::Address> listen(const env::Address& address) override { return address; }
    void set_peer(NodeId /*peer*/, const env::Address& /*address*/) override {}
    void remove_peer(NodeId /*peer*/) override {}
    [[nodiscard]] bool is_connected(NodeId peer) const override {
        return !unreachable.contains(peer);
    }
    [[nodiscard]] std::vector<rpc::PeerStatus> peers() const override { return {}; }
    Status start_call(NodeId /*peer*/,
                      rpc::Topic /*topic*/,
                      ByteView /*request*/,
                      async::Deadline /*deadline*/,
                      rpc::CallSink* /*sink*/) override {
        return refused();
    }
    async::Task<Result<rpc::Received>> call(NodeId /*peer*/,
                                            rpc::Topic /*topic*/,
                                            Bytes /*request*/,
                                            async::Deadline /*deadline*/) override {
        co_return refused();
    }
    async::Task<Result<rpc::Received>> call_address(env::Address /*address*/,
                                                    rpc::Topic /*topic*/,
                                                    Bytes /*request*/,
                                                    async::Deadline /*deadline*/) override {
        co_return refused();
    }
    async::Task<Result<std::unique_ptr<rpc::OutgoingStream>>> open_stream(
        NodeId /*peer*/,
        rpc::Topic /*topic*/,
        Bytes /*header*/,
        async::Deadline /*deadline*/) override {
        co_return refused();
    }
    [[nodiscard]] rpc::TransportStatistics statistics() const override { return {}; }
    async::Task<void> stop() override { co_return; }

private:
    static Status refused() { return {Code::kUnimplemented, "a fake"}; }
};

}  // namespace kvstore::cluster::testing
