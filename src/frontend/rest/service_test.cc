// Routes, pages, batches, keyspaces, the older paths and the node; and that every error is a
// problem.
#include "frontend/rest/service.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json_escape.h"
#include "frontend/rest/internal/answer.h"
#include "frontend/rest/internal/openapi.h"
#include "frontend/rest/testing/rest_fixture.h"

namespace kvstore::rest {
namespace {

namespace json = boost::json;

using http::Method;
using testing::Answer;
using ::testing::ElementsAre;
using testing::expect_problem;
using ::testing::HasSubstr;

// ---- routes ----

class RestRoutes : public testing::RestFixture {};

TEST_F(RestRoutes, AnswerOnlyToWhatTheyName) {
    for (const char* target : {"/",
                               "/v1",
                               "/v1/",
                               "/v1/keyz",
                               "/v1/keys2",
                               "/v2/keys",
                               "/V1/keys",
                               "/v1/batch",
                               "/v1/batch/put/",
                               "/set",
                               "/kvstore/a",
                               "//v1/keys"}) {
        expect_problem(get(target), 404, "no such path");
    }
}

TEST_F(RestRoutes, SayWhichMethodsTheyAnswerTo) {
    const std::vector<std::tuple<Method, std::string, std::string>> kWrong{
        {Method::kPost, "/v1/keys/a", "GET, PUT, DELETE"},
        {Method::kPatch, "/v1/keys/a/increment", "GET, PUT, DELETE, POST"},
        {Method::kPut, "/v1/keys", "GET"},
        {Method::kGet, "/v1/batch/put", "POST"},
        {Method::kDelete, "/v1/keyspaces", "GET, POST"},
        {Method::kPut, "/v1/keyspaces/a", "GET, PATCH, DELETE"},
        {Method::kOther, "/v1/status", "GET"},
        {Method::kOptions, "/kvstore", "GET, POST, PUT, DELETE"},
        {Method::kGet, "/Set", "POST"},
    };
    for (const auto& [method, target, allowed] : kWrong) {
        const Answer answer = call(method, target);
        expect_problem(answer, 405, "method not allowed");
        EXPECT_EQ(answer.header("Allow"), allowed) << target;
    }
}

TEST_F(RestRoutes, AnswerHeadAsGet) {
    put("/v1/keys/a", R"({"value":"1"})");
    for (const char* target : {"/v1/keys/a", "/v1/keys", "/v1/status", "/livez", "/readyz"}) {
        EXPECT_EQ(call(Method::kHead, target).status, 200) << target;
    }
    EXPECT_EQ(call(Method::kHead, "/v1/keys/absent").status, 404);
}

TEST_F(RestRoutes, RefuseKeyspacesThatDoNotExist) {
    for (const Answer& answer : {get("/v1/keys/a?keyspace=none"),
                                 put("/v1/keys/a?keyspace=none", R"({"value":"1"})"),
                                 erase("/v1/keys/a?keyspace=none"),
                                 get("/v1/keys?keyspace=none"),
                                 post("/v1/batch/put?keyspace=none", R"({"items":[]})"),
                                 post("/v1/batch/get?keyspace=none", R"({"keys":[]})"),
                                 post("/v1/batch/delete?keyspace=none", R"({"keys":[]})")}) {
        expect_problem(answer, 404, "keyspace not found");
        EXPECT_THAT(answer.text("detail"), HasSubstr("'none'"));
    }
}

TEST_F(RestRoutes, RefuseAConsistencyAndATimeoutThatMeanNothing) {
    for (const char* query : {"?consistency=none", "?consistency="}) {
        for (const std::string path : {"/v1/keys/a", "/v1/keys"}) {
            expect_problem(get(path + query), 400, "invalid argument");
        }
        expect_problem(
            post("/v1/batch/get" + std::string(query), R"({"keys":[]})"), 400, "invalid argument");
    }
    for (const char* known : {"linearizable", "causal", "bounded", "eventual", "strong"}) {
        EXPECT_EQ(get("/v1/keys?consistency=" + std::string(known)).status, 200) << known;
    }
    const http::Headers soon{{"Kvstore-Timeout", "soon"}};
    expect_problem(get("/v1/keys", soon), 400, "invalid argument");
    expect_problem(put("/v1/keys/a", R"({"value":"1"})", soon), 400, "invalid argument");
    expect_problem(post("/v1/keys/a/increment", "", soon), 400, "invalid argument");
}

// ---- problems ----

class RestProblems : public testing::RestFixture {};

TEST_F(RestProblems, SayWhatANeverMadeRequestDid) {
    start();
    const http::Response refused = service_->refuse(503, "too many connections");
    expect_problem({.status = refused.status,
                    .type = refused.content_type,
                    .headers = refused.headers,
                    .body = refused.body},
                   503,
                   "Service Unavailable");
    EXPECT_EQ(http::find_header(refused.headers, "Retry-After"), "1");
}

TEST_F(RestProblems, QuoteBytesThatAreNoText) {
    const Answer answer = get("/v1/keys?keyspace=%ff%00%22");
    expect_problem(answer, 404, "keyspace not found");
    EXPECT_TRUE(is_utf8(answer.body));
    expect_problem(get("/v1/none%0d%0aX: y"), 404, "no such path");
}

TEST(Problems, NeverTurnAnUnknownEffectIntoNone) {
    const http::Response response = problem(Status(Code::kUnavailable, Effect::kUnknown, "lost"));
    EXPECT_EQ(response.status, 503);
    EXPECT_THAT(response.body, HasSubstr(R"("effect":"unknown")"));
    EXPECT_THAT(problem(Status(Code::kUnavailable, "lost")).body, HasSubstr(R"("effect":"none")"));
}

TEST(Problems, HaveAStatusForEveryCode) {
    for (int code = 1; code <= static_cast<int>(Code::kInternal); ++code) {
        const unsigned status = http_status(static_cast<Code>(code));
        EXPECT_GE(status, 400U);
        EXPECT_LT(status, 600U);
        EXPECT_NE(http::reason_phrase(status), "Unknown") << status;
    }
    EXPECT_EQ(http_status(Code::kOk), 200U);
}

// ---- pages ----

class RestPages : public testing::RestFixture {
protected:
    void fill(const std::vector<std::string>& keys) {
        for (const std::string& key : keys) {
            put("/v1/keys/" + http::percent_encode(key), R"({"value":"v"})");
        }
    }
    static std::vector<std::string> keys_of(const Answer& page) {
        std::vector<std::string> keys;
        const json::value rows = page.at("keys");
        for (const json::value& row : rows.as_array()) {
            keys.emplace_back(row.as_object().at("key").as_string());
        }
        return keys;
    }
};

TEST_F(RestPages, ShowAPrefixOrARangeInOrder) {
    fill({"c", "b:2", "a", "b:1", "b:3"});
    const std::vector<std::pair<std::string, std::vector<std::string>>> kPages{
        {"", {"a", "b:1", "b:2", "b:3", "c"}},
        {"?prefix=b%3A", {"b:1", "b:2", "b:3"}},
        {"?from=b:2", {"b:2", "b:3", "c"}},
        {"?to=b:2", {"a", "b:1"}},
        {"?from=b:2&to=c", {"b:2", "b:3"}},
        {"?prefix=b:&from=b:2", {"b:2", "b:3"}},
        {"?prefix=b:&from=a", {"b:1", "b:2", "b:3"}},
        {"?prefix=b:&to=z", {"b:1", "b:2", "b:3"}},
        {"?prefix=b:&to=b:2", {"b:1"}},
        {"?prefix=x", {}},
        {"?from=c&to=a", {}},
        {"?reverse=true", {"c", "b:3", "b:2", "b:1", "a"}},
        {"?reverse=true&prefix=b:&limit=2", {"b:3", "b:2"}},
    };
    for (const auto& [query, keys] : kPages) {
        const Answer page = get("/v1/keys" + query);
        EXPECT_EQ(page.status, 200) << query;
        EXPECT_EQ(keys_of(page), keys) << query;
        EXPECT_EQ(page.number("count"), static_cast<std::int64_t>(keys.size())) << query;
    }
}

TEST_F(RestPages, ShowEveryKeyOnceWhateverTheirSize) {
    std::vector<std::string> all;
    for (int i = 10; i < 37; ++i) {
        all.push_back("k" + std::to_string(i));
    }
    fill(all);
    for (const bool reverse : {false, true}) {
        for (const std::string limit : {"1", "2", "26", "27", "28"}) {
            const std::string query =
                "/v1/keys?limit=" + limit + "&reverse=" + (reverse ? "true" : "false");
            std::vector<std::string> seen;
            std::string cursor;
            for (int pages = 0; pages < 100; ++pages) {
                const Answer page = get(query + "&cursor=" + http::percent_encode(cursor));
                std::ranges::copy(keys_of(page), std::back_inserter(seen));
                if (!page.at("has_more").as_bool()) {
                    EXPECT_FALSE(page.has("cursor"));
                    break;
                }
                cursor = page.text("cursor");
            }
            if (reverse) {
                std::ranges::reverse(seen);
            }
            EXPECT_EQ(seen, all) << query;
        }
    }
}

TEST_F(RestPages, StayWithinTheirPrefixWhateverTheCursor) {
    fill({"a", "b:1", "b:2", "c"});
    EXPECT_THAT(keys_of(get("/v1/keys?prefix=b:&cursor=YQ==")), ElementsAre("b:1", "b:2"));
    EXPECT_THAT(keys_of(get("/v1/keys?prefix=b:&reverse=true&cursor=eg==")),
                ElementsAre("b:2", "b:1"));
}

TEST_F(RestPages, LeaveOutWhatIsNotAskedFor) {
    fill({"a", "b"});
    const Answer keys = get("/v1/keys?keys_only=true");
    EXPECT_THAT(keys_of(keys), ElementsAre("a", "b"));
    EXPECT_THAT(keys.body, ::testing::Not(HasSubstr("\"value\"")));
    const Answer count = get("/v1/keys?count_only=true&limit=1");
    EXPECT_EQ(count.number("count"), 2);
    EXPECT_THAT(keys_of(count), ElementsAre());
}

TEST_F(RestPages, ShowAnOldRevision) {
    fill({"a"});
    const auto revision = put("/v1/keys/b", R"({"value":"old"})").number("revision");
    put("/v1/keys/b", R"({"value":"new"})");
    erase("/v1/keys/a");
    const Answer page = get("/v1/keys?revision=" + std::to_string(revision));
    EXPECT_THAT(keys_of(page), ElementsAre("a", "b"));
    EXPECT_THAT(page.body, HasSubstr("\"old\""));
    EXPECT_EQ(page.number("revision"), revision);
}

TEST_F(RestPages, AreRefusedWhereTheQueryMakesNoSense) {
    options_.limits.scan_rows_max = 10;
    for (const char* query : {"limit=0",
                              "limit=-1",
                              "limit=x",
                              "limit=",
                              "limit=11",
                              "limit=1.5",
                              "revision=0",
                              "revision=x",
                              "cursor=*",
                              "reverse=perhaps",
                              "keys_only=2",
                              "count_only=x"}) {
        expect_problem(get("/v1/keys?" + std::string(query)), 400, "invalid argument");
    }
    expect_problem(get("/v1/keys?revision=1000000"), 400, "future revision");
    EXPECT_EQ(get("/v1/keys?limit=10").status, 200);
}

// ---- batches ----

class RestBatches : public testing::RestFixture {
protected:
    static json::object result(const Answer& answer, std::size_t at) {
        return answer.at("results").as_array().at(at).as_object();
    }
};

TEST_F(RestBatches, TakeEachItemByItself) {
    put("/v1/keys/a", R"({"value":"1"})");
    const Answer answer = post("/v1/batch/put", R"({"items":[
        {"key":"a","value":"2","expected":"1"},
        {"key":"a","value":"3","expected":"1"},
        {"key":"b","value":"1","expected":null},
        {"key_base64":"/wD+","value_base64":"/wD+"},
        {"key":"t","value":"","ttl_seconds":60}]})");
    EXPECT_EQ(answer.status, 200);
    const std::string done = R"({"key":"a","ok":true})";
    EXPECT_EQ(json::serialize(result(answer, 0)), done);
    EXPECT_EQ(result(answer, 1).at("ok"), json::value(false));
    EXPECT_EQ(result(answer, 1).at("error"), json::value("conflict"));
    EXPECT_EQ(result(answer, 1).at("effect"), json::value("none"));
    EXPECT_EQ(result(answer, 1).at("current_mod_revision"), answer.at("revision"));
    EXPECT_EQ(result(answer, 2).at("ok"), json::value(true));
    EXPECT_EQ(result(answer, 3).at("key_base64"), json::value("/wD+"));
    EXPECT_EQ(value("a"), "2");
    EXPECT_EQ(get("/v1/keys/t").number("ttl_seconds"), 60);
}

