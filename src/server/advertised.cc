#include "server/advertised.h"

#include <algorithm>
#include <string>
#include <vector>

#include "server/peer_list.h"

namespace kvstore::server {
namespace {

std::string listed_host(const Config& config) {
    const auto peers = parse_initial_cluster(config.initial_cluster);
    if (config.initial_cluster.empty() || !peers.ok()) {
        return {};
    }
    const auto self = std::ranges::find(*peers, config.id, &NamedPeer::name);
    return self == peers->end() ? std::string() : self->address.host;
}

}  // namespace

bool is_any_interface(const env::Address& address) {
    return address.host.empty() || address.host == "0.0.0.0" || address.host == "::";
}

env::Address advertised_peer(const Config& config, const env::Address& listening) {
    env::Address address = config.advertise.host.empty() ? config.peer_addr : config.advertise;
    const std::string listed = is_any_interface(address) ? listed_host(config) : std::string();
    if (!listed.empty()) {
        address.host = listed;
    }
    if (address.port == 0) {
        address.port = listening.port;
    }
    return address;
}

env::Address advertised_to_clients(const env::Address& wanted,
                                   const env::Address& listening,
                                   const env::Address& peer) {
    env::Address address = wanted.host.empty() ? listening : wanted;
    if (is_any_interface(address)) {
        address.host = peer.host;
    }
    if (address.port == 0) {
        address.port = listening.port;
    }
    return address;
}

}  // namespace kvstore::server
