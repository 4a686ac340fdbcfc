// The older paths, kept as documented aliases: /Set, /Get, /Delete and /kvstore.
#include <string>
#include <utility>

#include "frontend/rest/internal/answer.h"
#include "frontend/rest/internal/keys.h"
#include "frontend/rest/service.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

// The key stands in the body, or in ?key=.
Result<Bytes> read_key(const http::Request& request, const json::object* body) {
    if (const auto parameter = request.parameter("key")) {
        return Bytes(*parameter);
    }
    if (body != nullptr) {
        KVSTORE_TRY(auto key, bytes_member(*body, "key"));
        if (key) {
            return *std::move(key);
        }
    }
    return Status(Code::kInvalidArgument, "'key' is missing");
}

}  // namespace

async::Task<http::Response> RestService::legacy_set(http::Request request,
                                                    kv::CallContext context) {
    const auto body = parse_object(request);
    if (!body.ok()) {
        co_return problem(body.status());
    }
    const auto key = read_key(request, &*body);
    const auto value = bytes_member(*body, "value");
    if (!key.ok() || !value.ok()) {
        co_return problem(key.ok() ? value.status() : key.status());
    }
    if (!value->has_value()) {
        co_return problem(Status(Code::kInvalidArgument, "'value' is missing"));
    }
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kPut;
    operation.key = *key;
    operation.argument = **value;
    mvcc::Command command;
    command.operations.push_back(operation);
    const auto outcome = co_await kv_.execute(std::move(context), kv_.default_keyspace(), &command);
    const Status failed =
        outcome.ok() ? operation_status(outcome->operations.front()) : outcome.status();
    if (!failed.ok()) {
        co_return problem(failed);
    }
    co_return json_response(200, json::object{{"message", "success"}});
}

async::Task<http::Response> RestService::legacy_get(http::Request request,
                                                    kv::CallContext context) {
    const auto key = read_key(request, nullptr);
    if (!key.ok()) {
        co_return problem(key.status());
    }
    const auto found =
        co_await kv_.get(std::move(context), kv_.default_keyspace(), *key, Revision());
    if (!found.ok()) {
        co_return problem(found.status());
    }
    if (!found->has_value()) {
        co_return key_not_found(*key);
    }
    json::object body;
    put_bytes(body, "value", (*found)->value);
    co_return json_response(200, body);
}

async::Task<http::Response> RestService::legacy_delete(http::Request request,
                                                       kv::CallContext context) {
    json::object body;
    if (!request.body.empty()) {
        auto parsed = parse_object(request);
        if (!parsed.ok()) {
            co_return problem(parsed.status());
        }
        body = *std::move(parsed);
    }
    const auto key = read_key(request, &body);
    if (!key.ok()) {
        co_return problem(key.status());
    }
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kDelete;
    operation.key = *key;
    mvcc::Command command;
    command.operations.push_back(operation);
    const auto outcome = co_await kv_.execute(std::move(context), kv_.default_keyspace(), &command);
    const Status failed =
        outcome.ok() ? operation_status(outcome->operations.front()) : outcome.status();
    if (!failed.ok()) {
        co_return problem(failed);
    }
    if (outcome->operations.front().number == 0) {
        co_return key_not_found(*key);
    }
    co_return json_response(200, json::object{{"message", "success"}});
}

}  // namespace kvstore::rest
