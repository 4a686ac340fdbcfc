// POST /v1/batch/{put,get,delete}: independent items in one request.
#include <string>
#include <utility>
#include <vector>

#include "frontend/rest/internal/answer.h"
#include "frontend/rest/internal/keys.h"
#include "frontend/rest/service.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

// Of the values in one answer. A key may be asked for many times.
constexpr std::size_t kAnswerBytesMax = 64U << 20U;

struct BatchItem {
    Bytes key;
    Bytes value;
    std::optional<std::uint64_t> ttl_seconds;
    OwnedCondition condition;
};

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

// The array member `name`, with at most `count_max` items.
Result<const json::array*> array_member(const json::object& body,
                                        std::string_view name,
                                        std::size_t count_max) {
    const json::value* value = body.if_contains(name);
    if (value == nullptr || !value->is_array()) {
        return invalid("the body needs '" + std::string(name) + "', an array");
    }
    if (value->as_array().size() > count_max) {
        return Status(
            Code::kTooLarge,
            "a batch has at most " + std::to_string(count_max) + " items (limits.batch_items_max)");
    }
    return &value->as_array();
}

Result<BatchItem> read_item(const json::value& value) {
    if (!value.is_object()) {
        return invalid("must be an object with 'key' and 'value'");
    }
    const json::object& object = value.as_object();
    BatchItem item;
    KVSTORE_TRY(auto key, bytes_member(object, "key"));
    KVSTORE_TRY(auto content, bytes_member(object, "value"));
    if (!key || !content) {
        return invalid("needs 'key' and 'value' (or 'key_base64', 'value_base64')");
    }
    item.key = *std::move(key);
    item.value = *std::move(content);
    KVSTORE_TRY(item.ttl_seconds, number_member(object, "ttl_seconds", 1, kTtlSecondsMax));
    KVSTORE_TRY(item.condition, expected_condition(object));
    return item;
}

Result<std::vector<BatchItem>> read_items(const http::Request& request, std::size_t count_max) {
    KVSTORE_TRY(const json::object body, parse_object(request));
    KVSTORE_TRY(const json::array* const array, array_member(body, "items", count_max));
    std::vector<BatchItem> items;
    items.reserve(array->size());
    for (const json::value& value : *array) {
        auto item = read_item(value);
        if (!item.ok()) {
            return item.status().with_context("items[" + std::to_string(items.size()) + "]");
        }
        items.push_back(*std::move(item));
    }
    return items;
}

// Keys are strings, or objects with `key` or `key_base64`.
Result<std::vector<Bytes>> read_keys(const http::Request& request, std::size_t count_max) {
    KVSTORE_TRY(const json::object body, parse_object(request));
    KVSTORE_TRY(const json::array* const array, array_member(body, "keys", count_max));
    std::vector<Bytes> keys;
    keys.reserve(array->size());
    for (const json::value& value : *array) {
        const std::string place = "keys[" + std::to_string(keys.size()) + "]";
        if (value.is_string()) {
            keys.emplace_back(value.as_string().data(), value.as_string().size());
            continue;
        }
        if (!value.is_object()) {
            return invalid(place + " must be a string, or an object with 'key_base64'");
        }
        auto key = bytes_member(value.as_object(), "key");
        if (!key.ok()) {
            return key.status().with_context(place);
        }
        if (!key->has_value()) {
            return invalid(place + " needs 'key' or 'key_base64'");
        }
        keys.push_back(**std::move(key));
    }
    return keys;
}

json::object item_result(ByteView key, const kv::OperationOutcome& outcome) {
    json::object result;
    put_bytes(result, "key", key);
    if (outcome.code == Code::kOk) {
        result["ok"] = true;
        return result;
    }
    result["ok"] = false;
    result["error"] = code_name(outcome.code);
    result["effect"] = "none";
    if (outcome.previous) {
        result["current_mod_revision"] = outcome.previous->record.mod_revision.value();
    }
    return result;
}

}  // namespace

