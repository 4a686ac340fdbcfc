// PUT, GET, DELETE /v1/keys/{key} and GET /v1/keys.
#include "frontend/rest/internal/keys.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/parse.h"
#include "frontend/rest/internal/answer.h"
#include "frontend/rest/service.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

constexpr std::string_view kRawType = "application/octet-stream";

bool wants_raw(const http::Request& request) {
    const auto accept = request.header("Accept");
    return accept && http::is_media_type(accept->substr(0, accept->find(',')), kRawType);
}

bool is_raw(const http::Request& request) {
    const auto type = request.header("Content-Type");
    return type && http::is_media_type(*type, kRawType);
}

// Whether If-None-Match names the record: '*', or a list of ETags, which proxies may have weakened.
bool lists_etag(std::string_view list, std::string_view etag) {
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        std::string_view item = http::trim_blanks(list.substr(0, comma));
        list.remove_prefix(std::min(comma + 1, list.size()));
        if (item.starts_with("W/")) {
            item.remove_prefix(2);
        }
        if (item == etag || item == "*") {
            return true;
        }
    }
    return false;
}

http::Response record_response(const http::Request& request,
                               ByteView key,
                               ByteView value,
                               const mvcc::Record& record,
                               std::uint64_t now_ms) {
    const std::string etag = etag_of(record.mod_revision);
    http::Response response;
    const auto none_match = request.header("If-None-Match");
    if (none_match && lists_etag(*none_match, etag)) {
        response.status = 304;
    } else if (wants_raw(request)) {
        response.content_type = kRawType;
        response.body = value;
    } else {
        json::object body;
        put_bytes(body, "key", key);
        put_record(body, value, record, now_ms);
        response = json_response(200, body);
    }
    response.headers.emplace_back("ETag", etag);
    return response;
}

// A write to one key, as a request asks for it. Owns what the operation views.
struct KeyWrite {
    Bytes key;
    Bytes value;
    OwnedCondition condition;
    std::optional<std::uint64_t> ttl_seconds;
    bool wants_previous = false;
};

Result<KeyWrite> read_put(const http::Request& request) {
    KeyWrite write;
    KVSTORE_TRY(write.key, rest_of_path(request, kKeysPrefix));
    KVSTORE_TRY(write.wants_previous, bool_parameter(request, "prev"));
    KVSTORE_TRY(const OwnedCondition header, header_condition(request));
    if (is_raw(request)) {
        write.value = request.body;
        KVSTORE_TRY(write.ttl_seconds, number_parameter(request, "ttl_seconds", 1, kTtlSecondsMax));
        write.condition = header;
        return write;
    }
    KVSTORE_TRY(const json::object body, parse_object(request));
    KVSTORE_TRY(auto value, bytes_member(body, "value"));
    if (!value) {
        return Status(Code::kInvalidArgument, "the body needs 'value' or 'value_base64'");
    }
    write.value = *std::move(value);
    KVSTORE_TRY(write.ttl_seconds, number_member(body, "ttl_seconds", 1, kTtlSecondsMax));
    KVSTORE_TRY(const OwnedCondition expected, expected_condition(body));
    KVSTORE_TRY(write.condition, one_condition(header, expected));
    return write;
}

Result<KeyWrite> read_delete(const http::Request& request) {
    KeyWrite write;
    KVSTORE_TRY(write.key, rest_of_path(request, kKeysPrefix));
    KVSTORE_TRY(write.wants_previous, bool_parameter(request, "prev"));
    KVSTORE_TRY(write.condition, header_condition(request));
    if (!request.body.empty()) {
        KVSTORE_TRY(const json::object body, parse_object(request));
        KVSTORE_TRY(const OwnedCondition expected, expected_condition(body));
        KVSTORE_TRY(write.condition, one_condition(write.condition, expected));
    }
    return write;
}

json::object write_body(const kv::CommandOutcome& outcome, bool wants_previous) {
    const kv::OperationOutcome& operation = outcome.operations.front();
    json::object body{{"revision", outcome.revision.value()},
                      {"version", std::to_string(outcome.stamp.raw())}};
    if (wants_previous) {
        if (operation.previous) {
            put_bytes(body, "old_value", operation.previous->value);
        } else {
            body["old_value"] = nullptr;
        }
    }
    return body;
}

Result<mvcc::ScanRequest> read_scan(const http::Request& request, const kv::Limits& limits) {
    mvcc::ScanRequest scan;
    if (const auto prefix = request.parameter("prefix")) {
        scan.from = *prefix;
        scan.to = prefix_end(*prefix);
    }
    if (const auto from = request.parameter("from"); from && *from > scan.from) {
        scan.from = *from;
    }
    if (const auto to = request.parameter("to"); to && (scan.to.empty() || *to < scan.to)) {
        scan.to = *to;
    }
    KVSTORE_TRY(scan.reverse, bool_parameter(request, "reverse"));
    KVSTORE_TRY(scan.keys_only, bool_parameter(request, "keys_only"));
    KVSTORE_TRY(scan.count_only, bool_parameter(request, "count_only"));
    KVSTORE_TRY(const auto limit, number_parameter(request, "limit", 1, limits.scan_rows_max));
    scan.limit =
        static_cast<std::size_t>(limit.value_or(std::min<std::size_t>(1000, limits.scan_rows_max)));
    KVSTORE_TRY(const auto revision, number_parameter(request, "revision", 1, ~0ULL));
    scan.as_of = Revision(revision.value_or(0));
    if (const auto cursor = request.parameter("cursor"); cursor && !cursor->empty()) {
        const auto place = base64_decode(*cursor);
        if (!place) {
            return Status(Code::kInvalidArgument, "?cursor= must be what an earlier page gave");
        }
        // Within the range, whoever made the cursor.
        if (scan.reverse) {
            scan.to = scan.to.empty() ? *place : std::min<Bytes>(scan.to, *place);
        } else {
            scan.from = std::max<Bytes>(scan.from, *place);
        }
    }
    return scan;
}

}  // namespace

