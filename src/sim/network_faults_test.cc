// Each network fault does what world.h and options.h say.
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "env/testing/recording_handler.h"
#include "sim/world.h"

namespace kvstore::sim {
namespace {

using env::Connection;
using env::ConnectionRecord;
using env::RecordingHandler;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint16_t kPort = 7070;

// A client on one host, connected to a server on another.
class SimNetworkFaults : public testing::Test {
protected:
    void listen() {
        auto listening = server_host.env().network.listen(
            env::Address{.host = "", .port = kPort}, [this](Connection& connection) {
                server.connection = &connection;
                return std::make_unique<RecordingHandler>(server);
            });
        ASSERT_TRUE(listening.ok()) << listening.status().to_string();
        listener = std::move(listening).value();
    }
    Result<Connection*> try_connect(async::Deadline deadline = {}) {
        return world.block_on(
            client_host,
            client_host.env().network.connect(env::Address{.host = "server", .port = kPort},
                                              std::make_unique<RecordingHandler>(client),
                                              deadline));
    }
    void connect() {
        listen();
        auto connected = try_connect();
        ASSERT_TRUE(connected.ok()) << connected.status().to_string();
        client.connection = *connected;
        ASSERT_TRUE(world.run_until([this] { return server.connection != nullptr; }, seconds(5)));
    }
    void send(ConnectionRecord& from, Host& host, ByteView data) {
        const auto append = [](Connection* connection, Bytes bytes) -> async::Task<bool> {
            connection->output() += bytes;
            connection->flush_later();
            co_return true;
        };
        ASSERT_NE(from.connection, nullptr);
        ASSERT_TRUE(world.block_on(host, append(from.connection, Bytes(data))));
    }
    bool server_gets(const Bytes& data, Duration limit) {
        return world.run_until([&] { return server.received == data; }, limit);
    }

