#include "sim/internal/sim_network.h"

#include <utility>
#include <vector>

#include "async/sync.h"
#include "base/assert.h"
#include "sim/internal/process.h"
#include "sim/world.h"

namespace kvstore::sim::internal {
namespace {

class SimListener final : public env::Listener {
public:
    SimListener(SimNetwork& network, env::Address local)
        : network_(network), local_(std::move(local)) {}
    SimListener(const SimListener&) = delete;
    SimListener& operator=(const SimListener&) = delete;
    ~SimListener() override { network_.stop_listening(local_.port); }
    [[nodiscard]] const env::Address& local() const override { return local_; }

private:
    SimNetwork& network_;
    env::Address local_;
};

constexpr Duration kFirstRetry = std::chrono::seconds(1);

}  // namespace

// One attempt to connect. Whoever answers first (the peer, its absence, the deadline) decides.
struct SimNetwork::Handshake {
    explicit Handshake(async::Scheduler& scheduler) : answer(scheduler) {}

    async::OneShot<Status> answer;
    env::Address address;
    std::uint16_t local_port = 0;
    Host* peer = nullptr;
    MonotonicTime give_up{};
    std::vector<Timeline::Key> timers;
    std::shared_ptr<Stream> stream;

    void settle(Status status) {
        if (!answer.is_set()) {
            answer.set(std::move(status));
        }
    }
};

bool SimNetwork::is_local(const std::string& host) const {
    return host.empty() || host == process_.host().name() || host == "0.0.0.0" ||
           host == "localhost" || host.starts_with("127.");
}

std::uint16_t SimNetwork::take_free_port() {
    do {
        last_port_ = last_port_ == 65'535 ? std::uint16_t{49'152}
                                          : static_cast<std::uint16_t>(last_port_ + 1);
    } while (listeners_.contains(last_port_));
    return last_port_;
}

Result<std::unique_ptr<env::Listener>> SimNetwork::listen(const env::Address& address,
                                                          env::AcceptHandler accept) {
    if (!is_local(address.host)) {
        return Status(Code::kInvalidArgument, address.to_string() + ": is no local address");
    }
    env::Address local = address;
    if (local.port == 0) {
        local.port = take_free_port();
    }
    if (listeners_.contains(local.port)) {
        return Status(Code::kAlreadyExists, local.to_string() + ": the port is taken");
    }
    listeners_.emplace(local.port,
                       ListenerEntry{.id = ++last_listener_, .accept = std::move(accept)});
    return std::unique_ptr<env::Listener>(std::make_unique<SimListener>(*this, std::move(local)));
}

SimConnection& SimNetwork::add_connection(const std::shared_ptr<Stream>& stream,
                                          Side side,
                                          env::Address local,
                                          env::Address peer) {
    last_connection_ = last_connection_.next();
    auto connection = std::make_unique<SimConnection>(
        *this, last_connection_, stream, side, std::move(local), std::move(peer));
    SimConnection& added = *connection;
    connections_.emplace(last_connection_, std::move(connection));
    process_.timeline().trace(TraceKind::kConnection, last_connection_.value());
    return added;
}

bool SimNetwork::take_handshake(std::uint16_t port,
                                const std::shared_ptr<Stream>& stream,
                                std::uint16_t peer_port) {
    const auto at = listeners_.find(port);
    if (at == listeners_.end()) {
        return false;
    }
    env::Address local{.host = process_.host().name(), .port = port};
    env::Address peer{.host = stream->host(Side::kClient).name(), .port = peer_port};
    process_.after(
        Duration{},
        [this, listener = at->second.id, stream, local = std::move(local), peer = std::move(peer)] {
            accept(listener, stream, local, peer);
        });
    return true;
}

