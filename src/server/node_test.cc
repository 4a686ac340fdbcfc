// A whole node in a simulated world.
#include "server/node.h"

#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/testing/http_fixture.h"
#include "sim/world.h"

namespace kvstore::server {
namespace {

using http::testing::RawClient;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class NodeOnSim : public ::testing::Test {
protected:
    NodeOnSim() {
        config_.http_addr.port = 0;
        config_.grpc_addr.port = 0;
        config_.resp_addr.port = 0;
        config_.default_engine = replication::EngineKind::kMemory;
        config_.wal_segment_bytes = 1U << 20U;
    }
    ~NodeOnSim() override {
        if (node_ != nullptr) {
            EXPECT_TRUE(stop().ok());
        }
    }

    Status start() {
        auto started = world_.block_on(
            machine_, Node::start(&machine_.env(), config_, [this] { shutdowns_asked_ += 1; }));
        if (started.ok()) {
            node_ = *std::move(started);
        }
        return started.status();
    }
    void must_start() {
        const Status started = start();
        ASSERT_TRUE(started.ok()) << started.to_string();
    }
    Status stop() {
        Status stopped = world_.block_on(machine_, node_->stop());
        node_.reset();
        return stopped;
    }
    std::unique_ptr<RawClient> connect(const env::Address& address) {
        return RawClient::connect(machine_, address);
    }
    std::string http(std::string_view request) {
        return connect(node_->addresses().http)->ask(request);
    }
    std::string get(std::string_view path) {
        return http("GET " + std::string(path) + " HTTP/1.1\r\n\r\n");
    }
    std::string redis(std::string_view command) {
        return connect(node_->addresses().resp)->ask(std::string(command) + "\r\n");
    }

    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n1");
    Config config_;
    std::unique_ptr<Node> node_;
    int shutdowns_asked_ = 0;
};

TEST_F(NodeOnSim, AnswersOnEveryAddressAndTellsThem) {
    must_start();
    const NodeAddresses addresses = node_->addresses();

    EXPECT_EQ(redis("SET a 1"), "+OK\r\n");
    EXPECT_THAT(get("/v1/keys/a"), HasSubstr("\"value\":\"1\""));
    EXPECT_THAT(connect(addresses.grpc)->ask("GET /livez HTTP/1.1\r\n\r\n"),
                StartsWith("HTTP/1.1 200 "));

    // Port 0 was asked for.
    const std::string status = get("/v1/status");
    for (const env::Address& address : {addresses.http, addresses.grpc, addresses.resp}) {
        EXPECT_NE(address.port, 0);
        EXPECT_THAT(status, HasSubstr("\"" + address.to_string() + "\""));
    }
    EXPECT_THAT(status, HasSubstr("\"cluster_id\":\"" + node_->data_directory().cluster_id + "\""));
    EXPECT_THAT(redis("INFO server"),
                HasSubstr("tcp_port:" + std::to_string(addresses.resp.port) + "\r\n"));
}

TEST_F(NodeOnSim, TellsTheAddressesThatOthersAreToUse) {
    config_.advertise = *env::Address::parse("db1.example.org:7070");
    config_.advertise_http = *env::Address::parse("kv.example.org:80");
    config_.resp_addr.host = "0.0.0.0";
    config_.insecure = true;
    must_start();

    const std::string status = get("/v1/status");

    EXPECT_THAT(status, HasSubstr("\"http\":\"kv.example.org:80\""));
    EXPECT_THAT(status,
                HasSubstr("\"resp\":\"db1.example.org:" +
                          std::to_string(node_->addresses().resp.port) + "\""));
    EXPECT_THAT(status, HasSubstr("\"grpc\":\"" + node_->addresses().grpc.to_string() + "\""));
}

TEST_F(NodeOnSim, IsReadyOnceItIsStarted) {
    must_start();
    EXPECT_THAT(get("/readyz?verbose"),
                HasSubstr("[+]serving ok\n[+]shards ok\n[+]log ok\n[+]replicas ok\n"
                          "[+]membership ok\nready\n"));
}

TEST_F(NodeOnSim, ShowsTheMetricsThatArePromised) {
    must_start();
    redis("SET a 1");
    const std::string metrics = get("/metrics");
    for (const char* name : {"kvstore_build_info{",
                             "kvstore_request_duration_seconds{",
                             "kvstore_requests_total{",
                             "kvstore_raft_leader_elections_total ",
                             "kvstore_storage_compaction_duration_seconds ",
                             "kvstore_storage_operations_total ",
                             "kvstore_wal_syncs_total ",
                             "kvstore_http_connections_open 1\n",
                             "kvstore_http_refused_total 0\n",
                             "kvstore_storage_keys 1\n"}) {
        EXPECT_THAT(metrics, HasSubstr("\n" + std::string(name))) << name;
    }
}

TEST_F(NodeOnSim, KeepsWhatWasWrittenWhenItIsStartedAgain) {
    must_start();
    const std::string cluster = node_->data_directory().cluster_id;
    EXPECT_EQ(redis("SET a 1"), "+OK\r\n");

    EXPECT_TRUE(stop().ok());
    must_start();

    EXPECT_EQ(redis("GET a"), "$1\r\n1\r\n");
    EXPECT_EQ(node_->data_directory().cluster_id, cluster);
}

TEST_F(NodeOnSim, KeepsWhatWasAcknowledgedWhenThePowerFails) {
    must_start();
    EXPECT_EQ(redis("SET a 1"), "+OK\r\n");

    world_.crash(machine_);
    sim::bury(std::move(node_));
    world_.restart(machine_);
    must_start();

    EXPECT_EQ(redis("GET a"), "$1\r\n1\r\n");
}

TEST_F(NodeOnSim, AnswersWhatItHasTakenWhenItStops) {
    must_start();
    machine_.disk_faults().slowness = 1000;
    const auto client = connect(node_->addresses().http);
    client->send("PUT /v1/keys/a HTTP/1.1\r\nContent-Length: 13\r\n\r\n{\"value\":\"1\"}");
    world_.run_for(std::chrono::microseconds(500));
    EXPECT_EQ(client->received(), "");

    EXPECT_TRUE(stop().ok());
    world_.run_for(std::chrono::milliseconds(10));

    EXPECT_THAT(client->received(), StartsWith("HTTP/1.1 201 "));
    machine_.disk_faults().slowness = 1;
    must_start();
    EXPECT_EQ(redis("GET a"), "$1\r\n1\r\n");
}

TEST_F(NodeOnSim, PassesARequestToEndOn) {
    must_start();
    connect(node_->addresses().resp)->ask("SHUTDOWN\r\n");
    EXPECT_EQ(shutdowns_asked_, 1);
}

TEST_F(NodeOnSim, RefusesASecondNodeOnItsDirectory) {
    must_start();
    auto second = world_.block_on(machine_, Node::start(&machine_.env(), config_, [] {}));
    EXPECT_EQ(second.status().code(), Code::kConflict);
    EXPECT_EQ(redis("PING"), "+PONG\r\n");
}

TEST_F(NodeOnSim, RefusesAConfigurationThatContradictsItself) {
    config_.http_addr.host = "";
    const Status status = start();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    // Nothing was made.
    const auto listed = world_.block_on(machine_, machine_.env().disk.list(""));
    EXPECT_TRUE(!listed.ok() || listed->empty());
}

// It did not start, since the records of keyspaces were too large.
TEST_F(NodeOnSim, StartsWithTheLowestLimitsAndMakesKeyspaces) {
    for (const char* name : {"limits.key_bytes_max", "limits.value_bytes_max"}) {
        const Setting& setting = *find_setting(name);
        int low = 1;
        while (!setting.set(config_, std::to_string(low)).ok()) {
            ++low;
        }
    }
    must_start();
    const std::string body = R"({"name":")" + std::string(128, 'n') + R"(","engine":"memory"})";
    EXPECT_THAT(http("POST /v1/keyspaces HTTP/1.1\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body),
                StartsWith("HTTP/1.1 201 "));
}

TEST_F(NodeOnSim, LeavesNothingBehindWhenAPortIsTaken) {
    const auto taken = machine_.env().network.listen(
        {.host = "127.0.0.1", .port = 4000},
        [](env::Connection& /*connection*/) { return std::unique_ptr<env::ConnectionHandler>(); });
    ASSERT_TRUE(taken.ok());
    for (env::Address Config::* address :
         {&Config::resp_addr, &Config::http_addr, &Config::grpc_addr}) {
        (config_.*address).port = 4000;
        const Status status = start();
        EXPECT_EQ(status.code(), Code::kAlreadyExists) << status.to_string();
        EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1:4000"));
        (config_.*address).port = 0;
    }
    // The directory is unlocked and whole.
    must_start();
    EXPECT_EQ(redis("PING"), "+PONG\r\n");
}

TEST_F(NodeOnSim, HoldsConnectionsOfEachProtocolToTheLimit) {
    config_.connections_max = 1;
    must_start();
    const auto web = connect(node_->addresses().http);
    const auto console = connect(node_->addresses().resp);
    const std::string refused = get("/livez");
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
    EXPECT_THAT(refused, HasSubstr("application/problem+json"));
    EXPECT_THAT(refused, HasSubstr("\"effect\":\"none\""));
    EXPECT_THAT(refused, HasSubstr("Retry-After: "));
    EXPECT_EQ(redis("PING"), "-ERR max number of clients reached\r\n");
    EXPECT_EQ(console->ask("PING\r\n"), "+PONG\r\n");
    EXPECT_THAT(web->ask("GET /livez HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(NodeOnSim, GivesRequestsTheTimeThatIsSet) {
    config_.request_timeout = std::chrono::seconds(2);
    must_start();
    const auto header = connect(node_->addresses().http);
    const auto body = connect(node_->addresses().http);
    const auto command = connect(node_->addresses().resp);
    header->send("GET /");
    body->send("PUT /v1/keys/a HTTP/1.1\r\nContent-Length: 13\r\n\r\n{");
    command->send("*2\r\n");
    world_.run_for(std::chrono::milliseconds(1900));
    EXPECT_EQ(header->received() + body->received() + command->received(), "");

    world_.run_for(std::chrono::milliseconds(300));
    EXPECT_THAT(header->received(), StartsWith("HTTP/1.1 408 "));
    EXPECT_THAT(body->received(), StartsWith("HTTP/1.1 408 "));
    EXPECT_THAT(command->received(), StartsWith("-ERR Protocol error"));
    EXPECT_TRUE(header->is_closed() && body->is_closed() && command->is_closed());
}

}  // namespace
}  // namespace kvstore::server
