// A Redis front end over a store of the memory engine, in a simulated world, and clients of it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "env/network.h"
#include "frontend/resp/server.h"
#include "kv/kv.h"
#include "metrics/registry.h"
#include "sim/world.h"

namespace kvstore::resp {

// A client's end of a connection: keeps everything it is sent.
//
// Lifetime  The connection may end before it.
class TestClient {
public:
    explicit TestClient(sim::World& world) : world_(world) {}

    // Sends bytes as they are.
    void send(std::string_view bytes);
    // Sends, lets the world come to rest, and takes what was answered.
    std::string ask(std::string_view bytes);
    // An inline command: words between blanks.
    std::string call(std::string_view line) { return ask(std::string(line) + "\r\n"); }
    // As an array of bulk strings.
    std::string call_words(const std::vector<std::string>& words) { return ask(encode(words)); }
    // Takes what came so far.
    std::string take() { return std::exchange(end_->received, {}); }
    [[nodiscard]] bool is_closed() const { return end_->connection == nullptr; }
    void close();
    // A slow reader: takes nothing more from its connection.
    void stop_reading();
    void read_on();

    static std::string encode(const std::vector<std::string>& words);

private:
    friend class RespFixture;
    class Ear;

    // Shared with the connection, which may live longer than the client.
    struct End {
        env::Connection* connection = nullptr;
        std::string received;
    };

    sim::World& world_;
    std::shared_ptr<End> end_ = std::make_shared<End>();
};

class RespFixture : public testing::Test {
protected:
    explicit RespFixture(storage::Durability durability = storage::Durability::kMemory);
    ~RespFixture() override;

    std::unique_ptr<TestClient> connect();
    // One command on a connection of its own that stays for the test.
    std::string call(std::string_view line);

    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n1");
    metrics::Registry registry_;
    std::unique_ptr<replication::Host> host_;
    std::unique_ptr<kv::Kv> kv_;
    Options options_;
    std::unique_ptr<RespServer> server_;
    std::unique_ptr<env::Listener> listener_;
    std::unique_ptr<TestClient> client_;
    env::Connection* served_ = nullptr;  // the server's end of the newest connection

    void start();
    void stop();

private:
    storage::Durability durability_;
};

class DurableRespFixture : public RespFixture {
protected:
    DurableRespFixture() : RespFixture(storage::Durability::kAlways) {}
};

}  // namespace kvstore::resp
