#include "http/internal/response_writer.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <string_view>

namespace kvstore::http::internal {
namespace {

void append_number(Bytes& to, std::size_t number) {
    std::array<char, 20> digits;
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    to.append(digits.data(), written.ptr);
}

std::string_view end_of_head(Afterwards afterwards) {
    switch (afterwards) {
        case Afterwards::kKeepAlive: return "\r\n\r\n";
        case Afterwards::kSayKeepAlive: return "\r\nConnection: keep-alive\r\n\r\n";
        case Afterwards::kClose: return "\r\nConnection: close\r\n\r\n";
    }
    return "\r\nConnection: close\r\n\r\n";
}

}  // namespace

void append_response(Bytes& to, const Response& response, BodyMode body, Afterwards afterwards) {
    const bool may_have_body = response.status != 204 && response.status != 304;
    to += "HTTP/1.1 ";
    append_number(to, response.status);
    to += ' ';
    to += reason_phrase(response.status);
    if (!response.content_type.empty()) {
        to += "\r\nContent-Type: ";
        to += response.content_type;
    }
    if (may_have_body) {
        to += "\r\nContent-Length: ";
        append_number(to, response.body.size());
    }
    for (const auto& [name, value] : response.headers) {
        to += "\r\n";
        to += name;
        to += ": ";
        to += value;
    }
    to += end_of_head(afterwards);
    if (body == BodyMode::kSend && may_have_body) {
        to += response.body;
    }
}

}  // namespace kvstore::http::internal