TEST_F(RestBatches, ReadSeveralKeys) {
    put("/v1/keys/a", R"({"value":"1"})");
    put("/v1/keys/%FF", R"({"value_base64":"/w=="})");
    const Answer answer =
        post("/v1/batch/get", R"({"keys":["a",{"key":"a"},{"key_base64":"/w=="},"none"]})");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(result(answer, 0).at("value"), json::value("1"));
    EXPECT_EQ(result(answer, 1), result(answer, 0));
    EXPECT_EQ(result(answer, 2).at("value_base64"), json::value("/w=="));
    EXPECT_EQ(json::serialize(result(answer, 3)), R"({"key":"none","found":false})");
}

TEST_F(RestBatches, DeleteSeveralKeys) {
    put("/v1/keys/a", R"({"value":"1"})");
    put("/v1/keys/b", R"({"value":"1"})");
    const Answer answer = post("/v1/batch/delete", R"({"keys":["a","none","a",{"key":"b"}]})");
    EXPECT_EQ(answer.number("deleted"), 2);
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(result(answer, i).at("deleted").as_int64(), i == 0 || i == 3 ? 1 : 0);
    }
    EXPECT_EQ(get("/v1/keys").number("count"), 0);
}

TEST_F(RestBatches, MayBeEmpty) {
    EXPECT_EQ(post("/v1/batch/put", R"({"items":[]})").at("results").as_array().size(), 0);
    EXPECT_EQ(post("/v1/batch/get", R"({"keys":[]})").at("results").as_array().size(), 0);
    EXPECT_EQ(post("/v1/batch/delete", R"({"keys":[]})").number("deleted"), 0);
}

