#include "posix/internal/listener.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "posix/internal/errors.h"
#include "posix/internal/posix_network.h"
#include "posix/internal/socket_options.h"

namespace kvstore::posix {
namespace {

constexpr int kBacklog = 4096;
// A storm of newcomers does not keep those who are connected waiting.
constexpr int kAcceptsPerTurnMax = 64;
constexpr std::chrono::milliseconds kBackOff{50};

Status listen_error(int error, const env::Address& address) {
    Code code = Code::kIoError;
    switch (error) {
        case EADDRINUSE: code = Code::kAlreadyExists; break;
        case EACCES:
        case EPERM: code = Code::kPermissionDenied; break;
        case EADDRNOTAVAIL:
        case EINVAL: code = Code::kInvalidArgument; break;
        default: break;
    }
    return {code, "cannot listen on " + address.to_string() + ": " + error_text(error)};
}

// Returns: the listening socket, or the negative errno.
int open_socket(const Endpoint& endpoint) {
    const int descriptor =
        ::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -errno;
    }
    const int on = 1;
    const int off = 0;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (endpoint.family() == AF_INET6) {
        ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    set_stream_options(descriptor);
    if (::bind(descriptor, endpoint.address(), endpoint.size) != 0 ||
        ::listen(descriptor, kBacklog) != 0) {
        const int error = errno;
        ::close(descriptor);
        return -error;
    }
    return descriptor;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(World world, const env::Address& address) {
    KVSTORE_TRY(const std::vector<Endpoint> endpoints,
                listen_endpoints(address.host, address.port));
    int error = EADDRNOTAVAIL;
    for (const Endpoint& endpoint : endpoints) {
        const int descriptor = open_socket(endpoint);
        if (descriptor >= 0) {
            Endpoint bound;
            ::getsockname(descriptor, bound.address(), &bound.size);
            env::Address local{.host = address.host, .port = bound.to_address().port};
            return std::make_unique<Listener>(world, descriptor, std::move(local));
        }
        error = -descriptor;
        // The next address would hide that somebody else is there.
        if (error != EAFNOSUPPORT && error != EADDRNOTAVAIL) {
            break;
        }
    }
    return listen_error(error, address);
}

Listener::Listener(World world, int descriptor, env::Address local)
    : world_(world), descriptor_(descriptor), local_(std::move(local)) {}

Listener::~Listener() {
    world_.clock.cancel_timer(retry_timer_);
    if (is_watched_) {
        world_.reactor.remove(descriptor_, *this);
    }
    ::close(descriptor_);
    if (is_destroyed_ != nullptr) {
        *is_destroyed_ = true;
    }
}

Status Listener::start(env::AcceptHandler accept) {
    accept_ = std::make_shared<env::AcceptHandler>(std::move(accept));
    // Level-triggered: whoever was not accepted in this turn is reported again in the next one.
    KVSTORE_CHECK_OK(world_.reactor.add(descriptor_, EPOLLIN, *this));
    is_watched_ = true;
    return {};
}

void Listener::on_ready(std::uint32_t /*events*/) {
    bool is_destroyed = false;
    is_destroyed_ = &is_destroyed;
    for (int i = 0; i < kAcceptsPerTurnMax; ++i) {
        const bool may_go_on = accept_one();
        if (is_destroyed) {
            return;
        }
        if (!may_go_on) {
            break;
        }
    }
    is_destroyed_ = nullptr;
}

bool Listener::accept_one() {
    Endpoint peer;
    const int descriptor =
        ::accept4(descriptor_, peer.address(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        const bool is_short_of_something =
            errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        if (is_short_of_something) {
            back_off(errno);
        }
        // Anything else but EAGAIN happened to the one who came, not to us.
        return errno != EAGAIN && !is_short_of_something;
    }
    has_warned_ = false;
    Result<PosixConnection*> adopted = world_.network.adopt(descriptor, peer.to_address());
    if (!adopted.ok()) {
        log_warning("connection refused", {{"reason", adopted.status().message()}});
        return true;
    }
    PosixConnection& connection = **adopted;
    const std::shared_ptr<env::AcceptHandler> accept = accept_;
    std::unique_ptr<env::ConnectionHandler> handler = (*accept)(connection);
    if (handler == nullptr) {
        connection.close(env::Connection::CloseMode::kNow);
    } else {
        connection.set_handler(std::move(handler));
    }
    return true;
}

void Listener::back_off(int error) {
    if (!has_warned_) {
        has_warned_ = true;
        log_warning("cannot accept connections for now",
                    {{"address", local_.to_string()}, {"reason", error_text(error)}});
    }
    world_.reactor.change(descriptor_, 0, *this);
    retry_timer_ = world_.clock.start_timer(world_.clock.now() + kBackOff, [this] {
        world_.reactor.change(descriptor_, EPOLLIN, *this);
    });
}

}  // namespace kvstore::posix
