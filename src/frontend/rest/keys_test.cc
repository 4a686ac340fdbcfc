// PUT, GET, DELETE and POST .../increment of /v1/keys/{key}.
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/parse.h"
#include "frontend/rest/testing/rest_fixture.h"

namespace kvstore::rest {
namespace {

using http::Method;
using testing::Answer;
using testing::expect_problem;
using ::testing::HasSubstr;

class RestKeys : public testing::RestFixture {};

const std::string kBinary("\xff\x00\xfe", 3);
const http::Headers kRaw{{"Content-Type", "application/octet-stream"}};
const http::Headers kRawAnswer{{"Accept", "application/octet-stream"}};

// ---- put, get, delete ----

TEST_F(RestKeys, AreWrittenReadAndDeleted) {
    const Answer made = put("/v1/keys/a", R"({"value":"1"})");
    EXPECT_EQ(made.status, 201);
    EXPECT_EQ(made.type, "application/json");
    EXPECT_EQ(made.at("created"), boost::json::value(true));
    EXPECT_EQ(made.header("ETag"), "\"" + std::to_string(made.number("revision")) + "\"");

    const Answer read = get("/v1/keys/a");
    EXPECT_EQ(read.status, 200);
    EXPECT_EQ(read.text("key"), "a");
    EXPECT_EQ(read.text("value"), "1");
    EXPECT_EQ(read.number("version_count"), 1);
    EXPECT_EQ(read.number("create_revision"), made.number("revision"));
    EXPECT_EQ(read.number("mod_revision"), made.number("revision"));
    EXPECT_EQ(read.text("version"), made.text("version"));
    EXPECT_EQ(read.header("ETag"), made.header("ETag"));
    EXPECT_FALSE(read.has("ttl_seconds"));

    const Answer changed = put("/v1/keys/a", R"({"value":"2"})");
    EXPECT_EQ(changed.status, 200);
    EXPECT_EQ(changed.at("created"), boost::json::value(false));
    EXPECT_EQ(get("/v1/keys/a").number("version_count"), 2);

    EXPECT_EQ(erase("/v1/keys/a").number("deleted"), 1);
    EXPECT_EQ(erase("/v1/keys/a").number("deleted"), 0);
    const Answer absent = get("/v1/keys/a");
    expect_problem(absent, 404, "key not found");
    EXPECT_EQ(absent.text("key"), "a");
}

TEST_F(RestKeys, MayHoldAnyBytes) {
    for (const std::string key :
         {"a/b", "a b", "a%b", "a?b&c=d#e", "ключ", "..", "increment", "a/increment", "", "+"}) {
        const std::string path = "/v1/keys/" + http::percent_encode(key);
        EXPECT_EQ(put(path, R"({"value":"v"})").status, 201) << key;
        EXPECT_EQ(get(path).text("key"), key);
        EXPECT_EQ(value(key), "v");
    }
    // Slashes may stand as they are.
    EXPECT_EQ(get("/v1/keys/a/b").text("key"), "a/b");
    EXPECT_EQ(put("/v1/keys/%FF%00%FE", R"({"value_base64":"/wD+"})").status, 201);
    EXPECT_EQ(value(kBinary), kBinary);
    const Answer binary = get("/v1/keys/%FF%00%FE");
    EXPECT_EQ(binary.text("key_base64"), "/wD+");
    EXPECT_EQ(binary.text("value_base64"), "/wD+");
    EXPECT_FALSE(binary.has("key"));
    EXPECT_FALSE(binary.has("value"));
    EXPECT_EQ(erase("/v1/keys/%FF%00%FE").number("deleted"), 1);
    EXPECT_EQ(get("/v1/keys/%FF%00%FE").text("key_base64"), "/wD+");
}

TEST_F(RestKeys, GoRawWhereAsked) {
    EXPECT_EQ(put("/v1/keys/a?ttl_seconds=60", kBinary, kRaw).status, 201);
    EXPECT_EQ(value("a"), kBinary);
    const Answer raw = get("/v1/keys/a", kRawAnswer);
    EXPECT_EQ(raw.type, "application/octet-stream");
    EXPECT_EQ(raw.body, kBinary);
    EXPECT_FALSE(raw.header("ETag").empty());
    EXPECT_EQ(get("/v1/keys/a").number("ttl_seconds"), 60);
    EXPECT_EQ(put("/v1/keys/a", "", kRaw).status, 200);
    EXPECT_EQ(value("a"), "");

    // Media types have parameters, and no case.
    EXPECT_EQ(put("/v1/keys/b", "raw", {{"content-type", "Application/Octet-Stream; x=y"}}).status,
              201);
    EXPECT_EQ(get("/v1/keys/b", {{"accept", "application/OCTET-stream, */*"}}).body, "raw");
    EXPECT_EQ(get("/v1/keys/b", {{"Accept", "*/*"}}).text("value"), "raw");
    expect_problem(put("/v1/keys/b", "raw", {{"Content-Type", "application/octet-streams"}}),
                   400,
                   "invalid argument");
}

TEST_F(RestKeys, ThatArePlainAreReadWithoutACoroutine) {
    put("/v1/keys/a", R"({"value":"1"})");
    EXPECT_TRUE(answers_at_once(Method::kGet, "/v1/keys/a"));
    EXPECT_TRUE(answers_at_once(Method::kHead, "/v1/keys/a"));
    EXPECT_TRUE(answers_at_once(Method::kGet, "/v1/keys/absent"));
    EXPECT_TRUE(answers_at_once(Method::kGet, "/v1/keys/a?consistency=strong"));
    EXPECT_FALSE(answers_at_once(Method::kGet, "/v1/keys/a?revision=1"));
    EXPECT_FALSE(answers_at_once(Method::kPut, "/v1/keys/a"));
}

TEST_F(RestKeys, AnswerWithThePreviousValueOnRequest) {
    EXPECT_TRUE(put("/v1/keys/a?prev=true", R"({"value":"1"})").at("old_value").is_null());
    EXPECT_EQ(put("/v1/keys/a?prev=1", R"({"value_base64":"/wD+"})").text("old_value"), "1");
    EXPECT_EQ(put("/v1/keys/a?prev", R"({"value":"3"})").text("old_value_base64"), "/wD+");
    EXPECT_FALSE(put("/v1/keys/a?prev=false", R"({"value":"4"})").has("old_value"));
    EXPECT_EQ(erase("/v1/keys/a?prev=true").text("old_value"), "4");
    EXPECT_TRUE(erase("/v1/keys/a?prev=true").at("old_value").is_null());
    expect_problem(erase("/v1/keys/a?prev=perhaps"), 400, "invalid argument");
}

TEST_F(RestKeys, AreRefusedWhereTheRequestMakesNoSense) {
    for (const char* body : {"",
                             "nonsense",
                             "[]",
                             "{}",
                             R"({"value":1})",
                             R"({"value":null})",
                             R"({"value":"a","value_base64":"YQ=="})",
                             R"({"value_base64":"*"})",
                             R"({"value_base64":1})",
                             "{\"value\":\"\xff\"}",
                             R"({"value":"a","ttl_seconds":0})",
                             R"({"value":"a","ttl_seconds":-1})",
                             R"({"value":"a","ttl_seconds":1.5})",
                             R"({"value":"a","ttl_seconds":"1"})",
                             R"({"value":"a","ttl_seconds":1e300})",
                             R"({"value":"a","expected":1})",
                             R"({"value":"a"}{})"}) {
        expect_problem(put("/v1/keys/a", body), 400, "invalid argument");
    }
    const std::string deep(10'000, '[');
    expect_problem(put("/v1/keys/a", deep), 400, "invalid argument");
    expect_problem(put("/v1/keys/%zz", R"({"value":"a"})"), 400, "invalid argument");
    expect_problem(get("/v1/keys/%4"), 400, "invalid argument");
    expect_problem(erase("/v1/keys/%"), 400, "invalid argument");
    expect_problem(put("/v1/keys/a?ttl_seconds=0", "raw", kRaw), 400, "invalid argument");
    expect_problem(get("/v1/keys/a?revision=0"), 400, "invalid argument");
    expect_problem(get("/v1/keys/a?consistency=none"), 400, "invalid argument");
    expect_problem(get("/v1/keys/a", {{"Kvstore-Timeout", "soon"}}), 400, "invalid argument");
    EXPECT_EQ(value("a"), std::nullopt);
}

TEST_F(RestKeys, AboveTheLimitsAreRefused) {
    options_.limits.key_bytes_max = 300;
    options_.limits.value_bytes_max = 2000;
    EXPECT_EQ(put("/v1/keys/" + std::string(300, 'k'), R"({"value":"1"})").status, 201);
    const Answer key = put("/v1/keys/" + std::string(301, 'k'), R"({"value":"1"})");
    expect_problem(key, 413, "too large");
    EXPECT_THAT(key.text("detail"), HasSubstr("limits.key_bytes_max"));
    EXPECT_EQ(put("/v1/keys/a", std::string(2000, 'v'), kRaw).status, 201);
    expect_problem(put("/v1/keys/a", std::string(2001, 'v'), kRaw), 413, "too large");
}

// ---- conditions ----

TEST_F(RestKeys, AreWrittenOnlyIfTheirEtagMatches) {
    const std::string first = put("/v1/keys/a", R"({"value":"1"})").header("ETag");
    const std::string second =
        put("/v1/keys/a", R"({"value":"2"})", {{"If-Match", first}}).header("ETag");
    EXPECT_NE(first, second);

    const Answer stale = put("/v1/keys/a", R"({"value":"3"})", {{"If-Match", first}});
    expect_problem(stale, 412, "conflict");
    EXPECT_EQ(stale.text("current_value"), "2");
    EXPECT_EQ("\"" + std::to_string(stale.number("current_mod_revision")) + "\"", second);
    expect_problem(erase("/v1/keys/a", "", {{"If-Match", first}}), 412, "conflict");
    EXPECT_EQ(value("a"), "2");

    EXPECT_EQ(erase("/v1/keys/a", "", {{"If-Match", second}}).status, 200);
    const Answer absent = put("/v1/keys/a", R"({"value":"3"})", {{"If-Match", second}});
    expect_problem(absent, 412, "conflict");
    EXPECT_EQ(absent.number("current_mod_revision"), 0);
    EXPECT_FALSE(absent.has("current_value"));
}

TEST_F(RestKeys, AreWrittenOnlyIfTheyExistOrDoNot) {
    expect_problem(put("/v1/keys/a", R"({"value":"1"})", {{"If-Match", "*"}}), 412, "conflict");
    EXPECT_EQ(put("/v1/keys/a", R"({"value":"1"})", {{"If-None-Match", "*"}}).status, 201);
    expect_problem(
        put("/v1/keys/a", R"({"value":"2"})", {{"If-None-Match", "*"}}), 412, "conflict");
    EXPECT_EQ(put("/v1/keys/a", "2", {{"If-Match", "*"}, kRaw.front()}).status, 200);
    EXPECT_EQ(value("a"), "2");
}

TEST_F(RestKeys, AreWrittenOnlyIfTheValueIsTheExpectedOne) {
    EXPECT_EQ(put("/v1/keys/a", R"({"value":"1","expected":null})").status, 201);
    expect_problem(put("/v1/keys/a", R"({"value":"2","expected":null})"), 412, "conflict");
    EXPECT_EQ(put("/v1/keys/a", R"({"value":"2","expected":"1"})").status, 200);
    expect_problem(put("/v1/keys/a", R"({"value":"3","expected":"1"})"), 412, "conflict");
    EXPECT_EQ(put("/v1/keys/a", R"({"value":"3","expected_base64":"Mg=="})").status, 200);
    expect_problem(put("/v1/keys/absent", R"({"value":"1","expected":""})"), 412, "conflict");
    expect_problem(erase("/v1/keys/a", R"({"expected":"2"})"), 412, "conflict");
    EXPECT_EQ(erase("/v1/keys/a", R"({"expected":"3"})").number("deleted"), 1);
}

TEST_F(RestKeys, TakeOneConditionThatCanBeRead) {
    const std::string body = R"({"value":"1"})";
    for (const http::Headers& headers : {http::Headers{{"If-Match", "*"}, {"If-None-Match", "*"}},
                                         http::Headers{{"If-None-Match", "\"1\""}},
                                         http::Headers{{"If-Match", "\"a\""}},
                                         http::Headers{{"If-Match", "\"1\", \"2\""}},
                                         http::Headers{{"If-Match", "W/\"1\""}},
                                         http::Headers{{"If-Match", ""}}}) {
        expect_problem(put("/v1/keys/a", body, headers), 400, "invalid argument");
    }
    expect_problem(put("/v1/keys/a", R"({"value":"1","expected":null})", {{"If-None-Match", "*"}}),
                   400,
                   "invalid argument");
    expect_problem(put("/v1/keys/a", R"({"value":"1","expected":"1","expected_base64":"MQ=="})"),
                   400,
                   "invalid argument");
    EXPECT_EQ(value("a"), std::nullopt);
}

TEST_F(RestKeys, AreNotSentAgainToWhoHasThem) {
    const std::string etag = put("/v1/keys/a", R"({"value":"1"})").header("ETag");
    for (const std::string& known : {etag, "W/" + etag, "\"0\", " + etag, std::string("*")}) {
        const Answer answer = get("/v1/keys/a", {{"If-None-Match", known}});
        EXPECT_EQ(answer.status, 304) << known;
        EXPECT_EQ(answer.header("ETag"), etag);
        EXPECT_EQ(answer.body, "");
    }
    for (const std::string& other : {std::string("\"0\""), std::string(""), etag + "x"}) {
        EXPECT_EQ(get("/v1/keys/a", {{"If-None-Match", other}}).status, 200) << other;
    }
    EXPECT_EQ(get("/v1/keys/absent", {{"If-None-Match", "*"}}).status, 404);
}

// ---- time ----

TEST_F(RestKeys, ExpireWhenTheirTimeIsUp) {
    put("/v1/keys/a", R"({"value":"1","ttl_seconds":10})");
    const Answer fresh = get("/v1/keys/a");
    EXPECT_EQ(fresh.number("ttl_seconds"), 10);
    EXPECT_NEAR(static_cast<double>(fresh.number("expires_at_ms")),
                static_cast<double>(now_ms() + 10'000),
                1000);

    world_.run_for(std::chrono::milliseconds(8500));
    EXPECT_EQ(get("/v1/keys/a").number("ttl_seconds"), 2);
    world_.run_for(std::chrono::seconds(2));
    EXPECT_EQ(get("/v1/keys/a").status, 404);
    EXPECT_EQ(get("/v1/keys").number("count"), 0);
}

TEST_F(RestKeys, LoseTheirLifetimeWhenTheyAreWrittenWithoutOne) {
    put("/v1/keys/a", R"({"value":"1","ttl_seconds":10})");
    put("/v1/keys/a", R"({"value":"2","ttl_seconds":null})");
    EXPECT_FALSE(get("/v1/keys/a").has("ttl_seconds"));
}

TEST_F(RestKeys, AreNotWrittenAfterTheDeadline) {
    const Answer late = put("/v1/keys/a", R"({"value":"1"})", {{"Kvstore-Timeout", "0"}});
    expect_problem(late, 504, "deadline exceeded");
    EXPECT_EQ(value("a"), std::nullopt);
    EXPECT_EQ(put("/v1/keys/a", R"({"value":"1"})", {{"Kvstore-Timeout", "2s"}}).status, 201);
}

TEST_F(RestKeys, SayWhenNobodyKnowsWhetherTheyWereWritten) {
    put("/v1/keys/a", R"({"value":"1"})");
    machine_.disk_faults().slowness = 100'000;
    const Answer unknown = put("/v1/keys/a", R"({"value":"2"})", {{"Kvstore-Timeout", "1ms"}});
    machine_.disk_faults().slowness = 1;
    EXPECT_EQ(unknown.status, 504);
    EXPECT_EQ(unknown.text("effect"), "unknown") << unknown.body;
}

// ---- revisions ----

TEST_F(RestKeys, AreReadAsOfARevision) {
    const auto first = put("/v1/keys/a", R"({"value":"1"})").number("revision");
    const auto second = put("/v1/keys/a", R"({"value":"2"})").number("revision");
    const auto third = erase("/v1/keys/a").number("revision");
    const auto at = [this](std::int64_t revision) {
        return get("/v1/keys/a?revision=" + std::to_string(revision));
    };
    EXPECT_EQ(at(first).text("value"), "1");
    EXPECT_EQ(at(second).text("value"), "2");
    EXPECT_EQ(at(third).status, 404);
    expect_problem(at(third + 1000), 400, "future revision");
}

TEST_F(RestKeys, AreGoneFromRevisionsThatWereCompacted) {
    start();
    create("short", std::chrono::seconds(1));
    const auto first = put("/v1/keys/a?keyspace=short", R"({"value":"1"})").number("revision");
    world_.run_for(std::chrono::minutes(5));
    put("/v1/keys/a?keyspace=short", R"({"value":"2"})");
    world_.run_for(std::chrono::minutes(5));
    put("/v1/keys/a?keyspace=short", R"({"value":"3"})");
    world_.run_for(std::chrono::minutes(5));
    expect_problem(
        get("/v1/keys/a?keyspace=short&revision=" + std::to_string(first)), 410, "compacted");
}

// ---- increment ----

class RestIncrement : public testing::RestFixture {
protected:
    Answer add(std::string body = "", http::Headers headers = {}) {
        return post("/v1/keys/n/increment", std::move(body), std::move(headers));
    }
};

TEST_F(RestIncrement, CountsFromNothingByOneUnlessTold) {
    const Answer first = add();
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.number("value"), 1);
    EXPECT_EQ(first.at("created"), boost::json::value(true));
    EXPECT_EQ(first.header("ETag"), "\"" + std::to_string(first.number("revision")) + "\"");
    const Answer second = add("{}");
    EXPECT_EQ(second.number("value"), 2);
    EXPECT_EQ(second.at("created"), boost::json::value(false));
    EXPECT_GT(second.number("revision"), first.number("revision"));
    EXPECT_EQ(add(R"({"by":-12})").number("value"), -10);
    EXPECT_EQ(add(R"({"by":0})").number("value"), -10);
    EXPECT_EQ(add(R"({"by":null})").number("value"), -9);
    const Answer read = get("/v1/keys/n");
    EXPECT_EQ(read.text("value"), "-9");
    EXPECT_EQ(read.number("version_count"), 5);
}

TEST_F(RestIncrement, ReachesEveryNumberOf64Bits) {
    EXPECT_EQ(add(R"({"by":9223372036854775807})").number("value"),
              std::numeric_limits<std::int64_t>::max());
    EXPECT_EQ(value("n"), "9223372036854775807");
    EXPECT_EQ(add(R"({"by":-9223372036854775808})").number("value"), -1);
    EXPECT_EQ(add(R"({"by":-9223372036854775807})").number("value"),
              std::numeric_limits<std::int64_t>::min());
}

TEST_F(RestIncrement, RefusesASumThatDoesNotFit) {
    put("/v1/keys/n", R"({"value":"9223372036854775807"})");
    expect_problem(add(), 409, "out of range");
    EXPECT_EQ(value("n"), "9223372036854775807");
}

TEST_F(RestIncrement, RefusesAValueThatIsNoInteger) {
    for (const char* text : {"", "a", "1.5", " 1", "1 ", "0x1", "9223372036854775808"}) {
        put("/v1/keys/n", text, kRaw);
        expect_problem(add(), 409, "wrong type");
        EXPECT_EQ(value("n"), text);
    }
}

TEST_F(RestIncrement, RefusesWhatIsNoInteger) {
    for (const char* body : {R"({"by":1.5})",
                             R"({"by":"1"})",
                             R"({"by":9223372036854775808})",
                             R"({"by":1e300})",
                             R"({"by":true})",
                             R"({"ttl_seconds":0})",
                             "1",
                             "by=1"}) {
        expect_problem(add(body), 400, "invalid argument");
    }
    expect_problem(post("/v1/keys/%zz/increment"), 400, "invalid argument");
    expect_problem(post("/v1/keys/n/increment?keyspace=none"), 404, "keyspace not found");
    EXPECT_EQ(value("n"), std::nullopt);
}

TEST_F(RestIncrement, LeavesTheLifetimeUnlessItIsGiven) {
    add(R"({"ttl_seconds":100})");
    EXPECT_EQ(get("/v1/keys/n").number("ttl_seconds"), 100);
    world_.run_for(std::chrono::seconds(50));
    add();
    EXPECT_LE(get("/v1/keys/n").number("ttl_seconds"), 51);
    add(R"({"ttl_seconds":1000})");
    EXPECT_EQ(get("/v1/keys/n").number("ttl_seconds"), 1000);
    world_.run_for(std::chrono::seconds(1001));
    EXPECT_EQ(add().number("value"), 1);
    EXPECT_FALSE(get("/v1/keys/n").has("ttl_seconds"));
}

TEST_F(RestIncrement, AddsOnceWhenItIsConditional) {
    const std::string etag = add("", {{"If-None-Match", "*"}}).header("ETag");
    expect_problem(add("", {{"If-None-Match", "*"}}), 412, "conflict");
    EXPECT_EQ(add("", {{"If-Match", etag}}).number("value"), 2);
    const Answer again = add("", {{"If-Match", etag}});
    expect_problem(again, 412, "conflict");
    EXPECT_EQ(again.text("current_value"), "2");
}

TEST_F(RestIncrement, TakesKeysOfAnyForm) {
    EXPECT_EQ(post("/v1/keys/a/b/increment").status, 200);
    EXPECT_EQ(value("a/b"), "1");
    EXPECT_EQ(post("/v1/keys/increment/increment").status, 200);
    EXPECT_EQ(value("increment"), "1");
    EXPECT_EQ(post("/v1/keys/a%2Fincrement/increment").status, 200);
    EXPECT_EQ(value("a/increment"), "1");
    EXPECT_EQ(post("/v1/keys//increment").status, 200);
    EXPECT_EQ(value(""), "1");
    EXPECT_EQ(post("/v1/keys/increment").status, 405);
    EXPECT_EQ(post("/v1/keys/a").status, 405);
    // To other methods it is a key.
    EXPECT_EQ(get("/v1/keys/a/increment").text("key"), "a/increment");
}

}  // namespace
}  // namespace kvstore::rest
