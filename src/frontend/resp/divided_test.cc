// A database whose keyspace has several shards.
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "frontend/resp/testing/resp_fixture.h"

namespace kvstore::resp {
namespace {

// Database 1, split at "m".
class RespDivided : public DurableRespFixture {
protected:
    RespDivided() {
        kv::KeyspaceOptions options;
        options.engine = replication::EngineKind::kMemory;
        std::vector<Bytes> split_at{"m"};
        const auto made = world_.block_on(
            machine_, kv_->create_keyspace({}, "redis/1", options, std::move(split_at)));
        EXPECT_TRUE(made.ok()) << made.status().to_string();
        EXPECT_EQ(call("SELECT 1"), "+OK\r\n");
    }
};

TEST_F(RespDivided, AnswersCommandsOfOneKeyInTheirOrder) {
    EXPECT_EQ(client_->ask("SET a 1\r\nSET z 2\r\nINCR a\r\nINCR z\r\nGET a\r\nGET z\r\n"),
              "+OK\r\n+OK\r\n:2\r\n:3\r\n$1\r\n2\r\n$1\r\n3\r\n");
}

TEST_F(RespDivided, ReadsOverShards) {
    client_->ask("SET a 1\r\nSET z 2\r\nSET n 3\r\n");

    EXPECT_EQ(call("MGET z none a"), "*3\r\n$1\r\n2\r\n$-1\r\n$1\r\n1\r\n");
    EXPECT_EQ(call("EXISTS a z n none"), ":3\r\n");
    EXPECT_EQ(call("KEYS *"), "*3\r\n$1\r\na\r\n$1\r\nn\r\n$1\r\nz\r\n");
    EXPECT_EQ(call("DBSIZE"), ":3\r\n");
    EXPECT_EQ(client_->ask("SET b 1\r\nDBSIZE\r\n"), "+OK\r\n:4\r\n");
    EXPECT_NE(call("INFO keyspace").find("db1:keys=4,"), std::string::npos);
}

TEST_F(RespDivided, RefusesWhatWouldChangeSeveralShards) {
    for (const char* line : {"MSET a 1 z 1", "DEL a z", "RENAME a z", "COPY a z"}) {
        EXPECT_EQ(call(line).rfind("-ERR ", 0), 0U) << line;
    }
    EXPECT_EQ(call("DBSIZE"), ":0\r\n");
    EXPECT_EQ(call("MSET a 1 b 1"), "+OK\r\n");
}

TEST_F(RespDivided, RunsTransactionsWithinAShard) {
    EXPECT_EQ(client_->ask("MULTI\r\nDBSIZE\r\nSET z 1\r\nGET z\r\nEXEC\r\n"),
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:0\r\n+OK\r\n$1\r\n1\r\n");
    EXPECT_EQ(client_->ask("WATCH z\r\nMULTI\r\nINCR z\r\nEXEC\r\n"),
              "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n");
    client_->ask("MULTI\r\nSET a 1\r\nSET z 5\r\n");
    EXPECT_EQ(call("EXEC").rfind("-ERR ", 0), 0U);
    EXPECT_EQ(call("GET z"), "$1\r\n2\r\n");
}

TEST_F(RespDivided, IsEmptiedAsAWhole) {
    client_->ask("SET a 1\r\nSET z 2\r\n");
    EXPECT_EQ(call("FLUSHDB"), "+OK\r\n");
    EXPECT_EQ(call("DBSIZE"), ":0\r\n");

    client_->ask("SET a 1\r\nSET z 2\r\n");
    EXPECT_EQ(call("FLUSHALL"), "+OK\r\n");
    EXPECT_EQ(call("DBSIZE"), ":0\r\n");
}

}  // namespace
}  // namespace kvstore::resp
