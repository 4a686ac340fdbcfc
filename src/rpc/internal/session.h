// A connection that another node made: its handshake, and what it asks of this node's services.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "env/network.h"
#include "rpc/internal/core.h"
#include "rpc/internal/link.h"
#include "rpc/transport.h"
#include "wire/frame.h"
#include "wire/handshake.h"

namespace kvstore::rpc::internal {

class Sessions;

// Lifetime  Shared by the sessions, until its connection ends or becomes a stream, and by the
//           responders of its calls. Does not touch the transport once its connection has gone.
class Session final : public LinkUser,
                      public AnswerRoute,
                      public std::enable_shared_from_this<Session> {
public:
    Session(Core& core, Sessions& sessions, std::shared_ptr<Link> link)
        : core_(core), sessions_(sessions), link_(std::move(link)) {}
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() override = default;

    [[nodiscard]] Link& link() { return *link_; }
    [[nodiscard]] NodeId node() const { return node_; }
    [[nodiscard]] wire::ConnectionUse use() const { return use_; }
    [[nodiscard]] std::uint64_t incarnation() const { return incarnation_; }

private:
    void on_frame(const wire::FrameHeader& header, ByteView payload) override;
    void on_link_down(const Status& why) override;
    void send_answer(std::uint64_t call, ByteView answer) override;
    void send_error(std::uint64_t call, const Status& why) override;

    void on_hello(const wire::FrameHeader& header, ByteView payload);
    void on_refusal(ByteView payload);
    void on_messages(const wire::FrameHeader& header, ByteView payload);
    void on_call(const wire::FrameHeader& header, ByteView payload);
    void on_stream_begin(const wire::FrameHeader& header, ByteView payload);
    void end_if_not_read();

    Core& core_;
    Sessions& sessions_;
    std::shared_ptr<Link> link_;
    bool has_begun_ = false;
    NodeId node_;
    std::uint64_t incarnation_ = 0;
    wire::ConnectionUse use_ = wire::ConnectionUse::kPeer;
    std::size_t calls_open_ = 0;
};

// The connections that other nodes have made.
//
// Lifetime  Owned by the transport.
class Sessions {
public:
    explicit Sessions(Core& core) : core_(core) {}

    // For the listener. Null: there are too many.
    std::unique_ptr<env::ConnectionHandler> accept(env::Connection& connection);
    // Makes the session the one of its node for messages and calls, and ends the one before.
    // Errors: kConflict: there is one of a later life of the node.
    Status admit(NodeId node, std::uint64_t incarnation);
    void forget(const Session& session);

private:
    Core& core_;
    std::vector<std::shared_ptr<Session>> sessions_;
};

}  // namespace kvstore::rpc::internal
