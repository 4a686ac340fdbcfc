// What slow, large and many requests may cost, and how the server ends.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/server.h"
#include "http/testing/http_fixture.h"

namespace kvstore::http {
namespace {

using testing::count_answers;
using testing::RawClient;
using testing::status_of;

constexpr std::size_t kMiB = 1U << 20U;

class HttpLimits : public testing::HttpFixture {
protected:
    static std::string head_of_put(std::size_t size) {
        return "PUT /slow HTTP/1.1\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
    }
    // Sends `size` bytes in pieces, one every `pause`. Returns: how many were sent before it was
    // over.
    std::size_t drip(RawClient& client, std::size_t size, std::size_t piece, Duration pause) {
        std::size_t sent = 0;
        while (sent < size && !client.is_closed()) {
            client.send(std::string(piece, 'x'));
            sent += piece;
            world_.run_for(pause);
        }
        return sent;
    }
};

// ---- time ----

TEST_F(HttpLimits, GivesAnUnfinishedHeaderTenSeconds) {
    const auto client = connect();
    client->send("GET /now HTTP/1.1\r\nA: ");
    world_.run_for(std::chrono::seconds(9));
    EXPECT_FALSE(client->is_closed());

    // Bytes that come now and then do not lengthen it.
    client->send("b");
    world_.run_for(std::chrono::seconds(2));

    EXPECT_EQ(status_of(client->take()), 408);
    EXPECT_TRUE(client->is_closed());
    EXPECT_EQ(server_->statistics().refused_count, 1);
}

TEST_F(HttpLimits, GivesUpABodyThatDrips) {
    const auto client = connect();
    client->send(head_of_put(100'000));
    const std::size_t sent = drip(*client, 100'000, 1, std::chrono::seconds(5));
    EXPECT_EQ(status_of(client->take()), 408);
    // 30 s, and what the bytes that came add to it.
    EXPECT_LE(sent, 7);
    EXPECT_TRUE(service_.requests.empty());
}

TEST_F(HttpLimits, TakesALargeBodyFromASlowNetwork) {
    const auto client = connect();
    constexpr std::size_t kPiece = 32U << 10U;
    client->send(head_of_put(100 * kPiece));
    drip(*client, 100 * kPiece, kPiece, std::chrono::seconds(1));
    world_.run_for(2 * service_.delay);
    EXPECT_EQ(status_of(client->take()), 200);
    ASSERT_EQ(service_.requests.size(), 1);
    EXPECT_EQ(service_.requests[0].body.size(), 100 * kPiece);
}

TEST_F(HttpLimits, ClosesAnIdleConnectionWithoutAWord) {
    const auto fresh = connect();
    const auto used = connect();
    world_.run_for(std::chrono::seconds(50));
    EXPECT_EQ(status_of(used->ask(get("/now"))), 200);

    world_.run_for(std::chrono::seconds(50));
    EXPECT_TRUE(fresh->is_closed());
    EXPECT_FALSE(used->is_closed());

    world_.run_for(std::chrono::seconds(50));
    EXPECT_TRUE(used->is_closed());
    EXPECT_EQ(fresh->take() + used->take(), "");
    EXPECT_EQ(server_->statistics().refused_count, 0);
}

TEST_F(HttpLimits, WaitsForAHandlerAsLongAsItTakes) {
    service_.delay = std::chrono::hours(1);
    const auto client = connect();
    client->ask(get("/slow"));
    world_.run_for(2 * service_.delay);
    EXPECT_EQ(status_of(client->take()), 200);
}

// ---- size ----

TEST_F(HttpLimits, TakesABodyOfTheLargestSizeAndNoLarger) {
    options_.body_bytes_max = 1000;
    EXPECT_EQ(status_of(ask(post("/now", std::string(1000, 'x')))), 200);
    const std::string answer =
        ask("PUT /now HTTP/1.1\r\nExpect: 100-continue\r\n"
            "Content-Length: 1001\r\n\r\n");
    EXPECT_EQ(status_of(answer), 413);
    EXPECT_EQ(count_answers(answer), 1);
    EXPECT_EQ(status_of(ask("PUT /now HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "1F4\r\n" +
                            std::string(500, 'x') + "\r\n1F5\r\n")),
              413);
}

TEST_F(HttpLimits, RefusesHeadersThatAreTooLarge) {
    const std::string line = "A: " + std::string(1000, 'a') + "\r\n";
    std::string lines;
    for (int i = 0; i < 17; ++i) {
        lines += line;
    }
    EXPECT_EQ(status_of(ask("GET /now HTTP/1.1\r\n" + lines + "\r\n")), 431);
    EXPECT_EQ(status_of(ask("GET /" + std::string(17'000, 'a'))), 431);
    EXPECT_TRUE(service_.requests.empty());
}

// They were kept without bound.
TEST_F(HttpLimits, RefusesLongChunkExtensionsAndTrailers) {
    const std::string chunked = "POST /now HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(status_of(ask(chunked + "1;" + std::string(100'000, 'a'))), 431);
    std::string trailers;
    for (int i = 0; i < 10'000; ++i) {
        trailers += "A: b\r\n";
    }
    EXPECT_EQ(status_of(ask(chunked + "0\r\n" + trailers)), 431);
}

// ---- memory ----

TEST_F(HttpLimits, RefusesNewRequestsWhileBodiesHoldTheMemory) {
    options_.memory_bytes_max = kMiB;
    const auto large = connect();
    large->ask(head_of_put(kMiB - 10'000) + std::string(kMiB - 20'000, 'x'));

    const std::string refused = ask(post("/now", std::string(20'000, 'x')));
    EXPECT_EQ(status_of(refused), 503);
    EXPECT_NE(refused.find("refused: too many bytes"), std::string::npos);

    large->close();
    EXPECT_EQ(status_of(ask(post("/now", std::string(20'000, 'x')))), 200);
}

TEST_F(HttpLimits, CountsABodyThatComesInChunks) {
    options_.memory_bytes_max = kMiB;
    const auto client = connect();
    client->send("PUT /now HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n400000\r\n");
    drip(*client, 4 * kMiB, 100'000, std::chrono::milliseconds(10));
    EXPECT_EQ(status_of(client->take()), 503);
    EXPECT_TRUE(service_.requests.empty());
}

TEST_F(HttpLimits, CountsABodyUntilItsHandlerIsDone) {
    options_.memory_bytes_max = kMiB;
    const auto client = connect();
    client->send(post("/slow", std::string(kMiB - 20'000, 'x')));
    world_.run_for(std::chrono::milliseconds(100));
    world_.reset_connections(machine_, machine_);
    EXPECT_EQ(status_of(ask(post("/now", std::string(20'000, 'x')))), 503);
    EXPECT_EQ(server_->statistics().connection_count, 0);
    world_.run_for(service_.delay);
    EXPECT_EQ(status_of(ask(post("/now", std::string(20'000, 'x')))), 200);
}

TEST_F(HttpLimits, CountsAnswersThatNobodyReads) {
    options_.memory_bytes_max = 2 * kMiB;
    const auto client = connect();
    client->stop_reading();
    client->ask(get("/big?n=3000000"));
    EXPECT_EQ(status_of(ask(get("/now"))), 503);
    client->read_on();
    world_.run_for(std::chrono::seconds(1));
    EXPECT_EQ(status_of(ask(get("/now"))), 200);
}

TEST_F(HttpLimits, AnswersNoMoreWhileNobodyReads) {
    const auto client = connect();
    client->stop_reading();
    std::string pipeline;
    for (int i = 0; i < 100; ++i) {
        pipeline += get("/big?n=600000");
    }
    client->ask(pipeline);
    EXPECT_LE(service_.requests.size(), 3);

    client->read_on();
    world_.run_for(std::chrono::seconds(30));
    EXPECT_EQ(count_answers(client->take()), 100);
}

// The connection tells that output has drained only when there was more than its high water.
TEST_F(HttpLimits, GoesOnBehindAnswersOfExactlyTheHighWater) {
    const auto client = connect();
    const std::string first = client->ask(get("/big?n=1000000"));
    const std::size_t head = first.size() - 1'000'000;
    const std::size_t body = env::Connection::kOutputHighWater - head;

    const std::string answers = client->ask(get("/big?n=" + std::to_string(body)) + get("/now"));

    EXPECT_EQ(count_answers(answers), 2);
}

// It was read without bound.
TEST_F(HttpLimits, LeavesInputWithTheNetworkWhileARequestIsAnswered) {
    const auto client = connect();
    client->send(get("/slow"));
    world_.run_for(std::chrono::milliseconds(100));
    client->send(post("/now", std::string(16 * kMiB, 'x')));
    world_.run_for(std::chrono::milliseconds(500));
    EXPECT_GT(client->unsent(), 15 * kMiB);
}

TEST_F(HttpLimits, TakesInputAgainWhenTheRequestIsAnswered) {
    const auto client = connect();
    client->send(get("/slow") + post("/now", std::string(16 * kMiB, 'x')));
    world_.run_for(std::chrono::seconds(20));
    EXPECT_EQ(count_answers(client->take()), 2);
}

// ---- number ----

TEST_F(HttpLimits, TellsAConnectionAboveTheLimitAndServesTheOthers) {
    options_.connections_max = 2;
    const auto first = connect();
    auto second = connect();

    const auto third = connect();
    const std::string answer = third->ask(get("/now"));

    EXPECT_EQ(status_of(answer), 503);
    EXPECT_NE(answer.find("refused: too many connections"), std::string::npos) << answer;
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_TRUE(third->is_closed());
    EXPECT_TRUE(service_.requests.empty());
    EXPECT_EQ(server_->statistics().refused_count, 1);
    EXPECT_EQ(server_->statistics().connection_count, 2);
    EXPECT_EQ(status_of(first->ask(get("/now"))), 200);
    EXPECT_EQ(status_of(second->ask(get("/now"))), 200);

    second->close();
    EXPECT_EQ(status_of(ask(get("/now"))), 200);
}

// ---- the end ----

TEST_F(HttpLimits, AnswersWhatIsUnderWayWhenItStops) {
    const auto busy = connect();
    const auto idle = connect();
    const auto half = connect();
    busy->ask(get("/slow/1") + get("/slow/2"));
    half->ask("GET /now HTTP/1.1\r\n");

    stop();
    world_.run_for(std::chrono::milliseconds(100));

    const std::string answer = busy->take();
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_EQ(count_answers(answer), 1);
    EXPECT_EQ(service_.requests.size(), 1);
    EXPECT_EQ(idle->take(), "");
    EXPECT_EQ(status_of(half->take()), 503);
    EXPECT_TRUE(busy->is_closed());
    EXPECT_TRUE(idle->is_closed());
    EXPECT_TRUE(half->is_closed());
}

TEST_F(HttpLimits, SendsALargeAnswerWholeWhenItStops) {
    const auto client = connect();
    client->send(get("/big?n=5000000"));
    world_.run_until([&] { return !service_.requests.empty(); });
    stop();
    world_.run_for(std::chrono::seconds(1));
    EXPECT_GT(client->take().size(), 5'000'000);
}

TEST_F(HttpLimits, StopsThoughSomebodyTakesNoAnswer) {
    const auto client = connect();
    client->stop_reading();
    client->ask(get("/big?n=5000000"));
    const MonotonicTime begin = world_.now();
    stop();
    EXPECT_LT(world_.now() - begin, std::chrono::seconds(10));
}

TEST_F(HttpLimits, TakesNoConnectionOnceItStops) {
    const auto client = connect();
    client->ask(get("/slow"));
    machine_.spawn(server_->stop());
    const auto late = connect();
    EXPECT_EQ(late->ask(get("/now")), "");
    EXPECT_TRUE(late->is_closed());
    world_.run_for(2 * service_.delay);
    EXPECT_EQ(status_of(client->take()), 200);
    server_.reset();
}

}  // namespace
}  // namespace kvstore::http
