// The HTTP API: `/v1`, the older paths, health and metrics. The contract is api/openapi.yaml.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/callback.h"
#include "base/status.h"
#include "base/time.h"
#include "http/message.h"
#include "http/server.h"
#include "kv/administration.h"
#include "kv/kv.h"
#include "metrics/registry.h"

namespace kvstore::rest {

// One named check of readiness; ok, or why not.
struct ReadyCheck {
    std::string_view name;
    Status status;
    // What is not ok is told, and the node is ready all the same.
    bool is_warning = false;
};

// What the service shows and cannot know by itself.
struct NodeFacts {
    std::string node_id;
    std::string cluster_id;
    std::string version;
    std::string durability;
    std::string http_address;
    std::string grpc_address;
    std::string resp_address;
    MonotonicTime started;
};

// Lifetime  Owned by the node, above kv and below the HTTP server.
// Runs on   One core.
class RestService final : public http::Service {
public:
    RestService(kv::Kv& kv,
                metrics::Registry& registry,
                NodeFacts facts,
                Callback<std::vector<ReadyCheck>()> ready,
                kv::Administration& administration);

    bool try_handle(const http::Request& request, http::Response& response) override;
    async::Task<http::Response> handle(http::Request request) override;
    http::Response refuse(unsigned status, std::string_view why) override;

private:
    struct Measured {
        metrics::Counter& requests;
        metrics::Histogram& duration;
    };

    struct Route;
    static const std::vector<Route>& routes();
    // Of the store's data: a route that has a consistency and a session.
    using DataAnswer = async::Task<http::Response> (RestService::*)(http::Request, kv::CallContext);

    async::Task<http::Response> dispatch(http::Request request);
    async::Task<http::Response> answer_in_session(DataAnswer answer, http::Request request);
    void record_since(MonotonicTime begin);

    // ---- keys ----
    bool try_get_key(const http::Request& request, http::Response& response);
    async::Task<http::Response> get_key(http::Request request, kv::CallContext context);
    async::Task<http::Response> put_key(http::Request request, kv::CallContext context);
    async::Task<http::Response> delete_key(http::Request request, kv::CallContext context);
    async::Task<http::Response> increment_key(http::Request request, kv::CallContext context);
    async::Task<http::Response> list_keys(http::Request request, kv::CallContext context);

    // ---- batches ----
    async::Task<http::Response> batch_put(http::Request request, kv::CallContext context);
    async::Task<http::Response> batch_get(http::Request request, kv::CallContext context);
    async::Task<http::Response> batch_delete(http::Request request, kv::CallContext context);

    // ---- keyspaces ----
    async::Task<http::Response> list_keyspaces(http::Request request);
    async::Task<http::Response> create_keyspace(http::Request request);
    async::Task<http::Response> get_keyspace(http::Request request);
    async::Task<http::Response> change_keyspace(http::Request request);
    async::Task<http::Response> drop_keyspace(http::Request request);

    // ---- the cluster ----
    async::Task<http::Response> list_members(http::Request request);
    async::Task<http::Response> add_member(http::Request request);
    async::Task<http::Response> change_member(http::Request request);
    async::Task<http::Response> remove_member(http::Request request);
    async::Task<http::Response> change_member_at(http::Request request,
                                                 std::string suffix,
                                                 kv::MemberChange change);
    async::Task<http::Response> list_shards(http::Request request);
    async::Task<http::Response> move_shard(http::Request request);
    async::Task<http::Response> lead_shard(http::Request request);

    // ---- the node ----
    async::Task<http::Response> show_status(http::Request request);
    async::Task<http::Response> show_metrics(http::Request request);
    async::Task<http::Response> show_readiness(http::Request request);
    async::Task<http::Response> show_openapi(http::Request request);
    async::Task<http::Response> save(http::Request request);
    async::Task<http::Response> compact(http::Request request);

    // ---- the older paths ----
    async::Task<http::Response> legacy_set(http::Request request, kv::CallContext context);
    async::Task<http::Response> legacy_get(http::Request request, kv::CallContext context);
    async::Task<http::Response> legacy_delete(http::Request request, kv::CallContext context);

    // The keyspace that `?keyspace=` names, `default` without it; null when there is none.
    [[nodiscard]] kv::KeyspaceHandle keyspace_of(const http::Request& request) const;
    // Level, session, deadline and trace. Errors: kInvalidArgument.
    [[nodiscard]] Result<kv::CallContext> context_of(const http::Request& request) const;

    kv::Kv& kv_;
    metrics::Registry& registry_;
    NodeFacts facts_;
    Callback<std::vector<ReadyCheck>()> ready_;
    kv::Administration& administration_;
    Measured measured_;
};

}  // namespace kvstore::rest
