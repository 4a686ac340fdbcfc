#include "cli/api_client.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/json_escape.h"
#include "base/parse.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kRawType = "application/octet-stream";

std::optional<json::object> parse_object(const Bytes& text) {
    boost::system::error_code error;
    json::value value = json::parse(text, error);
    if (error || !value.is_object()) {
        return std::nullopt;
    }
    return std::move(value.as_object());
}

Code code_of_status(unsigned status) {
    switch (status) {
        case 400: return Code::kInvalidArgument;
        case 401: return Code::kUnauthenticated;
        case 403: return Code::kPermissionDenied;
        case 404: return Code::kNotFound;
        case 409: return Code::kAlreadyExists;
        case 410: return Code::kCompacted;
        case 412: return Code::kConflict;
        case 413: return Code::kTooLarge;
        case 429: return Code::kOverloaded;
        case 501: return Code::kUnimplemented;
        case 503: return Code::kUnavailable;
        case 504: return Code::kDeadlineExceeded;
        case 507: return Code::kDiskFull;
        default: return Code::kInternal;
    }
}

std::string text_of(const json::object& from, std::string_view name) {
    const json::value* value = from.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

}  // namespace

Target& Target::add(std::string_view name, std::string_view value) {
    text_ += has_query_ ? '&' : '?';
    has_query_ = true;
    text_ += name;
    text_ += '=';
    text_ += http::percent_encode(value);
    return *this;
}

std::optional<Bytes> bytes_of(const json::object& from, std::string_view name) {
    if (const json::value* value = from.if_contains(name); value != nullptr && value->is_string()) {
        return Bytes(value->as_string());
    }
    const json::value* encoded = from.if_contains(std::string(name) + "_base64");
    if (encoded == nullptr || !encoded->is_string()) {
        return std::nullopt;
    }
    const auto& text = encoded->as_string();
    return base64_decode({text.data(), text.size()});
}

std::int64_t number_of(const json::object& from, std::string_view name) {
    const json::value* value = from.if_contains(name);
    if (value == nullptr) {
        return 0;
    }
    boost::system::error_code error;
    const auto number = value->to_number<std::int64_t>(error);
    return error ? 0 : number;
}

void set_bytes(json::object& to, std::string_view name, ByteView bytes) {
    if (is_utf8(bytes)) {
        to[name] = json::string_view(bytes.data(), bytes.size());
    } else {
        to[std::string(name) + "_base64"] = base64_encode(bytes);
    }
}

Status status_of_answer(const http::Response& answer) {
    Code code = code_of_status(answer.status);
    const auto problem = parse_object(answer.body);
    if (!problem) {
        // Who answers without a problem may be no kvstore at all.
        return {code,
                Effect::kUnknown,
                "HTTP status " + std::to_string(answer.status) + " " +
                    std::string(http::reason_phrase(answer.status))};
    }
    // Codes that share their status with another.
    for (const Code named :
         {Code::kCorruption, Code::kWrongType, Code::kOutOfRange, Code::kMemoryFull}) {
        if (text_of(*problem, "title") == code_name(named)) {
            code = named;
        }
    }
    const Effect effect = text_of(*problem, "effect") == "none" ? Effect::kNone : Effect::kUnknown;
    return {code, effect, text_of(*problem, "detail")};
}

Result<std::vector<env::Address>> parse_endpoints(std::string_view text) {
    std::vector<env::Address> endpoints;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        std::string_view part = text.substr(0, comma);
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
        while (part.starts_with(' ')) {
            part.remove_prefix(1);
        }
        while (part.ends_with(' ') || part.ends_with('/')) {
            part.remove_suffix(1);
        }
        if (part.starts_with("http://")) {
            part.remove_prefix(7);
        }
        if (part.empty()) {
            continue;
        }
        KVSTORE_TRY(env::Address address, env::Address::parse(part));
        if (address.host.empty()) {
            address.host = "127.0.0.1";
        }
        endpoints.push_back(std::move(address));
    }
    if (endpoints.empty()) {
        return Status(Code::kInvalidArgument, "there must be an endpoint, as host:port");
    }
    return endpoints;
}

ApiClient::ApiClient(env::Env& env, ApiOptions options) : env_(env), options_(std::move(options)) {}

std::string ApiClient::endpoints_text() const {
    std::string text;
    for (const env::Address& endpoint : options_.endpoints) {
        text += (text.empty() ? "" : ",") + endpoint.to_string();
    }
    return text;
}

Target ApiClient::target(std::string path) const {
    Target target(std::move(path));
    if (options_.keyspace != "default") {
        target.add("keyspace", options_.keyspace);
    }
    return target;
}

Target ApiClient::key_target(ByteView key) const {
    return target("/v1/keys/" + http::percent_encode(key));
}

