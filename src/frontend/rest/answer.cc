#include "frontend/rest/internal/answer.h"

#include "base/json_escape.h"
#include "base/parse.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kProblemType = "application/problem+json";
constexpr std::size_t kJsonDepthMax = 32;

std::string_view text(json::string_view view) {
    return {view.data(), view.size()};
}

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

http::Response problem_response(unsigned status, json::object body) {
    http::Response response;
    response.status = status;
    response.content_type = kProblemType;
    response.body = json::serialize(body);
    if (status == 429 || status == 503) {
        response.headers.emplace_back("Retry-After", "1");
    }
    return response;
}

json::object problem_body(unsigned status, std::string_view title, std::string_view detail) {
    std::string type = "urn:kvstore:error:";
    for (const char c : title) {
        type += c == ' ' || c == '/' ? '-' : c;
    }
    // Details may quote what a client sent, which need not be UTF-8.
    std::string clean(detail);
    if (!is_utf8(detail)) {
        clean.clear();
        append_json_escaped(clean, detail);
    }
    return {{"type", type},
            {"title", title},
            {"status", status},
            {"detail", clean},
            {"effect", "none"}};
}

}  // namespace

http::Response json_response(unsigned status, const json::value& value) {
    http::Response response;
    response.status = status;
    response.content_type = kJsonType;
    response.body = json::serialize(value);
    return response;
}

unsigned http_status(Code code) {
    switch (code) {
        case Code::kOk: return 200;
        case Code::kNotFound: return 404;
        case Code::kAlreadyExists: return 409;
        case Code::kInvalidArgument: return 400;
        case Code::kTooLarge: return 413;
        case Code::kConflict: return 412;
        case Code::kWrongType: return 409;
        case Code::kOutOfRange: return 409;
        case Code::kCompacted: return 410;
        case Code::kFutureRevision: return 400;
        case Code::kNotLeader: return 503;
        case Code::kUnavailable: return 503;
        case Code::kOverloaded: return 429;
        case Code::kDeadlineExceeded: return 504;
        case Code::kDiskFull:
        case Code::kMemoryFull: return 507;
        case Code::kUnauthenticated: return 401;
        case Code::kPermissionDenied: return 403;
        case Code::kUnimplemented: return 501;
        case Code::kIoError:
        case Code::kCorruption:
        case Code::kInternal: return 500;
    }
    return 500;
}

std::string_view effect_name(const Status& error) {
    return error.effect() == Effect::kNone ? "none" : "unknown";
}

http::Response problem(const Status& error) {
    const unsigned status = http_status(error.code());
    json::object body = problem_body(status, code_name(error.code()), error.message());
    body["effect"] = effect_name(error);
    return problem_response(status, std::move(body));
}

http::Response problem(unsigned status, std::string_view title, std::string_view detail) {
    return problem_response(status, problem_body(status, title, detail));
}

http::Response key_not_found(ByteView key) {
    json::object body = problem_body(404, "key not found", "key not found");
    put_bytes(body, "key", key);
    return problem_response(404, std::move(body));
}

http::Response keyspace_not_found(const http::Request& request) {
    const std::string name(request.parameter("keyspace").value_or("default"));
    return problem(
        404, "keyspace not found", "no keyspace '" + name + "'; POST /v1/keyspaces makes one");
}

http::Response precondition_failed(const std::optional<kv::OwnedRecord>& current) {
    json::object body =
        problem_body(412, "conflict", "the condition does not hold; nothing was changed");
    if (current) {
        body["current_mod_revision"] = current->record.mod_revision.value();
        put_bytes(body, "current_value", current->value);
    } else {
        body["current_mod_revision"] = 0;
    }
    return problem_response(412, std::move(body));
}

void put_bytes(json::object& to, std::string_view name, ByteView bytes) {
    if (is_utf8(bytes)) {
        to[name] = json::string_view(bytes.data(), bytes.size());
    } else {
        to[std::string(name) + "_base64"] = base64_encode(bytes);
    }
}

void put_record(json::object& to,
                ByteView value,
                const mvcc::Record& record,
                std::uint64_t now_ms) {
    put_bytes(to, "value", value);
    to["create_revision"] = record.create_revision.value();
    to["mod_revision"] = record.mod_revision.value();
    to["version_count"] = record.version_count;
    // 64 bits do not fit the numbers of JavaScript: text.
    to["version"] = std::to_string(record.version.raw());
    if (record.expires_at_ms != 0) {
        to["expires_at_ms"] = record.expires_at_ms;
        to["ttl_seconds"] =
            record.expires_at_ms > now_ms ? (record.expires_at_ms - now_ms + 999) / 1000 : 0;
    }
}

