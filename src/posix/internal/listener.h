// A listening socket.
#pragma once

#include <memory>

#include "env/network.h"
#include "posix/internal/endpoint.h"
#include "posix/internal/posix_clock.h"
#include "posix/internal/reactor.h"

namespace kvstore::posix {

class PosixNetwork;

// Lifetime  Owned by who listens.
// Never     Ends by itself: when descriptors run out it waits for a moment and tries again, so that
//           those who are connected are not disturbed and those who come wait in the kernel.
class Listener final : public env::Listener, public Watcher {
public:
    struct World {
        PosixNetwork& network;
        Reactor& reactor;
        PosixClock& clock;
    };

    // Errors: as env::Network::listen().
    static Result<std::unique_ptr<Listener>> open(World world, const env::Address& address);

    Listener(World world, int descriptor, env::Address local);
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() override;

    Status start(env::AcceptHandler accept);

    [[nodiscard]] const env::Address& local() const override { return local_; }
    void on_ready(std::uint32_t events) override;

private:
    // False when there is nobody left to accept, or no way to.
    bool accept_one();
    void back_off(int error);

    World world_;
    int descriptor_;
    bool is_watched_ = false;
    bool has_warned_ = false;
    env::Address local_;
    std::shared_ptr<env::AcceptHandler> accept_;  // shared with a call under way
    env::TimerId retry_timer_;
    bool* is_destroyed_ = nullptr;  // set while on_ready() runs, for a listener that ends in it
};

}  // namespace kvstore::posix
