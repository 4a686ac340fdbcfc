// A plain TCP client that bypasses the code under test, and a handler that records.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/callback.h"
#include "env/network.h"
#include "posix/runtime.h"

namespace kvstore::posix {

// A non-blocking socket to a port of this machine, with the calls of the kernel.
class SocketClient {
public:
    // `receive_buffer` of 0 leaves the system's.
    explicit SocketClient(std::uint16_t port, int receive_buffer = 0);
    SocketClient(SocketClient&& other) noexcept : descriptor_(other.descriptor_) {
        other.descriptor_ = -1;
    }
    SocketClient& operator=(SocketClient&&) = delete;
    SocketClient(const SocketClient&) = delete;
    SocketClient& operator=(const SocketClient&) = delete;
    ~SocketClient() { close(); }

    // How many bytes the kernel took.
    std::size_t send(std::string_view bytes);
    // What has come so far, up to 1 MiB; notes the end and errors.
    Bytes receive();
    // The other side has ended its output, or reset the connection.
    [[nodiscard]] bool has_ended() const { return has_ended_; }
    [[nodiscard]] bool was_reset() const { return was_reset_; }

    void end_output();
    void close();
    // Closes so that the other side gets a reset.
    void reset();

private:
    int descriptor_ = -1;
    bool has_ended_ = false;
    bool was_reset_ = false;
};

// A port that somebody listens on and nobody answers: its backlog is full.
class BusyPort {
public:
    BusyPort();
    BusyPort(const BusyPort&) = delete;
    BusyPort& operator=(const BusyPort&) = delete;
    ~BusyPort();

    [[nodiscard]] std::uint16_t port() const { return port_; }

private:
    int listening_ = -1;
    int first_ = -1;
    std::uint16_t port_ = 0;
};

// What a RecordingHandler has seen. Outlives it.
struct Record {
    env::Connection* connection = nullptr;
    Bytes received;
    int input_calls = 0;
    int input_ends = 0;
    int drained = 0;
    int closed = 0;
    Status reason;
    // When set, called instead of taking the input into `received`.
    Callback<void(env::Connection&)> on_input;
    // When set, called instead of closing when the peer ends.
    Callback<void(env::Connection&)> on_input_end;
    Callback<void(env::Connection&)> on_output_drained;
    Callback<void(env::Connection&)> on_closed;
};

class RecordingHandler final : public env::ConnectionHandler {
public:
    explicit RecordingHandler(Record& record) : record_(record) {}
    void on_input(env::Connection& connection) override;
    void on_output_drained(env::Connection& connection) override;
    void on_input_end(env::Connection& connection) override;
    void on_closed(env::Connection& connection, const Status& reason) override;

private:
    Record& record_;
};

// Sends back what comes.
void echo(env::Connection& connection);

// Listens on a free port of the loopback; every connection records into `record`.
std::unique_ptr<env::Listener> listen_recording(Runtime& runtime, Record& record);

// Runs turns until `condition` holds.
// Returns: false when it still does not after half a minute.
[[nodiscard]] bool run_until(Runtime& runtime, Callback<bool()> condition);

}  // namespace kvstore::posix
