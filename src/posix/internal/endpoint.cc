#include "posix/internal/endpoint.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <memory>

#include <arpa/inet.h>
#include <netdb.h>

#include "base/assert.h"

namespace kvstore::posix {
namespace {

struct FreeAddressInfo {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

// `error` takes what getaddrinfo() says, 0 for success.
std::vector<Endpoint> look_up(const char* host, std::uint16_t port, int flags, int* error) {
    addrinfo hints = {};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* raw = nullptr;
    *error = ::getaddrinfo(host, std::to_string(port).c_str(), &hints, &raw);
    const std::unique_ptr<addrinfo, FreeAddressInfo> list(*error == 0 ? raw : nullptr);
    std::vector<Endpoint> found;
    for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
        found.push_back(Endpoint::of(entry->ai_addr, entry->ai_addrlen));
    }
    return found;
}

}  // namespace

Endpoint Endpoint::of(const sockaddr* address, std::size_t size) {
    Endpoint endpoint;
    KVSTORE_ASSERT(size <= sizeof(endpoint.storage));
    std::memcpy(&endpoint.storage, address, size);
    endpoint.size = static_cast<socklen_t>(size);
    return endpoint;
}

env::Address Endpoint::to_address() const {
    std::array<char, INET6_ADDRSTRLEN> text = {};
    if (family() == AF_INET) {
        sockaddr_in v4 = {};
        std::memcpy(&v4, &storage, sizeof(v4));
        ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
        return {.host = text.data(), .port = ntohs(v4.sin_port)};
    }
    if (family() != AF_INET6) {
        return {};
    }
    sockaddr_in6 v6 = {};
    std::memcpy(&v6, &storage, sizeof(v6));
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
    } else {
        ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    }
    return {.host = text.data(), .port = ntohs(v6.sin6_port)};
}

std::vector<Endpoint> numeric_endpoints(const std::string& host, std::uint16_t port) {
    int error = 0;
    return look_up(host.empty() ? "127.0.0.1" : host.c_str(), port, AI_NUMERICHOST, &error);
}

Result<std::vector<Endpoint>> listen_endpoints(const std::string& host, std::uint16_t port) {
    int error = 0;
    if (host.empty()) {
        // One IPv6 socket takes IPv4 too; without IPv6 the second one serves.
        std::vector<Endpoint> all = look_up("::", port, AI_NUMERICHOST | AI_PASSIVE, &error);
        const std::vector<Endpoint> v4 =
            look_up("0.0.0.0", port, AI_NUMERICHOST | AI_PASSIVE, &error);
        all.insert(all.end(), v4.begin(), v4.end());
        return all;
    }
    const std::vector<Endpoint> found = look_up(host.c_str(), port, AI_PASSIVE, &error);
    if (error != 0) {
        return Status(Code::kInvalidArgument,
                      "unknown host '" + host + "': " + ::gai_strerror(error));
    }
    // IPv4 first, otherwise in the order of the system.
    std::vector<Endpoint> ordered;
    for (const bool is_v4_wanted : {true, false}) {
        std::ranges::copy_if(found, std::back_inserter(ordered), [&](const Endpoint& endpoint) {
            return (endpoint.family() == AF_INET) == is_v4_wanted;
        });
    }
    return ordered;
}

}  // namespace kvstore::posix
