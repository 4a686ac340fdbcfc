// ?consistency=, ?max_staleness= and the header Kvstore-Session.
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/rest/testing/rest_fixture.h"
#include "kv/testing/fake_group.h"

namespace kvstore::rest {
namespace {

using http::Method;
using std::chrono::seconds;
using testing::Answer;
using testing::expect_problem;
using ::testing::HasSubstr;

class RestConsistency : public testing::RestFixture {
protected:
    ~RestConsistency() override {
        if (group_ != nullptr) {
            *kv_->default_keyspace() = kv::Keyspace(info_, real_);
        }
    }

    // From now on `default` is a follower that has lost its majority.
    void cut_off() {
        info_ = kv_->default_keyspace()->info();
        real_ = &kv_->default_keyspace()->group();
        group_ = std::make_unique<kv::testing::FakeGroup>(machine_.env(), *real_);
        group_->barrier = Status(Code::kUnavailable, "no majority has confirmed the read");
        *kv_->default_keyspace() = kv::Keyspace(info_, group_.get());
    }
    static http::Headers session(const Answer& answer) {
        return {{"Kvstore-Session", answer.header("Kvstore-Session")}};
    }
    [[nodiscard]] http::Headers session_ahead() {
        kv::SessionToken token;
        token.note(kv_->default_keyspace()->info().shard, revision().next());
        return {{"Kvstore-Session", token.text()}};
    }
    [[nodiscard]] Revision seen(const Answer& answer) {
        const auto token = kv::SessionToken::parse(answer.header("Kvstore-Session"));
        EXPECT_TRUE(token.ok()) << answer.header("Kvstore-Session");
        return token.ok() ? token->seen(kv_->default_keyspace()->info().shard) : Revision();
    }

