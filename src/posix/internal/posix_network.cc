#include "posix/internal/posix_network.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "posix/internal/asio_services.h"
#include "posix/internal/connect_attempt.h"
#include "posix/internal/errors.h"
#include "posix/internal/listener.h"
#include "posix/internal/socket_options.h"

namespace kvstore::posix {
namespace {

constexpr std::uint32_t kConnectionEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

Status unreachable(const env::Address& address, const std::string& why) {
    return {Code::kUnavailable, "cannot connect to " + address.to_string() + ": " + why};
}

// Begins to connect a new socket, watched by `attempt`.
Result<int> begin_connect(const Endpoint& endpoint, Reactor& reactor, ConnectAttempt& attempt) {
    const int descriptor =
        ::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return Status(Code::kUnavailable, error_text(errno));
    }
    set_stream_options(descriptor);
    if (::connect(descriptor, endpoint.address(), endpoint.size) != 0 && errno != EINPROGRESS) {
        const Status refused(Code::kUnavailable, error_text(errno));
        ::close(descriptor);
        return refused;
    }
    Status watched = reactor.add(descriptor, EPOLLOUT | EPOLLET, attempt);
    if (!watched.ok()) {
        ::close(descriptor);
        return watched;
    }
    return descriptor;
}

int pending_error(int descriptor) {
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

}  // namespace

PosixNetwork::PosixNetwork(World world, Limits limits) : world_(world), limits_(limits) {}

PosixNetwork::~PosixNetwork() {
    KVSTORE_ASSERT(connections_.empty());
}

Result<std::unique_ptr<env::Listener>> PosixNetwork::listen(const env::Address& address,
                                                            env::AcceptHandler accept) {
    KVSTORE_TRY(auto listener, Listener::open({*this, world_.reactor, world_.clock}, address));
    KVSTORE_CHECK_OK(listener->start(std::move(accept)));
    return std::unique_ptr<env::Listener>(std::move(listener));
}

Result<PosixConnection*> PosixNetwork::adopt(int descriptor, env::Address peer) {
    auto connection = std::make_unique<PosixConnection>(*this, descriptor, std::move(peer));
    KVSTORE_CHECK_OK(world_.reactor.add(descriptor, kConnectionEvents, *connection));
    connection->position = connections_.size();
    connections_.push_back(std::move(connection));
    if (sweep_timer_ == env::TimerId()) {
        sweep_timer_ = world_.clock.start_timer(world_.clock.now() + limits_.sweep_interval,
                                                [this] { sweep(); });
    }
    return connections_.back().get();
}

async::Task<Result<std::vector<Endpoint>>> PosixNetwork::resolve(
    env::Address address, std::shared_ptr<ConnectAttempt> attempt) {
    std::vector<Endpoint> numeric = numeric_endpoints(address.host, address.port);
    if (!numeric.empty()) {
        co_return numeric;
    }
    attempt->rearm();
    world_.services.resolve(
        address.host, address.port, [attempt](Result<std::vector<Endpoint>> answer) {
            const Status outcome = answer.status();
            if (outcome.ok()) {
                attempt->found = *std::move(answer);
            }
            attempt->finish_step(outcome);
        });
    const Status outcome = co_await attempt->step();
    if (!outcome.ok()) {
        co_return outcome;
    }
    co_return std::move(attempt->found);
}

async::Task<Result<int>> PosixNetwork::connect_to(Endpoint endpoint,
                                                  std::shared_ptr<ConnectAttempt> attempt) {
    attempt->rearm();
    KVSTORE_CO_TRY(const int descriptor, begin_connect(endpoint, world_.reactor, *attempt));
    Status outcome = co_await attempt->step();
    world_.reactor.remove(descriptor, *attempt);
    const int error = pending_error(descriptor);
    if (outcome.ok() && error != 0) {
        outcome = Status(Code::kUnavailable, error_text(error));
    }
    if (!outcome.ok()) {
        ::close(descriptor);
        co_return outcome;
    }
    co_return descriptor;
}

async::Task<Result<env::Connection*>> PosixNetwork::connect(
    env::Address address,
    std::unique_ptr<env::ConnectionHandler> handler,
    async::Deadline deadline) {
    if (is_stopped_) {
        co_return unreachable(address, "the network has stopped");
    }
    if (deadline.has_passed(world_.clock.now())) {
        co_return Status(Code::kDeadlineExceeded, "no time to connect to " + address.to_string());
    }
    const auto attempt = std::make_shared<ConnectAttempt>(world_.scheduler);
    attempts_.push_back(attempt.get());
    env::TimerId timer;
    if (deadline.at != MonotonicTime::max()) {
        timer = world_.clock.start_timer(deadline.at, [raw = attempt.get(), &address] {
            raw->fail(Status(Code::kDeadlineExceeded,
                             "no answer from " + address.to_string() + " in time"));
        });
    }
    auto connected = co_await connect_any(address, attempt);
    world_.clock.cancel_timer(timer);
    std::erase(attempts_, attempt.get());
    if (!attempt->failure().ok() && connected.ok()) {
        // It came in the same turn as the end of the wait, which has been told.
        connected.value()->close(env::Connection::CloseMode::kNow);
    }
    if (!attempt->failure().ok()) {
        co_return attempt->failure();
    }
    if (!connected.ok()) {
        co_return unreachable(address, std::string(connected.status().message()));
    }
    connected.value()->set_handler(std::move(handler));
    co_return static_cast<env::Connection*>(connected.value());
}

async::Task<Result<PosixConnection*>> PosixNetwork::connect_any(
    env::Address address, std::shared_ptr<ConnectAttempt> attempt) {
    auto resolved = co_await resolve(address, attempt);
    KVSTORE_CO_TRY(const std::vector<Endpoint> endpoints, std::move(resolved));
    Status last(Code::kUnavailable, "the name has no address");
    for (std::size_t i = 0; i < endpoints.size() && attempt->failure().ok(); ++i) {
        auto descriptor = co_await connect_to(endpoints[i], attempt);
        if (descriptor.ok()) {
            Result<PosixConnection*> adopted = adopt(*descriptor, endpoints[i].to_address());
            co_return adopted;
        }
        last = descriptor.status();
    }
    co_return last;
}

void PosixNetwork::read_later(PosixConnection& connection) {
    if (!connection.is_to_be_read) {
        connection.is_to_be_read = true;
        to_read_.push_back(&connection);
    }
}

void PosixNetwork::read_unread() {
    // Nobody is destroyed meanwhile: ends are reported by a post of their own.
    const std::vector<PosixConnection*> unread = std::exchange(to_read_, {});
    for (PosixConnection* connection : unread) {
        connection->is_to_be_read = false;
        connection->read_again();
    }
}

void PosixNetwork::retire(PosixConnection& connection) {
    if (connection.is_retired) {
        return;
    }
    connection.is_retired = true;
    retired_.push_back(&connection);
    if (retired_.size() == 1) {
        world_.scheduler.post([this] { report_ends(); });
    }
}

void PosixNetwork::report_ends() {
    const std::vector<PosixConnection*> retired = std::exchange(retired_, {});
    for (PosixConnection* connection : retired) {
        connection->is_retired = false;
        if (!connection->report_end()) {
            destroy(*connection);
        }
    }
}

void PosixNetwork::destroy(PosixConnection& connection) {
    if (connection.is_to_be_read) {
        std::erase(to_read_, &connection);
    }
    if (connection.is_retired) {
        std::erase(retired_, &connection);
    }
    const std::size_t position = connection.position;
    if (position + 1 < connections_.size()) {
        std::swap(connections_[position], connections_.back());
        connections_[position]->position = position;
    }
    connections_.pop_back();
}

void PosixNetwork::sweep() {
    for (const auto& connection : connections_) {
        connection->sweep();
    }
    sweep_timer_ = env::TimerId();
    if (!connections_.empty() && !is_stopped_) {
        sweep_timer_ = world_.clock.start_timer(world_.clock.now() + limits_.sweep_interval,
                                                [this] { sweep(); });
    }
}

void PosixNetwork::stop() {
    is_stopped_ = true;
    const std::vector<ConnectAttempt*> attempts = attempts_;
    for (ConnectAttempt* attempt : attempts) {
        attempt->fail(Status(Code::kUnavailable, "the network has stopped"));
    }
    // Handlers may accept nothing new, so this ends; lingering ones are cut short.
    for (const auto& connection : connections_) {
        connection->end(Status(Code::kUnavailable, "the network has stopped"));
    }
    report_ends();
    KVSTORE_ASSERT(connections_.empty());
}

}  // namespace kvstore::posix
