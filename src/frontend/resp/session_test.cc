// Commands over a connection: order, pipelines, bounds.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/resp/testing/resp_fixture.h"

namespace kvstore::resp {
namespace {

using RespSession = RespFixture;
using RespSessionDurable = DurableRespFixture;

TEST_F(RespSession, AnswersAWholePipelineInOrder) {
    EXPECT_EQ(
        client_->ask("SET a 1\r\nGET a\r\nINCR a\r\nMGET a b\r\nDEL a b\r\nGET a\r\nPING\r\n"),
        "+OK\r\n$1\r\n1\r\n:2\r\n*2\r\n$1\r\n2\r\n$-1\r\n:1\r\n$-1\r\n+PONG\r\n");
}

TEST_F(RespSessionDurable, AReadBetweenTwoWritesSeesExactlyTheFirst) {
    EXPECT_EQ(client_->ask("SET a 1\r\nGET a\r\nSET a 2\r\nGET a\r\nPING\r\nNOSUCH x y\r\n"
                           "EXPIRE a 100\r\nTTL a\r\n"),
              "+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n+PONG\r\n"
              "-ERR unknown command 'NOSUCH', with args beginning with: 'x' 'y' \r\n"
              ":1\r\n:100\r\n");
}

TEST_F(RespSessionDurable, AWholePipelineSharesFewSyncs) {
    const std::uint64_t before = host_->wal_statistics().sync_count;
    std::string pipeline;
    for (int i = 0; i < 100; ++i) {
        pipeline += "SET key" + std::to_string(i) + " value\r\n";
    }
    client_->ask(pipeline);

    EXPECT_LE(host_->wal_statistics().sync_count - before, 3U);
}

TEST_F(RespSessionDurable, AConnectionThatClosesLeavesItsWritesToFinish) {
    const auto other = connect();
    other->send("SET a 1\r\nGET a\r\nSET b 2\r\nQUIT\r\nSET c 3\r\n");
    other->close();

    EXPECT_EQ(call("MGET a b c"), "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
}

TEST_F(RespSessionDurable, StopsWhileWritesOfAClosedConnectionAreUnderWay) {
    const auto other = connect();
    for (int i = 0; i < 100; ++i) {
        other->send("INCR a\r\nGET a\r\n");
    }
    world_.run_for(std::chrono::microseconds(400));
    // The fixture stops the server.
}

TEST_F(RespSession, QuitAnswersAndClosesAndTakesNothingBehindIt) {
    EXPECT_EQ(client_->ask("QUIT\r\nSET a 1\r\n"), "+OK\r\n");
    EXPECT_TRUE(client_->is_closed());
    EXPECT_EQ(connect()->call("GET a"), "$-1\r\n");
}

TEST_F(RespSession, AProtocolErrorIsToldAndEndsTheConnection) {
    EXPECT_EQ(client_->ask("SET a 1\r\n*1\r\nfoo\r\nGET a\r\n"),
              "+OK\r\n-ERR Protocol error: expected '$', got 'f'\r\n");
    EXPECT_TRUE(client_->is_closed());
}

TEST_F(RespSessionDurable, AProtocolErrorComesAfterTheRepliesBeforeIt) {
    EXPECT_EQ(client_->ask("SET a 1\r\n*x\r\n"),
              "+OK\r\n-ERR Protocol error: invalid multibulk length\r\n");
    EXPECT_TRUE(client_->is_closed());
}

TEST_F(RespSessionDurable, WhatWasReadAheadRunsOnceAlsoBehindACommandThatWaits) {
    EXPECT_EQ(
        client_->ask("SET a 1\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n"
                     "*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n*x\r\n"),
        "+OK\r\n+OK\r\n:1\r\n*1\r\n$1\r\na\r\n:2\r\n"
        "-ERR Protocol error: invalid multibulk length\r\n");
    EXPECT_TRUE(client_->is_closed());
}

TEST_F(RespSession, AWrongCommandDoesNotEndTheConnection) {
    EXPECT_EQ(call("GET"), "-ERR wrong number of arguments for 'get' command\r\n");
    EXPECT_EQ(call("DEBUG SLEEP 0"),
              "-ERR unknown command 'DEBUG', with args beginning with: 'SLEEP' '0' \r\n");
    EXPECT_EQ(call("PING"), "+PONG\r\n");
}

TEST_F(RespSession, TakesALargeValueInManyPieces) {
    const std::string value(3U << 20U, 'v');
    EXPECT_EQ(client_->call_words({"SET", "a", value}), "+OK\r\n");
    world_.run_for(std::chrono::seconds(1));
    EXPECT_EQ(client_->call_words({"STRLEN", "a"}), ":3145728\r\n");
}

TEST_F(RespSession, AValueOverTheLimitIsRefusedAndNothingElse) {
    const std::string value(17U << 20U, 'v');
    client_->send(TestClient::encode({"SET", "a", value}));
    world_.run_for(std::chrono::seconds(5));
    EXPECT_THAT(client_->take(), testing::StartsWith("-ERR the value has 17825792 bytes, at most"));
    EXPECT_EQ(call("EXISTS a"), ":0\r\n");
}

TEST_F(RespSession, StopsParsingForAClientThatDoesNotRead) {
    client_->call_words({"SET", "a", std::string(100'000, 'v')});
    world_.run_for(std::chrono::seconds(1));
    client_->stop_reading();
    std::string pipeline;
    for (int i = 0; i < 200; ++i) {
        pipeline += "GET a\r\n";
    }
    client_->send(pipeline + "SET done 1\r\n");
    world_.run_for(std::chrono::seconds(1));
    const auto other = connect();
    EXPECT_EQ(other->call("EXISTS done"), ":0\r\n");

    client_->read_on();
    world_.run_for(std::chrono::seconds(5));
    EXPECT_EQ(other->call("EXISTS done"), ":1\r\n");
    EXPECT_EQ(client_->take().size(), (200 * (100'000 + 11)) + 5U);
}

TEST_F(RespSessionDurable, BoundsTheCommandsThatWait) {
    stop();
    options_.commands_waiting_max = 4;
    start();
    std::string pipeline;
    std::string answers;
    for (int i = 1; i <= 50; ++i) {
        pipeline += "INCR a\r\nGET a\r\n";
        const std::string number = std::to_string(i);
        answers +=
            ":" + number + "\r\n$" + std::to_string(number.size()) + "\r\n" + number + "\r\n";
    }
    client_->send(pipeline);
    world_.run_for(std::chrono::seconds(2));

    EXPECT_EQ(client_->take(), answers);
}

// It was read faster than it was taken, until one input was too large and the client was cut off.
TEST_F(RespSessionDurable, AClientThatWritesFasterThanTheLogIsSlowedDown) {
    stop();
    options_.commands_waiting_max = 64;
    start();
    machine_.disk_faults().slowness = 20;
    const std::string value(1'000, 'x');
    std::string pipeline;
    for (int i = 0; i < 6'000; ++i) {
        pipeline += TestClient::encode({"SET", "k" + std::to_string(i), value});
    }
    client_->send(pipeline);
    std::size_t most = 0;
    std::string answers;
    const bool is_done = world_.run_until(
        [&] {
            most = std::max(most, served_->input().size());
            answers += client_->take();
            return answers.size() >= 6'000 * 5U;
        },
        std::chrono::minutes(5));

    EXPECT_TRUE(is_done);
    EXPECT_LT(most, 1'000'000U) << "of 6 MB that the client had ready";
    machine_.disk_faults() = {};
}

TEST_F(RespSession, RefusesConnectionsAboveTheLimit) {
    stop();
    options_.connections_max = 1;
    start();
    const auto other = connect();
    world_.run_for(std::chrono::milliseconds(100));

    EXPECT_EQ(other->take(), "-ERR max number of clients reached\r\n");
    EXPECT_TRUE(other->is_closed());
    EXPECT_EQ(call("PING"), "+PONG\r\n");
}

TEST_F(RespSession, SpeaksVersionThreeAfterHello) {
    const std::string hello = call("HELLO 3");
    EXPECT_THAT(hello, testing::StartsWith("%7\r\n$6\r\nserver\r\n"));
    EXPECT_EQ(call("GET nothing"), "_\r\n");
    EXPECT_THAT(call("CONFIG GET save"), testing::StartsWith("%1\r\n"));
    EXPECT_EQ(call("HELLO 4"), "-NOPROTO unsupported protocol version\r\n");
    EXPECT_EQ(call("RESET"), "+RESET\r\n");
    EXPECT_EQ(call("GET nothing"), "$-1\r\n");
}

TEST_F(RespSessionDurable, KeepsDatabasesApart) {
    EXPECT_EQ(client_->ask("SET a 0\r\nSELECT 1\r\nGET a\r\nSET a 1\r\nSELECT 0\r\nGET a\r\n"
                           "SELECT 1\r\nGET a\r\nSELECT 16\r\nSELECT x\r\n"),
              "+OK\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n$1\r\n0\r\n+OK\r\n$1\r\n1\r\n"
              "-ERR DB index is out of range\r\n-ERR value is not an integer or out of range\r\n");
    EXPECT_EQ(
        client_->ask("COPY a b DB 2\r\nSELECT 2\r\nGET b\r\nFLUSHALL\r\nSELECT 1\r\nDBSIZE\r\n"),
        ":1\r\n+OK\r\n$1\r\n1\r\n+OK\r\n+OK\r\n:0\r\n");
}

TEST_F(RespSession, CanBeToldNotToAnswer) {
    EXPECT_EQ(client_->ask("CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\n"), "$1\r\n1\r\n");
    EXPECT_EQ(client_->ask("CLIENT REPLY OFF\r\nSET a 2\r\nPING\r\nCLIENT REPLY ON\r\nGET a\r\n"),
              "+OK\r\n$1\r\n2\r\n");
}

TEST_F(RespSession, PausesAndGoesOn) {
    EXPECT_EQ(client_->ask("CLIENT PAUSE 1000\r\nPING\r\n"), "+OK\r\n");
    world_.run_for(std::chrono::seconds(2));
    EXPECT_EQ(client_->take(), "+PONG\r\n");
}

TEST_F(RespSession, EndsAClientByItsId) {
    const auto other = connect();
    EXPECT_EQ(other->call("CLIENT ID"), ":2\r\n");
    EXPECT_EQ(call("CLIENT KILL ID 2"), ":1\r\n");
    EXPECT_TRUE(other->is_closed());
    EXPECT_EQ(call("CLIENT KILL 1.1.1.1:1"), "-ERR No such client\r\n");
}

TEST_F(RespSession, ScansEveryKeyOnceInPages) {
    for (int i = 0; i < 100; ++i) {
        call("SET key:" + std::to_string(i) + " v");
    }
    call("SET other v");
    EXPECT_EQ(call("SCAN 0 COUNT 1000 MATCH other TYPE string"),
              "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nother\r\n");
    std::string cursor = "0";
    std::size_t count = 0;
    do {
        const std::string page = call("SCAN " + cursor + " COUNT 7 MATCH key:*");
        const std::size_t at = page.find("\r\n", 4) + 2;
        cursor = page.substr(at, page.find("\r\n", at) - at);
        for (std::size_t key = page.find("key:"); key != std::string::npos;
             key = page.find("key:", key + 1)) {
            ++count;
        }
    } while (cursor != "0");

    EXPECT_EQ(count, 100U);
    EXPECT_EQ(call("SCAN x"), "-ERR invalid cursor\r\n");
}

// ---- requests that do not come whole ----

// Issue 2: such a client held its place for ever.
TEST_F(RespSession, ARequestThatNeverEndsEndsItsConnection) {
    for (const char* half : {"*", "*2\r\n$3\r\nGET\r\n$1\r\n", "PING"}) {
        const auto slow = connect();
        slow->ask(half);
        world_.run_for(std::chrono::seconds(58));
        EXPECT_FALSE(slow->is_closed()) << half;
        world_.run_for(std::chrono::seconds(3));
        EXPECT_EQ(slow->take(), "-ERR Protocol error: the request did not arrive in time\r\n");
        EXPECT_TRUE(slow->is_closed()) << half;
    }
    EXPECT_EQ(call("PING"), "+PONG\r\n");
}

TEST_F(RespSession, DrippingBytesDoNotLengthenTheTimeOfARequest) {
    const auto slow = connect();
    slow->send("*2\r\n$3\r\nGET\r\n$1000\r\n");
    int seconds = 0;
    for (; seconds < 200 && !slow->is_closed(); ++seconds) {
        slow->send("x");
        world_.run_for(std::chrono::seconds(1));
    }
    EXPECT_NEAR(seconds, 60, 2);
}

TEST_F(RespSession, ALargeRequestOfASlowNetworkIsTaken) {
    const auto slow = connect();
    const std::string value(4U << 20U, 'x');
    slow->send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$" + std::to_string(value.size()) + "\r\n");
    constexpr std::size_t kPiece = 32U << 10U;
    for (std::size_t at = 0; at < value.size(); at += kPiece) {
        slow->send(value.substr(at, kPiece));
        world_.run_for(std::chrono::seconds(1));
    }
    EXPECT_EQ(slow->ask("\r\n"), "+OK\r\n");
}

TEST_F(RespSession, AConnectionStaysOpenBetweenRequests) {
    const auto idle = connect();
    const auto used = connect();
    const auto queueing = connect();
    queueing->call("MULTI");
    used->ask("PING\r\nPI");
    used->ask("NG\r\n");

    world_.run_for(std::chrono::hours(24));

    EXPECT_EQ(idle->call("PING"), "+PONG\r\n");
    EXPECT_EQ(used->call("PING"), "+PONG\r\n");
    EXPECT_EQ(queueing->call("EXEC"), "*0\r\n");
}

TEST_F(RespSession, TheTimeOfARequestBeginsWithItsFirstByte) {
    const auto busy = connect();
    for (int i = 0; i < 10; ++i) {
        // Each piece ends one request and begins the next.
        EXPECT_EQ(busy->ask(i == 0 ? "PI" : "NG\r\nPI"), i == 0 ? "" : "+PONG\r\n");
        world_.run_for(std::chrono::seconds(50));
    }
    EXPECT_FALSE(busy->is_closed());
}

TEST_F(RespSession, APauseOfTheServerIsNotHeldAgainstARequest) {
    const auto slow = connect();
    slow->ask("PI");
    call("CLIENT PAUSE 120000");
    slow->ask("N");
    world_.run_for(std::chrono::seconds(121));
    EXPECT_EQ(slow->ask("G\r\n"), "+PONG\r\n");
}

}  // namespace
}  // namespace kvstore::resp
