// A connection without a transport, to say what no node says.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "env/network.h"
#include "sim/world.h"
#include "wire/frame.h"
#include "wire/handshake.h"

namespace kvstore::rpc::testing {

// What is known of it; outlives it.
struct RawState {
    env::Connection* connection = nullptr;  // null once it has ended
    Bytes received;
};

class RawConnection {
public:
    explicit RawConnection(std::shared_ptr<RawState> state) : state_(std::move(state)) {}

    void send(ByteView bytes);
    void stop_reading();
    void close();
    [[nodiscard]] bool has_ended() const { return state_->connection == nullptr; }
    [[nodiscard]] ByteView received() const { return state_->received; }

private:
    std::shared_ptr<RawState> state_;
};

// Requires: somebody listens there.
RawConnection connect_raw(sim::World& world, sim::Host& from, env::Address to);

[[nodiscard]] Bytes hello_frame(const wire::Hello& hello, wire::ConnectionUse use);

// Accepts connections on a host, and shows them as they come.
class RawListener {
public:
    RawListener(sim::Host& host, std::uint16_t port);

    // The last that was accepted; nullptr before the first.
    [[nodiscard]] std::shared_ptr<RawState> last() const { return *last_; }

private:
    std::shared_ptr<std::shared_ptr<RawState>> last_;
    std::unique_ptr<env::Listener> listener_;
};

}  // namespace kvstore::rpc::testing
