// Node to node: one connection to each peer, on which everything of a loop turn leaves in one
// write.
//
// Three ways to talk, in the order of what they promise:
//   - messages are cheap and may be lost: they leave with the turn, or are dropped when the peer
//     cannot be reached or does not keep up. Raft and gossip repair what is lost;
//   - calls are answered exactly once, by the peer or by an error that says whether the peer may
//     have acted;
//   - streams carry what is large, on a connection of their own, at a bounded rate, with
//     backpressure from the reader's disk to the writer's.
//
// Each node connects to each peer for what it has to say; answers to calls come back on the
// connection that asked. A connection begins with a handshake in which both ends say who they are
// (wire/handshake.h), and nothing else is read before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/deadline.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/callback.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "metrics/registry.h"
#include "wire/handshake.h"

namespace kvstore::rpc {

// What a message or a call is about. One number a service; what follows is the service's own.
using Topic = std::uint16_t;

// Received bytes, and what keeps them alive.
struct Received {
    std::shared_ptr<const void> owner;
    ByteView bytes;
};

// Told the answer to a call.
//
// Lifetime  Owned by the caller, and must live until exactly one of the two has been called, which
//           never happens from inside start_call().
class CallSink {
public:
    virtual void on_answer(Received answer) = 0;
    // The peer's own error (its code, effect and words), or the transport's: kUnavailable,
    // kDeadlineExceeded. Effect kUnknown whenever the request may have reached the peer.
    virtual void on_failed(const Status& why) = 0;

protected:
    ~CallSink() = default;
};

// Where answers go: a connection, or a fake in a test.
class AnswerRoute {
public:
    virtual ~AnswerRoute() = default;
    virtual void send_answer(std::uint64_t call, ByteView answer) = 0;
    virtual void send_error(std::uint64_t call, const Status& why) = 0;
};

// Answers one call, once. Destroying it without an answer answers kUnavailable with an unknown
// effect. May outlive the connection, and the transport; the answer then goes nowhere.
class Responder {
public:
    Responder() = default;
    Responder(std::shared_ptr<AnswerRoute> route, std::uint64_t call) noexcept;
    Responder(Responder&&) noexcept = default;
    Responder& operator=(Responder&& other) noexcept;
    Responder(const Responder&) = delete;
    Responder& operator=(const Responder&) = delete;
    ~Responder();

    // Each requires: neither was called before.
    void answer(ByteView answer);
    void fail(const Status& why);

private:
    std::shared_ptr<AnswerRoute> route_;  // null once answered
    std::uint64_t call_ = 0;
};

// The reading end of a stream.
class IncomingStream {
public:
    virtual ~IncomingStream() = default;

    // The next chunk as the writer cut them; empty at the end that the writer declared.
    //
    // Suspends: until it is there. The connection is not read while a chunk waits to be asked for.
    // Errors:   kUnavailable (the connection broke before the end), kCorruption (a damaged chunk),
    //           kDeadlineExceeded (the writer was silent for Options::silence_max).
    virtual async::Task<Result<Bytes>> read() = 0;
};

// The writing end of a stream.
class OutgoingStream {
public:
    virtual ~OutgoingStream() = default;

    // Requires: no other write() is under way.
    // Suspends: until the reader keeps up, and as the rate asks.
    // Errors:   kUnavailable, kDeadlineExceeded (the reader took nothing for
    //           Options::silence_max), what the reader's service answered before the end: the
    //           stream is over then. kTooLarge (over Options::frame_bytes_max): not sent.
    virtual async::Task<Status> write(Bytes chunk) = 0;
    // Ends the stream, and waits for what the reader's service answered.
    // Errors: as write(); the service's own.
    virtual async::Task<Result<Bytes>> finish(async::Deadline deadline) = 0;
};

// What a node does with what its peers say about one topic.
//
// Runs on   One core. May call back into the transport.
class Service {
public:
    virtual ~Service() = default;

