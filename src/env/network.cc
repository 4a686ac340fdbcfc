#include "env/network.h"

#include <limits>

#include "base/parse.h"

namespace kvstore::env {

void ConnectionHandler::on_input_end(Connection& connection) {
    connection.close(Connection::CloseMode::kAfterFlush);
}

Result<Address> Address::parse(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    const Status malformed(
        Code::kInvalidArgument,
        "'" + std::string(text) + "' is no address: write host:port, [v6]:port or :port");
    if (colon == std::string_view::npos) {
        return malformed;
    }
    const auto port = parse_uint64(text.substr(colon + 1));
    if (!port || *port > std::numeric_limits<std::uint16_t>::max()) {
        return malformed;
    }
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return malformed;
    }
    return Address{.host = std::string(host), .port = static_cast<std::uint16_t>(*port)};
}

std::string Address::to_string() const {
    const bool is_v6 = host.find(':') != std::string::npos;
    return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool Address::is_loopback() const {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace kvstore::env
