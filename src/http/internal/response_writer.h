// An answer as bytes.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "http/message.h"

namespace kvstore::http::internal {

enum class BodyMode : std::uint8_t { kSend, kOmit };

// What is said about the time behind the answer.
enum class Afterwards : std::uint8_t {
    kKeepAlive,     // nothing: HTTP/1.1 stays open
    kSayKeepAlive,  // to a client of HTTP/1.0 that asked for it
    kClose,
};

void append_response(Bytes& to, const Response& response, BodyMode body, Afterwards afterwards);

}  // namespace kvstore::http::internal