    World world{11};
    Host& client_host = world.add_host("client");
    Host& server_host = world.add_host("server");
    ConnectionRecord client;
    ConnectionRecord server;
    std::unique_ptr<env::Listener> listener;
};

TEST_F(SimNetworkFaults, HoldBytesBackDuringAPartitionAndDeliverThemAfterIt) {
    connect();
    world.partition(client_host, server_host);

    send(client, client_host, "hello");
    EXPECT_FALSE(server_gets("hello", seconds(10)));
    world.heal(client_host, server_host);

    EXPECT_TRUE(server_gets("hello", seconds(2)));
    EXPECT_EQ(client.closings, 0);
}

TEST_F(SimNetworkFaults, BreakConnectionsThatAPartitionOutlasts) {
    connect();
    world.partition(client_host, server_host);

    send(client, client_host, "hello");

    EXPECT_TRUE(world.run_until([this] { return client.closings == 1; }, seconds(60)));
    EXPECT_EQ(client.reason.code(), Code::kUnavailable);
    world.heal(client_host, server_host);
    world.run_for(seconds(60));
    EXPECT_EQ(server.closings, 1);
    EXPECT_EQ(server.received, "");
}

TEST_F(SimNetworkFaults, BlockOneWayOnly) {
    connect();
    world.block(client_host, server_host);

    send(server, server_host, "to client");
    send(client, client_host, "to server");

    EXPECT_TRUE(world.run_until([this] { return client.received == "to client"; }, seconds(5)));
    EXPECT_FALSE(server_gets("to server", seconds(5)));
    world.unblock(client_host, server_host);
    EXPECT_TRUE(server_gets("to server", seconds(5)));
}

TEST_F(SimNetworkFaults, IsolateAHostFromAllOthers) {
    Host& third = world.add_host("third");
    connect();
    world.isolate(server_host);

    const auto deadline = async::Deadline::after(world.now(), seconds(2));
    auto connected =
        world.block_on(third,
                       third.env().network.connect(env::Address{.host = "server", .port = kPort},
                                                   std::make_unique<RecordingHandler>(client),
                                                   deadline));
    EXPECT_EQ(connected.status().code(), Code::kDeadlineExceeded);

    world.heal_all();
    send(client, client_host, "hello");
    EXPECT_TRUE(server_gets("hello", seconds(5)));
}

TEST_F(SimNetworkFaults, DoNotConnectThroughAPartitionUntilItHeals) {
    listen();
    world.partition(client_host, server_host);
    world.after(seconds(5), [this] { world.heal(client_host, server_host); });
    const MonotonicTime begin = world.now();

    auto connected = try_connect();

    ASSERT_TRUE(connected.ok());
    EXPECT_GT(world.now() - begin, seconds(5));
}

TEST_F(SimNetworkFaults, GiveUpConnectingWithoutAnswerInTheEnd) {
    listen();
    world.partition(client_host, server_host);

    EXPECT_EQ(try_connect().status().code(), Code::kUnavailable);
}

TEST_F(SimNetworkFaults, RefuseConnectionsWhereTheProcessWasKilled) {
    connect();
    world.crash(server_host, CrashKind::kKill);
    const MonotonicTime begin = world.now();

    // Not through a new record: this handler never gets a connection.
    ConnectionRecord second;
    auto refused = world.block_on(
        client_host,
        client_host.env().network.connect(env::Address{.host = "server", .port = kPort},
                                          std::make_unique<RecordingHandler>(second),
                                          {}));

    EXPECT_EQ(refused.status().code(), Code::kUnavailable);
    EXPECT_LT(world.now() - begin, milliseconds(10));
}

TEST_F(SimNetworkFaults, TellPeersOfAKilledProcessAtOnce) {
    connect();

    world.crash(server_host, CrashKind::kKill);

    EXPECT_TRUE(world.run_until([this] { return client.closings == 1; }, milliseconds(10)));
    EXPECT_EQ(client.reason.code(), Code::kUnavailable);
    EXPECT_EQ(server.closings, 0);
}

TEST_F(SimNetworkFaults, TellPeersOfAPowerLossOnlyWhenTheHostIsBack) {
    connect();
    world.crash(server_host);
    world.run_for(seconds(5));
    EXPECT_EQ(client.closings, 0);

    world.restart(server_host);

    EXPECT_TRUE(world.run_until([this] { return client.closings == 1; }, seconds(1)));
}

TEST_F(SimNetworkFaults, TellPeersOfAPowerLossInTheEndIfTheHostNeverReturns) {
    connect();
    world.crash(server_host);

    EXPECT_TRUE(world.run_until([this] { return client.closings == 1; }, seconds(60)));
}

TEST_F(SimNetworkFaults, ForgetListenersOfAnEarlierLife) {
    connect();
    world.crash(server_host);
    world.restart(server_host);
    world.run_for(seconds(1));

    EXPECT_EQ(try_connect().status().code(), Code::kUnavailable);
}

TEST_F(SimNetworkFaults, ResetTheConnectionsOfTwoHosts) {
    connect();

    world.reset_connections(server_host, client_host);

    EXPECT_TRUE(
        world.run_until([this] { return client.closings + server.closings == 2; }, seconds(1)));
    EXPECT_EQ(client.reason.code(), Code::kUnavailable);
    EXPECT_EQ(server.reason.code(), Code::kUnavailable);
}

TEST_F(SimNetworkFaults, ResetByChance) {
    connect();
    world.link(client_host, server_host).reset = 1'000'000;

    send(client, client_host, "hello");

    EXPECT_TRUE(world.run_until([this] { return server.closings == 1; }, seconds(1)));
    EXPECT_EQ(server.received, "");
}

TEST_F(SimNetworkFaults, DelaySlowLinks) {
    connect();
    world.link(client_host, server_host).latency = {seconds(3), seconds(3)};

    send(client, client_host, "hello");

    EXPECT_FALSE(server_gets("hello", milliseconds(2'900)));
    EXPECT_TRUE(server_gets("hello", seconds(1)));
}

TEST_F(SimNetworkFaults, NarrowLinks) {
    connect();
    world.link(client_host, server_host).bandwidth = 1'000;
    const MonotonicTime begin = world.now();

    send(client, client_host, Bytes(5'000, 'x'));

    EXPECT_TRUE(server_gets(Bytes(5'000, 'x'), seconds(10)));
    EXPECT_GT(world.now() - begin, milliseconds(4'900));
}

TEST_F(SimNetworkFaults, DelayWhatIsLostAndKeepItsOrder) {
    connect();
    world.link(client_host, server_host).loss = 500'000;
    Bytes sent;
    for (int i = 0; i < 50; ++i) {
        const Bytes part = std::to_string(i) + ",";
        sent += part;
        send(client, client_host, part);
    }

    EXPECT_TRUE(server_gets(sent, seconds(60)));
}

TEST_F(SimNetworkFaults, DamageOneBitOfAPacket) {
    connect();
    world.link(client_host, server_host).corruption = 1'000'000;

    send(client, client_host, Bytes(100, 'a'));

    EXPECT_TRUE(world.run_until([this] { return server.received.size() == 100; }, seconds(5)));
    EXPECT_NE(server.received, Bytes(100, 'a'));
}

TEST_F(SimNetworkFaults, CutStreamsAtAnyPlace) {
    int pieces = 0;
    server.on_input = [&](Connection& connection) {
        ++pieces;
        server.received += connection.input();
        connection.consume(connection.input().size());
    };
    connect();
    Bytes sent;

    for (int i = 0; i < 40; ++i) {
        sent += Bytes(100, 'x');
        send(client, client_host, Bytes(100, 'x'));
        world.run_for(milliseconds(5));
    }

    EXPECT_EQ(server.received, sent);
    EXPECT_GT(pieces, 44);
}

TEST_F(SimNetworkFaults, KeepBytesForAPausedHostAndBoundThem) {
    connect();
    world.pause(server_host);

    send(client, client_host, Bytes(4U << 20U, 'x'));
    world.run_for(seconds(20));
    EXPECT_EQ(server.received, "");
    EXPECT_GT(client.connection->output_size(), 3U << 20U);

    world.resume(server_host);
    EXPECT_TRUE(
        world.run_until([this] { return server.received.size() == 4U << 20U; }, seconds(5)));
}

TEST_F(SimNetworkFaults, AnswerBytesForAClosedConnectionWithAReset) {
    connect();
    server.connection->close(Connection::CloseMode::kNow);
    client.on_input_end = [](Connection&) {
    };
    ASSERT_TRUE(world.run_until([this] { return client.input_ends == 1; }, seconds(5)));

    send(client, client_host, "too late");

    EXPECT_TRUE(world.run_until([this] { return client.closings == 1; }, seconds(5)));
    EXPECT_EQ(client.reason.code(), Code::kUnavailable);
}

TEST_F(SimNetworkFaults, LeaveConnectionsWithinAHostAlone) {
    Host& alone = client_host;
    auto listening = alone.env().network.listen(
        env::Address{.host = "127.0.0.1", .port = 0}, [this](Connection& connection) {
            server.connection = &connection;
            return std::make_unique<RecordingHandler>(server);
        });
    ASSERT_TRUE(listening.ok());
    world.isolate(alone);
    auto connected =
        world.block_on(alone,
                       alone.env().network.connect(
                           (*listening)->local(), std::make_unique<RecordingHandler>(client), {}));
    ASSERT_TRUE(connected.ok());
    client.connection = *connected;

    send(client, alone, "hello");

    EXPECT_TRUE(server_gets("hello", seconds(1)));
}

}  // namespace
}  // namespace kvstore::sim
