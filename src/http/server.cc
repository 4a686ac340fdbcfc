#include "http/server.h"

#include <utility>

#include "base/assert.h"
#include "http/internal/connection_state.h"
#include "http/internal/response_writer.h"

namespace kvstore::http {
namespace {

// A connection that was told that there are too many.
class TurnedAway final : public env::ConnectionHandler {
public:
    void on_input(env::Connection& connection) override {
        connection.consume(connection.input().size());
    }
    void on_closed(env::Connection& /*connection*/, const Status& /*reason*/) override {}
};

}  // namespace

// What the connection owns; the state is shared with requests under way.
class Server::Handler final : public env::ConnectionHandler {
public:
    explicit Handler(std::shared_ptr<ConnectionState> state) : state_(std::move(state)) {}
    void on_input(env::Connection& /*connection*/) override { state_->on_input(); }
    void on_output_drained(env::Connection& /*connection*/) override {
        state_->on_output_drained();
    }
    void on_input_end(env::Connection& /*connection*/) override { state_->on_input_end(); }
    void on_closed(env::Connection& /*connection*/, const Status& /*reason*/) override {
        state_->on_closed();
    }

private:
    std::shared_ptr<ConnectionState> state_;
};

Server::Server(env::Env& env, Service& service, ServerOptions options)
    : env_(env), service_(service), options_(options), gate_(env.scheduler) {}

Server::~Server() {
    KVSTORE_ASSERT(connections_.empty());
    KVSTORE_ASSERT(memory_bytes_ == 0);
}

std::unique_ptr<env::ConnectionHandler> Server::accept(env::Connection& connection) {
    if (is_stopping_) {
        return nullptr;
    }
    if (connections_.size() >= options_.connections_max) {
        ++statistics_.refused_count;
        append_response(connection.output(),
                        service_.refuse(503, "too many connections; try again, or elsewhere"),
                        internal::BodyMode::kSend,
                        internal::Afterwards::kClose);
        connection.flush_later();
        connection.close(env::Connection::CloseMode::kAfterFlush);
        return std::make_unique<TurnedAway>();
    }
    return std::make_unique<Handler>(std::make_shared<ConnectionState>(*this, connection));
}

template <typename Action>
void Server::for_each_connection(Action action) {
    for (auto at = connections_.begin(); at != connections_.end();) {
        const std::uint64_t number = at->first;
        action(*at->second);
        at = connections_.upper_bound(number);
    }
}

bool Server::has_room(std::size_t more) {
    const std::size_t bytes_max = options_.memory_bytes_max;
    if (memory_bytes_ + more <= bytes_max) {
        return true;
    }
    // Nobody tells when an answer has been taken.
    for_each_connection([](ConnectionState& connection) { connection.recount(); });
    return memory_bytes_ + more <= bytes_max;
}

async::Task<void> Server::stop() {
    is_stopping_ = true;
    for_each_connection([](ConnectionState& connection) { connection.close_when_idle(); });
    co_await gate_.close();
    for_each_connection([](ConnectionState& connection) { connection.give_up(); });
    constexpr Duration kNap = std::chrono::milliseconds(1);
    const MonotonicTime patience = env_.clock.now() + options_.stop_timeout;
    while (!connections_.empty()) {
        if (env_.clock.now() >= patience) {
            for_each_connection([](ConnectionState& connection) { connection.abort(); });
        }
        co_await env_.clock.sleep(kNap);
    }
}

}  // namespace kvstore::http