void SimNetwork::accept(std::uint64_t listener,
                        const std::shared_ptr<Stream>& stream,
                        env::Address local,
                        env::Address peer) {
    const auto at = listeners_.find(local.port);
    if (at == listeners_.end() || at->second.id != listener) {
        stream->reset(Side::kServer);
        return;
    }
    SimConnection& connection =
        add_connection(stream, Side::kServer, std::move(local), std::move(peer));
    std::unique_ptr<env::ConnectionHandler> handler = at->second.accept(connection);
    if (handler == nullptr) {
        connection.refuse();
        forget(connection.id());
        return;
    }
    connection.start(std::move(handler));
}

// The peer's kernel answers, whatever its program does.
void SimNetwork::answer_handshake(const std::shared_ptr<Handshake>& handshake) {
    if (handshake->answer.is_set() || !process_.is_alive()) {
        return;
    }
    Host& here = process_.host();
    Host& peer = *handshake->peer;
    if (wires_.is_blocked(here, peer) || wires_.is_blocked(peer, here) || !peer.is_powered_) {
        return;
    }
    auto stream = wires_.open(here, peer);
    Process* process = peer.process_.get();
    const bool is_taken =
        process != nullptr &&
        process->network().take_handshake(handshake->address.port, stream, handshake->local_port);
    if (is_taken) {
        handshake->stream = std::move(stream);
    }
    process_.after(wires_.latency(peer, here), [handshake, is_taken] {
        handshake->settle(is_taken
                              ? Status()
                              : Status(Code::kUnavailable,
                                       handshake->address.to_string() + ": connection refused"));
    });
}

void SimNetwork::try_handshake(const std::shared_ptr<Handshake>& handshake, Duration retry_after) {
    Timeline& timeline = process_.timeline();
    if (handshake->answer.is_set() || handshake->stream != nullptr) {
        return;
    }
    if (timeline.now() >= handshake->give_up) {
        handshake->settle(
            Status(Code::kUnavailable, handshake->address.to_string() + ": no answer"));
        return;
    }
    timeline.add(timeline.now() + wires_.latency(process_.host(), *handshake->peer),
                 nullptr,
                 [this, handshake] { answer_handshake(handshake); });
    handshake->timers.push_back(process_.after(retry_after, [this, handshake, retry_after] {
        try_handshake(handshake, 2 * retry_after);
    }));
}

async::Task<Result<env::Connection*>> SimNetwork::connect(
    env::Address address,
    std::unique_ptr<env::ConnectionHandler> handler,
    async::Deadline deadline) {
    const std::string where = address.to_string();
    Host* peer =
        address.host.empty() || address.host == "localhost" || address.host.starts_with("127.")
            ? &process_.host()
            : process_.host().world().find_host(address.host);
    if (peer == nullptr) {
        co_await process_.delay(wires_.options().loopback.max);
        co_return Status(Code::kUnavailable, where + ": unknown host");
    }
    auto handshake = std::make_shared<Handshake>(process_.scheduler());
    handshake->address = address;
    handshake->local_port = take_free_port();
    handshake->peer = peer;
    handshake->give_up = process_.timeline().now() + wires_.options().give_up;
    if (deadline.at != MonotonicTime::max()) {
        handshake->timers.push_back(process_.at(deadline.at, [handshake, where] {
            handshake->settle(Status(Code::kDeadlineExceeded, where + ": no connection in time"));
        }));
    }
    try_handshake(handshake, kFirstRetry);
    Status answered = co_await handshake->answer;
    for (const Timeline::Key& timer : handshake->timers) {
        process_.timeline().cancel(timer);
    }
    if (!answered.ok()) {
        if (handshake->stream != nullptr) {
            handshake->stream->reset(Side::kClient);
        }
        co_return answered;
    }
    env::Address local{.host = process_.host().name(), .port = handshake->local_port};
    SimConnection& connection =
        add_connection(handshake->stream, Side::kClient, std::move(local), std::move(address));
    connection.start(std::move(handler));
    co_return static_cast<env::Connection*>(&connection);
}

}  // namespace kvstore::sim::internal
