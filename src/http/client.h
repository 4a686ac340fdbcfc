// A small HTTP/1.1 client: one connection, kept alive, one request at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "async/deadline.h"
#include "async/task.h"
#include "base/status.h"
#include "env/env.h"
#include "env/network.h"
#include "http/message.h"

namespace kvstore::http {

struct ClientRequest {
    Method method = Method::kGet;
    std::string target{};  // "/v1/keys?prefix=a", percent-encoded already
    Headers headers{};     // others than Host and Content-Length
    Bytes body{};
};

struct ClientOptions {
    std::size_t header_bytes_max = 64U << 10U;
    std::size_t body_bytes_max = 1U << 30U;
};

// Lifetime  Owned by its user; no request is under way when it is destroyed. The env outlives it.
// Runs on   One core.
// Never     Sends a request twice: whoever wants to try again looks at the effect first.
class Client {
public:
    Client(env::Env& env, env::Address server, ClientOptions options = {});
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client();

    // Connects where no connection is open, sends, and waits for the whole answer.
    //
    // Requires: no other request of this client is under way.
    // Returns:  the answer, whatever its status.
    // Errors:   kUnavailable with effect none: no connection could be made. With effect unknown:
    //             the connection ended before the answer was complete, or the answer was no HTTP.
    //           kDeadlineExceeded: as above, none before the request was sent, unknown after it.
    async::Task<Result<Response>> request(ClientRequest request, async::Deadline deadline);

    [[nodiscard]] const env::Address& server() const { return server_; }
    [[nodiscard]] bool is_connected() const;

private:
    class Link;
    class Handler;

    async::Task<Status> connect(async::Deadline deadline);

    env::Env& env_;
    env::Address server_;
    ClientOptions options_;
    std::shared_ptr<Link> link_;  // null before the first request
};

}  // namespace kvstore::http
