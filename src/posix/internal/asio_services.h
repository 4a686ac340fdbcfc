// What is rare and has no place on a core: name lookups and signals, by Boost.Asio on one thread of
// its own. The only file that sees Asio is asio_services.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "async/scheduler.h"
#include "base/callback.h"
#include "base/status.h"
#include "posix/internal/endpoint.h"

namespace kvstore::posix {

// Lifetime  Owned by the core. Its thread starts with the first call; destroying it joins the
// thread
//           and forgets what is under way.
// Runs on   One core; answers come through its scheduler.
class AsioServices {
public:
    explicit AsioServices(async::Scheduler& scheduler);
    AsioServices(const AsioServices&) = delete;
    AsioServices& operator=(const AsioServices&) = delete;
    ~AsioServices();

    using ResolveAnswer = Callback<void(Result<std::vector<Endpoint>>)>;

    // Looks a host name up.
    // Errors: kUnavailable.
    void resolve(const std::string& host, std::uint16_t port, ResolveAnswer answer);

    // Errors: kInvalidArgument for a signal that cannot be caught.
    Status on_signal(int signal, Callback<void()> action);

private:
    struct State;
    State& state();

    async::Scheduler& scheduler_;
    std::unique_ptr<State> state_;
};

}  // namespace kvstore::posix
