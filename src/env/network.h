// Streams, as one of the four doors to the world.
//
// Connections call their handler on the core that owns them; nothing is copied between the socket
// and the parser, and everything written in a turn leaves in one system call at the turn's end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "async/deadline.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/callback.h"
#include "base/status.h"

namespace kvstore::env {

// A TCP address: a name or number, and a port. Port 0 asks for any free one.
struct Address {
    std::string host;
    std::uint16_t port = 0;

    // "host:port", "[v6]:port", ":port" (all interfaces).
    [[nodiscard]] static Result<Address> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
    [[nodiscard]] bool is_loopback() const;
};

class Connection;

// What a protocol does with a connection.
//
// Lifetime  Owned by its connection, destroyed after on_closed().
class ConnectionHandler {
public:
    virtual ~ConnectionHandler() = default;

    // More input has come. Take what is complete with Connection::consume(); the rest stays and is
    // shown again, with more behind it, next time.
    virtual void on_input(Connection& connection) = 0;

    // The output that was waiting has fallen below Connection::kOutputLowWater again after
    // output_size() had passed kOutputHighWater.
    virtual void on_output_drained(Connection& /*connection*/) {}

    // The peer has sent its last byte; input() holds what is left. Output can still be sent. The
    // default closes after the output has been flushed.
    virtual void on_input_end(Connection& connection);

    // It is over, whoever ended it: nothing more can be read or written. Called exactly once. The
    // reason is ok for an orderly end.
    virtual void on_closed(Connection& connection, const Status& reason) = 0;
};

// One byte stream.
//
// Lifetime  Owned by its network; lives until on_closed() has returned. close() only asks for it.
// Runs on   One core.
class Connection {
public:
    // Above this the protocol should stop producing; the socket layer stops reading by itself.
    static constexpr std::size_t kOutputHighWater = 1U << 20U;
    static constexpr std::size_t kOutputLowWater = 1U << 18U;

    virtual ~Connection() = default;

    // What has come and was not consumed. Valid until the handler returns or consumes.
    [[nodiscard]] virtual ByteView input() const = 0;
    virtual void consume(std::size_t size) = 0;
    // Asks the socket layer to make room for an input of `size` bytes in one piece, where a message
    // announces a large one. Without it the buffer doubles as needed.
    virtual void expect_input(std::size_t size) = 0;

    // Where output is appended; it leaves at the end of the turn.
    // After close() appended bytes go nowhere.
    [[nodiscard]] virtual Bytes& output() = 0;
    // Everything not yet taken by the operating system, and what was appended in this turn.
    [[nodiscard]] virtual std::size_t output_size() const = 0;
    // Marks the connection for the flush at the turn's end. Called after appending.
    virtual void flush_later() = 0;

    // Reading goes on by itself unless paused; a paused connection stops taking bytes from the
    // operating system, which in turn slows the sender.
    virtual void pause_input() = 0;
    virtual void resume_input() = 0;

    enum class CloseMode : std::uint8_t { kAfterFlush, kNow };
    virtual void close(CloseMode mode) = 0;

    [[nodiscard]] virtual const Address& peer() const = 0;
    [[nodiscard]] virtual const Address& local() const = 0;
};

// Makes the handler of a connection that was accepted. Null refuses it (closed at once).
using AcceptHandler = Callback<std::unique_ptr<ConnectionHandler>(Connection& connection)>;

// Lifetime  Owned by who listens. Destroying it stops listening; accepted connections go on.
class Listener {
public:
    virtual ~Listener() = default;
    // With the real port where 0 was asked for.
    [[nodiscard]] virtual const Address& local() const = 0;
};

// Runs on   One core; each core has its own.
class Network {
public:
    virtual ~Network() = default;

    // Errors: kAlreadyExists when the port is taken, kPermissionDenied, kInvalidArgument (a host
    // that is no local address), kIoError; the message names the address.
    virtual Result<std::unique_ptr<Listener>> listen(const Address& address,
                                                     AcceptHandler accept) = 0;

    // Connects and gives the stream to `handler`.
    // Returns:  the connection, owned by this network.
    // Errors:   kUnavailable (refused, unreachable, unknown host), kDeadlineExceeded.
    virtual async::Task<Result<Connection*>> connect(Address address,
                                                     std::unique_ptr<ConnectionHandler> handler,
                                                     async::Deadline deadline) = 0;
};

}  // namespace kvstore::env
