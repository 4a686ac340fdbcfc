// What the node shows of itself: status, metrics, health, the contract; and its upkeep on request.
#include <string>
#include <utility>

#include "frontend/rest/internal/answer.h"
#include "frontend/rest/internal/openapi.h"
#include "frontend/rest/service.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

json::array numbers_of(const std::vector<NodeId>& nodes) {
    json::array numbers;
    for (const NodeId node : nodes) {
        numbers.push_back(json::value(node.value()));
    }
    return numbers;
}

json::object shard_body(const kv::KeyspaceStatistics& keyspace) {
    const replication::ShardStatistics& shard = keyspace.shard;
    const auto& engine = shard.engine;
    json::object body{{"keyspace", keyspace.info.name},
                      {"shard", shard.description.id.value()},
                      {"keys", shard.state.key_count},
                      {"keys_with_expiry", shard.state.expiring_key_count},
                      {"revision", shard.state.revision.value()},
                      {"compacted_revision", shard.state.compacted_revision.value()},
                      {"applied_index", shard.applied.value()},
                      {"durable_index", shard.durable.value()},
                      // 64 bits: text.
                      {"digest", std::to_string(shard.state.digest)},
                      {"memory_bytes", engine.memory_bytes},
                      {"disk_bytes", engine.disk_bytes},
                      {"health", shard.health.ok() ? "ok" : shard.health.to_string()},
                      // Nodes by their numbers.
                      {"leader", shard.leader.value()},
                      {"voters", numbers_of(shard.voters)},
                      {"learners", numbers_of(shard.learners)}};
    return body;
}

http::Response text_response(unsigned status, std::string_view type, std::string body) {
    http::Response response;
    response.status = status;
    response.content_type = type;
    response.body = std::move(body);
    return response;
}

}  // namespace

async::Task<http::Response> RestService::show_status(http::Request /*request*/) {
    json::array shards;
    for (const kv::KeyspaceStatistics& keyspace : kv_.statistics()) {
        shards.push_back(shard_body(keyspace));
    }
    json::array damaged;
    for (const replication::DamagedReplica& replica : kv_.host().damaged()) {
        damaged.push_back(
            json::object{{"shard", replica.shard.value()}, {"reason", replica.why.to_string()}});
    }
    const storage::WalStatistics wal = kv_.host().wal_statistics();
    const auto uptime =
        std::chrono::duration_cast<std::chrono::seconds>(kv_.env().clock.now() - facts_.started);
    json::object body{{"node_id", facts_.node_id},
                      {"node_number", kv_.self().value()},
                      {"cluster_id", facts_.cluster_id},
                      {"version", facts_.version},
                      {"uptime_seconds", uptime.count()},
                      {"durability", facts_.durability},
                      {"addresses",
                       json::object{{"http", facts_.http_address},
                                    {"grpc", facts_.grpc_address},
                                    {"resp", facts_.resp_address}}},
                      {"wal",
                       json::object{{"records", wal.record_count},
                                    {"entries", wal.entry_count},
                                    {"bytes_written", wal.bytes_written},
                                    {"syncs", wal.sync_count},
                                    {"segments", wal.segment_count}}},
                      {"shards", std::move(shards)},
                      // Replicas of this node that take no part, and are made anew from others.
                      {"damaged", std::move(damaged)}};
    co_return json_response(200, body);
}

async::Task<http::Response> RestService::show_metrics(http::Request /*request*/) {
    co_return text_response(
        200, metrics::Registry::kContentType, registry_.expose(kv_.env().clock.now()));
}

async::Task<http::Response> RestService::show_readiness(http::Request request) {
    const std::vector<ReadyCheck> checks = ready_();
    const bool verbose = request.parameter("verbose").has_value();
    bool ready = true;
    std::string body;
    for (const ReadyCheck& check : checks) {
        ready = ready && (check.status.ok() || check.is_warning);
        if (verbose || !check.status.ok()) {
            body += check.status.ok() ? "[+]" : check.is_warning ? "[!]" : "[-]";
            body += check.name;
            body += check.status.ok() ? " ok" : " " + check.status.to_string();
            body += '\n';
        }
    }
    body += ready ? "ready\n" : "not ready\n";
    co_return text_response(ready ? 200 : 503, "text/plain; charset=utf-8", std::move(body));
}

async::Task<http::Response> RestService::show_openapi(http::Request /*request*/) {
    co_return text_response(200, "application/yaml", std::string(openapi_text()));
}

async::Task<http::Response> RestService::save(http::Request /*request*/) {
    const Status saved = co_await kv_.host().persist_all();
    if (!saved.ok()) {
        co_return problem(saved);
    }
    co_return json_response(200, json::object{{"saved", true}});
}

async::Task<http::Response> RestService::compact(http::Request /*request*/) {
    const Status compacted = co_await kv_.host().compact_all();
    if (!compacted.ok()) {
        co_return problem(compacted);
    }
    co_return json_response(200, json::object{{"compacted", true}});
}

}  // namespace kvstore::rest
