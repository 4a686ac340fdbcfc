// /v1/cluster: who belongs, where shards are held and led, and what operators ask of them.
#include <string>
#include <utility>

#include "base/parse.h"
#include "frontend/rest/internal/answer.h"
#include "frontend/rest/internal/keys.h"
#include "frontend/rest/service.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

constexpr std::string_view kMembersPrefix = "/v1/cluster/members/";
constexpr std::string_view kShardsPrefix = "/v1/cluster/shards/";
constexpr std::string_view kMoveSuffix = "/move";
constexpr std::string_view kLeaderSuffix = "/leader";
// A caller who waits longer asks again, which is safe; so a node that stops waits for nobody.
constexpr Duration kWaitMax = std::chrono::seconds(30);

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

json::array numbers_of(const std::vector<NodeId>& nodes) {
    json::array numbers;
    for (const NodeId node : nodes) {
        numbers.push_back(json::value(node.value()));
    }
    return numbers;
}

json::array texts_of(const std::vector<std::string>& texts) {
    json::array list;
    for (const std::string& text : texts) {
        list.push_back(json::value(text));
    }
    return list;
}

std::string_view role_name(const kv::MemberInfo& member) {
    return member.record.is_learner ? "learner" : "full";
}

// Who is expected is nowhere yet.
std::string_view liveness_name(const kv::MemberInfo& member) {
    if (!cluster::is_member(member.record.state)) {
        return "unknown";
    }
    switch (member.liveness) {
        case cluster::Liveness::kAlive: return "alive";
        case cluster::Liveness::kSuspected: return "suspected";
        case cluster::Liveness::kDead: break;
    }
    return "dead";
}

json::object member_body(const kv::MemberInfo& member) {
    return {{"id", member.record.id.value()},
            {"name", member.record.name},
            {"state", cluster::node_state_name(member.record.state)},
            {"liveness", liveness_name(member)},
            {"role", role_name(member)},
            {"zone", member.record.zone},
            {"addresses",
             json::object{{"peer", member.record.peer_address},
                          {"http", member.record.http_address},
                          {"grpc", member.record.grpc_address},
                          {"resp", member.record.resp_address}}},
            {"replicas", member.replicas},
            {"leaders", member.leaders},
            {"damaged", member.damaged},
            {"disk", cluster::disk_state_name(member.disk)}};
}

json::object shard_body(const kv::ShardInfo& shard) {
    json::object body{{"id", shard.record.id.value()},
                      {"keyspace", shard.record.keyspace},
                      {"epoch", shard.record.epoch.value()},
                      {"voters", numbers_of(shard.record.voters)},
                      {"learners", numbers_of(shard.record.learners)},
                      {"leader", shard.leader.value()},
                      {"preferred_leader", shard.record.preferred_leader.value()},
                      {"wanted", numbers_of(shard.record.wanted)}};
    put_bytes(body, "start", shard.record.range_start);
    put_bytes(body, "end", shard.record.range_end);
    return body;
}

// 200 when all of it is so, 202 while the cluster is at it.
http::Response progress_response(const Result<kv::Progress>& progress, json::object body) {
    if (!progress.ok()) {
        return problem(progress.status());
    }
    if (progress->node != NodeId()) {
        body["node"] = progress->node.value();
    }
    body["done"] = progress->is_done();
    body["left"] = texts_of(progress->left);
    return json_response(progress->is_done() ? 200 : 202, body);
}

Result<Duration> wait_of(const http::Request& request) {
    const auto text = request.parameter("wait");
    const auto wait = text ? parse_duration(*text) : std::optional(Duration(0));
    if (!wait || *wait < Duration(0) || *wait > kWaitMax) {
        return invalid("?wait= must be a duration up to 30s, such as 500ms or 10s");
    }
    return *wait;
}

Result<ShardId> shard_of(const http::Request& request, std::string_view suffix) {
    KVSTORE_TRY(const Bytes text, rest_of_path(request, kShardsPrefix, suffix));
    const auto number = parse_uint64(text);
    if (!number) {
        return invalid("a shard is a number, not '" + text + "'");
    }
    return ShardId(*number);
}

// A node by its name, or by its number as text or as a number; nullopt: there is none of `name`.
Result<std::optional<std::string>> node_member(const json::object& body, std::string_view name) {
    const json::value* const value = body.if_contains(name);
    if (value == nullptr) {
        return std::optional<std::string>();
    }
    if (value->is_string()) {
        return std::optional(std::string(value->as_string()));
    }
    boost::system::error_code error;
    const auto number = value->to_number<std::uint64_t>(error);
    if (error) {
        return invalid("'" + std::string(name) + "' must be a node's name or number");
    }
    return std::optional(std::to_string(number));
}

// {"automatic": true} is nobody's choice. Errors: kInvalidArgument: it is something else.
Result<bool> automatic_member(const json::object& body) {
    const json::value* const value = body.if_contains("automatic");
    if (value == nullptr) {
        return false;
    }
    if (!value->is_bool() || !value->as_bool() || body.size() != 1) {
        return invalid("'automatic' must be true, and stand alone");
    }
    return true;
}

