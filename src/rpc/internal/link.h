// One connection between nodes, as frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "async/scheduler.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "env/clock.h"
#include "env/network.h"
#include "rpc/internal/core.h"
#include "wire/frame.h"

namespace kvstore::rpc::internal {

class Link;

// Whom a link tells what happens on it.
class LinkUser {
public:
    // A whole frame that is no ping and no pong. `payload` is valid during the call.
    virtual void on_frame(const wire::FrameHeader& header, ByteView payload) = 0;
    // It is over. Told once, last, and from inside Link::close() too.
    virtual void on_link_down(const Status& why) = 0;
    // The turn ends: the last chance to say something in it.
    virtual void before_flush() {}
    // From now on whatever was appended may have left.
    virtual void on_handed_over() {}
    // With OutputPace::kAtOnce: waiting() is not above kOutputHighWater (any more).
    virtual void on_output_room() {}

protected:
    ~LinkUser() = default;
};

// What has been sent and not taken by the socket stays in the socket layer's buffer, or in ours.
enum class OutputPace : std::uint8_t {
    // The socket layer never holds more than its high water. It stops reading above that, and two
    // ends that both wait for the other to read would wait for ever.
    kBelowHighWater,
    // All of it goes down at once, and on_output_room() follows the socket layer's own signals. For
    // streams, whose reader always reads or is slow on purpose.
    kAtOnce,
};

// Frames are gathered in a buffer and go down in one piece at the turn's end, so that they leave
// in one write. Received frames are checked before anybody sees them. The end that connected
// pings; each end ends a connection on which nothing was heard for Options::silence_max.
//
// Lifetime    Shared by its handler (until on_closed()) and its user.
// Invariants  is_open() exactly from attach() to close() or the connection's end
class Link final : public async::TurnEndHook, public std::enable_shared_from_this<Link> {
public:
    enum class Role : std::uint8_t { kConnected, kAccepted };
    // A hello or a refusal. Nobody who has not been admitted makes this node hold more.
    static constexpr std::size_t kHandshakeBytesMax = 8U << 10U;

    Link(Core& core, Role role) : core_(core), role_(role) {}
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() override;

    // The handler to give to the network. Requires: the gate is open; it is entered until the
    // connection has ended. Once for each link.
    [[nodiscard]] std::unique_ptr<env::ConnectionHandler> make_handler();

    // Opens. False when the connection has ended already.
    [[nodiscard]] bool attach(env::Connection& connection);
    [[nodiscard]] bool is_open() const { return is_open_; }
    // Null: frames that come are damage.
    void set_user(LinkUser* user) { user_ = user; }
    void set_pace(OutputPace pace) { pace_ = pace; }

    // Ends the connection with `why` at that time, unless another time is set before.
    void set_deadline(MonotonicTime when, std::string_view why);
    // The handshake is over: lifts its limits, and begins to watch for silence.
    void begin(NodeId peer);
    [[nodiscard]] NodeId peer() const { return peer_; }

    // Appends a frame that leaves with this turn. Nothing happens when it is not open.
    void send(wire::FrameKind kind, std::uint16_t topic, std::uint64_t call, ByteView payload);
    // Appends whole frames.
    void send_frames(ByteView frames, std::uint64_t count);
    // Asks for before_flush() at the end of this turn.
    void flush_later();
    // Bytes that the socket has not taken.
    [[nodiscard]] std::size_t waiting() const;

    // Shows no more frames after the one that is being shown, until resume().
    void pause();
    void resume();

    // Copies of a payload, for whoever wants it longer than a call. Those of kept() of one read
    // share a buffer; those that may be kept for long have one of their own.
    [[nodiscard]] Received kept(ByteView payload);
    [[nodiscard]] static Received kept_alone(ByteView payload);

    // Ends it now.
    void close(const Status& why);
    // Ends it because of what has come.
    void end_damaged(std::string_view what);
    // Sends what was appended, and ends it. The user is told no more. From here on close() does
    // nothing.
    void close_after_flush();
    // As close(), and also cuts short what close_after_flush() has begun.
    void abort(const Status& why);

    // Of the last ping; 0: none yet.
    [[nodiscard]] Duration round_trip() const { return round_trip_; }

private:
    friend class LinkHandler;

    void run_at_turn_end() override;
    void on_input();
    void on_input_end();
    void on_output_drained();
    void on_closed(const Status& reason);

    void read_frames();
    bool read_frame();
    void take_frame(const wire::FrameHeader& header, ByteView payload);
    void on_pong(const wire::FrameHeader& header);
    void hand_over();
    void watch();
    void start_timer(MonotonicTime when);
    void on_timer();
    void note_progress(MonotonicTime now);
    void become_closed();

    Core& core_;
    Role role_;
    std::uint64_t number_ = 0;               // among the core's links, while open
    env::Connection* connection_ = nullptr;  // null before attach() and after the end
    env::Address address_;
    LinkUser* user_ = nullptr;
    OutputPace pace_ = OutputPace::kBelowHighWater;
    bool is_open_ = false;
    bool is_flushing_ = false;  // close_after_flush() was called
    bool has_ended_ = false;
    bool has_begun_ = false;
    bool is_paused_ = false;
    bool is_reading_ = false;
    NodeId peer_;
    std::size_t payload_max_ = kHandshakeBytesMax;

    Bytes out_;                 // frames that the socket layer has not got
    std::size_t out_sent_ = 0;  // of out_, already handed over
    std::uint64_t handed_over_ = 0;
    env::TimerId refill_timer_;  // while out_ waits for the socket layer

    std::size_t unread_ = 0;  // of the connection's input, when it was last looked at
    std::size_t received_ = 0;
    std::shared_ptr<char[]> block_;  // of kept(), during one read
    std::size_t block_size_ = 0;
    std::size_t block_used_ = 0;

    // One timer: the deadline until begin() or in a short exchange, pings and silence afterwards.
    env::TimerId timer_;
    MonotonicTime deadline_ = MonotonicTime::max();
    std::string deadline_words_;
    MonotonicTime heard_at_;
    MonotonicTime ping_at_;  // when the next is due
    std::uint64_t last_ping_ = 0;
    std::uint64_t last_pong_ = 0;
    MonotonicTime ping_sent_at_;
    Duration round_trip_{};
    // What was seen when the timer last fired, to tell progress.
    std::size_t seen_received_ = 0;
    std::uint64_t seen_taken_ = 0;
    bool was_waiting_ = false;
};

}  // namespace kvstore::rpc::internal
