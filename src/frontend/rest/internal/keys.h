// What the handlers of keys share: the key of a path, conditions, expiry, results.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "base/bytes.h"
#include "base/status.h"
#include "http/message.h"
#include "kv/kv.h"

namespace kvstore::rest {

inline constexpr std::string_view kKeysPrefix = "/v1/keys/";
inline constexpr std::string_view kIncrementSuffix = "/increment";
inline constexpr std::uint64_t kTtlSecondsMax = 10ULL * 366 * 24 * 3600;

// A condition that owns what it compares with.
struct OwnedCondition {
    mvcc::ConditionKind kind = mvcc::ConditionKind::kNone;
    Revision revision;
    Bytes value;

    [[nodiscard]] mvcc::Condition view() const {
        return {.kind = kind, .revision = revision, .value = value};
    }
};

// Everything between `prefix` and `suffix` in the path, decoded. Errors: kInvalidArgument.
// Requires: the path begins and ends so.
Result<Bytes> rest_of_path(const http::Request& request,
                           std::string_view prefix,
                           std::string_view suffix = {});

// The array member `name`, with at most `count_max` items. Errors: kInvalidArgument, kTooLarge.
Result<const boost::json::array*> array_member(const boost::json::object& body,
                                               std::string_view name,
                                               std::size_t count_max);

// The same for an array of keys: strings, or objects with `key` or `key_base64`.
Result<std::vector<Bytes>> keys_member(const boost::json::object& body,
                                       std::string_view name,
                                       std::size_t count_max);

// If-Match and If-None-Match with a revision or '*'. Errors: kInvalidArgument.
Result<OwnedCondition> header_condition(const http::Request& request);

// The member `expected`: null for absent, or a value. Errors: kInvalidArgument.
Result<OwnedCondition> expected_condition(const boost::json::object& body);

// The condition of a request that may carry one in its headers or its body, not both.
Result<OwnedCondition> one_condition(const OwnedCondition& header, const OwnedCondition& body);

// Sets the expiry of a put: at `ttl_seconds` from `now_ms`, or none.
void set_ttl(mvcc::Operation& operation,
             const std::optional<std::uint64_t>& ttl_seconds,
             std::uint64_t now_ms);

// An operation's error that is no failed condition; ok otherwise. It changed nothing.
// Returns: kWrongType (no integer), kOutOfRange (overflow), kTooLarge, ...
[[nodiscard]] Status operation_status(const kv::OperationOutcome& outcome);

}  // namespace kvstore::rest
