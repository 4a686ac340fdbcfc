// The HTTP API of a node, as the commands use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "async/task.h"
#include "base/bytes.h"
#include "base/status.h"
#include "base/time.h"
#include "env/env.h"
#include "http/client.h"

namespace kvstore::cli {

struct ApiOptions {
    std::vector<env::Address> endpoints;
    std::string keyspace = "default";
    Duration timeout = std::chrono::seconds(10);
};

// A target with its query, each part percent-encoded as it is added.
class Target {
public:
    explicit Target(std::string path) : text_(std::move(path)) {}
    Target& add(std::string_view name, std::string_view value);
    [[nodiscard]] const std::string& text() const { return text_; }

private:
    std::string text_;
    bool has_query_ = false;
};

struct PutOptions {
    std::optional<std::uint64_t> ttl_seconds;
    std::string if_match;       // an ETag; empty: none
    std::string if_none_match;  // "*": only when absent
    bool wants_previous = false;
};

struct ScanOptions {
    std::string prefix;
    std::string from;
    std::string to;
    std::string cursor;
    std::uint64_t page_size = 1000;
    bool reverse = false;
    bool keys_only = false;
    bool count_only = false;
};

// Lifetime  On the stack of a command; the env outlives it.
// Runs on   One core; one call at a time.
class ApiClient {
public:
    ApiClient(env::Env& env, ApiOptions options);

    // Sends to the endpoint that answered last, and to the others in turn while none can be
    // reached. Nothing is sent twice unless it certainly had no effect.
    // Returns: the answer of a status below 300, and 304.
    // Errors:  those of the server, as its problem+json says; those of http::Client, naming the
    //          endpoints and how to choose others.
    async::Task<Result<http::Response>> call(http::ClientRequest request);
    // As call(), for answers that are JSON objects. Errors: also kInternal: the answer is none.
    async::Task<Result<boost::json::object>> call_json(http::ClientRequest request);

    // Nullopt: absent.
    async::Task<Result<std::optional<Bytes>>> get(Bytes key);
    // The whole record as the server shows it; nullopt: absent.
    async::Task<Result<std::optional<boost::json::object>>> get_record(Bytes key);
    async::Task<Result<boost::json::object>> put(Bytes key, Bytes value, PutOptions options);
    // Returns: how many keys existed.
    async::Task<Result<std::uint64_t>> remove(std::vector<Bytes> keys);
    // Adds `by` in one request. The lifetime of the key stays.
    // Errors: kWrongType (no integer), kOutOfRange, and those of call(). Not to be repeated where
    //         the effect is unknown.
    async::Task<Result<std::int64_t>> increment(Bytes key, std::int64_t by);
    async::Task<Result<boost::json::object>> scan_page(ScanOptions options);

    [[nodiscard]] Target key_target(ByteView key) const;
    [[nodiscard]] Target target(std::string path) const;
    [[nodiscard]] const ApiOptions& options() const { return options_; }
    [[nodiscard]] std::string endpoints_text() const;

private:
    env::Env& env_;
    ApiOptions options_;
    std::size_t current_ = 0;
    std::unique_ptr<http::Client> client_;
};

// The bytes of member `name` or `name`_base64; nullopt when there is neither.
[[nodiscard]] std::optional<Bytes> bytes_of(const boost::json::object& from, std::string_view name);
// 0 when it is no number.
[[nodiscard]] std::int64_t number_of(const boost::json::object& from, std::string_view name);
// Adds `bytes` as `name`, or as `name`_base64 where they are not UTF-8.
void set_bytes(boost::json::object& to, std::string_view name, ByteView bytes);

// What an answer other than success means.
[[nodiscard]] Status status_of_answer(const http::Response& answer);

// "a:8080,b:8080"; blanks around commas are ignored. Errors: kInvalidArgument.
Result<std::vector<env::Address>> parse_endpoints(std::string_view text);

}  // namespace kvstore::cli