TEST_F(RestBatches, AreRefusedAsAWholeWhereOneItemMakesNoSense) {
    const std::vector<std::pair<std::string, std::string>> kBad{
        {R"({"items":[{"key":"a","value":"1"},{"key":"b"}]})", "items[1]"},
        {R"({"items":[{"value":"1"}]})", "items[0]"},
        {R"({"items":["a"]})", "items[0]"},
        {R"({"items":[{"key":"a","value":"1","ttl_seconds":0}]})", "items[0]"},
        {R"({"items":[{"key":"a","value":"1","expected":1}]})", "items[0]"},
        {R"({"items":{}})", "'items', an array"},
        {R"({"keys":[]})", "'items', an array"},
        {"", "JSON"},
    };
    for (const auto& [body, word] : kBad) {
        const Answer answer = post("/v1/batch/put", body);
        expect_problem(answer, 400, "invalid argument");
        EXPECT_THAT(answer.text("detail"), HasSubstr(word));
    }
    for (const char* body :
         {R"({"keys":[1]})", R"({"keys":["a",{}]})", R"({"keys":[{"key_base64":"*"}]})", "{}"}) {
        expect_problem(post("/v1/batch/get", body), 400, "invalid argument");
        expect_problem(post("/v1/batch/delete", body), 400, "invalid argument");
    }
    EXPECT_EQ(value("a"), std::nullopt);
}

