// Commands over a connection: order, pipelines, bounds.
#include <string>

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
    EXPECT_EQ(
        client_->ask(
            "SET a 1\r\nGET a\r\nSET a 2\r\nGET a\r\nPING\r\nNOSUCH\r\nEXPIRE a 100\r\nTTL a\r\n"),
        "+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n+PONG\r\n-ERR unknown command 'NOSUCH', with args "
        "beginning with: \r\n:1\r\n:100\r\n");
}

TEST_F(RespSessionDurable, AConnectionThatClosesLeavesItsWritesToFinish) {
    const auto other = connect();
    other->send("SET a 1\r\nGET a\r\nSET b 2\r\nQUIT\r\nSET c 3\r\n");
    other->close();

    EXPECT_EQ(call("MGET a b c"), "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
}

}  // namespace
}  // namespace kvstore::resp
