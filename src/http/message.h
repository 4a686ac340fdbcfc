// HTTP requests and answers as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "env/network.h"

namespace kvstore::http {

enum class Method : std::uint8_t { kGet, kHead, kPut, kPost, kDelete, kPatch, kOptions, kOther };

[[nodiscard]] std::string_view method_name(Method method);

using Headers = std::vector<std::pair<std::string, std::string>>;

// The first header of this name, compared without regard to case; nullopt when there is none.
[[nodiscard]] std::optional<std::string_view> find_header(const Headers& headers,
                                                          std::string_view name);

// Without blanks and tabs at both ends.
[[nodiscard]] std::string_view trim_blanks(std::string_view text);
// Whether a Content-Type, or one range of an Accept, is `type`, with whatever parameters.
[[nodiscard]] bool is_media_type(std::string_view header, std::string_view type);

struct Request {
    Method method = Method::kGet;
    std::string path;  // percent-encoded as it came, without the query
    std::vector<std::pair<std::string, std::string>> query;  // decoded
    Headers headers;
    Bytes body;
    env::Address peer;

    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const {
        return find_header(headers, name);
    }
    // The first query parameter of this name.
    [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const;
};

struct Response {
    unsigned status = 200;
    std::string content_type;  // empty: none is sent
    Headers headers;           // others than Content-Type, Content-Length, Connection
    Bytes body;
};

[[nodiscard]] std::string_view reason_phrase(unsigned status);

// "a%20b" to "a b"; nullopt when an escape is cut off or not hexadecimal. '+' stays as it is.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);
// Everything but unreserved characters (RFC 3986, 2.3) is escaped.
[[nodiscard]] std::string percent_encode(std::string_view text);

// The target of a request line ("/v1/keys?prefix=a&limit=2", or a whole URL with it) into path and
// query. In the query '+' means a blank. False when an escape of the query is malformed, or the
// target is neither an absolute path nor an http URL.
[[nodiscard]] bool parse_target(std::string_view target, Request& request);

}  // namespace kvstore::http
