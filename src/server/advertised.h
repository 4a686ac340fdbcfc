// Where others find this node, as far as that differs from where it listens.
#pragma once

#include "env/network.h"
#include "server/config.h"

namespace kvstore::server {

// Whether `address` names no interface but all of them, so that nobody else can call it.
[[nodiscard]] bool is_any_interface(const env::Address& address);

// Where peers find this node: `advertise`; without it the address listened on; where that names no
// interface, the one under which initial_cluster lists this node, if it does. Port 0, before or
// without a listener, becomes that of `listening`.
[[nodiscard]] env::Address advertised_peer(const Config& config, const env::Address& listening);

// Where clients find one protocol: `wanted` (of the settings advertise_*); without it the address
// listened on, on the host where `peer` finds this node where that names no interface.
[[nodiscard]] env::Address advertised_to_clients(const env::Address& wanted,
                                                 const env::Address& listening,
                                                 const env::Address& peer);

}  // namespace kvstore::server
