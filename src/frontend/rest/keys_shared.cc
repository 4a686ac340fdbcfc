#include <string>
#include <utility>

#include "base/parse.h"
#include "frontend/rest/internal/answer.h"
#include "frontend/rest/internal/keys.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

// "\"17\"" or "17" to 17.
std::optional<Revision> parse_etag(std::string_view text) {
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
    }
    const auto number = parse_uint64(text);
    return number ? std::optional<Revision>(Revision(*number)) : std::nullopt;
}

// Keys are strings, or objects with `key` or `key_base64`.
Result<Bytes> key_item(const json::value& value) {
    if (value.is_string()) {
        return Bytes(value.as_string().data(), value.as_string().size());
    }
    if (!value.is_object()) {
        return Status(Code::kInvalidArgument, "must be a string, or an object with 'key_base64'");
    }
    KVSTORE_TRY(auto key, bytes_member(value.as_object(), "key"));
    if (!key.has_value()) {
        return Status(Code::kInvalidArgument, "needs 'key' or 'key_base64'");
    }
    return *std::move(key);
}

}  // namespace

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

Result<std::vector<Bytes>> keys_member(const json::object& body,
                                       std::string_view name,
                                       std::size_t count_max) {
    KVSTORE_TRY(const json::array* const array, array_member(body, name, count_max));
    std::vector<Bytes> keys;
    keys.reserve(array->size());
    for (const json::value& value : *array) {
        auto key = key_item(value);
        if (!key.ok()) {
            return key.status().with_context(std::string(name) + "[" + std::to_string(keys.size()) +
                                             "]");
        }
        keys.push_back(*std::move(key));
    }
    return keys;
}

Result<Bytes> rest_of_path(const http::Request& request,
                           std::string_view prefix,
                           std::string_view suffix) {
    std::string_view part = request.path;
    part.remove_prefix(prefix.size());
    part.remove_suffix(suffix.size());
    auto decoded = http::percent_decode(part);
    if (!decoded) {
        return invalid("the path has a malformed percent escape");
    }
    return *std::move(decoded);
}

Result<OwnedCondition> header_condition(const http::Request& request) {
    const auto match = request.header("If-Match");
    const auto none_match = request.header("If-None-Match");
    OwnedCondition condition;
    if (match && none_match) {
        return invalid("give If-Match or If-None-Match, not both");
    }
    if (match) {
        if (*match == "*") {
            condition.kind = mvcc::ConditionKind::kPresent;
            return condition;
        }
        const auto revision = parse_etag(*match);
        if (!revision) {
            return invalid("If-Match must be * or one ETag that an answer gave");
        }
        condition.kind = mvcc::ConditionKind::kModRevision;
        condition.revision = *revision;
    }
    if (none_match) {
        if (*none_match != "*") {
            return invalid("If-None-Match of a write must be *");
        }
        condition.kind = mvcc::ConditionKind::kAbsent;
    }
    return condition;
}

Result<OwnedCondition> expected_condition(const boost::json::object& body) {
    OwnedCondition condition;
    const boost::json::value* expected = body.if_contains("expected");
    if (expected != nullptr && expected->is_null()) {
        condition.kind = mvcc::ConditionKind::kAbsent;
        return condition;
    }
    KVSTORE_TRY(auto value, bytes_member(body, "expected"));
    if (value) {
        condition.kind = mvcc::ConditionKind::kValue;
        condition.value = *std::move(value);
    }
    return condition;
}

Result<OwnedCondition> one_condition(const OwnedCondition& header, const OwnedCondition& body) {
    if (header.kind == mvcc::ConditionKind::kNone) {
        return body;
    }
    if (body.kind != mvcc::ConditionKind::kNone) {
        return invalid("give a condition in a header or as 'expected', not both");
    }
    return header;
}

void set_ttl(mvcc::Operation& operation,
             const std::optional<std::uint64_t>& ttl_seconds,
             std::uint64_t now_ms) {
    if (ttl_seconds) {
        operation.expiry_mode = mvcc::ExpiryMode::kAt;
        operation.expires_at_ms = now_ms + *ttl_seconds * 1000;
    }
}

Status operation_status(const kv::OperationOutcome& outcome) {
    switch (outcome.code) {
        case Code::kOk:
        case Code::kConflict:
        case Code::kNotFound: return {};
        case Code::kInvalidArgument:
            return {Code::kWrongType, "the value is no whole number of 64 bits"};
        case Code::kOutOfRange: return {outcome.code, "the sum would not fit 64 bits"};
        case Code::kTooLarge: return {outcome.code, "the result would be too large"};
        default: return {outcome.code, std::string(code_name(outcome.code))};
    }
}

}  // namespace kvstore::rest
