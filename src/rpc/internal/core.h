// What the parts of one transport share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "async/sync.h"
#include "env/env.h"
#include "rpc/internal/rate_limit.h"
#include "rpc/metrics.h"
#include "rpc/transport.h"

namespace kvstore::rpc::internal {

class Link;

// Lifetime    Owned by the transport. Outlives whatever is inside its gate: connections, attempts
//             to connect, streams of services, posted work. What may outlive it (responders,
//             outgoing streams) does not touch it once its connection has gone.
// Runs on     One core.
struct Core {
    Core(env::Env& world, Options given, AdmitPeer judge)
        : env(world),
          options(std::move(given)),
          admit(std::move(judge)),
          instruments(options.registry),
          gate(world.scheduler),
          stream_rate(options.stream_bytes_per_second) {}

    // Runs `work` later in this turn, and before stop() returns.
    template <typename Work>
    void post(Work work) {
        if (gate.try_enter()) {
            env.scheduler.post([this, work = std::move(work)]() mutable {
                work();
                gate.leave();
            });
        } else {
            work();
        }
    }

    [[nodiscard]] Service* find_service(Topic topic) const {
        for (const auto& [served, service] : services) {
            if (served == topic) {
                return service;
            }
        }
        return nullptr;
    }

    void tell_peer_state(NodeId peer, bool is_connected) {
        post([this, peer, is_connected] {
            for (const auto& [topic, service] : services) {
                service->on_peer_state(peer, is_connected);
            }
        });
    }

    [[nodiscard]] MonotonicTime now() const { return env.clock.now(); }

    env::Env& env;
    Options options;
    AdmitPeer admit;
    Instruments instruments;
    async::Gate gate;
    RateLimit stream_rate;
    bool is_stopping = false;
    std::vector<std::pair<Topic, Service*>> services;
    // Every connection that has not ended, in the order in which they were made.
    std::map<std::uint64_t, Link*> links;
    std::uint64_t last_link = 0;
    std::size_t incoming_connections = 0;
    // A peer has refused this node, on a connection that the peer made.
    Callback<void(NodeId peer, const Status& why)> on_refused_by;
};

}  // namespace kvstore::rpc::internal
