// WAIT on a node that is alone: how long it waits, and what ends it. Counting is tested in kv, and
// over real nodes in tests/integration/test_cluster.py.
#include <gtest/gtest.h>

#include "frontend/resp/testing/resp_fixture.h"

namespace kvstore::resp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using RespWait = DurableRespFixture;

TEST_F(RespWait, AnswersAtOnceWhenEnoughReplicasHoldWhatWasWritten) {
    EXPECT_EQ(client_->ask("SET a 1\r\nWAIT 0 0\r\nPING\r\n"), "+OK\r\n:0\r\n+PONG\r\n");
    EXPECT_EQ(client_->call("WAIT -1 100"), ":0\r\n");
}

TEST_F(RespWait, WaitsForItsTimeoutWhenThereAreTooFewAndHoldsUpWhatComesBehind) {
    client_->call("SET a 1");
    client_->send("WAIT 1 700\r\nGET a\r\n");
    world_.run_for(milliseconds(650));
    EXPECT_EQ(client_->take(), "");
    world_.run_for(milliseconds(100));
    EXPECT_EQ(client_->take(), ":0\r\n$1\r\n1\r\n");
}

TEST_F(RespWait, WithoutATimeoutItWaitsUntilItsConnectionCloses) {
    client_->send("SET a 1\r\nWAIT 1 0\r\n");
    world_.run_for(seconds(60));
    EXPECT_EQ(client_->take(), "+OK\r\n");
    client_->close();
    world_.run_for(seconds(2));
    EXPECT_EQ(connect()->call("GET a"), "$1\r\n1\r\n");
}

TEST_F(RespWait, AServerStopsThoughSomebodyWaits) {
    client_->send("WAIT 1 0\r\n");
    client_->send("WAIT 1 9223372036854775807\r\n");
    world_.run_for(seconds(1));
    const MonotonicTime began = world_.now();
    stop();
    EXPECT_LT(world_.now() - began, seconds(2));
    start();
}

TEST_F(RespWait, WithinATransactionNothingWaits) {
    EXPECT_EQ(client_->ask("MULTI\r\nSET a 1\r\nWAIT 3 0\r\nEXEC\r\n"),
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:0\r\n");
}

TEST_F(RespWait, RefusesWhatIsNoNumber) {
    EXPECT_EQ(client_->call("WAIT x 0"), "-ERR value is not an integer or out of range\r\n");
    EXPECT_EQ(client_->call("WAIT 0 x"), "-ERR timeout is not an integer or out of range\r\n");
    EXPECT_EQ(client_->call("WAIT 0 -1"), "-ERR timeout is negative\r\n");
}

}  // namespace
}  // namespace kvstore::resp