TEST_F(RestBatches, AreHeldToTheLimits) {
    options_.limits.batch_items_max = 2;
    options_.limits.value_bytes_max = 1000;
    expect_problem(post("/v1/batch/get", R"({"keys":["a","b","c"]})"), 413, "too large");
    expect_problem(post("/v1/batch/put",
                        R"({"items":[{"key":"a","value":"1"},{"key":"b","value":")" +
                            std::string(1001, 'x') + R"("}]})"),
                   413,
                   "too large");
    EXPECT_EQ(value("a"), std::nullopt);
}

// One large value asked for many times cost its size each time: 16 MiB 10,000 times.
TEST_F(RestBatches, DoNotAnswerWithMoreThanMemoryHolds) {
    options_.limits.value_bytes_max = 4U << 20U;
    put("/v1/keys/a", std::string(4U << 20U, 'x'), {{"Content-Type", "application/octet-stream"}});
    const auto ask = [this](int count) {
        std::string keys = "\"a\"";
        for (int i = 1; i < count; ++i) {
            keys += ",\"a\"";
        }
        return post("/v1/batch/get", R"({"keys":[)" + keys + "]}");
    };
    EXPECT_EQ(ask(16).status, 200);
    expect_problem(ask(17), 413, "too large");
}

// ---- keyspaces ----

