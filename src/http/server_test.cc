// What the server takes as one request, and how answers leave.
#include "http/server.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/testing/http_fixture.h"

namespace kvstore::http {
namespace {

using testing::count_answers;
using testing::RawClient;
using testing::status_of;

class HttpServer : public testing::HttpFixture {};

std::string body_of(std::string_view answer) {
    const std::size_t end = answer.find("\r\n\r\n");
    return end == std::string_view::npos ? "" : std::string(answer.substr(end + 4));
}

// ---- answers ----

TEST_F(HttpServer, SaysWhatTheServiceAnswered) {
    EXPECT_EQ(ask(post("/now/a", "hello")),
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 17\r\n\r\n"
              "POST /now/a hello");
}

TEST_F(HttpServer, AnswersAPipelineInTheOrderOfItsRequests) {
    const auto client = connect();

    const std::string first = client->ask(get("/slow") + get("/now") + get("/soon"));
    world_.run_for(service_.delay);
    const std::string rest = client->take();

    EXPECT_EQ(first, "");
    EXPECT_EQ(count_answers(rest), 3);
    EXPECT_LT(rest.find("GET /slow"), rest.find("GET /now"));
    EXPECT_LT(rest.find("GET /now"), rest.find("GET /soon"));
}

// Each answer took the next request, deeper on the stack.
class HttpServerWithLargeReads : public testing::HttpFixture {
protected:
    HttpServerWithLargeReads() : HttpFixture(large_packets()) {}
    static sim::WorldOptions large_packets() {
        sim::WorldOptions options;
        options.network.packet_size_max = 8U << 20U;
        options.network.socket_buffer = 8U << 20U;
        options.network.cut_one_in = 0;
        return options;
    }
};

TEST_F(HttpServerWithLargeReads, AnswersALongPipelineWithoutDeepRecursion) {
    constexpr std::size_t kCount = 100'000;
    std::string pipeline;
    for (std::size_t i = 0; i < kCount; ++i) {
        pipeline += get("/soon");
    }
    const auto client = connect();

    client->send(pipeline);
    world_.run_for(std::chrono::seconds(5));

    EXPECT_EQ(count_answers(client->take()), kCount);
}

TEST_F(HttpServer, SendsAnInterimAnswerOnlyToWhoWaitsForIt) {
    const auto client = connect();
    const std::string head =
        "PUT /now HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";

    const std::string interim = client->ask(head);
    const std::string answer = client->ask("ab");
    const std::string whole = client->ask(head + "ab");

    EXPECT_EQ(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(body_of(answer), "PUT /now ab");
    EXPECT_EQ(status_of(whole), 200);
}

TEST_F(HttpServer, RefusesExpectationsThatItCannotMeet) {
    const auto client = connect();
    const std::string answer =
        client->ask("PUT /now HTTP/1.1\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(status_of(answer), 417);
    EXPECT_TRUE(client->is_closed());
}

TEST_F(HttpServer, AnswersHeadWithTheLengthAndNoBody) {
    const auto client = connect();
    const std::string answer = client->ask("HEAD /now HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(answer.ends_with("Content-Length: 10\r\n\r\n")) << answer;
    EXPECT_EQ(status_of(client->ask(get("/now"))), 200);
}

// The body of a refused HEAD was taken for the next answer.
TEST_F(HttpServer, StaysInStepBehindARefusedHead) {
    const auto client = connect();
    const std::string answers = client->ask("HEAD /now?a=%zz HTTP/1.1\r\n\r\n" + get("/now"));
    EXPECT_EQ(status_of(answers), 400);
    EXPECT_TRUE(body_of(answers).starts_with("HTTP/1.1 200 OK\r\n")) << answers;
}

// ---- the end of a connection ----

TEST_F(HttpServer, KeepsAConnectionOpenUnlessAskedToCloseIt) {
    const auto client = connect();
    EXPECT_EQ(client->ask(get("/now")).find("Connection:"), std::string::npos);
    EXPECT_FALSE(client->is_closed());

    const std::string last =
        client->ask("GET /now HTTP/1.1\r\nConnection: close\r\n\r\n" + get("/now"));

    EXPECT_EQ(count_answers(last), 1);
    EXPECT_NE(last.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_TRUE(client->is_closed());
    EXPECT_EQ(server_->statistics().connection_count, 0);
    EXPECT_EQ(service_.requests.size(), 2);
}

TEST_F(HttpServer, ClosesBehindAnHttp10RequestUnlessAskedToKeepOpen) {
    const auto first = connect();
    EXPECT_EQ(status_of(first->ask("GET /now HTTP/1.0\r\n\r\n")), 200);
    EXPECT_TRUE(first->is_closed());

    const auto second = connect();
    const std::string kept = second->ask("GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(kept.find("\r\nConnection: keep-alive\r\n"), std::string::npos);
    EXPECT_EQ(status_of(second->ask(get("/now"))), 200);
}

TEST_F(HttpServer, DoesNothingWithHalfARequest) {
    const auto client = connect();
    client->ask(post("/now", "hello").substr(0, 40));
    client->close();
    EXPECT_TRUE(service_.requests.empty());
    EXPECT_EQ(server_->statistics().connection_count, 0);
}

TEST_F(HttpServer, DoesAllThatWasAskedBeforeTheInputEnded) {
    const auto client = connect();
    client->send(get("/slow") + get("/now"));
    client->close();
    world_.run_for(2 * service_.delay);
    EXPECT_EQ(service_.requests.size(), 2);
    EXPECT_EQ(server_->statistics().connection_count, 0);
}

TEST_F(HttpServer, LetsAHandlerFinishWhoseConnectionHasGone) {
    const auto client = connect();
    client->ask(post("/slow", "a"));
    client->close();
    EXPECT_EQ(service_.done_count, 0);
    world_.run_for(service_.delay);
    EXPECT_EQ(service_.done_count, 1);
    EXPECT_EQ(server_->statistics().connection_count, 0);
}

// ---- requests ----

TEST_F(HttpServer, TakesARequestInPiecesOfOneByte) {
    const auto client = connect();
    const std::string chunked =
        "POST /now HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for (const std::string& request : {get("/now?a=1"), post("/now", "hello"), chunked}) {
        for (const char byte : request) {
            client->send({&byte, 1});
            world_.run_for(std::chrono::milliseconds(2));
        }
        world_.run_for(std::chrono::milliseconds(100));
        EXPECT_EQ(status_of(client->take()), 200) << request;
    }
    EXPECT_EQ(service_.requests[1].body, "hello");
    EXPECT_EQ(service_.requests[2].body, "abc");
}

TEST_F(HttpServer, PutsTheChunksOfABodyTogether) {
    const auto client = connect();
    client->ask(
        "POST /now HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
        "5;name=value\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n" +
        get("/now/next"));
    ASSERT_EQ(service_.requests.size(), 2);
    EXPECT_EQ(service_.requests[0].body, "hello 0123456789");
    EXPECT_EQ(service_.requests[1].path, "/now/next");
}

// A proxy that checks headers does not look at trailers.
TEST_F(HttpServer, DoesNotTakeTrailersForHeaders) {
    ask("POST /now HTTP/1.1\r\nIf-Match: \"1\"\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1\r\na\r\n0\r\nIf-Match: \"2\"\r\nX-Late: 1\r\n\r\n");
    ASSERT_EQ(service_.requests.size(), 1);
    EXPECT_EQ(service_.requests[0].header("if-match"), "\"1\"");
    EXPECT_EQ(service_.requests[0].header("x-late"), std::nullopt);
    EXPECT_EQ(service_.requests[0].headers.size(), 2);
}

TEST_F(HttpServer, TakesTheWholeUrlForATarget) {
    ask("GET http://store:8080/now/a?b=c HTTP/1.1\r\nHost: store:8080\r\n\r\n");
    ASSERT_EQ(service_.requests.size(), 1);
    EXPECT_EQ(service_.requests[0].path, "/now/a");
    EXPECT_EQ(service_.requests[0].parameter("b"), "c");
}

TEST_F(HttpServer, SkipsEmptyLinesBeforeARequest) {
    const auto client = connect();
    const std::string answers = client->ask(post("/now", "a") + "\r\n\r\n" + get("/now"));
    EXPECT_EQ(count_answers(answers), 2);
    EXPECT_EQ(status_of(answers), 200);
    EXPECT_EQ(service_.requests.size(), 2);
}

TEST_F(HttpServer, TakesTheSameLengthTwice) {
    const std::string answer =
        ask("POST /now HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab");
    EXPECT_EQ(body_of(answer), "POST /now ab");
}

// ---- what is no request ----

struct Refused {
    std::string_view what;
    std::string_view request;
    unsigned status;
};

class HttpRefusal : public testing::HttpFixture, public ::testing::WithParamInterface<Refused> {};

TEST_P(HttpRefusal, IsAnsweredAndEndsTheConnection) {
    const auto client = connect();
    // Where the next request would begin is unknown, so it must not be taken for one.
    const std::string answers = client->ask(std::string(GetParam().request) + get("/now/smuggled"));
    EXPECT_EQ(status_of(answers), GetParam().status) << GetParam().what << ": " << answers;
    EXPECT_EQ(count_answers(answers), 1) << answers;
    EXPECT_NE(answers.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_TRUE(client->is_closed());
    EXPECT_TRUE(service_.requests.empty());
    EXPECT_EQ(server_->statistics().refused_count, 1);
}

constexpr Refused kRefused[] = {
    {"no HTTP", "*1\r\n$4\r\nPING\r\n\r\n", 400},
    {"a method of bytes", "G\x01T /now HTTP/1.1\r\n\r\n", 400},
    {"a version of the future", "GET /now HTTP/2.0\r\n\r\n", 505},
    {"blanks in the target", "GET /now /a HTTP/1.1\r\n\r\n", 505},
    {"a blank before the colon", "GET /now HTTP/1.1\r\nA : b\r\n\r\n", 400},
    {"a header without colon", "GET /now HTTP/1.1\r\nA\r\n\r\n", 400},
    {"bare line feeds", "GET /now HTTP/1.1\nA: b\n\n", 505},
    {"NUL in a header", std::string_view("GET /now HTTP/1.1\r\nA: \0\r\n\r\n", 26), 400},
    {"two hosts", "GET /now HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"two lengths", "POST /now HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
    {"a list of lengths", "POST /now HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n", 400},
    {"a signed length", "POST /now HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400},
    {"a negative length", "POST /now HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
    {"a hexadecimal length", "POST /now HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n", 400},
    {"a length of 70 bits",
     "POST /now HTTP/1.1\r\nContent-Length: 1180591620717411303424\r\n\r\n",
     400},
    {"length, then chunks",
     "POST /now HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400},
    {"chunks, then length",
     "POST /now HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
     400},
    {"an unknown coding and a length",
     "POST /now HTTP/1.1\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
     400},
    {"an unknown coding", "POST /now HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
    {"a coding before chunks",
     "POST /now HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
     501},
    {"a coding behind chunks",
     "POST /now HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
     501},
    {"codings in two headers",
     "POST /now HTTP/1.1\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\n\r\n",
     400},
    {"chunks in HTTP/1.0",
     "POST /now HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400},
    {"a chunk without size", "POST /now HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
    {"a chunk longer than its size",
     "POST /now HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
     400},
    {"a chunk of 70 bits",
     "POST /now HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n400000000000000000\r\n",
     400},
};
INSTANTIATE_TEST_SUITE_P(All, HttpRefusal, ::testing::ValuesIn(kRefused));

TEST_F(HttpServer, AnswersWhatCameBeforeWhatIsNoRequest) {
    const auto client = connect();
    const std::string answers = client->ask(get("/now") + "nonsense\r\n\r\n" + get("/now"));
    EXPECT_EQ(count_answers(answers), 2);
    EXPECT_NE(answers.find("HTTP/1.1 400 "), std::string::npos);
    EXPECT_TRUE(client->is_closed());
}

TEST_F(HttpServer, RefusesATargetThatItCannotReadAndGoesOn) {
    const auto client = connect();
    for (const char* target :
         {"/now?a=%4", "/now?a=%zz", "now", "*", "http:///now", "ftp://a/now"}) {
        EXPECT_EQ(status_of(client->ask(get(target))), 400) << target;
    }
    EXPECT_EQ(status_of(client->ask(get("/now"))), 200);
    EXPECT_EQ(service_.requests.size(), 1);
}

}  // namespace
}  // namespace kvstore::http
