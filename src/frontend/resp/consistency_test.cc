// READONLY, READWRITE, CLIENT CONSISTENCY and CLIENT SESSION.
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/resp/testing/resp_fixture.h"
#include "kv/testing/fake_group.h"

namespace kvstore::resp {
namespace {

using std::chrono::seconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// `default` of a node that, from cut_off() on, follows and has lost its majority.
template <typename Fixture>
class Behind : public Fixture {
protected:
    ~Behind() override {
        if (group_ != nullptr) {
            *this->kv_->default_keyspace() = kv::Keyspace(info_, real_);
        }
    }
    void cut_off() {
        info_ = this->kv_->default_keyspace()->info();
        real_ = &this->kv_->default_keyspace()->group();
        group_ = std::make_unique<kv::testing::FakeGroup>(this->machine_.env(), *real_);
        group_->barrier = Status(Code::kUnavailable, "no majority has confirmed the read");
        *this->kv_->default_keyspace() = kv::Keyspace(info_, group_.get());
    }
    [[nodiscard]] Revision revision() {
        return this->kv_->default_keyspace()->group().shard().state().revision;
    }
    // A session that has seen this revision of `default`.
    [[nodiscard]] std::string session_at(Revision seen) {
        kv::SessionToken token;
        token.note(this->kv_->default_keyspace()->info().shard, seen);
        return token.text();
    }
    [[nodiscard]] Revision seen(const std::string& reply) {
        const std::size_t from = reply.find("\r\n") + 2;
        const auto token = kv::SessionToken::parse(reply.substr(from, reply.size() - from - 2));
        EXPECT_TRUE(token.ok()) << reply;
        return token.ok() ? token->seen(this->kv_->default_keyspace()->info().shard) : Revision();
    }

