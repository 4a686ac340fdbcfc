#include "posix/internal/asio_services.h"

#include <map>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

#include "base/assert.h"

namespace kvstore::posix {
namespace {

using boost::asio::ip::tcp;

Result<std::vector<Endpoint>> to_endpoints(const boost::system::error_code& error,
                                           const tcp::resolver::results_type& found) {
    if (error) {
        return Status(Code::kUnavailable, error.message());
    }
    std::vector<Endpoint> endpoints;
    for (const auto& entry : found) {
        const tcp::endpoint endpoint = entry.endpoint();
        endpoints.push_back(Endpoint::of(endpoint.data(), endpoint.size()));
    }
    return endpoints;
}

}  // namespace

// Lifetime  Made on the core; `context` runs on `thread`, and so do the handlers, which reach the
//           core by post_from_any_thread() alone.
struct AsioServices::State {
    explicit State(async::Scheduler& core)
        : scheduler(core), work(context.get_executor()), resolver(context), signals(context) {
        wait_for_signal();
        thread = std::thread([this] { context.run(); });
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        context.stop();
        thread.join();
    }

    void wait_for_signal() {
        signals.async_wait([this](const boost::system::error_code& error, int signal) {
            if (!error) {
                scheduler.post_from_any_thread([this, signal] { act(signal); });
                wait_for_signal();
            }
        });
    }

    // On the core.
    void act(int signal) {
        const auto found = actions.find(signal);
        if (found != actions.end()) {
            const std::shared_ptr<Callback<void()>> action = found->second;
            (*action)();
        }
    }

    async::Scheduler& scheduler;
    boost::asio::io_context context;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
    tcp::resolver resolver;
    boost::asio::signal_set signals;
    std::map<int, std::shared_ptr<Callback<void()>>> actions;  // the core's
    std::thread thread;
};

AsioServices::AsioServices(async::Scheduler& scheduler) : scheduler_(scheduler) {}

AsioServices::~AsioServices() = default;

AsioServices::State& AsioServices::state() {
    if (state_ == nullptr) {
        state_ = std::make_unique<State>(scheduler_);
    }
    return *state_;
}

void AsioServices::resolve(const std::string& host, std::uint16_t port, ResolveAnswer answer) {
    State& services = state();
    auto shared = std::make_shared<ResolveAnswer>(std::move(answer));
    auto look_up = [&services, host, service = std::to_string(port), shared]() mutable {
        services.resolver.async_resolve(
            host,
            service,
            tcp::resolver::numeric_service,
            [&services, shared](const boost::system::error_code& error,
                                const tcp::resolver::results_type& found) mutable {
                services.scheduler.post_from_any_thread(
                    [shared = std::move(shared), endpoints = to_endpoints(error, found)]() mutable {
                        (*shared)(std::move(endpoints));
                    });
            });
    };
    boost::asio::post(services.context, std::move(look_up));
}

Status AsioServices::on_signal(int signal, Callback<void()> action) {
    State& services = state();
    // signal_set is not for two threads at once, but adding takes Asio's own lock on what it shares
    // with the thread that waits.
    boost::system::error_code error;
    services.signals.add(signal, error);
    if (error) {
        return {Code::kInvalidArgument,
                "signal " + std::to_string(signal) + ": " + error.message()};
    }
    services.actions[signal] = std::make_shared<Callback<void()>>(std::move(action));
    return {};
}

}  // namespace kvstore::posix