    // All messages of one turn of the sender on this topic, in order, as one run of bytes. Beyond a
    // megabyte they come as several runs, cut where message_buffer() was asked again.
    virtual void on_messages(NodeId from, Received messages) = 0;
    virtual void on_call(NodeId from, Received request, Responder responder) = 0;
    // Reads the stream to its end; what it returns is the writer's answer.
    virtual async::Task<Result<Bytes>> on_stream(NodeId from,
                                                 Bytes header,
                                                 std::unique_ptr<IncomingStream> stream) = 0;
    // The connection to a peer has come up or gone down. Messages given since it last was up may
    // be lost.
    virtual void on_peer_state(NodeId /*peer*/, bool /*is_connected*/) {}
};

// Decides on a peer's handshake, whichever end connected. An error refuses it, and its words are
// sent to the peer.
using AdmitPeer = Callback<Status(const wire::Hello& hello)>;

struct Options {
    wire::Hello self;  // what this node says; `target` is filled in for each peer
    // Bytes that wait for one peer above which messages are dropped and calls refused
    // (kOverloaded).
    std::size_t peer_output_max = 64U << 20U;
    std::size_t frame_bytes_max = 64U << 20U;
    std::size_t calls_max = 100'000;  // under way to one peer
    Duration connect_timeout = std::chrono::seconds(2);
    Duration backoff_min = std::chrono::milliseconds(20);
    Duration backoff_max = std::chrono::seconds(1);
    // A quiet connection is asked for a sign of life; one that gives none for so long is broken.
    Duration ping_interval = std::chrono::seconds(1);
    Duration silence_max = std::chrono::seconds(4);
    std::uint64_t stream_bytes_per_second = 0;  // of all outgoing streams together; 0: no limit
    std::size_t incoming_connections_max = 1024;
    metrics::Registry* registry = nullptr;  // null: not measured
};

struct PeerStatus {
    NodeId id;
    env::Address address;
    bool is_connected = false;
    // Why the last attempt failed; ok while connected or never tried.
    Status last_failure;
    // The last that the peer itself said when it refused this node; ok: it never did, or has let it
    // in since.
    Status refusal;
    Duration round_trip{};  // of the last ping; 0: none yet
};

struct TransportStatistics {
    std::uint64_t messages_dropped = 0;  // buffers refused, and runs lost with a connection
    std::uint64_t frames_sent = 0;
    std::uint64_t frames_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t frames_damaged = 0;      // wrong checksum or shape; each ended its connection
    std::uint64_t handshakes_refused = 0;  // by either end
};

// Lifetime  Owned by the node. stop() before destruction. Services and the env outlive it.
// Runs on   One core.
class Transport {
public:
    virtual ~Transport() = default;

    [[nodiscard]] static std::unique_ptr<Transport> make(env::Env& env,
                                                         Options options,
                                                         AdmitPeer admit);

    // Requires: before anything of that topic comes; each topic once.
    virtual void add_service(Topic topic, Service* service) = 0;

    // Accepts peers. Errors: as env::Network::listen().
    virtual Result<env::Address> listen(const env::Address& address) = 0;

    // Knows a peer under its address, or changes it; connects when there is something to say, and
    // keeps the connection from then on. Another address ends a connection with the one before.
    virtual void set_peer(NodeId peer, const env::Address& address) = 0;
    // Forgets the peer: its connections close, its calls fail.
    virtual void remove_peer(NodeId peer) = 0;
    [[nodiscard]] virtual bool is_connected(NodeId peer) const = 0;
    [[nodiscard]] virtual std::vector<PeerStatus> peers() const = 0;

    // Where the next message to `peer` on `topic` is appended; it leaves at the end of this turn,
    // in one frame with all others of that topic and turn. Null when it would be dropped: not
    // connected (it connects in the background) or more than Options::peer_output_max waits.
    // Valid until the next call of the transport.
    [[nodiscard]] virtual Bytes* message_buffer(NodeId peer, Topic topic) = 0;

    // Asks `peer`. `request` is copied. While a connection is being made for the first time the
    // call waits for it; while the peer is known to be unreachable it is refused at once.
    // Errors: kUnavailable, kOverloaded, kTooLarge, kDeadlineExceeded (it has passed already):
    //         refused, effect none, and `sink` is not called.
    virtual Status start_call(
        NodeId peer, Topic topic, ByteView request, async::Deadline deadline, CallSink* sink) = 0;
    // The same for a coroutine. Errors: of start_call(), then as CallSink::on_failed().
    virtual async::Task<Result<Received>> call(NodeId peer,
                                               Topic topic,
                                               Bytes request,
                                               async::Deadline deadline) = 0;
    // Asks whoever listens at `address`, without knowing who that is: for a node that joins. The
    // connection ends with the answer.
    // Errors: as call(); a refused handshake with the words of the peer.
    virtual async::Task<Result<Received>> call_address(env::Address address,
                                                       Topic topic,
                                                       Bytes request,
                                                       async::Deadline deadline) = 0;

    // Opens a stream on a connection of its own. `header` is shown to the service.
    // Errors: kUnavailable, kDeadlineExceeded, a refused handshake.
    virtual async::Task<Result<std::unique_ptr<OutgoingStream>>> open_stream(
        NodeId peer, Topic topic, Bytes header, async::Deadline deadline) = 0;

    [[nodiscard]] virtual TransportStatistics statistics() const = 0;

    // Stops listening, fails calls under way, ends streams, closes everything.
    //
    // Suspends: until services have let go of their streams, and attempts to connect have ended: at
    //           most Options::connect_timeout for these.
    virtual async::Task<void> stop() = 0;
};

}  // namespace kvstore::rpc
