#include "http/internal/request_reader.h"

#include <string_view>
#include <utility>

namespace kvstore::http::internal {
namespace {

namespace beast = boost::beast::http;

Method to_method(beast::verb verb) {
    switch (verb) {
        case beast::verb::get: return Method::kGet;
        case beast::verb::head: return Method::kHead;
        case beast::verb::put: return Method::kPut;
        case beast::verb::post: return Method::kPost;
        case beast::verb::delete_: return Method::kDelete;
        case beast::verb::patch: return Method::kPatch;
        case beast::verb::options: return Method::kOptions;
        default: return Method::kOther;
    }
}

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

Refusal headers_too_large() {
    return {.status = 431, .why = "the request line, headers or trailers are too large"};
}

Refusal refusal_of(const boost::system::error_code& error) {
    if (error == beast::error::header_limit) {
        return headers_too_large();
    }
    if (error == beast::error::body_limit) {
        return {.status = 413, .why = "the body is too large"};
    }
    if (error == beast::error::bad_version) {
        return {.status = 505, .why = "malformed HTTP request: " + error.message()};
    }
    return {.status = 400, .why = "malformed HTTP request: " + error.message()};
}

}  // namespace

RequestReader::RequestReader(std::size_t header_bytes_max, std::size_t body_bytes_max)
    : header_bytes_max_(header_bytes_max) {
    parser_.header_limit(static_cast<std::uint32_t>(header_bytes_max));
    parser_.body_limit(body_bytes_max);
}

std::size_t RequestReader::take(ByteView input) {
    boost::system::error_code error;
    std::size_t used = put(input, error);
    if (parser_.is_header_done() && !has_headers_) {
        take_headers();
        // From here on everything is taken at once. Before, trailers would be among the headers.
        parser_.eager(true);
        if (!error && !refusal_ && !parser_.is_done()) {
            used += put(input.substr(used), error);
        }
    }
    const bool needs_more = error == beast::error::need_more;
    if (error && !needs_more && !refusal_) {
        refusal_ = refusal_of(error);
    }
    // Behind the headers the parser waits for whole lines, and has no limit for them.
    if (needs_more && !refusal_ && input.size() - used > header_bytes_max_) {
        refusal_ = headers_too_large();
    }
    return used;
}

std::size_t RequestReader::put(ByteView input, boost::system::error_code& error) {
    return parser_.put(boost::asio::const_buffer(input.data(), input.size()), error);
}

void RequestReader::take_headers() {
    has_headers_ = true;
    const auto& message = parser_.get();
    request_.method = to_method(message.method());
    for (const auto& field : message) {
        request_.headers.emplace_back(std::string(view(field.name_string())),
                                      std::string(view(field.value())));
    }
    if (!parse_target(view(message.target()), request_)) {
        request_.path.clear();
    }
    const auto length = parser_.content_length();
    announced_ = length ? static_cast<std::size_t>(*length) : 0;
    refusal_ = check_framing();
    if (!refusal_) {
        refusal_ = check_expectation();
    }
}

std::optional<Refusal> RequestReader::check_framing() const {
    const auto& message = parser_.get();
    if (message.count(beast::field::host) > 1) {
        return Refusal{.status = 400, .why = "malformed HTTP request: more than one Host"};
    }
    const std::size_t codings = message.count(beast::field::transfer_encoding);
    if (codings == 0) {
        return std::nullopt;
    }
    if (codings > 1 || is_http_10() || message.count(beast::field::content_length) > 0) {
        return Refusal{.status = 400,
                       .why =
                           "malformed HTTP request: Transfer-Encoding stands alone, and not in "
                           "HTTP/1.0"};
    }
    if (!boost::beast::iequals(message[beast::field::transfer_encoding], "chunked")) {
        return Refusal{.status = 501, .why = "the only Transfer-Encoding known here is chunked"};
    }
    return std::nullopt;
}

std::optional<Refusal> RequestReader::check_expectation() {
    const auto expectation = request_.header("Expect");
    if (!expectation || is_http_10()) {
        return std::nullopt;
    }
    if (!boost::beast::iequals({expectation->data(), expectation->size()}, "100-continue")) {
        return Refusal{.status = 417, .why = "the only Expect known here is 100-continue"};
    }
    awaits_continue_ = !parser_.is_done();
    return std::nullopt;
}

Request RequestReader::release() {
    request_.body = std::move(parser_.get().body());
    return std::move(request_);
}

}  // namespace kvstore::http::internal