async::Task<Result<http::Response>> ApiClient::call(http::ClientRequest request) {
    const auto deadline = async::Deadline::after(env_.clock.now(), options_.timeout);
    Status failure;
    for (std::size_t tried = 0; tried < options_.endpoints.size(); ++tried) {
        if (client_ == nullptr) {
            client_ = std::make_unique<http::Client>(env_, options_.endpoints[current_]);
        }
        http::ClientRequest copy = request;
        auto answer = co_await client_->request(std::move(copy), deadline);
        if (answer.ok() && (answer->status < 300 || answer->status == 304)) {
            co_return std::move(answer);
        }
        failure = answer.ok() ? status_of_answer(*answer)
                              : answer.status().with_context(client_->server().to_string());
        const bool may_try_another =
            failure.code() == Code::kUnavailable && failure.effect() == Effect::kNone;
        if (!may_try_another) {
            co_return failure;
        }
        client_.reset();
        current_ = (current_ + 1) % options_.endpoints.size();
    }
    co_return failure;
}

async::Task<Result<json::object>> ApiClient::call_json(http::ClientRequest request) {
    auto answer = co_await call(std::move(request));
    if (!answer.ok()) {
        co_return answer.status();
    }
    auto object = parse_object(answer->body);
    if (!object) {
        co_return Status(Code::kInternal, Effect::kUnknown, "the answer is no JSON object");
    }
    co_return *std::move(object);
}

async::Task<Result<std::optional<Bytes>>> ApiClient::get(Bytes key) {
    http::ClientRequest request;
    request.target = key_target(key).text();
    request.headers.emplace_back("Accept", kRawType);
    auto answer = co_await call(std::move(request));
    if (answer.ok()) {
        co_return std::optional<Bytes>(std::move(answer->body));
    }
    // A keyspace that does not exist is an error; a key that does not is an answer.
    if (answer.status().code() == Code::kNotFound && answer.status().message() == "key not found") {
        co_return std::optional<Bytes>();
    }
    co_return answer.status();
}

async::Task<Result<std::optional<json::object>>> ApiClient::get_record(Bytes key) {
    http::ClientRequest request;
    request.target = key_target(key).text();
    auto answer = co_await call_json(std::move(request));
    if (answer.ok()) {
        co_return std::optional<json::object>(*std::move(answer));
    }
    if (answer.status().code() == Code::kNotFound && answer.status().message() == "key not found") {
        co_return std::optional<json::object>();
    }
    co_return answer.status();
}

async::Task<Result<json::object>> ApiClient::put(Bytes key, Bytes value, PutOptions options) {
    Target target = key_target(key);
    if (options.ttl_seconds) {
        target.add("ttl_seconds", std::to_string(*options.ttl_seconds));
    }
    if (options.wants_previous) {
        target.add("prev", "true");
    }
    http::ClientRequest request;
    request.method = http::Method::kPut;
    request.target = target.text();
    request.headers.emplace_back("Content-Type", kRawType);
    if (!options.if_match.empty()) {
        request.headers.emplace_back("If-Match", options.if_match);
    }
    if (!options.if_none_match.empty()) {
        request.headers.emplace_back("If-None-Match", options.if_none_match);
    }
    request.body = std::move(value);
    co_return co_await call_json(std::move(request));
}

async::Task<Result<std::uint64_t>> ApiClient::remove(std::vector<Bytes> keys) {
    json::array list;
    for (const Bytes& key : keys) {
        json::object item;
        set_bytes(item, "key", key);
        list.push_back(std::move(item));
    }
    json::object body;
    body["keys"] = std::move(list);
    http::ClientRequest request;
    request.method = http::Method::kPost;
    request.target = target("/v1/batch/delete").text();
    request.body = json::serialize(body);
    auto answer = co_await call_json(std::move(request));
    if (!answer.ok()) {
        co_return answer.status();
    }
    co_return static_cast<std::uint64_t>(number_of(*answer, "deleted"));
}

async::Task<Result<std::int64_t>> ApiClient::increment(Bytes key, std::int64_t by) {
    json::object body;
    body["by"] = by;
    http::ClientRequest request;
    request.method = http::Method::kPost;
    request.target = target("/v1/keys/" + http::percent_encode(key) + "/increment").text();
    request.body = json::serialize(body);
    const auto answer = co_await call_json(std::move(request));
    if (!answer.ok()) {
        co_return answer.status();
    }
    co_return number_of(*answer, "value");
}

async::Task<Result<json::object>> ApiClient::scan_page(ScanOptions options) {
    Target page = target("/v1/keys");
    page.add("limit", std::to_string(options.page_size));
    const std::pair<std::string_view, const std::string*> texts[] = {{"prefix", &options.prefix},
                                                                     {"from", &options.from},
                                                                     {"to", &options.to},
                                                                     {"cursor", &options.cursor}};
    for (const auto& [name, text] : texts) {
        if (!text->empty()) {
            page.add(name, *text);
        }
    }
    const std::pair<std::string_view, bool> switches[] = {{"reverse", options.reverse},
                                                          {"keys_only", options.keys_only},
                                                          {"count_only", options.count_only}};
    for (const auto& [name, is_on] : switches) {
        if (is_on) {
            page.add(name, "true");
        }
    }
    http::ClientRequest request;
    request.target = page.text();
    co_return co_await call_json(std::move(request));
}

}  // namespace kvstore::cli
