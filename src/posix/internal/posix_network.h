// Streams on Linux: the connections and listeners of one core.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "async/scheduler.h"
#include "async/sync.h"
#include "env/network.h"
#include "posix/internal/endpoint.h"
#include "posix/internal/posix_clock.h"
#include "posix/internal/posix_connection.h"
#include "posix/internal/reactor.h"

namespace kvstore::posix {

class AsioServices;
class ConnectAttempt;

class PosixNetwork final : public env::Network {
public:
    struct World {
        async::Scheduler& scheduler;
        Reactor& reactor;
        PosixClock& clock;
        AsioServices& services;
    };
    struct Limits {
        std::size_t input_bytes_max = 0;
        Duration sweep_interval;
    };
    PosixNetwork(World world, Limits limits);
    PosixNetwork(const PosixNetwork&) = delete;
    PosixNetwork& operator=(const PosixNetwork&) = delete;
    // Requires: stopped.
    ~PosixNetwork() override;

    Result<std::unique_ptr<env::Listener>> listen(const env::Address& address,
                                                  env::AcceptHandler accept) override;
    async::Task<Result<env::Connection*>> connect(env::Address address,
                                                  std::unique_ptr<env::ConnectionHandler> handler,
                                                  async::Deadline deadline) override;

    // Ends every connection with kUnavailable, fails every connect() and refuses new ones.
    void stop();

    // Makes a connection of a connected socket, which it takes over.
    // Errors: kUnavailable.
    Result<PosixConnection*> adopt(int descriptor, env::Address peer);

    // Connections whose share of the last turn did not empty their sockets, which therefore make no
    // event: to be read in each turn, after events.
    [[nodiscard]] bool has_unread() const { return !to_read_.empty(); }
    void read_unread();

    // For the connections.
    [[nodiscard]] async::Scheduler& scheduler() const { return world_.scheduler; }
    [[nodiscard]] Reactor& reactor() const { return world_.reactor; }
    [[nodiscard]] std::size_t input_bytes_max() const { return limits_.input_bytes_max; }
    void read_later(PosixConnection& connection);
    void retire(PosixConnection& connection);

private:
    async::Task<Result<std::vector<Endpoint>>> resolve(env::Address address,
                                                       std::shared_ptr<ConnectAttempt> attempt);
    async::Task<Result<int>> connect_to(Endpoint endpoint, std::shared_ptr<ConnectAttempt> attempt);
    async::Task<Result<PosixConnection*>> connect_any(env::Address address,
                                                      std::shared_ptr<ConnectAttempt> attempt);
    void report_ends();
    void destroy(PosixConnection& connection);
    void sweep();

    World world_;
    Limits limits_;
    bool is_stopped_ = false;
    env::TimerId sweep_timer_;
    std::vector<std::unique_ptr<PosixConnection>> connections_;
    // Whoever is destroyed leaves both lists.
    std::vector<PosixConnection*> to_read_;
    std::vector<PosixConnection*> retired_;
    std::vector<ConnectAttempt*> attempts_;
};

}  // namespace kvstore::posix