class RestKeyspaces : public testing::RestFixture {};

TEST_F(RestKeyspaces, AreMadeShownChangedAndDropped) {
    const Answer made =
        post("/v1/keyspaces",
             R"({"name":"a/b","engine":"memory","history":"1h","replication_factor":5})");
    EXPECT_EQ(made.status, 201);
    EXPECT_EQ(made.text("name"), "a/b");
    EXPECT_EQ(made.text("replication"), "strong");
    EXPECT_EQ(made.text("engine"), "memory");
    EXPECT_EQ(made.text("history"), "1h");
    EXPECT_EQ(made.number("replication_factor"), 5);
    EXPECT_EQ(get("/v1/keyspaces/a/b").body, made.body);
    EXPECT_EQ(get("/v1/keyspaces/a%2Fb").body, made.body);

    const Answer all = get("/v1/keyspaces");
    EXPECT_EQ(all.at("keyspaces").as_array().size(), 2);
    EXPECT_THAT(all.body, HasSubstr(made.body));

    const Answer changed = patch("/v1/keyspaces/a/b", R"({"history":"0","replication_factor":1})");
    EXPECT_EQ(changed.status, 200);
    EXPECT_EQ(changed.number("replication_factor"), 1);
    EXPECT_EQ(get("/v1/keyspaces/a/b").body, changed.body);

    const Answer dropped = erase("/v1/keyspaces/a/b");
    EXPECT_EQ(dropped.status, 204);
    EXPECT_EQ(dropped.body, "");
    expect_problem(get("/v1/keyspaces/a/b"), 404, "keyspace not found");
}

TEST_F(RestKeyspaces, DoNotSeeEachOther) {
    post("/v1/keyspaces", R"({"name":"other","engine":"memory"})");
    put("/v1/keys/a?keyspace=other", R"({"value":"1"})");
    EXPECT_EQ(get("/v1/keys/a").status, 404);
    EXPECT_EQ(get("/v1/keys/a?keyspace=default").status, 404);
    EXPECT_EQ(get("/v1/keys/a?keyspace=other").text("value"), "1");
    EXPECT_EQ(post("/v1/batch/get?keyspace=other", R"({"keys":["a"]})")
                  .at("results")
                  .as_array()[0]
                  .at("found"),
              json::value(true));
    EXPECT_EQ(post("/v1/keys/a/increment?keyspace=other").number("value"), 2);
}

TEST_F(RestKeyspaces, MayHaveSeveralShards) {
    const Answer made =
        post("/v1/keyspaces",
             R"({"name":"t","engine":"memory","split_at":["m",{"key_base64":"/w=="}]})");
    EXPECT_EQ(made.status, 201);
    EXPECT_EQ(made.at("shards").as_array().size(), 3);

    const Answer written = post("/v1/batch/put?keyspace=t", R"({"items":[
        {"key":"z","value":"1"},{"key":"a","value":"1"},{"key_base64":"/w==","value":"1"},
        {"key":"b","value":"1","expected":"2"}]})");
    EXPECT_EQ(written.status, 200);
    EXPECT_FALSE(written.has("revision"));
    EXPECT_EQ(json::serialize(written.at("results").as_array()[0]), R"({"key":"z","ok":true})");
    EXPECT_EQ(written.at("results").as_array()[3].at("error"), json::value("conflict"));

    const Answer page = get("/v1/keys?keyspace=t&limit=2");
    EXPECT_EQ(page.number("count"), 2);
    EXPECT_EQ(page.at("keys").as_array()[1].at("key"), json::value("z"));
    EXPECT_EQ(post("/v1/batch/delete?keyspace=t", R"({"keys":["z","a"]})").number("deleted"), 2);
    expect_problem(get("/v1/keys?keyspace=t&revision=1"), 400, "invalid argument");
}

