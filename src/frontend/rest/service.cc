#include "frontend/rest/service.h"

#include <array>
#include <string>
#include <utility>
#include <variant>

#include "base/parse.h"
#include "frontend/rest/internal/answer.h"
#include "frontend/rest/internal/keys.h"

namespace kvstore::rest {

// A path, exact or with a name in it, and what it answers to one method.
struct RestService::Route {
    using PlainAnswer = async::Task<http::Response> (RestService::*)(http::Request);

    http::Method method;
    std::string_view path;
    bool is_prefix;  // `path` ends in '/', and what follows is a name
    std::variant<PlainAnswer, DataAnswer> answer;
    std::string_view suffix = {};  // behind the name

    [[nodiscard]] bool matches(std::string_view requested) const {
        if (!is_prefix) {
            return requested == path;
        }
        return requested.size() >= path.size() + suffix.size() && requested.starts_with(path) &&
               requested.ends_with(suffix);
    }
};

const std::vector<RestService::Route>& RestService::routes() {
    using enum http::Method;
    using S = RestService;
    static const std::vector<Route> kRoutes{
        {kGet, kKeysPrefix, true, &S::get_key},
        {kPut, kKeysPrefix, true, &S::put_key},
        {kDelete, kKeysPrefix, true, &S::delete_key},
        {kPost, kKeysPrefix, true, &S::increment_key, kIncrementSuffix},
        {kGet, "/v1/keys", false, &S::list_keys},
        {kPost, "/v1/batch/put", false, &S::batch_put},
        {kPost, "/v1/batch/get", false, &S::batch_get},
        {kPost, "/v1/batch/delete", false, &S::batch_delete},
        {kGet, "/v1/keyspaces", false, &S::list_keyspaces},
        {kPost, "/v1/keyspaces", false, &S::create_keyspace},
        {kGet, "/v1/keyspaces/", true, &S::get_keyspace},
        {kPatch, "/v1/keyspaces/", true, &S::change_keyspace},
        {kDelete, "/v1/keyspaces/", true, &S::drop_keyspace},
        {kGet, "/v1/cluster/members", false, &S::list_members},
        {kPost, "/v1/cluster/members", false, &S::add_member},
        {kPost, "/v1/cluster/members/", true, &S::change_member, "/drain"},
        {kPost, "/v1/cluster/members/", true, &S::change_member, "/undrain"},
        {kPost, "/v1/cluster/members/", true, &S::change_member, "/decommission"},
        {kPost, "/v1/cluster/members/", true, &S::change_member, "/recommission"},
        {kPost, "/v1/cluster/members/", true, &S::change_member, "/promote"},
        {kDelete, "/v1/cluster/members/", true, &S::remove_member},
        {kGet, "/v1/cluster/shards", false, &S::list_shards},
        {kPost, "/v1/cluster/shards/", true, &S::move_shard, "/move"},
        {kPost, "/v1/cluster/shards/", true, &S::lead_shard, "/leader"},
        {kGet, "/v1/status", false, &S::show_status},
        {kPost, "/v1/admin/save", false, &S::save},
        {kPost, "/v1/admin/compact", false, &S::compact},
        {kGet, "/metrics", false, &S::show_metrics},
        {kGet, "/readyz", false, &S::show_readiness},
        {kGet, "/openapi.yaml", false, &S::show_openapi},
        {kPost, "/Set", false, &S::legacy_set},
        {kGet, "/Get", false, &S::legacy_get},
        {kDelete, "/Delete", false, &S::legacy_delete},
        {kGet, "/kvstore", false, &S::legacy_get},
        {kPost, "/kvstore", false, &S::legacy_set},
        {kPut, "/kvstore", false, &S::legacy_set},
        {kDelete, "/kvstore", false, &S::legacy_delete},
    };
    return kRoutes;
}

RestService::RestService(kv::Kv& kv,
                         metrics::Registry& registry,
                         NodeFacts facts,
                         Callback<std::vector<ReadyCheck>()> ready,
                         kv::Administration& administration)
    : kv_(kv),
      registry_(registry),
      facts_(std::move(facts)),
      ready_(std::move(ready)),
      administration_(administration),
      measured_{
          .requests = registry.add_counter(
              "kvstore_requests_total", "Requests answered, by protocol.", {{"protocol", "http"}}),
          .duration = registry.add_histogram("kvstore_request_duration_seconds",
                                             "Time from a whole request to its answer.",
                                             {{"protocol", "http"}},
                                             metrics::Unit::kNanoseconds,
                                             metrics::HistogramForm::kSummary)} {}

kv::KeyspaceHandle RestService::keyspace_of(const http::Request& request) const {
    const auto name = request.parameter("keyspace");
    return name ? kv_.find_keyspace(*name) : kv_.default_keyspace();
}

Result<kv::CallContext> RestService::context_of(const http::Request& request) const {
    kv::CallContext context;
    if (const auto consistency = request.parameter("consistency")) {
        const auto parsed = kv::parse_consistency(*consistency);
        if (!parsed) {
            return Status(Code::kInvalidArgument,
                          "?consistency= must be linearizable, causal, bounded or eventual");
        }
        context.consistency = *parsed;
    }
    if (const auto staleness = request.parameter("max_staleness")) {
        const auto span = parse_duration(*staleness);
        if (!span || *span < Duration(0)) {
            return Status(Code::kInvalidArgument,
                          "?max_staleness= must be a duration such as 500ms or 5s");
        }
        if (context.consistency != kv::Consistency::kBounded) {
            return Status(Code::kInvalidArgument, "?max_staleness= goes with ?consistency=bounded");
        }
        context.max_staleness = *span;
    }
    KVSTORE_TRY(context.session, session_of(request));
    if (const auto timeout = request.header("Kvstore-Timeout")) {
        const auto span = parse_duration(*timeout);
        if (!span) {
            return Status(Code::kInvalidArgument,
                          "Kvstore-Timeout must be a duration such as 500ms or 2s");
        }
        context.deadline = async::Deadline::after(kv_.env().clock.now(), *span);
    }
    context.trace = request.header("traceparent").value_or("");
    return context;
}

void RestService::record_since(MonotonicTime begin) {
    const Duration span = kv_.env().clock.now() - begin;
    measured_.requests.add();
    measured_.duration.record(static_cast<std::uint64_t>(span.count()));
}

bool RestService::try_handle(const http::Request& request, http::Response& response) {
    const bool reads =
        request.method == http::Method::kGet || request.method == http::Method::kHead;
    if (!reads) {
        return false;
    }
    if (request.path.starts_with(kKeysPrefix)) {
        const MonotonicTime begin = kv_.env().clock.now();
        if (!try_get_key(request, response)) {
            return false;
        }
        record_since(begin);
        return true;
    }
    if (request.path == "/livez" || request.path == "/healthz" || request.path == "/startupz") {
        response.content_type = "text/plain; charset=utf-8";
        response.body = "ok\n";
        return true;
    }
    return false;
}

async::Task<http::Response> RestService::handle(http::Request request) {
    const MonotonicTime begin = kv_.env().clock.now();
    http::Response response = co_await dispatch(std::move(request));
    record_since(begin);
    co_return response;
}

async::Task<http::Response> RestService::dispatch(http::Request request) {
    const http::Method method =
        request.method == http::Method::kHead ? http::Method::kGet : request.method;
    std::string allowed;
    for (const Route& route : routes()) {
        if (!route.matches(request.path)) {
            continue;
        }
        if (route.method == method) {
            if (const auto* data = std::get_if<DataAnswer>(&route.answer)) {
                co_return co_await answer_in_session(*data, std::move(request));
            }
            const auto plain = std::get<Route::PlainAnswer>(route.answer);
            co_return co_await (this->*plain)(std::move(request));
        }
        allowed += allowed.empty() ? "" : ", ";
        allowed += http::method_name(route.method);
    }
    if (allowed.empty()) {
        co_return problem(
            404,
            "no such path",
            "nothing answers " + request.path + "; /openapi.yaml lists what there is");
    }
    http::Response response =
        problem(405, "method not allowed", request.path + " answers to " + allowed);
    response.headers.emplace_back("Allow", allowed);
    co_return response;
}

async::Task<http::Response> RestService::answer_in_session(DataAnswer answer,
                                                           http::Request request) {
    const auto context = context_of(request);
    if (!context.ok()) {
        co_return problem(context.status());
    }
    http::Response response = co_await (this->*answer)(std::move(request), *context);
    put_session(response, *context->session);
    co_return response;
}

http::Response RestService::refuse(unsigned status, std::string_view why) {
    return problem(status, http::reason_phrase(status), why);
}

}  // namespace kvstore::rest
