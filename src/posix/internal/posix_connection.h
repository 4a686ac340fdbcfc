// One TCP stream.
//
// The socket is watched once, edge-triggered, for both directions. So a request costs one recv()
// and one send(): a recv() that returns less than it was offered has emptied the socket, and no
// second one is tried; whatever was written in a turn leaves with one send() at its end.
//
//     kOpen ──close(kAfterFlush)──> kFlushing ──all sent──> kLingering ──peer ends, or time──> gone
//       └──close(kNow), an error──────┴──────────────────> kEnded ──on_closed()──────────────> gone
//
// Lingering: a socket that is closed while input waits in the kernel is reset, and the reset takes
// our last answer away from the peer. So we end our side, let on_closed() happen, and swallow what
// still comes for a moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "async/scheduler.h"
#include "base/bytes.h"
#include "base/status.h"
#include "env/network.h"
#include "posix/internal/input_buffer.h"
#include "posix/internal/reactor.h"

namespace kvstore::posix {

class PosixNetwork;

// Lifetime  Owned by its network, until on_closed() has returned and lingering has ended.
//
// Invariants
//   the descriptor is open unless the state is kEnded
//   `pending_` is sent before `output_`; nothing is appended to it
//   `is_readable_` is false only when a recv() has emptied the socket since the last event
class PosixConnection final : public env::Connection, public Watcher, public async::TurnEndHook {
public:
    // Takes over `descriptor`, which is connected and non-blocking.
    PosixConnection(PosixNetwork& network, int descriptor, env::Address peer);
    PosixConnection(const PosixConnection&) = delete;
    PosixConnection& operator=(const PosixConnection&) = delete;
    ~PosixConnection() override;

    void set_handler(std::unique_ptr<env::ConnectionHandler> handler);
    [[nodiscard]] int descriptor() const { return descriptor_; }

    [[nodiscard]] ByteView input() const override { return input_.view(); }
    void consume(std::size_t size) override { input_.consume(size); }
    void expect_input(std::size_t size) override;
    [[nodiscard]] Bytes& output() override;
    [[nodiscard]] std::size_t output_size() const override;
    void flush_later() override;
    void pause_input() override { is_paused_ = true; }
    void resume_input() override;
    void close(CloseMode mode) override;
    [[nodiscard]] const env::Address& peer() const override { return peer_; }
    [[nodiscard]] const env::Address& local() const override;

    void on_ready(std::uint32_t events) override;
    void run_at_turn_end() override { flush(); }

    // Goes on reading where a turn's share was used up or input was not wanted.
    void read_again();
    // Ends the connection. on_closed() follows within the turn.
    void end(Status reason);
    // Tells the handler that it is over, and drops it.
    // Returns: whether the connection lingers; else it is to be destroyed.
    bool report_end();
    // Called every RuntimeOptions::sweep_interval: gives back memory of the idle, and ends what
    // makes no progress.
    void sweep();

    // The network's notes: the place among its connections, and which of its lists name this one.
    std::size_t position = 0;
    bool is_to_be_read = false;
    bool is_retired = false;

private:
    enum class State : std::uint8_t { kOpen, kFlushing, kLingering, kEnded };

    [[nodiscard]] bool may_read() const;
    void read();
    // False when reading is over for now.
    bool read_once(std::size_t* taken);
    void on_peer_end();
    void note_pressure();
    void flush();
    // Sends once. False on an error, which has ended the connection.
    bool send_some();
    void note_sent(std::size_t size);
    void after_flush();
    void swallow_input();
    [[nodiscard]] Status socket_error(int error) const;
    void close_descriptor();

    PosixNetwork& network_;
    int descriptor_;
    State state_ = State::kOpen;
    bool is_readable_ = false;
    bool peer_hung_up_ = false;     // the kernel says so; bytes may still wait before the end
    bool input_has_ended_ = false;  // recv() has returned 0
    bool is_paused_ = false;
    bool is_above_high_water_ = false;
    bool is_send_blocked_ = false;  // the kernel took less than was offered
    bool has_moved_ = false;        // bytes went in or out since the last sweep
    std::uint8_t idle_sweeps_ = 0;
    InputBuffer input_;
    Bytes output_;
    Bytes pending_;
    std::size_t pending_sent_ = 0;
    std::size_t swallowed_ = 0;
    std::unique_ptr<env::ConnectionHandler> handler_;
    Status end_reason_;
    env::Address peer_;
    mutable env::Address local_;  // read from the socket when first asked for
};

}  // namespace kvstore::posix