TEST_F(RestKeyspaces, AreRefusedWhereTheRequestMakesNoSense) {
    for (const char* body : {"",
                             "{}",
                             R"({"name":1})",
                             R"({"name":""})",
                             R"({"name":"a b"})",
                             R"({"name":"system"})",
                             R"({"name":"a","engine":"tape"})",
                             R"({"name":"a","replication":"some"})",
                             R"({"name":"a","replication_factor":2})",
                             R"({"name":"a","replication_factor":9})",
                             R"({"name":"a","history":"long"})",
                             R"({"name":"a","split_at":"b"})",
                             R"({"name":"a","split_at":[1]})",
                             R"({"name":"a","split_at":["b","a"]})",
                             R"({"name":"a","history":10})"}) {
        expect_problem(post("/v1/keyspaces", body), 400, "invalid argument");
    }
    expect_problem(post("/v1/keyspaces", R"({"name":"default"})"), 409, "already exists");
    expect_problem(
        post("/v1/keyspaces", R"({"name":"q","replication":"quorum"})"), 501, "unimplemented");
    for (const char* body : {"",
                             "[]",
                             R"({"engine":"lsm"})",
                             R"({"name":"b"})",
                             R"({"history":"x"})",
                             R"({"replication_factor":2})"}) {
        expect_problem(patch("/v1/keyspaces/default", body), 400, "invalid argument");
    }
    expect_problem(patch("/v1/keyspaces/none", "{}"), 404, "not found");
    expect_problem(erase("/v1/keyspaces/none"), 404, "not found");
    expect_problem(erase("/v1/keyspaces/default"), 400, "invalid argument");
    expect_problem(get("/v1/keyspaces/%zz"), 404, "keyspace not found");
    EXPECT_EQ(get("/v1/keyspaces").at("keyspaces").as_array().size(), 1);
}

// ---- the older paths ----

class RestLegacy : public testing::RestFixture {};

TEST_F(RestLegacy, ShareTheDefaultKeyspace) {
    const Answer set = post("/Set", R"({"key":"user123","value":"data123"})");
    EXPECT_EQ(set.status, 200);
    EXPECT_EQ(set.body, R"({"message":"success"})");
    EXPECT_EQ(get("/Get?key=user123").body, R"({"value":"data123"})");
    EXPECT_EQ(get("/v1/keys/user123").text("value"), "data123");
    EXPECT_EQ(erase("/Delete", R"({"key":"user123"})").body, R"({"message":"success"})");
    expect_problem(get("/Get?key=user123"), 404, "key not found");
    expect_problem(erase("/Delete", R"({"key":"user123"})"), 404, "key not found");

    EXPECT_EQ(post("/kvstore", R"({"key":"mykey","value":"1"})").status, 200);
    EXPECT_EQ(put("/kvstore", R"({"key":"mykey","value":"myvalue"})").status, 200);
    EXPECT_EQ(get("/kvstore?key=mykey").body, R"({"value":"myvalue"})");
    EXPECT_EQ(erase("/kvstore?key=mykey").status, 200);
    expect_problem(erase("/kvstore?key=mykey"), 404, "key not found");
}

TEST_F(RestLegacy, SayWhatIsMissing) {
    for (const char* body : {"",
                             "x",
                             "{}",
                             R"({"key":"a"})",
                             R"({"value":"a"})",
                             R"({"key":1,"value":"a"})",
                             R"({"key":"a","value":1})"}) {
        expect_problem(post("/Set", body), 400, "invalid argument");
        expect_problem(put("/kvstore", body), 400, "invalid argument");
    }
    expect_problem(get("/Get"), 400, "invalid argument");
    expect_problem(get("/kvstore?k=a"), 400, "invalid argument");
    expect_problem(erase("/Delete"), 400, "invalid argument");
    expect_problem(erase("/Delete", "nonsense"), 400, "invalid argument");
}

TEST_F(RestLegacy, AreHeldToTheLimits) {
    options_.limits.value_bytes_max = 1000;
    const std::string value(1001, 'x');
    expect_problem(post("/Set", R"({"key":"a","value":")" + value + R"("})"), 413, "too large");
}

// ---- the node ----

class RestNode : public testing::RestFixture {};

TEST_F(RestNode, TellsAboutItself) {
    put("/v1/keys/a", R"({"value":"1"})");
    const Answer status = get("/v1/status");
    EXPECT_EQ(status.status, 200);
    EXPECT_EQ(status.text("node_id"), "n1");
    EXPECT_EQ(status.text("version"), "1.2.3");
    EXPECT_EQ(status.text("durability"), "always");
    EXPECT_EQ(status.at("addresses").at("http"), json::value("127.0.0.1:8080"));
    const json::value shards = status.at("shards");
    ASSERT_EQ(shards.as_array().size(), 1);
    const json::object& shard = shards.as_array().front().as_object();
    EXPECT_EQ(shard.at("keyspace"), json::value("default"));
    EXPECT_EQ(shard.at("keys").to_number<int>(), 1);
    EXPECT_EQ(shard.at("health"), json::value("ok"));
}

