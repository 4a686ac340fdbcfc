// The transport on real loopback sockets: what the simulated ones may not show.
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "async/sync.h"
#include "posix/runtime.h"
#include "rpc/testing/test_node.h"
#include "rpc/transport.h"

namespace kvstore::rpc {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::kTopic;
using testing::options_of;
using testing::TestNode;

class TransportOnSockets : public ::testing::Test {
protected:
    // Node 2 listens; node 1 knows it.
    void start(const Options& first, const Options& second) {
        one = std::make_unique<TestNode>(runtime.env(), first, AdmitPeer());
        two = std::make_unique<TestNode>(runtime.env(), second, AdmitPeer());
        const auto address = two->transport->listen({.host = "127.0.0.1", .port = 0});
        ASSERT_TRUE(address.ok());
        one->transport->set_peer(NodeId(2), *address);
    }
    void SetUp() override { start(options_of(1), options_of(2)); }
    void stop() {
        for (const TestNode* node : {one.get(), two.get()}) {
            runtime.block_on(node->transport->stop());
        }
    }
    void TearDown() override { stop(); }

    Result<Bytes> call(ByteView request) {
        auto answer = runtime.block_on(one->transport->call(
            NodeId(2), kTopic, Bytes(request), async::Deadline::after(now(), seconds(20))));
        return answer.ok() ? Result<Bytes>(Bytes(answer->bytes)) : answer.status();
    }
    [[nodiscard]] MonotonicTime now() { return runtime.env().clock.now(); }

    posix::Runtime runtime{posix::RuntimeOptions{}};
    std::unique_ptr<TestNode> one;
    std::unique_ptr<TestNode> two;
};

TEST_F(TransportOnSockets, AnswersCallsOfAllSizes) {
    EXPECT_EQ(*call("hello"), "hello");
    EXPECT_EQ(call("big 30000000")->size(), 30'000'000U);
    EXPECT_EQ(call(Bytes(30'000'000, 'x'))->size(), 30'000'000U);
    EXPECT_EQ(call("fail").status().code(), Code::kConflict);
}

async::Task<bool> call_many(Transport* transport, async::Scheduler* scheduler, MonotonicTime now) {
    std::vector<testing::Outcome> outcomes(40);
    const Bytes request(1U << 20U, 'r');
    for (testing::Outcome& outcome : outcomes) {
        const Status started = transport->start_call(
            NodeId(2), kTopic, request, async::Deadline::after(now, seconds(20)), &outcome);
        KVSTORE_ASSERT(started.ok());
    }
    bool is_right = true;
    for (const testing::Outcome& outcome : outcomes) {
        while (outcome.told == 0) {
            co_await async::yield(*scheduler);
        }
        is_right = is_right && outcome.answer == request;
    }
    co_return is_right;
}

TEST_F(TransportOnSockets, IsNotStuckWhenBothEndsHaveMuchToSay) {
    ASSERT_TRUE(call("connect").ok());
    EXPECT_TRUE(runtime.block_on(call_many(one->transport.get(), &runtime.env().scheduler, now())));
}

TEST_F(TransportOnSockets, CarriesStreamsAtTheRateAskedFor) {
    stop();
    Options options = options_of(1);
    options.stream_bytes_per_second = 100U << 20U;
    start(options, options_of(2));
    std::vector<Bytes> chunks;
    for (int i = 0; i < 80; ++i) {
        chunks.emplace_back(512U << 10U, static_cast<char>('a' + i % 26));
    }
    const MonotonicTime began = now();
    const auto answer = runtime.block_on(testing::write_stream(
        one->transport.get(), NodeId(2), "", chunks, async::Deadline::never()));
    ASSERT_TRUE(answer.ok()) << answer.status().to_string();
    EXPECT_EQ(*answer, std::to_string(40U << 20U));
    EXPECT_EQ(two->service.chunks, chunks);
    EXPECT_GE(now() - began, std::chrono::milliseconds(330));
}

TEST_F(TransportOnSockets, HearsWhatTheServiceOfAStreamSaysBeforeItsEnd) {
    const auto answer =
        runtime.block_on(testing::write_stream(one->transport.get(),
                                               NodeId(2),
                                               "refuse",
                                               std::vector<Bytes>(50, Bytes(1U << 20U, 'x')),
                                               async::Deadline::never()));
    EXPECT_EQ(answer.status().code(), Code::kDiskFull);
}

TEST_F(TransportOnSockets, HearsWhyItIsRefused) {
    stop();
    Options other = options_of(1);
    other.self.cluster = 0xc2;
    start(other, options_of(2));
    EXPECT_THAT(call("x").status().to_string(), HasSubstr("different clusters"));
}

TEST_F(TransportOnSockets, NoticesThatThePeerHasStopped) {
    ASSERT_TRUE(call("x").ok());
    runtime.block_on(two->transport->stop());
    EXPECT_EQ(call("x").status().code(), Code::kUnavailable);
    EXPECT_FALSE(one->transport->is_connected(NodeId(2)));
}

}  // namespace
}  // namespace kvstore::rpc