Result<std::optional<kv::Administration::Move>> move_of(const http::Request& request) {
    KVSTORE_TRY(const json::object body, parse_object(request));
    KVSTORE_TRY(const bool is_automatic, automatic_member(body));
    if (is_automatic) {
        return std::optional<kv::Administration::Move>();
    }
    KVSTORE_TRY(const auto from, node_member(body, "from"));
    KVSTORE_TRY(const auto to, node_member(body, "to"));
    if (!from || !to) {
        return invalid("the body needs 'from' and 'to', or 'automatic'");
    }
    return std::optional(kv::Administration::Move{.from = *from, .to = *to});
}

Result<std::optional<std::string>> leader_of(const http::Request& request) {
    KVSTORE_TRY(const json::object body, parse_object(request));
    KVSTORE_TRY(const bool is_automatic, automatic_member(body));
    KVSTORE_TRY(auto node, node_member(body, "node"));
    if (!is_automatic && !node) {
        return invalid("the body needs 'node', or 'automatic'");
    }
    return node;
}

struct NewMemberRequest {
    std::string name;
    kv::MemberRole role = kv::MemberRole::kFull;
};

Result<NewMemberRequest> new_member_of(const http::Request& request) {
    KVSTORE_TRY(const json::object body, parse_object(request));
    const json::value* const name = body.if_contains("name");
    const json::value* const learner = body.if_contains("learner");
    if (name == nullptr || !name->is_string()) {
        return invalid("the body needs 'name', a string");
    }
    if (learner != nullptr && !learner->is_bool()) {
        return invalid("'learner' must be true or false");
    }
    const bool is_learner = learner != nullptr && learner->as_bool();
    return NewMemberRequest{.name = std::string(name->as_string()),
                            .role = is_learner ? kv::MemberRole::kLearner : kv::MemberRole::kFull};
}

}  // namespace

async::Task<http::Response> RestService::list_members(http::Request /*request*/) {
    const auto members = co_await administration_.members();
    if (!members.ok()) {
        co_return problem(members.status());
    }
    json::array list;
    for (const kv::MemberInfo& member : *members) {
        list.push_back(member_body(member));
    }
    co_return json_response(200, json::object{{"members", std::move(list)}});
}

async::Task<http::Response> RestService::add_member(http::Request request) {
    auto asked = new_member_of(request);
    if (!asked.ok()) {
        co_return problem(asked.status());
    }
    const auto added = co_await administration_.add_member(std::move(asked->name), asked->role);
    if (!added.ok()) {
        co_return problem(added.status());
    }
    const json::object body{{"id", added->record.id.value()},
                            {"name", added->record.name},
                            {"role", added->record.is_learner ? "learner" : "full"},
                            {"join", texts_of(added->join)}};
    co_return json_response(201, body);
}

// POST .../{node}/{change}: the routes let no other ending come here.
async::Task<http::Response> RestService::change_member(http::Request request) {
    for (const kv::MemberChange change : kv::kMemberChanges) {
        const std::string suffix = "/" + std::string(cluster::member_change_name(change));
        if (request.path.ends_with(suffix)) {
            co_return co_await change_member_at(std::move(request), suffix, change);
        }
    }
    co_return problem(404, "no such path", "nothing answers " + request.path);
}

async::Task<http::Response> RestService::remove_member(http::Request request) {
    return change_member_at(std::move(request), "", kv::MemberChange::kRemove);
}

async::Task<http::Response> RestService::change_member_at(http::Request request,
                                                          std::string suffix,
                                                          kv::MemberChange change) {
    auto node = rest_of_path(request, kMembersPrefix, suffix);
    const auto wait = wait_of(request);
    if (!node.ok() || !wait.ok()) {
        co_return problem(node.ok() ? wait.status() : node.status());
    }
    const auto progress = co_await administration_.change_member(*std::move(node), change, *wait);
    co_return progress_response(progress, {});
}

async::Task<http::Response> RestService::list_shards(http::Request /*request*/) {
    const auto shards = co_await administration_.shards();
    if (!shards.ok()) {
        co_return problem(shards.status());
    }
    json::array list;
    for (const kv::ShardInfo& shard : *shards) {
        list.push_back(shard_body(shard));
    }
    co_return json_response(200, json::object{{"shards", std::move(list)}});
}

async::Task<http::Response> RestService::move_shard(http::Request request) {
    const auto shard = shard_of(request, kMoveSuffix);
    const auto wait = wait_of(request);
    auto move = move_of(request);
    for (const Status& status : {shard.status(), wait.status(), move.status()}) {
        if (!status.ok()) {
            co_return problem(status);
        }
    }
    const auto progress = co_await administration_.move_shard(*shard, *std::move(move), *wait);
    json::object body{{"shard", shard->value()}};
    co_return progress_response(progress, std::move(body));
}

async::Task<http::Response> RestService::lead_shard(http::Request request) {
    const auto shard = shard_of(request, kLeaderSuffix);
    const auto wait = wait_of(request);
    auto node = leader_of(request);
    for (const Status& status : {shard.status(), wait.status(), node.status()}) {
        if (!status.ok()) {
            co_return problem(status);
        }
    }
    const auto progress = co_await administration_.move_leader(*shard, *std::move(node), *wait);
    json::object body{{"shard", shard->value()}};
    co_return progress_response(progress, std::move(body));
}

}  // namespace kvstore::rest
