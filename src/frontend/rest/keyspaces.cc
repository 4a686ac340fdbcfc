// /v1/keyspaces: list, create, show, change, drop.
#include <string>
#include <utility>

#include "base/parse.h"
#include "frontend/rest/internal/answer.h"
#include "frontend/rest/internal/keys.h"
#include "frontend/rest/service.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

constexpr std::string_view kKeyspacesPrefix = "/v1/keyspaces/";

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

json::object keyspace_body(const kv::Keyspace& keyspace) {
    const kv::KeyspaceInfo& info = keyspace.info();
    json::array shards;
    for (const kv::ShardHandle& shard : keyspace.shards()) {
        shards.emplace_back(shard->id().value());
    }
    return {
        {"name", info.name},
        {"replication", info.options.replication == kv::Replication::kQuorum ? "quorum" : "strong"},
        {"replication_factor", info.options.replication_factor},
        {"engine", info.options.engine == replication::EngineKind::kMemory ? "memory" : "lsm"},
        {"history", format_duration(info.options.history)},
        {"shards", std::move(shards)}};
}

Result<std::optional<std::string>> text_member(const json::object& body, std::string_view name) {
    const json::value* value = body.if_contains(name);
    if (value == nullptr || value->is_null()) {
        return std::optional<std::string>();
    }
    if (!value->is_string()) {
        return invalid("'" + std::string(name) + "' must be a string");
    }
    return std::optional<std::string>(std::string(value->as_string()));
}

Result<std::optional<Duration>> history_member(const json::object& body) {
    KVSTORE_TRY(const auto text, text_member(body, "history"));
    if (!text) {
        return std::optional<Duration>();
    }
    const auto history = parse_duration(*text);
    if (!history) {
        return invalid("'history' must be a duration such as 10m, 1h30m or 0");
    }
    return std::optional<Duration>(*history);
}

Status read_options(const json::object& body, kv::KeyspaceOptions& options) {
    KVSTORE_TRY(const auto replication, text_member(body, "replication"));
    if (replication == "quorum") {
        options.replication = kv::Replication::kQuorum;
    } else if (replication && *replication != "strong") {
        return invalid("'replication' must be strong or quorum");
    }
    KVSTORE_TRY(const auto engine, text_member(body, "engine"));
    if (engine && *engine != "lsm" && *engine != "memory") {
        return invalid("'engine' must be lsm or memory");
    }
    if (engine) {
        options.engine =
            *engine == "memory" ? replication::EngineKind::kMemory : replication::EngineKind::kLsm;
    }
    KVSTORE_TRY(const auto factor, number_member(body, "replication_factor", 1, 7));
    options.replication_factor =
        static_cast<std::uint32_t>(factor.value_or(options.replication_factor));
    KVSTORE_TRY(const auto history, history_member(body));
    options.history = history.value_or(options.history);
    return {};
}

// `split_at`: keys as in batches. None: one shard.
Result<std::vector<Bytes>> read_split_points(const json::object& body, const kv::Limits& limits) {
    if (!body.contains("split_at")) {
        return std::vector<Bytes>();
    }
    return keys_member(body, "split_at", limits.batch_items_max);
}

}  // namespace

async::Task<http::Response> RestService::list_keyspaces(http::Request /*request*/) {
    json::array list;
    for (const kv::KeyspaceInfo& info : kv_.keyspaces()) {
        list.push_back(keyspace_body(*kv_.find_keyspace(info.name)));
    }
    co_return json_response(200, json::object{{"keyspaces", std::move(list)}});
}

async::Task<http::Response> RestService::create_keyspace(http::Request request) {
    const auto body = parse_object(request);
    const auto context = context_of(request);
    if (!body.ok() || !context.ok()) {
        co_return problem(body.ok() ? context.status() : body.status());
    }
    const auto name = text_member(*body, "name");
    if (!name.ok() || !name->has_value()) {
        co_return problem(name.ok() ? invalid("the body needs 'name'") : name.status());
    }
    kv::KeyspaceOptions options = kv_.options().defaults;
    const Status read = read_options(*body, options);
    if (!read.ok()) {
        co_return problem(read);
    }
    auto split_at = read_split_points(*body, kv_.limits());
    if (!split_at.ok()) {
        co_return problem(split_at.status());
    }
    const auto created =
        co_await kv_.create_keyspace(*context, **name, options, *std::move(split_at));
    if (!created.ok()) {
        co_return problem(created.status());
    }
    co_return json_response(201, keyspace_body(**created));
}

async::Task<http::Response> RestService::get_keyspace(http::Request request) {
    const auto name = rest_of_path(request, kKeyspacesPrefix);
    const kv::KeyspaceHandle found = name.ok() ? kv_.find_keyspace(*name) : nullptr;
    if (found == nullptr) {
        co_return problem(404, "keyspace not found", "no such keyspace");
    }
    co_return json_response(200, keyspace_body(*found));
}

async::Task<http::Response> RestService::change_keyspace(http::Request request) {
    const auto name = rest_of_path(request, kKeyspacesPrefix);
    const auto body = parse_object(request);
    const auto context = context_of(request);
    for (const Status& status : {name.status(), body.status(), context.status()}) {
        if (!status.ok()) {
            co_return problem(status);
        }
    }
    for (const auto& member : *body) {
        if (member.key() != "history" && member.key() != "replication_factor") {
            co_return problem(invalid("'" + std::string(member.key()) +
                                      "' cannot be changed; 'history' and "
                                      "'replication_factor' can"));
        }
    }
    const auto history = history_member(*body);
    const auto factor = number_member(*body, "replication_factor", 1, 7);
    if (!history.ok() || !factor.ok()) {
        co_return problem(history.ok() ? factor.status() : history.status());
    }
    kv::Kv::KeyspaceChange change;
    change.history = *history;
    if (*factor) {
        change.replication_factor = static_cast<std::uint32_t>(**factor);
    }
    const auto changed = co_await kv_.change_keyspace(*context, *name, change);
    const kv::KeyspaceHandle keyspace = kv_.find_keyspace(*name);
    if (!changed.ok() || keyspace == nullptr) {
        co_return changed.ok() ? problem(404, "keyspace not found", "it was dropped meanwhile")
                               : problem(changed.status());
    }
    co_return json_response(200, keyspace_body(*keyspace));
}

async::Task<http::Response> RestService::drop_keyspace(http::Request request) {
    const auto name = rest_of_path(request, kKeyspacesPrefix);
    const auto context = context_of(request);
    if (!name.ok() || !context.ok()) {
        co_return problem(name.ok() ? context.status() : name.status());
    }
    const Status dropped = co_await kv_.drop_keyspace(*context, *name);
    if (!dropped.ok()) {
        co_return problem(dropped);
    }
    http::Response response;
    response.status = 204;
    co_return response;
}

}  // namespace kvstore::rest