    kv::KeyspaceInfo info_;
    replication::Group* real_ = nullptr;
    std::unique_ptr<kv::testing::FakeGroup> group_;
};

using RespConsistency = Behind<RespFixture>;
using RespConsistencyDurable = Behind<DurableRespFixture>;

TEST_F(RespConsistency, IsLinearizableUntilReadonlyAndAfterReadwrite) {
    EXPECT_EQ(call("CLIENT CONSISTENCY"), "$12\r\nlinearizable\r\n");
    EXPECT_EQ(call("READONLY"), "+OK\r\n");
    EXPECT_EQ(call("CLIENT CONSISTENCY"), "$6\r\ncausal\r\n");
    EXPECT_EQ(call("READWRITE"), "+OK\r\n");
    EXPECT_EQ(call("CLIENT CONSISTENCY"), "$12\r\nlinearizable\r\n");
    call("CLIENT CONSISTENCY Eventual");
    EXPECT_EQ(call("CLIENT CONSISTENCY"), "$8\r\neventual\r\n");
    EXPECT_EQ(call("RESET"), "+RESET\r\n");
    EXPECT_EQ(call("CLIENT CONSISTENCY"), "$12\r\nlinearizable\r\n");
}

TEST_F(RespConsistency, ShowsAConnectionThatMayReadOldStatesByItsFlag) {
    EXPECT_THAT(call("CLIENT INFO"), HasSubstr(" flags=N "));
    call("READONLY");
    EXPECT_THAT(call("CLIENT INFO"), HasSubstr(" flags=r "));
    EXPECT_THAT(call("CLIENT LIST"), HasSubstr(" flags=r "));
    call("MULTI");
    EXPECT_THAT(connect()->call("CLIENT LIST"), HasSubstr(" flags=xr "));
    call("DISCARD");
    call("READWRITE");
    EXPECT_THAT(call("CLIENT INFO"), HasSubstr(" flags=N "));
}

TEST_F(RespConsistency, RefusesWhatIsNoLevel) {
    EXPECT_THAT(call("CLIENT CONSISTENCY sometimes"), StartsWith("-ERR CLIENT CONSISTENCY is"));
    EXPECT_THAT(call("CLIENT CONSISTENCY bounded soon"), StartsWith("-ERR max staleness"));
    EXPECT_EQ(call("CLIENT CONSISTENCY eventual 5s"), "-ERR syntax error\r\n");
    EXPECT_EQ(call("CLIENT CONSISTENCY bounded 5s x"), "-ERR syntax error\r\n");
    EXPECT_EQ(call("CLIENT CONSISTENCY"), "$12\r\nlinearizable\r\n");
    EXPECT_THAT(call("READONLY x"), StartsWith("-ERR wrong number of arguments"));
}

TEST_F(RespConsistency, WithoutAMajorityOnlyAReadonlyConnectionReads) {
    call("SET a 1");
    cut_off();
    const std::string refused = call("GET a");
    EXPECT_THAT(refused, StartsWith("-ERR no majority"));
    EXPECT_THAT(refused, HasSubstr("CLIENT CONSISTENCY eventual"));
    EXPECT_THAT(call("KEYS *"), StartsWith("-ERR no majority"));

    call("READONLY");
    EXPECT_EQ(call("GET a"), "$1\r\n1\r\n");
    EXPECT_EQ(call("MGET a b"), "*2\r\n$1\r\n1\r\n$-1\r\n");
    EXPECT_EQ(call("KEYS *"), "*1\r\n$1\r\na\r\n");
    EXPECT_EQ(call("SCAN 0"), "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
    EXPECT_EQ(call("RANDOMKEY"), "$1\r\na\r\n");
    EXPECT_EQ(call("WATCH a"), "+OK\r\n");
    call("READWRITE");
    EXPECT_THAT(call("GET a"), StartsWith("-ERR no majority"));
}

TEST_F(RespConsistency, ABoundHoldsForTheConnection) {
    call("SET a 1");
    cut_off();
    group_->stale = seconds(2);
    call("CLIENT CONSISTENCY bounded");
    EXPECT_EQ(call("GET a"), "$1\r\n1\r\n") << "five seconds, where none are given";
    call("CLIENT CONSISTENCY bounded 2s");
    EXPECT_EQ(call("GET a"), "$1\r\n1\r\n");
    call("CLIENT CONSISTENCY bounded 1s");
    EXPECT_THAT(call("GET a"), StartsWith("-ERR no majority"));
}

// ---- the session ----

TEST_F(RespConsistency, TheSessionCoversWhatTheConnectionWroteAndRead) {
    call("SET a 1");
    EXPECT_EQ(seen(call("CLIENT SESSION")), revision());
    connect()->call("SET a 2");
    call("READONLY");
    EXPECT_EQ(seen(call("CLIENT SESSION")), revision()) << "what was read before counts";
    connect()->call("SET a 3");
    call("GET a");
    EXPECT_EQ(seen(call("CLIENT SESSION")), revision());
    connect()->call("SET a 4");
    call("KEYS *");
    EXPECT_EQ(seen(call("CLIENT SESSION")), revision());
    client_->ask("MULTI\r\nINCR a\r\nEXEC\r\n");
    EXPECT_EQ(seen(call("CLIENT SESSION")), revision());
    call("RESET");
    EXPECT_EQ(seen(call("CLIENT SESSION")), Revision());
}

TEST_F(RespConsistency, AReadWaitsForASessionFromElsewhereAndNothingOvertakesIt) {
    call("SET a 1");
    cut_off();
    call("CLIENT CONSISTENCY eventual");
    EXPECT_EQ(call("CLIENT SESSION " + session_at(revision().next())), "+OK\r\n");
    EXPECT_EQ(client_->ask("GET a\r\nSET a 3\r\nPING\r\n"), "");
    EXPECT_EQ(group_->waited_for, revision().next());

    connect()->call("SET a 2");
    group_->end_wait(Status());
    world_.run_for(seconds(1));
    EXPECT_EQ(client_->take(), "$1\r\n2\r\n+OK\r\n+PONG\r\n") << "not the 3 behind it";
}

TEST_F(RespConsistency, AReadThatWaitedInVainSaysWhy) {
    call("SET a 1");
    cut_off();
    call("READONLY");
    call("CLIENT SESSION " + session_at(revision().next()));
    client_->send("GET a\r\n");
    world_.run_for(seconds(1));
    group_->end_wait(Status(Code::kUnavailable, "this replica is at revision 1"));
    world_.run_for(seconds(1));
    EXPECT_EQ(client_->take(), "-ERR this replica is at revision 1\r\n");
}

TEST_F(RespConsistency, AMalformedSessionIsRefused) {
    EXPECT_THAT(call("CLIENT SESSION nonsense"), StartsWith("-ERR the session token"));
    EXPECT_EQ(call("CLIENT SESSION a b"), "-ERR syntax error\r\n");
    EXPECT_EQ(client_->ask("MULTI\r\nCLIENT SESSION\r\nEXEC\r\n"),
              "+OK\r\n+QUEUED\r\n*1\r\n-ERR CLIENT SESSION is not supported inside MULTI\r\n");
}

// ---- in a pipeline ----

TEST_F(RespConsistencyDurable, ALevelHoldsForWhatStandsBehindItOnly) {
    call("SET a 1");
    cut_off();
    const std::string replies = client_->ask("SET a 2\r\nGET a\r\nREADONLY\r\nGET a\r\n");
    EXPECT_THAT(replies, StartsWith("+OK\r\n-ERR no majority"))
        << "the first read was asked before READONLY";
    EXPECT_THAT(replies, EndsWith("+OK\r\n$1\r\n2\r\n"));
    EXPECT_THAT(client_->ask("SET a 3\r\nGET a\r\nREADWRITE\r\nGET a\r\n"),
                StartsWith("+OK\r\n$1\r\n3\r\n+OK\r\n-ERR no majority"));
}

// The read stands behind a write that is not done yet, and then has to wait for another node's.
TEST_F(RespConsistencyDurable, AWriteDoesNotOvertakeAReadThatWillHaveToWait) {
    call("SET a 1");
    cut_off();
    call("READONLY");
    const Revision elsewhere = revision().next().next();
    call("CLIENT SESSION " + session_at(elsewhere));
    EXPECT_EQ(client_->ask("SET a 2\r\nMGET a b\r\nSET b 4\r\n"), "+OK\r\n");
    EXPECT_EQ(group_->waited_for, elsewhere);

    connect()->call("SET a 3");
    group_->end_wait(Status());
    world_.run_for(seconds(1));
    EXPECT_EQ(client_->take(), "*2\r\n$1\r\n3\r\n$-1\r\n+OK\r\n");
}

TEST_F(RespConsistencyDurable, TheSessionCoversTheWritesBeforeItInAPipeline) {
    const std::string replies = client_->ask("SET a 1\r\nINCR a\r\nCLIENT SESSION\r\n");
    ASSERT_THAT(replies, StartsWith("+OK\r\n:2\r\n$"));
    EXPECT_EQ(seen(replies.substr(9)), revision());
}

TEST_F(RespConsistency, ReadonlyIsAnsweredBetweenMultiAndExecAsElsewhere) {
    EXPECT_EQ(client_->ask("MULTI\r\nREADONLY\r\nSET a 1\r\nGET a\r\nEXEC\r\n"),
              "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n$1\r\n1\r\n");
    EXPECT_EQ(call("CLIENT CONSISTENCY"), "$6\r\ncausal\r\n");
}

}  // namespace
}  // namespace kvstore::resp
