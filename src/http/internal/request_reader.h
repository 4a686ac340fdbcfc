// The bytes of one request, taken as they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/bytes.h"
#include "http/message.h"

namespace kvstore::http::internal {

// Why something is no request that can be answered.
struct Refusal {
    unsigned status = 400;
    std::string why;
};

// Runs on   any; a state machine over bytes.
//
// Invariants
//   what two readers of HTTP could understand differently (RFC 9112, 6.3) is refused
//   trailers are dropped: they are no headers
class RequestReader {
public:
    RequestReader(std::size_t header_bytes_max, std::size_t body_bytes_max);

    // Takes what it can use of `input`; the rest is to be shown again, with more behind it.
    // Returns: how many bytes were taken.
    std::size_t take(ByteView input);

    // Set when the request is to be refused. Nothing more can be taken then.
    [[nodiscard]] const std::optional<Refusal>& refusal() const { return refusal_; }
    [[nodiscard]] bool has_headers() const { return has_headers_; }
    [[nodiscard]] bool is_done() const { return parser_.is_done() && !refusal_; }
    // What has come of the body.
    [[nodiscard]] std::size_t body_size() const { return parser_.get().body().size(); }

    // ---- once has_headers() ----

    // Without its body; an empty path stands for a target that cannot be read.
    [[nodiscard]] const Request& head() const { return request_; }
    // What Content-Length says; 0 for chunks.
    [[nodiscard]] std::size_t announced() const { return announced_; }
    // The client sends no body before it is told to.
    [[nodiscard]] bool awaits_continue() const { return awaits_continue_ && body_size() == 0; }
    [[nodiscard]] bool is_http_10() const { return parser_.get().version() == 10; }
    [[nodiscard]] bool keep_alive() const { return parser_.keep_alive(); }

    // The whole request. Requires: is_done(). Once.
    [[nodiscard]] Request release();

private:
    std::size_t put(ByteView input, boost::system::error_code& error);
    void take_headers();
    [[nodiscard]] std::optional<Refusal> check_framing() const;
    [[nodiscard]] std::optional<Refusal> check_expectation();

    std::size_t header_bytes_max_;
    boost::beast::http::request_parser<boost::beast::http::string_body> parser_;
    Request request_;
    std::optional<Refusal> refusal_;
    std::size_t announced_ = 0;
    bool has_headers_ = false;
    bool awaits_continue_ = false;
};

}  // namespace kvstore::http::internal
