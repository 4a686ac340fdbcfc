// A server that answers every line that begins a Redis PING with "+PONG", to measure what the loop
// and its sockets cost without a store behind them. Usage: bench port; then, for example,
//     redis-benchmark -p <port> -t ping_mbulk -c 50 -n 1000000
// On SIGINT or SIGTERM it prints the CPU time it has used for each answer.
#include <csignal>
#include <memory>
#include <string_view>

#include <sys/resource.h>

#include "base/log.h"
#include "base/parse.h"
#include "env/network.h"
#include "posix/runtime.h"

namespace kvstore::posix {
namespace {

constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
constexpr std::string_view kPong = "+PONG\r\n";

class PongHandler final : public env::ConnectionHandler {
public:
    explicit PongHandler(std::size_t& answers) : answers_(answers) {}

    void on_input(env::Connection& connection) override {
        const std::size_t count = connection.input().size() / kPing.size();
        for (std::size_t i = 0; i < count; ++i) {
            connection.output() += kPong;
        }
        connection.consume(count * kPing.size());
        connection.flush_later();
        answers_ += count;
    }
    void on_closed(env::Connection& /*connection*/, const Status& /*reason*/) override {}

private:
    std::size_t& answers_;
};

double cpu_micros() {
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto micros = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    };
    return micros(usage.ru_utime) + micros(usage.ru_stime);
}

int serve(std::uint16_t port) {
    std::size_t answers = 0;
    Runtime runtime(RuntimeOptions{});
    for (const int signal : {SIGINT, SIGTERM}) {
        const Status caught = runtime.on_signal(signal, [&runtime] { runtime.stop(); });
        if (!caught.ok()) {
            return 1;
        }
    }
    auto listener = runtime.env().network.listen(
        {.host = "127.0.0.1", .port = port},
        [&](env::Connection&) { return std::make_unique<PongHandler>(answers); });
    if (!listener.ok()) {
        log_error("cannot listen", {{"reason", listener.status().to_string()}});
        return 1;
    }
    const double before = cpu_micros();
    runtime.run();
    log_info("answered",
             {{"answers", answers},
              {"cpu_us_each", (cpu_micros() - before) / static_cast<double>(answers)}});
    return 0;
}

}  // namespace
}  // namespace kvstore::posix

int main(int argc, char** argv) {
    const std::uint64_t port = argc > 1 ? kvstore::parse_uint64(argv[1]).value_or(0) : 7777;
    return kvstore::posix::serve(static_cast<std::uint16_t>(port));
}
