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

Result<std::vector<Bytes>> read_keys(const http::Request& request, std::size_t count_max) {
    KVSTORE_TRY(const json::object body, parse_object(request));
    return keys_member(body, "keys", count_max);
}

json::object item_result(ByteView key, const Result<kv::OperationOutcome>& outcome) {
    json::object result;
    put_bytes(result, "key", key);
    const Code code = outcome.ok() ? outcome->code : outcome.status().code();
    result["ok"] = code == Code::kOk;
    if (code == Code::kOk) {
        return result;
    }
    result["error"] = code_name(code);
    if (!outcome.ok()) {
        result["effect"] = effect_name(outcome.status());
        result["detail"] = outcome.status().message();
        return result;
    }
    result["effect"] = "none";
    if (outcome->previous) {
        result["current_mod_revision"] = outcome->previous->record.mod_revision.value();
    }
    return result;
}

// With the revision, where the items have one in common.
json::object batch_body(const kv::BatchOutcome& outcome) {
    json::object body;
    if (outcome.revision != Revision()) {
        body["revision"] = outcome.revision.value();
    }
    return body;
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
    std::vector<mvcc::Operation> operations;
    operations.reserve(items->size());
    for (const BatchItem& item : *items) {
        mvcc::Operation& operation = operations.emplace_back();
        operation.kind = mvcc::OperationKind::kPut;
        operation.key = item.key;
        operation.argument = item.value;
        operation.condition = item.condition.view();
        set_ttl(operation, item.ttl_seconds, now);
    }
    const auto outcome = co_await kv_.execute_batch(std::move(context), keyspace, &operations);
    if (!outcome.ok()) {
        co_return problem(outcome.status());
    }
    json::array results;
    results.reserve(items->size());
    for (std::size_t i = 0; i < items->size(); ++i) {
        results.push_back(item_result((*items)[i].key, outcome->operations[i]));
    }
    json::object body = batch_body(*outcome);
    body["results"] = std::move(results);
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
    std::vector<mvcc::Operation> operations;
    operations.reserve(keys->size());
    for (const Bytes& key : *keys) {
        mvcc::Operation& operation = operations.emplace_back();
        operation.kind = mvcc::OperationKind::kDelete;
        operation.key = key;
    }
    const auto outcome = co_await kv_.execute_batch(std::move(context), keyspace, &operations);
    if (!outcome.ok()) {
        co_return problem(outcome.status());
    }
    json::array results;
    std::int64_t deleted = 0;
    for (std::size_t i = 0; i < keys->size(); ++i) {
        json::object result = item_result((*keys)[i], outcome->operations[i]);
        const std::int64_t count = outcome->operations[i].ok() ? outcome->operations[i]->number : 0;
        result["deleted"] = count;
        deleted += count;
        results.push_back(std::move(result));
    }
    json::object body = batch_body(*outcome);
    body["deleted"] = deleted;
    body["results"] = std::move(results);
    co_return json_response(200, body);
}

}  // namespace kvstore::rest