Result<std::shared_ptr<kv::SessionToken>> session_of(const http::Request& request) {
    auto session = std::make_shared<kv::SessionToken>();
    const auto text = request.header(kSessionHeader);
    if (text && !text->empty()) {
        auto parsed = kv::SessionToken::parse(*text);
        if (!parsed.ok()) {
            return parsed.status().with_context(std::string(kSessionHeader));
        }
        *session = *std::move(parsed);
    }
    return session;
}

void put_session(http::Response& to, const kv::SessionToken& session) {
    if (!session.empty()) {
        to.headers.emplace_back(kSessionHeader, session.text());
    }
}

std::string etag_of(Revision mod_revision) {
    return "\"" + std::to_string(mod_revision.value()) + "\"";
}

// ---- requests ----

Result<json::object> parse_object(const http::Request& request) {
    json::parse_options options;
    options.max_depth = kJsonDepthMax;
    boost::system::error_code error;
    json::value value = json::parse(request.body, error, json::storage_ptr(), options);
    if (error) {
        return invalid("the body is no JSON: " + error.message());
    }
    if (!value.is_object()) {
        return invalid("the body must be a JSON object");
    }
    return std::move(value.as_object());
}

Result<std::optional<Bytes>> bytes_member(const json::object& from, std::string_view name) {
    const std::string encoded_name = std::string(name) + "_base64";
    const json::value* plain = from.if_contains(name);
    const json::value* encoded = from.if_contains(encoded_name);
    if (plain != nullptr && encoded != nullptr) {
        return invalid("give '" + std::string(name) + "' or '" + encoded_name + "', not both");
    }
    if (plain != nullptr) {
        if (!plain->is_string()) {
            return invalid("'" + std::string(name) + "' must be a string");
        }
        return std::optional<Bytes>(Bytes(text(plain->as_string())));
    }
    if (encoded == nullptr) {
        return std::optional<Bytes>();
    }
    auto decoded = encoded->is_string() ? base64_decode(text(encoded->as_string())) : std::nullopt;
    if (!decoded) {
        return invalid("'" + encoded_name + "' must be base64 text");
    }
    return decoded;
}

Result<std::optional<std::uint64_t>> number_member(const json::object& from,
                                                   std::string_view name,
                                                   std::uint64_t low,
                                                   std::uint64_t high) {
    const json::value* value = from.if_contains(name);
    if (value == nullptr || value->is_null()) {
        return std::optional<std::uint64_t>();
    }
    boost::system::error_code error;
    const auto number = value->to_number<std::uint64_t>(error);
    if (error || number < low || number > high) {
        return invalid("'" + std::string(name) + "' must be a whole number from " +
                       std::to_string(low) + " to " + std::to_string(high));
    }
    return std::optional<std::uint64_t>(number);
}

Result<std::optional<std::int64_t>> integer_member(const json::object& from,
                                                   std::string_view name) {
    const json::value* value = from.if_contains(name);
    if (value == nullptr || value->is_null()) {
        return std::optional<std::int64_t>();
    }
    boost::system::error_code error;
    const auto number = value->to_number<std::int64_t>(error);
    if (error) {
        return invalid("'" + std::string(name) + "' must be a whole number of 64 bits");
    }
    return std::optional<std::int64_t>(number);
}

Result<std::optional<std::uint64_t>> number_parameter(const http::Request& request,
                                                      std::string_view name,
                                                      std::uint64_t low,
                                                      std::uint64_t high) {
    const auto value = request.parameter(name);
    if (!value) {
        return std::optional<std::uint64_t>();
    }
    const auto number = parse_uint64(*value);
    if (!number || *number < low || *number > high) {
        return invalid("?" + std::string(name) + "= must be a whole number from " +
                       std::to_string(low) + " to " + std::to_string(high));
    }
    return std::optional<std::uint64_t>(number);
}

Result<bool> bool_parameter(const http::Request& request, std::string_view name) {
    const auto value = request.parameter(name);
    if (!value || *value == "false" || *value == "0") {
        return false;
    }
    if (*value == "true" || *value == "1" || value->empty()) {
        return true;
    }
    return invalid("?" + std::string(name) + "= must be true or false");
}

}  // namespace kvstore::rest
