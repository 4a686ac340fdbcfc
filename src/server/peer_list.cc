#include "server/peer_list.h"

#include <algorithm>
#include <utility>

namespace kvstore::server {
namespace {

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// The parts between commas.
std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t comma = std::min(text.find(',', begin), text.size());
        parts.push_back(trimmed(text.substr(begin, comma - begin)));
        begin = comma + 1;
    }
    return parts;
}

Status bad_part(std::string_view list, std::string_view part, std::string_view expected) {
    return {Code::kInvalidArgument,
            std::string(list) + ": '" + std::string(part) + "' is not " + std::string(expected)};
}

// Errors: kInvalidArgument. A port is needed: nobody can be reached at 0.
Result<env::Address> parse_peer_address(std::string_view list,
                                        std::string_view part,
                                        std::string_view text,
                                        std::string_view expected) {
    Result<env::Address> address = env::Address::parse(text);
    if (!address.ok() || address->port == 0 || address->host.empty()) {
        return bad_part(list, part, expected);
    }
    return address;
}

bool are_equal(const env::Address& a, const env::Address& b) {
    return a.host == b.host && a.port == b.port;
}

}  // namespace

Result<std::vector<NamedPeer>> parse_initial_cluster(std::string_view text) {
    constexpr std::string_view kList = "initial_cluster";
    constexpr std::string_view kExpected = "name=host:port";
    std::vector<NamedPeer> peers;
    for (const std::string_view part : split(text)) {
        const std::size_t equals = part.find('=');
        if (equals == 0 || equals == std::string_view::npos) {
            return bad_part(kList, part, kExpected);
        }
        const std::string_view name = trimmed(part.substr(0, equals));
        KVSTORE_TRY(env::Address address,
                    parse_peer_address(kList, part, trimmed(part.substr(equals + 1)), kExpected));
        for (const NamedPeer& other : peers) {
            if (other.name == name || are_equal(other.address, address)) {
                return Status(Code::kInvalidArgument,
                              std::string(kList) + ": '" + std::string(part) + "' and '" +
                                  other.name + "=" + other.address.to_string() +
                                  "' name one node or one address twice");
            }
        }
        peers.push_back({.name = std::string(name), .address = std::move(address)});
    }
    return peers;
}

Result<std::vector<env::Address>> parse_join(std::string_view text) {
    std::vector<env::Address> addresses;
    for (const std::string_view part : split(text)) {
        KVSTORE_TRY(env::Address address, parse_peer_address("join", part, part, "host:port"));
        addresses.push_back(std::move(address));
    }
    return addresses;
}

Result<std::vector<env::Address>> parse_peers(std::string_view text) {
    std::vector<env::Address> addresses;
    for (const std::string_view part : split(text)) {
        const std::size_t at = part.find('@');
        const std::string_view host = at == std::string_view::npos ? part : part.substr(at + 1);
        KVSTORE_TRY(env::Address address, parse_peer_address("peers", part, host, "id@host:port"));
        addresses.push_back(std::move(address));
    }
    return addresses;
}

}  // namespace kvstore::server
