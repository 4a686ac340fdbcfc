#include "http/client.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "http/server.h"
#include "sim/world.h"

namespace kvstore::http {
namespace {

// Answers with what was asked; "/slow" never in time.
class Echo final : public Service {
public:
    explicit Echo(env::Env& env) : env_(env) {}

    bool try_handle(const Request& request, Response& response) override {
        if (request.path == "/slow") {
            return false;
        }
        response.status = request.path == "/none" ? 204 : 200;
        response.content_type = "text/plain";
        response.headers = {{"ETag", "\"7\""}};
        response.body =
            std::string(method_name(request.method)) + " " + request.path + " " + request.body;
        return true;
    }
    async::Task<Response> handle(Request /*request*/) override {
        co_await env_.clock.sleep(std::chrono::seconds(30));
        co_return Response{};
    }
    Response refuse(unsigned status, std::string_view why) override {
        Response response;
        response.status = status;
        response.body = why;
        return response;
    }

private:
    env::Env& env_;
};

class HttpClient : public testing::Test {
protected:
    HttpClient()
        : world_(1),
          host_(world_.add_host("n1")),
          service_(host_.env()),
          server_(host_.env(), service_, {}) {
        auto listening = host_.env().network.listen(
            {.host = "n1", .port = 8080},
            [this](env::Connection& connection) { return server_.accept(connection); });
        listener_ = *std::move(listening);
    }
    ~HttpClient() override { world_.block_on(host_, server_.stop()); }

    Result<Response> ask(Client& client, ClientRequest request, Duration span) {
        const auto deadline = async::Deadline::after(world_.now(), span);
        return world_.block_on(host_, client.request(std::move(request), deadline));
    }

    sim::World world_;
    sim::Host& host_;
    Echo service_;
    Server server_;
    std::unique_ptr<env::Listener> listener_;
};

constexpr Duration kEnough = std::chrono::seconds(5);

TEST_F(HttpClient, KeepsOneConnectionForSeveralRequests) {
    Client client(host_.env(), {.host = "n1", .port = 8080});
    for (int i = 0; i < 3; ++i) {
        ClientRequest request;
        request.method = Method::kPut;
        request.target = "/a";
        request.body = "body" + std::to_string(i);
        const auto answer = ask(client, std::move(request), kEnough);
        ASSERT_TRUE(answer.ok()) << answer.status().to_string();
        EXPECT_EQ(answer->body, "PUT /a body" + std::to_string(i));
        EXPECT_EQ(find_header(answer->headers, "etag"), "\"7\"");
    }
    EXPECT_EQ(server_.statistics().connection_count, 1);
}

TEST_F(HttpClient, TakesAnAnswerWithoutABody) {
    Client client(host_.env(), {.host = "n1", .port = 8080});
    ClientRequest request;
    request.target = "/none";
    const auto answer = ask(client, std::move(request), kEnough);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->status, 204);
    EXPECT_EQ(answer->body, "");
}

TEST_F(HttpClient, SaysThatNothingHappenedWhereNobodyListens) {
    Client client(host_.env(), {.host = "n1", .port = 9999});
    const auto answer = ask(client, {.target = "/a"}, kEnough);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.status().code(), Code::kUnavailable);
    EXPECT_EQ(answer.status().effect(), Effect::kNone);
}

TEST_F(HttpClient, SaysThatItDoesNotKnowWhatAnUnansweredRequestDid) {
    Client client(host_.env(), {.host = "n1", .port = 8080});
    const auto answer = ask(client, {.target = "/slow"}, kEnough);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.status().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(answer.status().effect(), Effect::kUnknown);
    EXPECT_FALSE(client.is_connected());
}

TEST_F(HttpClient, SaysThatItDoesNotKnowWhatAServerDidThatClosedWithoutAWord) {
    const auto refusing = host_.env().network.listen(
        {.host = "n1", .port = 9999},
        [](env::Connection&) { return std::unique_ptr<env::ConnectionHandler>(); });
    ASSERT_TRUE(refusing.ok());
    Client client(host_.env(), {.host = "n1", .port = 9999});
    const auto answer = ask(client, {.target = "/a"}, kEnough);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.status().code(), Code::kUnavailable);
    EXPECT_EQ(answer.status().effect(), Effect::kUnknown);
}

TEST_F(HttpClient, ConnectsAgainAfterTheServerClosedAnIdleConnection) {
    Client client(host_.env(), {.host = "n1", .port = 8080});
    ASSERT_TRUE(ask(client, {.target = "/a"}, kEnough).ok());
    world_.block_on(host_, host_.env().clock.sleep(std::chrono::seconds(200)));
    EXPECT_FALSE(client.is_connected());
    EXPECT_TRUE(ask(client, {.target = "/a"}, kEnough).ok());
}

}  // namespace
}  // namespace kvstore::http
