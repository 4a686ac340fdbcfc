#include "rpc/testing/raw_connection.h"

#include <utility>

#include "base/assert.h"

namespace kvstore::rpc::testing {
namespace {

class RawHandler final : public env::ConnectionHandler {
public:
    explicit RawHandler(std::shared_ptr<RawState> state) : state_(std::move(state)) {}
    void on_input(env::Connection& connection) override {
        state_->received += connection.input();
        connection.consume(connection.input().size());
    }
    void on_closed(env::Connection& /*connection*/, const Status& /*reason*/) override {
        state_->connection = nullptr;
    }

private:
    std::shared_ptr<RawState> state_;
};

}  // namespace

void RawConnection::send(ByteView bytes) {
    if (state_->connection != nullptr) {
        state_->connection->output() += bytes;
        state_->connection->flush_later();
    }
}

void RawConnection::stop_reading() {
    state_->connection->pause_input();
}

void RawConnection::close() {
    if (state_->connection != nullptr) {
        state_->connection->close(env::Connection::CloseMode::kNow);
    }
}

RawConnection connect_raw(sim::World& world, sim::Host& from, env::Address to) {
    auto state = std::make_shared<RawState>();
    auto connected = world.block_on(
        from,
        from.env().network.connect(
            std::move(to), std::make_unique<RawHandler>(state), async::Deadline::never()));
    KVSTORE_ASSERT(connected.ok());
    state->connection = *connected;
    return RawConnection(state);
}

Bytes hello_frame(const wire::Hello& hello, wire::ConnectionUse use) {
    Bytes payload;
    wire::encode_hello(hello, payload);
    Bytes frame;
    wire::append_frame(frame, wire::FrameKind::kHello, static_cast<std::uint16_t>(use), 0, payload);
    return frame;
}

RawListener::RawListener(sim::Host& host, std::uint16_t port)
    : last_(std::make_shared<std::shared_ptr<RawState>>()) {
    auto listening = host.env().network.listen({.host = host.name(), .port = port},
                                               [last = last_](env::Connection& connection) {
                                                   *last = std::make_shared<RawState>();
                                                   (*last)->connection = &connection;
                                                   return std::make_unique<RawHandler>(*last);
                                               });
    KVSTORE_ASSERT(listening.ok());
    listener_ = *std::move(listening);
}

}  // namespace kvstore::rpc::testing
