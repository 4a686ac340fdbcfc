// Whatever a client sends, as bytes or as the body or query of a known route: each answer is one of
// HTTP, and the server goes on serving others.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "frontend/rest/service.h"
#include "http/server.h"
#include "kv/kv.h"
#include "metrics/registry.h"
#include "sim/world.h"

namespace {

using kvstore::ByteView;
using kvstore::Duration;
using kvstore::Status;

constexpr std::uint16_t kPort = 80;
constexpr std::string_view kAnswerBegins = "HTTP/1.1 ";
constexpr std::string_view kIsAlive = "GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n";
// A store that has seen this many inputs gives way to a fresh one.
constexpr int kInputsMax = 2000;
constexpr int kAliveEvery = 64;
constexpr std::size_t kPiecesMax = 6;

// What the input is put behind; the first is nothing: the input is all that is sent.
constexpr std::array<std::string_view, 8> kBodies = {
    "",
    "PUT /v1/keys/k",
    "DELETE /v1/keys/k",
    "POST /v1/batch/put",
    "POST /v1/batch/get",
    "POST /v1/batch/delete",
    "POST /v1/keyspaces",
    "POST /Set",
};
constexpr std::array<std::string_view, 6> kTargets = {"GET /v1/keys?",
                                                      "GET /v1/keys/",
                                                      "PUT /v1/keys/",
                                                      "GET /kvstore?",
                                                      "POST /v1/cluster/members/",
                                                      "DELETE /v1/cluster/members/"};

struct Received {
    kvstore::env::Connection* connection = nullptr;
    std::string bytes;
};

class Ear final : public kvstore::env::ConnectionHandler {
public:
    explicit Ear(std::shared_ptr<Received> received) : received_(std::move(received)) {}
    void on_input(kvstore::env::Connection& connection) override {
        received_->bytes += connection.input();
        connection.consume(connection.input().size());
    }
    void on_closed(kvstore::env::Connection& /*connection*/, const Status& /*why*/) override {
        received_->connection = nullptr;
    }

private:
    std::shared_ptr<Received> received_;
};

class Store {
public:
    Store() {
        kvstore::replication::HostOptions host_options;
        host_options.wal.durability = kvstore::storage::Durability::kMemory;
        host_options.wal.segment_bytes = 1U << 20U;
        auto host = world_.block_on(
            machine_, kvstore::replication::Host::open(&machine_.env(), std::move(host_options)));
        KVSTORE_ASSERT(host.ok());
        host_ = *std::move(host);
        kvstore::kv::Kv::Options kv_options;
        kv_options.defaults.engine = kvstore::replication::EngineKind::kMemory;
        kv_options.limits.keyspace_count_max = 8;
        auto kv = world_.block_on(machine_,
                                  kvstore::kv::Kv::open(&machine_.env(), host_.get(), kv_options));
        KVSTORE_ASSERT(kv.ok());
        kv_ = *std::move(kv);
        kvstore::cluster::NodeRecord self;
        self.id = kvstore::NodeId(1);
        self.name = "n1";
        administration_ = std::make_unique<kvstore::kv::AloneAdministration>(*kv_, std::move(self));
        service_ = std::make_unique<kvstore::rest::RestService>(
            *kv_,
            registry_,
            kvstore::rest::NodeFacts{},
            [] { return std::vector<kvstore::rest::ReadyCheck>(); },
            *administration_);
        server_ = std::make_unique<kvstore::http::Server>(
            machine_.env(), *service_, kvstore::http::ServerOptions{});
        auto listener = machine_.env().network.listen(
            {.host = machine_.name(), .port = kPort},
            [this](kvstore::env::Connection& connection) { return server_->accept(connection); });
        KVSTORE_ASSERT(listener.ok());
        listener_ = *std::move(listener);
    }
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    ~Store() {
        listener_.reset();
        world_.block_on(machine_, server_->stop());
        server_.reset();
        service_.reset();
        administration_.reset();
        world_.block_on(machine_, kv_->stop());
        kv_.reset();
        (void)world_.block_on(machine_, host_->stop());
    }

    // Sends `bytes` in pieces, and takes what is answered until the server closes, at most `wait`.
    std::string ask(std::string_view bytes, std::size_t piece, Duration wait) {
        auto received = std::make_shared<Received>();
        auto connected =
            world_.block_on(machine_,
                            machine_.env().network.connect({.host = machine_.name(), .port = kPort},
                                                           std::make_unique<Ear>(received),
                                                           kvstore::async::Deadline::never()));
        KVSTORE_ASSERT(connected.ok());
        received->connection = *connected;
        piece = std::max(piece, bytes.size() / kPiecesMax);
        while (!bytes.empty() && received->connection != nullptr) {
            received->connection->output().append(bytes.substr(0, piece));
            received->connection->flush_later();
            bytes.remove_prefix(std::min(piece, bytes.size()));
            world_.run_for(std::chrono::microseconds(200));
        }
        world_.run_until([&received] { return received->connection == nullptr; }, wait);
        if (received->connection != nullptr) {
            received->connection->close(kvstore::env::Connection::CloseMode::kNow);
        }
        world_.run_for(std::chrono::milliseconds(1));
        return std::move(received->bytes);
    }

private:
    kvstore::sim::World world_{1};
    kvstore::sim::Host& machine_ = world_.add_host("n1");
    kvstore::metrics::Registry registry_;
    std::unique_ptr<kvstore::replication::Host> host_;
    std::unique_ptr<kvstore::kv::Kv> kv_;
    std::unique_ptr<kvstore::kv::Administration> administration_;
    std::unique_ptr<kvstore::rest::RestService> service_;
    std::unique_ptr<kvstore::http::Server> server_;
    std::unique_ptr<kvstore::env::Listener> listener_;
};

std::string make_request(std::uint8_t form, ByteView input) {
    const std::size_t which = form % (kBodies.size() + kTargets.size());
    if (which == 0) {
        return std::string(input);
    }
    if (which < kBodies.size()) {
        return std::string(kBodies[which]) +
               " HTTP/1.1\r\nContent-Length: " + std::to_string(input.size()) + "\r\n\r\n" +
               std::string(input);
    }
    return std::string(kTargets[which - kBodies.size()]) + std::string(input) +
           " HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static std::unique_ptr<Store> store;
    static int inputs = 0;
    if (size < 2) {
        return 0;
    }
    if (store == nullptr || inputs >= kInputsMax) {
        kvstore::set_log_level(kvstore::LogLevel::kError);
        store.reset();
        store = std::make_unique<Store>();
        inputs = 0;
    }
    ++inputs;
    const ByteView input(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::string answer =
        store->ask(make_request(data[0], input), 1 + (data[1] * 16U), std::chrono::milliseconds(2));
    // The network may have brought a part of it only.
    KVSTORE_ASSERT(
        kAnswerBegins.starts_with(std::string_view(answer).substr(0, kAnswerBegins.size())));
    KVSTORE_ASSERT(!answer.starts_with("HTTP/1.1 500"));
    if (inputs % kAliveEvery == 0) {
        KVSTORE_ASSERT(store->ask(kIsAlive, kIsAlive.size(), std::chrono::seconds(5))
                           .starts_with("HTTP/1.1 200"));
    }
    return 0;
}
