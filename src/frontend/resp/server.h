// The Redis front end: accepts connections, and answers their commands from kv.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "async/task.h"
#include "base/callback.h"
#include "base/time.h"
#include "env/network.h"
#include "kv/kv.h"
#include "metrics/registry.h"

namespace kvstore::resp {

struct Options {
    std::size_t connections_max = 10'000;
    unsigned databases = 16;
    // How many commands of one connection may wait for their outcome, and their bytes. Beyond it,
    // the connection is not read further until some are answered.
    std::size_t commands_waiting_max = 16'384;
    std::size_t waiting_bytes_max = 64U << 20U;
    // Of one request; a longer one ends the connection.
    std::size_t request_bytes_max = 1U << 30U;
    // From the first byte of a request to its last one, and a second more for every
    // kRequestBytesPerSecond that have come; a slower one ends the connection. Between requests a
    // connection may stay as long as it likes.
    Duration request_timeout = std::chrono::seconds(60);
    static constexpr std::size_t kRequestBytesPerSecond = 16U << 10U;
    // As shown by INFO: always, interval or memory.
    std::string durability = "always";
    std::uint16_t port = 0;  // as shown by INFO
    // SHUTDOWN asks for the end of the process. Without it, SHUTDOWN is refused.
    Callback<void()> on_shutdown;
};

class Core;

// Lifetime  Owned by the node, over a kv that outlives it. stop() before destruction.
// Runs on   One core.
class RespServer {
public:
    RespServer(kv::Kv& kv, Options options, metrics::Registry& registry);
    RespServer(const RespServer&) = delete;
    RespServer& operator=(const RespServer&) = delete;
    ~RespServer();

    // An env::AcceptHandler. Null once stop() was called, and above connections_max after the
    // client was told so.
    std::unique_ptr<env::ConnectionHandler> accept(env::Connection& connection);

    // Closes every connection, and waits for the outcomes of what they proposed. Nobody is told
    // those.
    async::Task<void> stop();

private:
    std::unique_ptr<Core> core_;
};

}  // namespace kvstore::resp
