#include "posix/testing/socket_client.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "async/task.h"
#include "base/assert.h"

namespace kvstore::posix {
namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr std::size_t kReceiveMax = 1U << 20U;

async::Task<bool> wait_until(env::Env* env, Callback<bool()> condition) {
    const MonotonicTime end = env->clock.now() + kPatience;
    while (!condition()) {
        if (env->clock.now() > end) {
            co_return false;
        }
        // Over in the next turn, after sockets have had theirs.
        co_await env->clock.sleep(Duration::zero());
    }
    co_return true;
}

}  // namespace

SocketClient::SocketClient(std::uint16_t port, int receive_buffer)
    : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    KVSTORE_ASSERT(descriptor_ >= 0);
    if (receive_buffer > 0) {
        ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int connected =
        ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    KVSTORE_ASSERT(connected == 0);
}

std::size_t SocketClient::send(std::string_view bytes) {
    const ssize_t sent =
        ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    was_reset_ = was_reset_ || (sent < 0 && errno != EAGAIN);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

Bytes SocketClient::receive() {
    const auto buffer = std::make_unique_for_overwrite<char[]>(kReceiveMax);
    const ssize_t size = ::recv(descriptor_, buffer.get(), kReceiveMax, MSG_DONTWAIT);
    was_reset_ = was_reset_ || (size < 0 && errno != EAGAIN);
    has_ended_ = has_ended_ || size == 0 || was_reset_;
    return {buffer.get(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

void SocketClient::end_output() {
    ::shutdown(descriptor_, SHUT_WR);
}

void SocketClient::close() {
    if (descriptor_ >= 0) {
        ::close(std::exchange(descriptor_, -1));
    }
}

void SocketClient::reset() {
    const linger abort{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    close();
}

BusyPort::BusyPort()
    : listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      first_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    KVSTORE_ASSERT(::bind(listening_, raw, size) == 0);
    KVSTORE_ASSERT(::listen(listening_, 0) == 0);
    KVSTORE_ASSERT(::getsockname(listening_, raw, &size) == 0);
    port_ = ntohs(address.sin_port);
    // A backlog of 0 holds one.
    KVSTORE_ASSERT(::connect(first_, raw, size) == 0);
}

BusyPort::~BusyPort() {
    ::close(first_);
    ::close(listening_);
}

void RecordingHandler::on_input(env::Connection& connection) {
    ++record_.input_calls;
    if (record_.on_input) {
        record_.on_input(connection);
        return;
    }
    record_.received += connection.input();
    connection.consume(connection.input().size());
}

void RecordingHandler::on_output_drained(env::Connection& connection) {
    ++record_.drained;
    if (record_.on_output_drained) {
        record_.on_output_drained(connection);
    }
}

void RecordingHandler::on_input_end(env::Connection& connection) {
    ++record_.input_ends;
    if (record_.on_input_end) {
        record_.on_input_end(connection);
    } else {
        ConnectionHandler::on_input_end(connection);
    }
}

void RecordingHandler::on_closed(env::Connection& connection, const Status& reason) {
    ++record_.closed;
    record_.reason = reason;
    record_.connection = nullptr;
    if (record_.on_closed) {
        record_.on_closed(connection);
    }
}

void echo(env::Connection& connection) {
    connection.output() += connection.input();
    connection.consume(connection.input().size());
    connection.flush_later();
}

std::unique_ptr<env::Listener> listen_recording(Runtime& runtime, Record& record) {
    auto listener = runtime.env().network.listen(
        {.host = "127.0.0.1", .port = 0}, [&record](env::Connection& connection) {
            record.connection = &connection;
            return std::make_unique<RecordingHandler>(record);
        });
    KVSTORE_ASSERT(listener.ok());
    return *std::move(listener);
}

bool run_until(Runtime& runtime, Callback<bool()> condition) {
    return runtime.block_on(wait_until(&runtime.env(), std::move(condition)));
}

}  // namespace kvstore::posix
