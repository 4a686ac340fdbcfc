// A node: everything between an env and a configuration. The only place that names every concrete
// class.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "async/sync.h"
#include "async/task.h"
#include "base/callback.h"
#include "base/status.h"
#include "env/env.h"
#include "frontend/resp/server.h"
#include "frontend/rest/service.h"
#include "http/server.h"
#include "kv/administration.h"
#include "kv/kv.h"
#include "metrics/registry.h"
#include "replication/host.h"
#include "server/cluster_node.h"
#include "server/config.h"
#include "server/data_directory.h"

namespace kvstore::server {

// Where a node answers; ports are the real ones where 0 was asked for.
struct NodeAddresses {
    env::Address http;
    env::Address grpc;
    env::Address resp;
    env::Address peer;  // port 0: alone
};

// Lifetime  stop() before destruction; the env outlives it.
// Runs on   One core.
class Node {
public:
    // Opens the data directory, recovers, and answers on every address.
    // `on_shutdown` is called when a client asks the server to end (Redis' SHUTDOWN).
    // Errors: those of opening (kCorruption, kConflict, kDiskFull, ...) and of listening.
    static async::Task<Result<std::unique_ptr<Node>>> start(env::Env* env,
                                                            Config config,
                                                            Callback<void()> on_shutdown);
    // For start() alone.
    class StartKey {
        friend class Node;
        StartKey() = default;
    };
    Node(StartKey key, env::Env& env, Config config);
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node();

    [[nodiscard]] NodeAddresses addresses() const;
    [[nodiscard]] const DataDirectory& data_directory() const { return directory_; }
    [[nodiscard]] kv::Kv& kv() { return *kv_; }
    [[nodiscard]] metrics::Registry& registry() { return registry_; }

    // Stops listening, answers what was accepted, makes it durable, closes everything.
    // Errors: of the last writes.
    async::Task<Status> stop();

private:
    async::Task<Status> open(Callback<void()> on_shutdown);
    [[nodiscard]] bool is_alone() const;
    // Where others are told to find this node.
    [[nodiscard]] NodeAddresses advertised() const;
    async::Task<Status> open_storage();
    kv::Administration& administration();
    void make_front_ends(Callback<void()> on_shutdown);
    Status listen();
    void add_metrics();
    std::vector<rest::ReadyCheck> ready_checks();
    Status fenced_replicas();
    async::Task<void> performance_loop();

    env::Env& env_;
    Config config_;
    metrics::Registry registry_;
    DataDirectory directory_;
    std::unique_ptr<ClusterNode> cluster_;  // null: alone
    std::unique_ptr<replication::Host> host_;
    std::unique_ptr<kv::Kv> kv_;
    std::unique_ptr<kv::Administration> alone_;  // null: of a cluster
    std::unique_ptr<rest::RestService> rest_;
    std::unique_ptr<http::Server> http_;
    std::unique_ptr<resp::RespServer> resp_;
    std::unique_ptr<env::Listener> http_listener_;
    std::unique_ptr<env::Listener> grpc_listener_;
    std::unique_ptr<env::Listener> resp_listener_;
    std::vector<metrics::Registration> registrations_;
    async::Gate gate_;
    MonotonicTime started_;
    bool is_stopping_ = false;
};

}  // namespace kvstore::server
