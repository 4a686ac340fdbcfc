// A process's side of the simulated network: its listeners and its connections.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "env/network.h"
#include "sim/internal/sim_connection.h"
#include "sim/internal/wires.h"

namespace kvstore::sim::internal {

class Process;

class SimNetwork final : public env::Network {
public:
    SimNetwork(Process& process, Wires& wires) : process_(process), wires_(wires) {}

    Result<std::unique_ptr<env::Listener>> listen(const env::Address& address,
                                                  env::AcceptHandler accept) override;
    async::Task<Result<env::Connection*>> connect(env::Address address,
                                                  std::unique_ptr<env::ConnectionHandler> handler,
                                                  async::Deadline deadline) override;

    [[nodiscard]] Process& process() { return process_; }
    // A handshake has reached this host. False when nobody listens there.
    bool take_handshake(std::uint16_t port,
                        const std::shared_ptr<Stream>& stream,
                        std::uint16_t peer_port);
    void stop_listening(std::uint16_t port) { listeners_.erase(port); }
    // The connection has told its handler that it is over.
    void forget(SimConnection::Id id) { connections_.erase(id); }
    [[nodiscard]] bool is_idle() const { return listeners_.empty() && connections_.empty(); }
    // Every stream of the process, for what happens when it ends.
    template <typename Visit>
    void visit_streams(Visit visit) {
        for (const auto& [id, connection] : connections_) {
            connection->visit_stream(visit);
        }
    }

private:
    struct Handshake;

    void accept(std::uint64_t listener,
                const std::shared_ptr<Stream>& stream,
                env::Address local,
                env::Address peer);
    SimConnection& add_connection(const std::shared_ptr<Stream>& stream,
                                  Side side,
                                  env::Address local,
                                  env::Address peer);
    [[nodiscard]] bool is_local(const std::string& host) const;
    void try_handshake(const std::shared_ptr<Handshake>& handshake, Duration retry_after);
    void answer_handshake(const std::shared_ptr<Handshake>& handshake);
    std::uint16_t take_free_port();

    struct ListenerEntry {
        std::uint64_t id = 0;
        env::AcceptHandler accept;
    };

    Process& process_;
    Wires& wires_;
    std::map<std::uint16_t, ListenerEntry> listeners_;
    std::uint64_t last_listener_ = 0;
    std::uint16_t last_port_ = 49'151;
    std::map<SimConnection::Id, std::unique_ptr<SimConnection>> connections_;
    SimConnection::Id last_connection_;
};

}  // namespace kvstore::sim::internal
