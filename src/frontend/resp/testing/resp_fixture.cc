#include "frontend/resp/testing/resp_fixture.h"

#include <utility>

namespace kvstore::resp {
namespace {

constexpr std::uint16_t kPort = 6379;
// Long enough for a request, its disk writes and its answer.
constexpr Duration kRest = std::chrono::milliseconds(100);

}  // namespace

class TestClient::Ear final : public env::ConnectionHandler {
public:
    explicit Ear(std::shared_ptr<End> end) : end_(std::move(end)) {}

    void on_input(env::Connection& connection) override {
        end_->received += connection.input();
        connection.consume(connection.input().size());
    }
    void on_closed(env::Connection& /*connection*/, const Status& /*reason*/) override {
        end_->connection = nullptr;
    }

private:
    std::shared_ptr<End> end_;
};

void TestClient::send(std::string_view bytes) {
    if (end_->connection == nullptr) {
        return;
    }
    end_->connection->output().append(bytes);
    end_->connection->flush_later();
}

std::string TestClient::ask(std::string_view bytes) {
    send(bytes);
    world_.run_for(kRest);
    return take();
}

void TestClient::close() {
    if (end_->connection != nullptr) {
        end_->connection->close(env::Connection::CloseMode::kAfterFlush);
    }
    world_.run_for(kRest);
}

void TestClient::stop_reading() {
    end_->connection->pause_input();
}

void TestClient::read_on() {
    end_->connection->resume_input();
}

std::string TestClient::encode(const std::vector<std::string>& words) {
    std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) {
        bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
    return bytes;
}

RespFixture::RespFixture(storage::Durability durability) : durability_(durability) {
    start();
}

RespFixture::~RespFixture() {
    stop();
}

void RespFixture::start() {
    replication::HostOptions host_options;
    host_options.wal.durability = durability_;
    host_options.wal.segment_bytes = 1U << 20U;
    auto host = world_.block_on(machine_,
                                replication::Host::open(&machine_.env(), std::move(host_options)));
    KVSTORE_ASSERT(host.ok());
    host_ = std::move(*host);
    kv::Kv::Options kv_options;
    kv_options.defaults.engine = replication::EngineKind::kMemory;
    auto kv = world_.block_on(machine_, kv::Kv::open(&machine_.env(), host_.get(), kv_options));
    KVSTORE_ASSERT(kv.ok());
    kv_ = std::move(*kv);
    server_ = std::make_unique<RespServer>(*kv_, std::move(options_), registry_);
    auto listener = machine_.env().network.listen(
        env::Address{.host = machine_.name(), .port = kPort}, [this](env::Connection& connection) {
            served_ = &connection;
            return server_->accept(connection);
        });
    KVSTORE_ASSERT(listener.ok());
    listener_ = std::move(*listener);
    client_ = connect();
}

void RespFixture::stop() {
    listener_.reset();
    world_.block_on(machine_, server_->stop());
    server_.reset();
    world_.block_on(machine_, kv_->stop());
    kv_.reset();
    const Status stopped = world_.block_on(machine_, host_->stop());
    EXPECT_TRUE(stopped.ok()) << stopped.to_string();
    host_.reset();
}

std::unique_ptr<TestClient> RespFixture::connect() {
    auto client = std::make_unique<TestClient>(world_);
    auto connected = world_.block_on(
        machine_,
        machine_.env().network.connect(env::Address{.host = machine_.name(), .port = kPort},
                                       std::make_unique<TestClient::Ear>(client->end_),
                                       async::Deadline::never()));
    KVSTORE_ASSERT(connected.ok());
    client->end_->connection = *connected;
    return client;
}

std::string RespFixture::call(std::string_view line) {
    return client_->call(line);
}

}  // namespace kvstore::resp