// The answer at once, where the record is in memory and fresh enough, and the request is plain.
bool RestService::try_get_key(const http::Request& request, http::Response& response) {
    const bool is_plain = request.query.empty() || (request.query.size() == 1 &&
                                                    request.query.front().first == "consistency");
    if (!is_plain || request.header("Kvstore-Timeout")) {
        return false;
    }
    const auto context = context_of(request);
    const auto key =
        http::percent_decode(std::string_view(request.path).substr(kKeysPrefix.size()));
    if (!key || !context.ok()) {
        return false;
    }
    mvcc::Record record;
    switch (kv_.find(*context, *kv_.default_keyspace(), *key, &record)) {
        case storage::Lookup::kFound:
            response = record_response(request, *key, record.value, record, kv_.now_ms());
            break;
        case storage::Lookup::kAbsent: response = key_not_found(*key); break;
        case storage::Lookup::kMustLoad: return false;
    }
    put_session(response, *context->session);
    return true;
}

async::Task<http::Response> RestService::get_key(http::Request request, kv::CallContext context) {
    auto key = rest_of_path(request, kKeysPrefix);
    const auto revision = number_parameter(request, "revision", 1, ~0ULL);
    for (const Status& status : {key.status(), revision.status()}) {
        if (!status.ok()) {
            co_return problem(status);
        }
    }
    const kv::KeyspaceHandle keyspace = keyspace_of(request);
    if (keyspace == nullptr) {
        co_return keyspace_not_found(request);
    }
    const Revision as_of(revision->value_or(0));
    const auto found = co_await kv_.get(std::move(context), keyspace, *key, as_of);
    if (!found.ok()) {
        co_return problem(found.status());
    }
    if (!found->has_value()) {
        co_return key_not_found(*key);
    }
    co_return record_response(request, *key, (*found)->value, (*found)->record, kv_.now_ms());
}

async::Task<http::Response> RestService::put_key(http::Request request, kv::CallContext context) {
    auto write = read_put(request);
    if (!write.ok()) {
        co_return problem(write.status());
    }
    const kv::KeyspaceHandle keyspace = keyspace_of(request);
    if (keyspace == nullptr) {
        co_return keyspace_not_found(request);
    }
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kPut;
    operation.key = write->key;
    operation.argument = write->value;
    operation.condition = write->condition.view();
    operation.wants_previous = write->wants_previous;
    set_ttl(operation, write->ttl_seconds, kv_.now_ms());
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
    json::object body = write_body(*outcome, write->wants_previous);
    body["created"] = !done.had_previous;
    http::Response response = json_response(done.had_previous ? 200 : 201, body);
    response.headers.emplace_back("ETag", etag_of(outcome->revision));
    co_return response;
}

async::Task<http::Response> RestService::delete_key(http::Request request,
                                                    kv::CallContext context) {
    auto write = read_delete(request);
    if (!write.ok()) {
        co_return problem(write.status());
    }
    const kv::KeyspaceHandle keyspace = keyspace_of(request);
    if (keyspace == nullptr) {
        co_return keyspace_not_found(request);
    }
    mvcc::Operation operation;
    operation.kind = mvcc::OperationKind::kDelete;
    operation.key = write->key;
    operation.condition = write->condition.view();
    operation.wants_previous = write->wants_previous;
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
    json::object body = write_body(*outcome, write->wants_previous);
    body["deleted"] = done.number;
    co_return json_response(200, body);
}

async::Task<http::Response> RestService::list_keys(http::Request request, kv::CallContext context) {
    auto scan = read_scan(request, kv_.limits());
    if (!scan.ok()) {
        co_return problem(scan.status());
    }
    const kv::KeyspaceHandle keyspace = keyspace_of(request);
    if (keyspace == nullptr) {
        co_return keyspace_not_found(request);
    }
    const bool keys_only = scan->keys_only;
    const auto page = co_await kv_.scan(std::move(context), keyspace, *std::move(scan));
    if (!page.ok()) {
        co_return problem(page.status());
    }
    const std::uint64_t now = kv_.now_ms();
    json::array keys;
    keys.reserve(page->rows.size());
    for (const mvcc::ScanRow& row : page->rows) {
        json::object item;
        put_bytes(item, "key", row.key);
        put_record(item, row.value, row.record, now);
        if (keys_only) {
            item.erase("value");
        }
        keys.push_back(std::move(item));
    }
    json::object body{{"keys", std::move(keys)},
                      {"count", page->count},
                      {"has_more", page->has_more},
                      {"revision", page->revision.value()}};
    if (page->has_more) {
        body["cursor"] = base64_encode(page->next);
    }
    co_return json_response(200, body);
}

}  // namespace kvstore::rest