async::Task<http::Response> RestService::batch_put(http::Request request, kv::CallContext context) {
    auto items = read_items(request, kv_.limits().batch_items_max);
    if (!items.ok()) {
        co_return problem(items.status());
    }
    const kv::KeyspaceHandle keyspace = keyspace_of(request);
    if (keyspace == nullptr) {
        co_return keyspace_not_found(request);
    }
    const std::uint64_t now = kv_.now_ms();
    mvcc::Command command;
    command.operations.reserve(items->size());
    for (const BatchItem& item : *items) {
        mvcc::Operation& operation = command.operations.emplace_back();
        operation.kind = mvcc::OperationKind::kPut;
        operation.key = item.key;
        operation.argument = item.value;
        operation.condition = item.condition.view();
        set_ttl(operation, item.ttl_seconds, now);
    }
    const auto outcome = co_await kv_.execute(std::move(context), keyspace, &command);
    if (!outcome.ok()) {
        co_return problem(outcome.status());
    }
    json::array results;
    results.reserve(items->size());
    for (std::size_t i = 0; i < items->size(); ++i) {
        results.push_back(item_result((*items)[i].key, outcome->operations[i]));
    }
    json::object body{{"revision", outcome->revision.value()}, {"results", std::move(results)}};
    co_return json_response(200, body);
}

async::Task<http::Response> RestService::batch_get(http::Request request, kv::CallContext context) {
    auto keys = read_keys(request, kv_.limits().batch_items_max);
    if (!keys.ok()) {
        co_return problem(keys.status());
    }
    const kv::KeyspaceHandle keyspace = keyspace_of(request);
    if (keyspace == nullptr) {
        co_return keyspace_not_found(request);
    }
    const auto records =
        co_await kv_.get_many(std::move(context), keyspace, *keys, kAnswerBytesMax);
    if (!records.ok()) {
        co_return problem(records.status());
    }
    const std::uint64_t now = kv_.now_ms();
    json::array results;
    results.reserve(keys->size());
    for (std::size_t i = 0; i < keys->size(); ++i) {
        json::object result;
        put_bytes(result, "key", (*keys)[i]);
        const std::optional<kv::OwnedRecord>& record = (*records)[i];
        result["found"] = record.has_value();
        if (record) {
            put_record(result, record->value, record->record, now);
        }
        results.push_back(std::move(result));
    }
    json::object body{{"results", std::move(results)}};
    co_return json_response(200, body);
}

async::Task<http::Response> RestService::batch_delete(http::Request request,
                                                      kv::CallContext context) {
    auto keys = read_keys(request, kv_.limits().batch_items_max);
    if (!keys.ok()) {
        co_return problem(keys.status());
    }
    const kv::KeyspaceHandle keyspace = keyspace_of(request);
    if (keyspace == nullptr) {
        co_return keyspace_not_found(request);
    }
    mvcc::Command command;
    command.operations.reserve(keys->size());
    for (const Bytes& key : *keys) {
        mvcc::Operation& operation = command.operations.emplace_back();
        operation.kind = mvcc::OperationKind::kDelete;
        operation.key = key;
    }
    const auto outcome = co_await kv_.execute(std::move(context), keyspace, &command);
    if (!outcome.ok()) {
        co_return problem(outcome.status());
    }
    json::array results;
    std::int64_t deleted = 0;
    for (std::size_t i = 0; i < keys->size(); ++i) {
        json::object result = item_result((*keys)[i], outcome->operations[i]);
        result["deleted"] = outcome->operations[i].number;
        deleted += outcome->operations[i].number;
        results.push_back(std::move(result));
    }
    json::object body{{"revision", outcome->revision.value()},
                      {"deleted", deleted},
                      {"results", std::move(results)}};
    co_return json_response(200, body);
}

}  // namespace kvstore::rest