TEST_F(RestNode, CountsAndTimesItsRequests) {
    put("/v1/keys/a", R"({"value":"1"})");
    get("/v1/keys/a");
    get("/v1/none");
    const Answer metrics = get("/metrics");
    EXPECT_EQ(metrics.type, std::string(metrics::Registry::kContentType));
    EXPECT_THAT(metrics.body, HasSubstr("\nkvstore_requests_total{protocol=\"http\"} 3\n"));
    EXPECT_THAT(
        metrics.body,
        HasSubstr("\nkvstore_request_duration_seconds{protocol=\"http\",quantile=\"0.95\"} "));
}

TEST_F(RestNode, IsAliveWhateverItsChecksSay) {
    checks_ = {{.name = "disk", .status = Status(Code::kIoError, "gone")}};
    for (const char* path : {"/livez", "/healthz", "/startupz"}) {
        EXPECT_EQ(get(path).body, "ok\n");
        EXPECT_TRUE(answers_at_once(Method::kGet, path));
    }
}

TEST_F(RestNode, IsReadyWhenAllItsChecksAre) {
    checks_ = {{.name = "disk", .status = {}}, {.name = "shards", .status = {}}};
    EXPECT_EQ(get("/readyz").body, "ready\n");
    EXPECT_EQ(get("/readyz?verbose").body, "[+]disk ok\n[+]shards ok\nready\n");

    checks_[1].status = Status(Code::kCorruption, "shard 7");
    const Answer unready = get("/readyz");
    EXPECT_EQ(unready.status, 503);
    EXPECT_EQ(unready.body, "[-]shards corruption: shard 7\nnot ready\n");
    EXPECT_EQ(get("/readyz?verbose").body,
              "[+]disk ok\n[-]shards corruption: shard 7\nnot ready\n");
}

TEST_F(RestNode, IsReadyWithAWarningAndShowsIt) {
    checks_ = {{.name = "disk", .status = {}},
               {.name = "replicas", .status = Status(Code::kCorruption, "x"), .is_warning = true}};
    for (const char* path : {"/readyz", "/readyz?verbose"}) {
        const Answer answer = get(path);
        EXPECT_EQ(answer.status, 200);
        EXPECT_THAT(answer.body, HasSubstr("[!]replicas corruption: x\nready\n"));
    }
}

TEST_F(RestNode, HandsOutItsContract) {
    const Answer contract = get("/openapi.yaml");
    EXPECT_EQ(contract.type, "application/yaml");
    EXPECT_EQ(contract.body, openapi_text());
    EXPECT_TRUE(contract.body.starts_with("openapi: 3.1"));
    EXPECT_THAT(contract.body, HasSubstr("/v1/keys/{key}/increment:"));
}

TEST_F(RestNode, SavesAndCompactsOnRequest) {
    put("/v1/keys/a", R"({"value":"1"})");
    EXPECT_EQ(post("/v1/admin/save").body, R"({"saved":true})");
    EXPECT_EQ(post("/v1/admin/compact").body, R"({"compacted":true})");
    EXPECT_EQ(get("/v1/keys/a").text("value"), "1");

    machine_.disk_faults().on(sim::DiskCall::kWrite).chance = 1'000'000;
    EXPECT_GE(post("/v1/admin/save").status, 500);
    machine_.disk_faults() = {};
}

TEST_F(RestNode, RefusesAWriteThatTheDiskCannotHoldAndSaysSo) {
    put("/v1/keys/a", R"({"value":"1"})");
    machine_.disk_faults().on(sim::DiskCall::kWrite).chance = 1'000'000;
    const Answer failed = put("/v1/keys/a", R"({"value":"2"})");
    machine_.disk_faults() = {};
    EXPECT_GE(failed.status, 500) << failed.body;
    EXPECT_EQ(failed.text("effect"), "unknown") << failed.body;
}

}  // namespace
}  // namespace kvstore::rest
