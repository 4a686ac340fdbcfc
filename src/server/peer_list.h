// The lists of nodes that a user writes: --initial-cluster, --join, --peers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "env/network.h"

namespace kvstore::server {

struct NamedPeer {
    std::string name;
    env::Address address;  // where it listens for peers
};

// "n1=host:port,n2=host:port", each name and each address once. Spaces around parts are passed
// over. Errors: kInvalidArgument that shows the part and what it should look like.
Result<std::vector<NamedPeer>> parse_initial_cluster(std::string_view text);

// "host:port,host:port". Errors: kInvalidArgument.
Result<std::vector<env::Address>> parse_join(std::string_view text);

// "id@host:port,...", the older form; a part without "id@" is taken too. Errors: kInvalidArgument.
Result<std::vector<env::Address>> parse_peers(std::string_view text);

}  // namespace kvstore::server
