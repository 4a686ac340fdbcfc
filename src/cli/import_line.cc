#include "cli/import_line.h"

#include <string>
#include <utility>

#include <boost/json/parse.hpp>

#include "base/parse.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

// Copies `name`, or `name`_base64, whichever is there.
Status copy_bytes(const json::object& from, std::string_view name, json::object& to) {
    const std::string encoded = std::string(name) + "_base64";
    const json::value* plain = from.if_contains(name);
    const json::value* base64 = from.if_contains(encoded);
    if ((plain == nullptr) == (base64 == nullptr)) {
        return invalid("needs either '" + std::string(name) + "' or '" + encoded + "'");
    }
    const json::value& value = plain != nullptr ? *plain : *base64;
    if (!value.is_string()) {
        return invalid("'" + std::string(name) + "' must be a string");
    }
    const json::string& text = value.as_string();
    if (base64 != nullptr && !base64_decode({text.data(), text.size()})) {
        return invalid("'" + encoded + "' is no base64");
    }
    to[plain != nullptr ? std::string(name) : encoded] = value;
    return {};
}

}  // namespace

Result<json::object> parse_import_line(std::string_view line) {
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    if (error || !value.is_object()) {
        return invalid("no JSON object" + (error ? ": " + error.message() : std::string()));
    }
    const json::object& from = value.as_object();
    json::object item;
    KVSTORE_CHECK_OK(copy_bytes(from, "key", item));
    KVSTORE_CHECK_OK(copy_bytes(from, "value", item));
    if (const json::value* ttl = from.if_contains("ttl_seconds"); ttl != nullptr) {
        boost::system::error_code no_number;
        const auto seconds = ttl->to_number<std::uint64_t>(no_number);
        if (no_number || seconds == 0) {
            return invalid("'ttl_seconds' must be a whole number of at least 1");
        }
        item["ttl_seconds"] = seconds;
    }
    return item;
}

}  // namespace kvstore::cli
