// Two transports on one core, over loopback sockets:
//
//     rpc_transport_bench [seconds]
//
// Prints calls and messages of 100 bytes a second, and the core's time for each, both ends and the
// kernel's part included, at several depths: calls under way at a time, messages in a turn.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "async/sync.h"
#include "base/parse.h"
#include "posix/runtime.h"
#include "rpc/transport.h"

namespace kvstore::rpc {
namespace {

using SteadyClock = std::chrono::steady_clock;  // NOLINT: a benchmark measures real time

constexpr Topic kTopic = 1;
constexpr std::size_t kSize = 100;

void print(const std::string& line) {
    static_cast<void>(std::fputs((line + "\n").c_str(), stdout));
}

class EchoService final : public Service {
public:
    void on_messages(NodeId /*from*/, Received messages) override {
        message_bytes += messages.bytes.size();
        ++runs;
    }
    void on_call(NodeId /*from*/, Received request, Responder responder) override {
        responder.answer(request.bytes);
    }
    async::Task<Result<Bytes>> on_stream(NodeId /*from*/,
                                         Bytes /*header*/,
                                         std::unique_ptr<IncomingStream> /*stream*/) override {
        co_return Bytes();
    }

    std::uint64_t message_bytes = 0;
    std::uint64_t runs = 0;
};

struct Node {
    Node(env::Env& env, std::uint64_t number) {
        Options options;
        options.self.node = NodeId(number);
        transport = Transport::make(env, options, {});
        transport->add_service(kTopic, &service);
    }
    EchoService service;
    std::unique_ptr<Transport> transport;
};

// Calls again as soon as it is answered.
class Caller final : public CallSink {
public:
    Caller(env::Env& env, Transport& transport, const bool& is_over)
        : env_(env), transport_(transport), is_over_(is_over) {}

    void start() {
        const auto deadline = async::Deadline::after(env_.clock.now(), std::chrono::seconds(10));
        if (!is_over_ && transport_.start_call(NodeId(2), kTopic, request_, deadline, this).ok()) {
            return;
        }
        is_idle = true;
    }
    void on_answer(Received /*answer*/) override {
        ++count;
        start();
    }
    void on_failed(const Status& why) override {
        print("failed: " + why.to_string());
        is_idle = true;
    }

    std::uint64_t count = 0;
    bool is_idle = false;

private:
    env::Env& env_;
    Transport& transport_;
    const bool& is_over_;
    Bytes request_ = Bytes(kSize, 'x');
};

class Measure {
public:
    [[nodiscard]] std::string line(const std::string& what, std::uint64_t count) const {
        const double seconds = std::chrono::duration<double>(SteadyClock::now() - began_).count();
        const double cpu = static_cast<double>(std::clock() - cpu_) / CLOCKS_PER_SEC;
        const auto each = static_cast<double>(count);
        return what + ": " + std::to_string(static_cast<std::uint64_t>(each / seconds)) +
               " a second, " + std::to_string(cpu * 1e9 / each) + " ns of CPU each";
    }

private:
    SteadyClock::time_point began_ = SteadyClock::now();
    std::clock_t cpu_ = std::clock();
};

async::Task<void> wait_connected(env::Env* env, Transport* transport) {
    while (!transport->is_connected(NodeId(2))) {
        static_cast<void>(transport->message_buffer(NodeId(2), kTopic));
        co_await env->clock.sleep(std::chrono::milliseconds(1));
    }
}

async::Task<void> call(env::Env* env, Node* node, std::size_t depth, Duration span) {
    bool is_over = false;
    std::vector<Caller> callers;
    callers.reserve(depth);
    const Measure measure;
    for (std::size_t i = 0; i < depth; ++i) {
        callers.emplace_back(*env, *node->transport, is_over).start();
    }
    co_await env->clock.sleep(span);
    std::uint64_t count = 0;
    for (const Caller& caller : callers) {
        count += caller.count;
    }
    print(measure.line("calls, " + std::to_string(depth) + " at a time", count));
    is_over = true;
    for (const Caller& caller : callers) {
        while (!caller.is_idle) {
            co_await async::yield(env->scheduler);
        }
    }
}

async::Task<void> tell(env::Env* env, Node* from, Node* to, std::size_t depth, Duration span) {
    const Bytes word(kSize, 'x');
    const std::uint64_t bytes = to->service.message_bytes;
    const std::uint64_t runs = to->service.runs;
    const Measure measure;
    const MonotonicTime end = env->clock.now() + span;
    while (env->clock.now() < end) {
        for (std::size_t i = 0; i < depth; ++i) {
            Bytes* buffer = from->transport->message_buffer(NodeId(2), kTopic);
            if (buffer == nullptr) {
                break;
            }
            buffer->append(word);
        }
        // The next turn.
        co_await env->clock.sleep(Duration(0));
    }
    const std::uint64_t count = (to->service.message_bytes - bytes) / kSize;
    print(measure.line("messages, " + std::to_string(depth) + " a turn", count) + ", " +
          std::to_string(count / std::max<std::uint64_t>(to->service.runs - runs, 1)) + " a frame");
    co_await env->clock.sleep(std::chrono::milliseconds(200));
}

int run(Duration span) {
    posix::Runtime runtime(posix::RuntimeOptions{});
    env::Env& env = runtime.env();
    Node one(env, 1);
    Node two(env, 2);
    const auto listening = two.transport->listen({.host = "127.0.0.1", .port = 0});
    if (!listening.ok()) {
        print(listening.status().to_string());
        return 1;
    }
    one.transport->set_peer(NodeId(2), *listening);
    runtime.block_on(wait_connected(&env, one.transport.get()));
    for (const std::size_t depth : {1U, 16U, 256U}) {
        runtime.block_on(call(&env, &one, depth, span));
    }
    for (const std::size_t depth : {1U, 16U, 256U}) {
        runtime.block_on(tell(&env, &one, &two, depth, span));
    }
    runtime.block_on(one.transport->stop());
    runtime.block_on(two.transport->stop());
    return 0;
}

}  // namespace
}  // namespace kvstore::rpc

int main(int argument_count, char** arguments) {
    const std::uint64_t seconds =
        argument_count > 1 ? kvstore::parse_uint64(arguments[1]).value_or(1) : 1;
    return kvstore::rpc::run(std::chrono::seconds(seconds));
}