    kv::KeyspaceInfo info_;
    replication::Group* real_ = nullptr;
    std::unique_ptr<kv::testing::FakeGroup> group_;
};

// ---- the session ----

TEST_F(RestConsistency, EveryAnswerOfDataCarriesASessionThatCoversIt) {
    const auto expect_covered = [this](const Answer& answer) {
        EXPECT_EQ(seen(answer), revision()) << answer.status << " " << answer.body;
    };
    expect_covered(put("/v1/keys/a", R"({"value":"1"})"));
    expect_covered(get("/v1/keys/a"));
    expect_covered(get("/v1/keys/a", {{"If-None-Match", "*"}}));
    expect_covered(get("/v1/keys/a", {{"Kvstore-Timeout", "1s"}}));
    expect_covered(get("/v1/keys/absent"));
    expect_covered(put("/v1/keys/a", R"({"value":"1"})", {{"If-None-Match", "*"}}));
    for (const std::string level : {"linearizable", "causal", "bounded", "eventual", "strong"}) {
        expect_covered(get("/v1/keys/a?consistency=" + level));
    }
    expect_covered(get("/v1/keys"));
    expect_covered(post("/v1/keys/n/increment"));
    expect_covered(post("/v1/batch/put", R"({"items":[{"key":"b","value":"2"}]})"));
    expect_covered(post("/v1/batch/get", R"({"keys":["a","b"]})"));
    expect_covered(post("/v1/batch/delete", R"({"keys":["b"]})"));
    expect_covered(post("/Set", R"({"key":"a","value":"3"})"));
    expect_covered(get("/Get?key=a"));
    expect_covered(erase("/Delete", R"({"key":"a"})"));
    EXPECT_EQ(get("/v1/status").header("Kvstore-Session"), "");
}

TEST_F(RestConsistency, ASessionThatIsSentBackGrows) {
    const Answer first = put("/v1/keys/a", R"({"value":"1"})");
    post("/v1/keyspaces", R"({"name":"other"})");
    const Answer other = put("/v1/keys/a?keyspace=other", R"({"value":"1"})", session(first));
    EXPECT_EQ(seen(other), seen(first)) << "what it has seen of `default` stays";
    EXPECT_NE(other.header("Kvstore-Session"), first.header("Kvstore-Session"));
}

TEST_F(RestConsistency, ARefusalGivesTheSessionBack) {
    const Answer written = put("/v1/keys/a", R"({"value":"1"})");
    const Answer refused = put("/v1/keys/a", "no json", session(written));
    expect_problem(refused, 400, "invalid argument");
    EXPECT_EQ(refused.header("Kvstore-Session"), written.header("Kvstore-Session"));
}

TEST_F(RestConsistency, AMalformedSessionIsRefusedAndNothingDone) {
    for (const std::string bad : {"x", "AQADrAIBAYkwSz1", "not a token"}) {
        const http::Headers headers{{"Kvstore-Session", bad}};
        expect_problem(get("/v1/keys/a", headers), 400, "invalid argument");
        const Answer refused = put("/v1/keys/a", R"({"value":"1"})", headers);
        expect_problem(refused, 400, "invalid argument");
        EXPECT_THAT(refused.text("detail"), HasSubstr("Kvstore-Session"));
        expect_problem(get("/Get?key=a", headers), 400, "invalid argument");
    }
    EXPECT_EQ(get("/v1/keys/a", {{"Kvstore-Session", ""}}).status, 404) << "none is none";
}

TEST_F(RestConsistency, ASessionOfAnotherHistoryIsRefused) {
    put("/v1/keys/a", R"({"value":"1"})");
    const Answer refused = get("/v1/keys/a", session_ahead());
    expect_problem(refused, 400, "future revision");
    EXPECT_THAT(refused.text("detail"), HasSubstr("does not exist"));
}

// ---- levels, of a replica without a majority ----

TEST_F(RestConsistency, WithoutAMajorityOnlyWhatIsHereIsShown) {
    const Answer written = put("/v1/keys/a", R"({"value":"1"})");
    cut_off();
    const Answer refused = get("/v1/keys/a");
    expect_problem(refused, 503, "unavailable");
    EXPECT_THAT(refused.text("detail"), HasSubstr("?consistency=eventual"));
    EXPECT_EQ(get("/v1/keys/a?consistency=bounded").status, 503);
    EXPECT_EQ(get("/v1/keys?prefix=a").status, 503);

    EXPECT_EQ(get("/v1/keys/a?consistency=eventual").text("value"), "1");
    EXPECT_EQ(get("/v1/keys/a?consistency=causal", session(written)).text("value"), "1");
    EXPECT_EQ(get("/v1/keys?prefix=a&consistency=eventual").number("count"), 1);
    EXPECT_EQ(get("/Get?key=a&consistency=eventual").text("value"), "1");
    EXPECT_TRUE(answers_at_once(Method::kGet, "/v1/keys/a?consistency=eventual"));
    EXPECT_FALSE(answers_at_once(Method::kGet, "/v1/keys/a"));
}

TEST_F(RestConsistency, AReplicaThatIsBehindTheSessionMustCatchUp) {
    put("/v1/keys/a", R"({"value":"1"})");
    cut_off();
    group_->end_wait(Status(Code::kDeadlineExceeded, "late"));
    EXPECT_FALSE(answers_at_once(Method::kGet, "/v1/keys/a?consistency=eventual", session_ahead()));
    http::Headers headers = session_ahead();
    headers.emplace_back("Kvstore-Timeout", "1s");
    expect_problem(get("/v1/keys/a?consistency=causal", headers), 504, "deadline exceeded");
    EXPECT_EQ(group_->waited_for, revision().next());
    EXPECT_LE(group_->waited_until.at, world_.now() + seconds(1));
}

TEST_F(RestConsistency, ABoundIsADurationOfABoundedRead) {
    put("/v1/keys/a", R"({"value":"1"})");
    cut_off();
    group_->stale = seconds(2);
    EXPECT_EQ(get("/v1/keys/a?consistency=bounded").status, 200);
    EXPECT_EQ(get("/v1/keys/a?consistency=bounded&max_staleness=2s").status, 200);
    EXPECT_EQ(get("/v1/keys/a?consistency=bounded&max_staleness=1999ms").status, 503);
    for (const std::string bad : {"consistency=bounded&max_staleness=soon",
                                  "consistency=bounded&max_staleness=2",
                                  "consistency=eventual&max_staleness=2s",
                                  "max_staleness=2s"}) {
        expect_problem(get("/v1/keys/a?" + bad), 400, "invalid argument");
    }
}

}  // namespace
}  // namespace kvstore::rest
