// The HTTP/1.1 server: connections in, a Service out. Keep-alive, pipelining (answers in order),
// Expect: 100-continue, HEAD. Slow, oversized and malformed requests cost bounded memory and time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>

#include "async/sync.h"
#include "async/task.h"
#include "base/time.h"
#include "env/env.h"
#include "env/network.h"
#include "http/message.h"

namespace kvstore::http {

// What answers requests.
//
// Runs on   The core of the server.
class Service {
public:
    virtual ~Service() = default;

    // Answers at once where nothing must be waited for; false hands the request to handle().
    // `request` is left as it was when the answer is false.
    virtual bool try_handle(const Request& request, Response& response) = 0;

    // Never fails: errors are answers. Runs to its end also when the connection has gone.
    virtual async::Task<Response> handle(Request request) = 0;

    // The answer to a request that never reached the service: malformed, too large, too slow, too
    // many. Nothing of it was done.
    virtual Response refuse(unsigned status, std::string_view why) = 0;
};

struct ServerOptions {
    // Of the request line and headers together; also of trailers, and of a line of chunk
    // extensions.
    std::size_t header_bytes_max = 16U << 10U;
    std::size_t body_bytes_max = 64U << 20U;
    // Bodies and answers of all connections together; above it new requests get 503.
    std::size_t memory_bytes_max = 512U << 20U;
    std::size_t connections_max = 10'000;
    // From the first byte of a request to its last byte of headers.
    Duration header_timeout = std::chrono::seconds(10);
    // From there to its last byte, and a second more for every kBodyBytesPerSecond that have come:
    // whoever keeps to that rate may send as much as the limits let.
    Duration body_timeout = std::chrono::seconds(30);
    static constexpr std::size_t kBodyBytesPerSecond = 16U << 10U;
    // Between requests.
    Duration idle_timeout = std::chrono::seconds(75);
    // How long stop() waits for the last answers to be taken.
    Duration stop_timeout = std::chrono::seconds(5);
};

struct ServerStatistics {
    std::uint64_t connection_count = 0;  // open now
    std::uint64_t request_count = 0;
    std::uint64_t refused_count = 0;  // malformed, too large, too slow, too many
};

// Lifetime  Owned by the node, and outlives its connections: stop() ends them.
// Runs on   One core.
class Server {
public:
    Server(env::Env& env, Service& service, ServerOptions options);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    // The handler of a new connection. One above connections_max is told so with 503, and closed.
    // Null once stop() was called.
    std::unique_ptr<env::ConnectionHandler> accept(env::Connection& connection);

    [[nodiscard]] const ServerStatistics& statistics() const { return statistics_; }

    // Closes idle connections, lets requests under way finish and sends their answers. Requests
    // that have not come whole by then get 503.
    // Suspends: until the last handler has ended, and at most stop_timeout longer.
    async::Task<void> stop();

private:
    class ConnectionState;
    class Handler;

    // `action` may end any of them.
    template <typename Action>
    void for_each_connection(Action action);
    // Whether `more` bytes can be held beside those that are.
    [[nodiscard]] bool has_room(std::size_t more);

    env::Env& env_;
    Service& service_;
    ServerOptions options_;
    ServerStatistics statistics_;
    std::size_t memory_bytes_ = 0;  // the sum of what the connections are charged
    // By the order in which they came, not by address: so that a run is its replay.
    std::map<std::uint64_t, ConnectionState*> connections_;
    std::uint64_t connections_ever_ = 0;
    async::Gate gate_;
    bool is_stopping_ = false;
};

}  // namespace kvstore::http
