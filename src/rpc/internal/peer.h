// What this node has to say to one other node: its connection, and what waits for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "async/deadline.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "env/network.h"
#include "rpc/internal/call_table.h"
#include "rpc/internal/core.h"
#include "rpc/internal/link.h"
#include "rpc/transport.h"

namespace kvstore::rpc::internal {

// Lifetime    Shared by the transport, until remove_peer(), and an attempt to connect.
// Invariants
//   a call is told once: whoever takes it out of `calls_` tells it
//   a call of which nothing was handed to a socket fails with effect none, any other with unknown
class Peer final : public LinkUser, public std::enable_shared_from_this<Peer> {
public:
    Peer(Core& core, NodeId id, env::Address address);
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    ~Peer();

    // Another address ends the connection, and begins anew.
    void set_address(const env::Address& address);
    // Nothing is connected, sent or told any more, but that calls fail with `why`.
    void shut_down(const Status& why);

    [[nodiscard]] bool is_connected() const { return link_ != nullptr; }
    [[nodiscard]] PeerStatus status() const;
    [[nodiscard]] const env::Address& address() const { return address_; }

    // As of Transport.
    [[nodiscard]] Bytes* message_buffer(Topic topic);
    Status start_call(Topic topic, ByteView request, async::Deadline deadline, CallSink* sink);

    // The peer has refused this node on a connection of its own.
    void note_refusal(const Status& why);

private:
    // kIdle: nothing was to be said yet. kWaiting: until the next attempt.
    enum class State : std::uint8_t { kIdle, kConnecting, kConnected, kWaiting, kShutDown };

    // The messages of one topic in this turn, behind room for the frame's header.
    struct OpenFrame {
        Topic topic = 0;
        Bytes bytes{};
    };

    void on_frame(const wire::FrameHeader& header, ByteView payload) override;
    void on_link_down(const Status& why) override;
    void before_flush() override;
    void on_handed_over() override { handed_over_below_ = calls_.next_id(); }

    void connect();
    static async::Task<void> attempt(std::shared_ptr<Peer> self, std::uint64_t number);
    void on_attempt_done(std::uint64_t number, Result<std::shared_ptr<Link>> outcome);
    void on_connected(std::shared_ptr<Link> link);
    void retry_later(const Status& why);
    void send_waiting_calls();

    [[nodiscard]] Status admit_call(std::size_t size) const;
    void fail_calls(const Status& why);
    void set_deadline_timer(MonotonicTime deadline);
    void fail_expired();
    void seal(OpenFrame& frame);
    void drop_open_frames();
    [[nodiscard]] std::size_t open_bytes() const;
    void cancel(env::TimerId& timer);

    Core& core_;
    NodeId id_;
    env::Address address_;
    State state_ = State::kIdle;
    std::shared_ptr<Link> link_;  // while connected
    std::uint64_t attempt_ = 0;   // the number of the one whose outcome is wanted
    env::TimerId retry_timer_;
    Duration backoff_;
    MonotonicTime connected_at_;
    Status last_failure_;
    Status refusal_;
    Duration round_trip_{};

    std::vector<OpenFrame> open_frames_;
    CallTable calls_;
    // Frames of calls that wait for the first connection; among them some that have expired.
    Bytes waiting_;
    // Calls with numbers from here on have not been handed to a socket.
    std::uint64_t handed_over_below_ = 0;
    env::TimerId deadline_timer_;
    MonotonicTime deadline_at_ = MonotonicTime::max();  // of the timer
};

}  // namespace kvstore::rpc::internal
