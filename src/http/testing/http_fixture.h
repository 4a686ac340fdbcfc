// An HTTP server over a scripted service in a simulated world, and clients that speak bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "env/network.h"
#include "http/server.h"
#include "sim/world.h"

namespace kvstore::http::testing {

// A client's end of a connection: keeps everything it is sent.
//
// Lifetime  The connection may end before it.
class RawClient {
public:
    // From `host` to `server`. Requires: somebody listens there.
    static std::unique_ptr<RawClient> connect(sim::Host& host, const env::Address& server);
    explicit RawClient(sim::World& world) : world_(world) {}
    ~RawClient();
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    // Sends bytes as they are.
    void send(std::string_view bytes);
    // Sends, lets the world come to rest, and takes what was answered.
    std::string ask(std::string_view bytes);
    // Takes what came so far.
    std::string take() { return std::exchange(end_->received, {}); }
    // Not yet taken.
    [[nodiscard]] const std::string& received() const { return end_->received; }
    // What was sent and the network has not taken yet.
    [[nodiscard]] std::size_t unsent() const;
    [[nodiscard]] bool is_closed() const { return end_->connection == nullptr; }
    void close();
    // A slow reader: takes nothing more from its connection.
    void stop_reading();
    void read_on();

private:
    class Ear;

    // Shared with the connection, which may live longer than the client.
    struct End {
        env::Connection* connection = nullptr;
        std::string received;
    };

    sim::World& world_;
    std::shared_ptr<End> end_ = std::make_shared<End>();
};

// Answers "METHOD path body" as text, and remembers what it was asked.
//
//     /now...    at once
//     /big?n=    at once, with so many bytes
//     /soon...   from a coroutine that does not wait
//     others     after `delay`
class ScriptedService final : public Service {
public:
    explicit ScriptedService(env::Env& env) : env_(env) {}

    bool try_handle(const Request& request, Response& response) override;
    async::Task<Response> handle(Request request) override;
    Response refuse(unsigned status, std::string_view why) override;

    Duration delay = std::chrono::seconds(1);
    std::vector<Request> requests{};  // in the order in which they came
    int done_count = 0;               // of those that waited

private:
    Response answer(const Request& request);

    env::Env& env_;
};

class HttpFixture : public ::testing::Test {
protected:
    explicit HttpFixture(sim::WorldOptions options = {})
        : world_(1, options), service_(machine_.env()) {}
    ~HttpFixture() override;

    // With `options_`. Called by the first connect().
    void start();
    void stop();
    std::unique_ptr<RawClient> connect();
    // On a connection of its own, which stays open until the answer has come.
    std::string ask(std::string_view bytes);
    // "GET /now HTTP/1.1" and no headers.
    static std::string get(std::string_view target);
    static std::string post(std::string_view target, std::string_view body);

    sim::World world_;
    sim::Host& machine_ = world_.add_host("n1");
    ScriptedService service_;
    ServerOptions options_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<env::Listener> listener_;
};

// "HTTP/1.1 200 OK..." to 200; 0 when it is no answer.
unsigned status_of(std::string_view answer);
// How many status lines there are.
std::size_t count_answers(std::string_view answers);

}  // namespace kvstore::http::testing
