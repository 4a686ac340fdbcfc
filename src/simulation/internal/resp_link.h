// A connection of a client that speaks the Redis protocol: as much of it as the simulator asks for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/deadline.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/status.h"
#include "env/env.h"

namespace kvstore::simulation::internal {

struct RespReply {
    enum class Kind : std::uint8_t { kText, kNumber, kNull, kError };
    Kind kind = Kind::kNull;
    Bytes text;  // of kText and kError
    std::int64_t number = 0;
};

// Takes one reply off the front of `input`. Returns: its bytes; 0: it is not complete.
// Errors: kInvalidArgument: this is no reply, or one of a kind that was not asked for.
Result<std::size_t> take_reply(ByteView input, RespReply& reply);

// Lifetime  Owned by its client; no call is under way when it is destroyed. The env outlives it.
class RespLink {
public:
    RespLink(env::Env& env, env::Address server);
    RespLink(const RespLink&) = delete;
    RespLink& operator=(const RespLink&) = delete;
    ~RespLink();

    // Connects where no connection is open, sends, and waits for the reply.
    // Requires: no other call is under way.
    // Errors:   kUnavailable, kDeadlineExceeded: effect none before anything was sent, unknown
    //           afterwards; the connection is closed then.
    async::Task<Result<RespReply>> call(std::vector<Bytes> words, async::Deadline deadline);

    [[nodiscard]] const env::Address& server() const { return server_; }

private:
    class Line;
    class Handler;

    env::Env& env_;
    env::Address server_;
    std::shared_ptr<Line> line_;
};

}  // namespace kvstore::simulation::internal
