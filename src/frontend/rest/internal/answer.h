// How answers are made: JSON bodies, problems (RFC 9457), records.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "base/bytes.h"
#include "base/status.h"
#include "http/message.h"
#include "kv/kv.h"

namespace kvstore::rest {

[[nodiscard]] http::Response json_response(unsigned status, const boost::json::value& value);

// The HTTP status of an error.
[[nodiscard]] unsigned http_status(Code code);

// "none" or "unknown".
[[nodiscard]] std::string_view effect_name(const Status& error);

// problem+json with `effect`; 429 and 503 carry Retry-After.
[[nodiscard]] http::Response problem(const Status& error);
[[nodiscard]] http::Response problem(unsigned status,
                                     std::string_view title,
                                     std::string_view detail);
[[nodiscard]] http::Response key_not_found(ByteView key);
[[nodiscard]] http::Response keyspace_not_found(const http::Request& request);
// 412, with what is there instead.
[[nodiscard]] http::Response precondition_failed(const std::optional<kv::OwnedRecord>& current);

// "name" where the bytes are UTF-8, "name_base64" where they are not.
void put_bytes(boost::json::object& to, std::string_view name, ByteView bytes);

// The fields of a record: value, version, revisions, expiry. `now_ms` turns expiry into seconds
// left.
void put_record(boost::json::object& to,
                ByteView value,
                const mvcc::Record& record,
                std::uint64_t now_ms);

// The header by which a client sends its session back, and is told of it with each answer.
inline constexpr std::string_view kSessionHeader = "Kvstore-Session";
// An empty one without the header. Errors: kInvalidArgument.
Result<std::shared_ptr<kv::SessionToken>> session_of(const http::Request& request);
void put_session(http::Response& to, const kv::SessionToken& session);

[[nodiscard]] std::string etag_of(Revision mod_revision);

// ---- requests ----

// Errors: kInvalidArgument that says where.
Result<boost::json::object> parse_object(const http::Request& request);

// A member that is bytes: `name` as text, or `name_base64`. Nullopt when neither is there.
// Errors: kInvalidArgument: both, not text, not base64.
Result<std::optional<Bytes>> bytes_member(const boost::json::object& from, std::string_view name);

// Errors: kInvalidArgument when it is there and no whole number in [low, high].
Result<std::optional<std::uint64_t>> number_member(const boost::json::object& from,
                                                   std::string_view name,
                                                   std::uint64_t low,
                                                   std::uint64_t high);

// Errors: kInvalidArgument when it is there and no whole number of 64 bits.
Result<std::optional<std::int64_t>> integer_member(const boost::json::object& from,
                                                   std::string_view name);

// As number_member(), of a query parameter.
Result<std::optional<std::uint64_t>> number_parameter(const http::Request& request,
                                                      std::string_view name,
                                                      std::uint64_t low,
                                                      std::uint64_t high);
// "true", "1", "" are true; "false", "0" and absence are false.
Result<bool> bool_parameter(const http::Request& request, std::string_view name);

}  // namespace kvstore::rest
