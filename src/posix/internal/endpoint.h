// Socket addresses, between env::Address and the kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/status.h"
#include "env/network.h"

namespace kvstore::posix {

// An IPv4 or IPv6 socket address.
struct Endpoint {
    sockaddr_storage storage = {};
    socklen_t size = sizeof(sockaddr_storage);

    [[nodiscard]] const sockaddr* address() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    [[nodiscard]] sockaddr* address() { return reinterpret_cast<sockaddr*>(&storage); }
    [[nodiscard]] int family() const { return storage.ss_family; }

    [[nodiscard]] static Endpoint of(const sockaddr* address, std::size_t size);
    // IPv4 addresses that came through an IPv6 socket are shown as IPv4.
    [[nodiscard]] env::Address to_address() const;
};

// What `host` stands for without asking anybody: a number, or nothing. Empty is loopback.
[[nodiscard]] std::vector<Endpoint> numeric_endpoints(const std::string& host, std::uint16_t port);

// The addresses to listen on for `host`: a number, a name (asks the system, which may take a
// while), or empty for all interfaces. IPv4 first. Errors: kInvalidArgument for an unknown name.
[[nodiscard]] Result<std::vector<Endpoint>> listen_endpoints(const std::string& host,
                                                             std::uint16_t port);

}  // namespace kvstore::posix
