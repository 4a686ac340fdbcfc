// POST /v1/keys/{key}/increment.
#include <string>
#include <utility>

#include "frontend/rest/internal/answer.h"
#include "frontend/rest/internal/keys.h"
#include "frontend/rest/service.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

struct Increment {
    Bytes key;
    std::int64_t by = 1;
    std::optional<std::uint64_t> ttl_seconds;
    OwnedCondition condition;
};

Result<Increment> read_increment(const http::Request& request) {
    Increment increment;
    KVSTORE_TRY(increment.key, rest_of_path(request, kKeysPrefix, kIncrementSuffix));
    KVSTORE_TRY(increment.condition, header_condition(request));
    if (request.body.empty()) {
        return increment;
    }
    KVSTORE_TRY(const json::object body, parse_object(request));
    KVSTORE_TRY(const auto by, integer_member(body, "by"));
    increment.by = by.value_or(increment.by);
    KVSTORE_TRY(increment.ttl_seconds, number_member(body, "ttl_seconds", 1, kTtlSecondsMax));
    return increment;
}

}  // namespace

async::Task<http::Response> RestService::increment_key(http::Request request,
                                                       kv::CallContext context) {
    const auto increment = read_increment(request);
    if (!increment.ok()) {
        co_return problem(increment.status());
    }
    const kv::KeyspaceHandle keyspace = keyspace_of(request);
    if (keyspace == nullptr) {
        co_return keyspace_not_found(request);
    }
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kIncrement;
    operation.key = increment->key;
    operation.delta = increment->by;
    operation.condition = increment->condition.view();
    operation.expiry_mode = mvcc::ExpiryMode::kKeep;
    set_ttl(operation, increment->ttl_seconds, kv_.now_ms());
    mvcc::Command command;
    command.operations.push_back(operation);
    const auto outcome = co_await kv_.execute(std::move(context), keyspace, &command);
    if (!outcome.ok()) {
        co_return problem(outcome.status());
    }
    const kv::OperationOutcome& done = outcome->operations.front();
    if (done.code == Code::kConflict) {
        co_return precondition_failed(done.previous);
    }
    const Status failed = operation_status(done);
    if (!failed.ok()) {
        co_return problem(failed);
    }
    http::Response response =
        json_response(200,
                      json::object{{"value", done.number},
                                   {"revision", outcome->revision.value()},
                                   {"version", std::to_string(outcome->stamp.raw())},
                                   {"created", !done.had_previous}});
    response.headers.emplace_back("ETag", etag_of(outcome->revision));
    co_return response;
}

}  // namespace kvstore::rest
