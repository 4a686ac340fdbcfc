// MULTI, EXEC and WATCH.
#include <string>

#include <gtest/gtest.h>

#include "frontend/resp/testing/resp_fixture.h"

namespace kvstore::resp {
namespace {

using RespTransaction = DurableRespFixture;

TEST_F(RespTransaction, TakesEffectAtOnceAndAnswersInOrder) {
    EXPECT_EQ(client_->ask("MULTI\r\nSET a 1\r\nINCR a\r\nGET a\r\nMGET a b\r\nPING\r\nDEL a "
                           "b\r\nDBSIZE\r\nEXEC\r\n"),
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
              "*7\r\n+OK\r\n:2\r\n$1\r\n2\r\n*2\r\n$1\r\n2\r\n$-1\r\n+PONG\r\n:1\r\n:0\r\n");
}

TEST_F(RespTransaction, GoesOnAfterACommandThatFails) {
    call("SET text hello");
    EXPECT_EQ(client_->ask("MULTI\r\nINCR text\r\nSET a 1\r\nEXEC\r\n"),
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-ERR value is not an integer or out of "
              "range\r\n+OK\r\n");
    EXPECT_EQ(call("GET a"), "$1\r\n1\r\n");
}

TEST_F(RespTransaction, IsDiscardedWhenACommandWasRefused) {
    call("MULTI");
    EXPECT_EQ(call("SET a"), "-ERR wrong number of arguments for 'set' command\r\n");
    EXPECT_EQ(call("SET a 1"), "+QUEUED\r\n");
    EXPECT_EQ(call("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
    EXPECT_EQ(call("GET a"), "$-1\r\n");
}

TEST_F(RespTransaction, IsRefusedWhenAWatchedKeyWasChanged) {
    const auto other = connect();
    EXPECT_EQ(client_->ask("SET a 1\r\nWATCH a b\r\nMULTI\r\nSET c 1\r\n"),
              "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n");
    other->call("SET b 2");

    EXPECT_EQ(call("EXEC"), "*-1\r\n");
    EXPECT_EQ(call("GET c"), "$-1\r\n");
}

TEST_F(RespTransaction, IsTakenWhenWatchedKeysStand) {
    EXPECT_EQ(client_->ask("SET a 1\r\nWATCH a b\r\nGET a\r\nMULTI\r\nINCR a\r\nEXEC\r\n"),
              "+OK\r\n+OK\r\n$1\r\n1\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n");
}

TEST_F(RespTransaction, IsRefusedWhenAWatchedKeyExpired) {
    EXPECT_EQ(client_->ask("SET a 1 PX 50\r\nWATCH a\r\nMULTI\r\nPING\r\n"),
              "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n");
    world_.run_for(std::chrono::seconds(2));

    EXPECT_EQ(call("EXEC"), "*-1\r\n");
}

TEST_F(RespTransaction, ForgetsWatchedKeysAfterExecDiscardAndUnwatch) {
    const auto other = connect();
    for (const std::string_view forget : {"UNWATCH", "MULTI\r\nEXEC", "MULTI\r\nDISCARD"}) {
        call("WATCH a");
        call(forget);
        other->call("INCR a");
        EXPECT_EQ(client_->ask("MULTI\r\nPING\r\nEXEC\r\n"), "+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n")
            << forget;
    }
}

TEST_F(RespTransaction, KnowsWhatMayNotBeNested) {
    EXPECT_EQ(call("EXEC"), "-ERR EXEC without MULTI\r\n");
    EXPECT_EQ(call("DISCARD"), "-ERR DISCARD without MULTI\r\n");
    call("MULTI");
    EXPECT_EQ(call("MULTI"), "-ERR MULTI calls can not be nested\r\n");
    EXPECT_EQ(call("WATCH a"), "-ERR WATCH inside MULTI is not allowed\r\n");
    EXPECT_EQ(call("EXEC"), "*0\r\n");
}

TEST_F(RespTransaction, RunsWhatHasToWalkOverKeysBehindItself) {
    EXPECT_EQ(client_->ask("MULTI\r\nSET a 1\r\nKEYS *\r\nFLUSHALL\r\nEXEC\r\nDBSIZE\r\n"),
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n*0\r\n+OK\r\n:0\r\n");
}

TEST_F(RespTransaction, AnswersWhatReadsNoKeyAtItsPlace) {
    EXPECT_EQ(client_->ask("SET a 1\r\nMULTI\r\nDBSIZE\r\nSET b 1\r\nDBSIZE\r\nPING\r\nFLUSHDB\r\n"
                           "DBSIZE\r\nEXEC\r\n"),
              "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
              "*6\r\n:1\r\n+OK\r\n:2\r\n+PONG\r\n+OK\r\n:0\r\n");
}

TEST_F(RespTransaction, SharesItsPipelineWithWritesAroundIt) {
    EXPECT_EQ(client_->ask("SET a 1\r\nMULTI\r\nINCR a\r\nEXEC\r\nINCR a\r\nGET a\r\n"),
              "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n:3\r\n$1\r\n3\r\n");
}

TEST_F(RespTransaction, EndsQuietlyWhenItsConnectionHasClosed) {
    const auto other = connect();
    other->send("MULTI\r\nSET a 1\r\nKEYS *\r\nEXEC\r\n");
    other->close();

    EXPECT_EQ(call("GET a"), "$1\r\n1\r\n");
}

}  // namespace
}  // namespace kvstore::resp
