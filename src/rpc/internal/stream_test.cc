// Streams arrive whole, at the pace of their readers and of the rate, or both ends know that they
// did not.
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/internal/rate_limit.h"
#include "rpc/testing/raw_connection.h"
#include "rpc/testing/test_node.h"

namespace kvstore::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::address_of;
using testing::connect_raw;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::hello_frame;
using testing::kTopic;
using testing::options_of;
using testing::RawConnection;
using testing::TestCluster;

constexpr std::uint64_t kSeed = 1;
constexpr std::size_t kMiB = 1U << 20U;

std::vector<Bytes> chunks_of(std::size_t count, std::size_t size) {
    std::vector<Bytes> chunks;
    for (std::size_t i = 0; i < count; ++i) {
        chunks.emplace_back(size, static_cast<char>('a' + i % 26));
    }
    return chunks;
}

// A writer step by step.
class Writing {
public:
    Writing(TestCluster& cluster, Bytes header) : cluster_(cluster) {
        auto opened = cluster.world.block_on(
            cluster.host(1),
            cluster.transport(1).open_stream(
                NodeId(2), kTopic, std::move(header), cluster.in(seconds(10))));
        KVSTORE_ASSERT(opened.ok());
        stream_ = *std::move(opened);
    }
    Status write(Bytes chunk) {
        return cluster_.world.block_on(cluster_.host(1), stream_->write(std::move(chunk)));
    }
    // How many chunks are taken within `span`.
    std::size_t write_for(std::size_t size, Duration span) {
        auto count = std::make_shared<std::size_t>(0);
        cluster_.host(1).spawn(write_all(stream_.get(), size, count));
        cluster_.world.run_for(span);
        return *count;
    }
    Result<Bytes> finish(Duration patience = seconds(100)) {
        return cluster_.world.block_on(cluster_.host(1), stream_->finish(cluster_.in(patience)));
    }
    void abandon() { stream_.reset(); }

private:
    static async::Task<void> write_all(OutgoingStream* stream,
                                       std::size_t size,
                                       std::shared_ptr<std::size_t> count) {
        for (Status status; status.ok(); *count += status.ok() ? 1 : 0) {
            Bytes chunk(size, 'x');
            status = co_await stream->write(std::move(chunk));
        }
    }

    TestCluster& cluster_;
    std::unique_ptr<OutgoingStream> stream_;
};

TEST(Stream, ArrivesWholeAsItWasCut) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    const std::vector<Bytes> chunks = {"a", Bytes(3 * kMiB, 'b'), "", "ccc", Bytes(100, 'd')};

    const auto answer = cluster.stream(1, 2, "header", chunks);

    ASSERT_TRUE(answer.ok()) << answer.status().to_string();
    EXPECT_EQ(*answer, std::to_string(1 + 3 * kMiB + 3 + 100));
    EXPECT_THAT(cluster.node(2).service.chunks,
                ElementsAre(chunks[0], chunks[1], chunks[3], chunks[4]))
        << "an empty chunk would be an end";
    EXPECT_THAT(cluster.node(2).service.stream_ends,
                ElementsAre(::testing::Property(&Status::ok, true)));
    EXPECT_EQ(cluster.transport(2).statistics().frames_damaged, 0U);
    cluster.world.run_for(seconds(10));
    EXPECT_EQ(*cluster.stream(1, 2, "", {}), "0");
    EXPECT_EQ(cluster.stream(1, 2, "big", chunks)->size(), testing::kBigAnswer);
}

TEST(Stream, DoesNotStandInTheWayOfMessagesAndCalls) {
    sim::WorldOptions options;
    options.network.link.bandwidth = 10'000'000;
    TestCluster cluster(kSeed, options);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    Writing writing(cluster, "");
    writing.write_for(kMiB, milliseconds(500));
    const MonotonicTime began = cluster.world.now();
    EXPECT_TRUE(cluster.call(1, 2, "x").ok());
    EXPECT_LE(cluster.world.now() - began, milliseconds(10));
    cluster.stop(2);
    cluster.world.run_for(seconds(1));
}

TEST(Stream, IsHeldUpByASlowReader) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    cluster.node(2).service.pace = milliseconds(500);
    Writing writing(cluster, "slow");

    const std::size_t taken = writing.write_for(kMiB / 2, seconds(10));

    EXPECT_EQ(cluster.node(2).service.chunks.size(), 20U);
    EXPECT_LE(taken, 20 + 6U) << "what buffers and sockets hold";
    EXPECT_GE(taken, 20U);
    cluster.stop(2);
    cluster.world.run_for(seconds(1));
}

TEST(Stream, KeepsToTheRateThatAllStreamsShare) {
    TestCluster cluster(kSeed);
    Options options = options_of(1);
    options.stream_bytes_per_second = 10 * kMiB;
    cluster.add(options);
    cluster.add();
    cluster.introduce(1, 2);
    const MonotonicTime began = cluster.world.now();
    int finished = 0;
    for (int i = 0; i < 2; ++i) {
        cluster.host(1).spawn([](TestCluster* all, int* done) -> async::Task<void> {
            auto answer = co_await testing::write_stream(&all->transport(1),
                                                         NodeId(2),
                                                         "",
                                                         chunks_of(100, kMiB / 4),
                                                         async::Deadline::never());
            EXPECT_EQ(*answer, std::to_string(25 * kMiB));
            ++*done;
        }(&cluster, &finished));
    }
    ASSERT_TRUE(cluster.world.run_until([&] { return finished == 2; }, seconds(60)));
    EXPECT_GE(cluster.world.now() - began, milliseconds(4800));
    EXPECT_LE(cluster.world.now() - began, milliseconds(5400));
}

TEST(Stream, ThatMayNotBeSentYetIsAlive) {
    TestCluster cluster(kSeed);
    Options options = options_of(1);
    options.stream_bytes_per_second = 1000;
    cluster.add(options);
    cluster.add();
    cluster.introduce(1, 2);
    EXPECT_EQ(*cluster.stream(1, 2, "", chunks_of(3, 10'000)), "30000") << "10 s for each chunk";
}

TEST(Stream, ReportsWhatTheServiceAnswered) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    const Status refused = cluster.stream(1, 2, "refuse", chunks_of(100, kMiB)).status();
    EXPECT_EQ(refused.code(), Code::kDiskFull);
    EXPECT_EQ(refused.message(), "no room for a stream");
    EXPECT_EQ(cluster.node(2).service.chunks.size(), 1U);

    // Before the writer has said anything but the first chunk, and while it still holds the stream.
    Writing writing(cluster, "refuse");
    ASSERT_TRUE(writing.write("x").ok());
    cluster.world.run_for(seconds(60));
    EXPECT_EQ(writing.write("y").code(), Code::kDiskFull);
    EXPECT_EQ(writing.finish().status().code(), Code::kDiskFull);
}

TEST(Stream, OnATopicThatNobodyServesIsRefused) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    auto opened = cluster.world.block_on(
        cluster.host(1),
        cluster.transport(1).open_stream(NodeId(2), 99, "", cluster.in(seconds(1))));
    ASSERT_TRUE(opened.ok());
    const auto answer =
        cluster.world.block_on(cluster.host(1), (*opened)->finish(cluster.in(seconds(1))));
    EXPECT_EQ(answer.status().code(), Code::kUnimplemented);
}

TEST(Stream, CannotBeOpenedToWhoCannotBeReached) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    EXPECT_EQ(cluster.stream(1, 9, "", {}).status().code(), Code::kUnavailable);
    cluster.world.partition(cluster.host(1), cluster.host(2));
    const MonotonicTime began = cluster.world.now();
    EXPECT_EQ(cluster.stream(1, 2, "", {}).status().code(), Code::kDeadlineExceeded);
    EXPECT_LE(cluster.world.now() - began, milliseconds(2100));
    cluster.world.heal_all();
    cluster.crash(2, sim::CrashKind::kKill);
    EXPECT_EQ(cluster.stream(1, 2, "", {}).status().code(), Code::kUnavailable);
}

TEST(Stream, WhoseHandshakeIsRefusedSaysWhy) {
    TestCluster cluster(kSeed);
    Options other = options_of(1);
    other.self.cluster = 0xc2;
    cluster.add(other);
    cluster.add();
    cluster.introduce(1, 2);
    const Status why = cluster.stream(1, 2, "", {}).status();
    EXPECT_EQ(why.code(), Code::kInvalidArgument);
    EXPECT_THAT(why.to_string(), HasSubstr("different clusters"));
}

TEST(Stream, WithAChunkOverTheLimitGoesOnWithoutIt) {
    TestCluster cluster(kSeed);
    Options options = options_of(1);
    options.frame_bytes_max = 1000;
    cluster.add(options);
    cluster.add();
    cluster.introduce(1, 2);
    Writing writing(cluster, "");
    EXPECT_EQ(writing.write(Bytes(1001, 'x')).code(), Code::kTooLarge);
    EXPECT_TRUE(writing.write(Bytes(1000, 'x')).ok());
    EXPECT_EQ(*writing.finish(), "1000");
    EXPECT_EQ(cluster.stream(1, 2, Bytes(1001, 'h'), {}).status().code(), Code::kTooLarge);
}

// ---- ends that are not declared ----

TEST(StreamEnd, OfTheWriterIsToldToTheReader) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    Writing writing(cluster, "");
    ASSERT_TRUE(writing.write("x").ok());
    cluster.world.run_for(milliseconds(10));
    writing.abandon();
    cluster.world.run_for(milliseconds(10));
    ASSERT_EQ(cluster.node(2).service.stream_ends.size(), 1U);
    EXPECT_EQ(cluster.node(2).service.stream_ends[0].code(), Code::kUnavailable);
    EXPECT_THAT(cluster.node(2).service.chunks, ElementsAre("x"));
}

TEST(StreamEnd, OfAWriterWithoutPowerIsToldToTheReaderInTime) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    auto writing = std::make_unique<Writing>(cluster, "");
    ASSERT_TRUE(writing->write("x").ok());
    cluster.world.run_for(seconds(20));
    ASSERT_TRUE(cluster.node(2).service.stream_ends.empty()) << "a quiet writer is alive";
    cluster.crash(1);
    sim::bury(std::move(writing));
    cluster.world.run_for(milliseconds(4200));
    ASSERT_EQ(cluster.node(2).service.stream_ends.size(), 1U);
    EXPECT_EQ(cluster.node(2).service.stream_ends[0].code(), Code::kDeadlineExceeded);
}

TEST(StreamEnd, OfTheReaderIsToldToTheWriter) {
    for (const auto kind : {sim::CrashKind::kKill, sim::CrashKind::kPowerLoss}) {
        TestCluster cluster(kSeed);
        cluster.add_all(2);
        Writing writing(cluster, "");
        ASSERT_TRUE(writing.write("x").ok());
        cluster.world.run_for(milliseconds(10));
        cluster.crash(2, kind);
        const MonotonicTime began = cluster.world.now();
        const Status why = writing.finish().status();
        EXPECT_EQ(why.code(),
                  kind == sim::CrashKind::kKill ? Code::kUnavailable : Code::kDeadlineExceeded);
        EXPECT_EQ(why.effect(), Effect::kUnknown);
        EXPECT_LE(cluster.world.now() - began, milliseconds(4200));
        EXPECT_EQ(writing.write("y").code(), why.code()) << "and stays so";
    }
}

TEST(StreamEnd, OfAReaderThatTakesNothingIsToldToTheWriter) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    cluster.node(2).service.pace = std::chrono::hours(1);
    Writing writing(cluster, "slow");
    const MonotonicTime began = cluster.world.now();
    Status status;
    while (status.ok()) {
        status = writing.write(Bytes(kMiB, 'x'));
    }
    EXPECT_EQ(status.code(), Code::kDeadlineExceeded);
    EXPECT_GE(cluster.world.now() - began, seconds(3));
    EXPECT_LE(cluster.world.now() - began, seconds(6));
    cluster.world.run_for(std::chrono::hours(2));
}

TEST(StreamEnd, OfAConnectionInDamageIsCorruption) {
    TestCluster cluster(kSeed);
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    Bytes begin;
    wire::append_frame(begin, wire::FrameKind::kStreamBegin, kTopic, 0, "");
    Bytes chunk;
    wire::append_frame(chunk, wire::FrameKind::kStreamChunk, 0, 0, "good");
    Bytes bad = chunk;
    bad.back() = '!';
    raw.send(hello_frame(options_of(2).self, wire::ConnectionUse::kStream) + begin + chunk + bad);
    cluster.world.run_for(milliseconds(10));
    EXPECT_THAT(cluster.node(1).service.chunks, ElementsAre("good"));
    ASSERT_EQ(cluster.node(1).service.stream_ends.size(), 1U);
    EXPECT_EQ(cluster.node(1).service.stream_ends[0].code(), Code::kCorruption);
    EXPECT_TRUE(raw.has_ended());
}

TEST(StreamEnd, OfEitherTransportEndsItsStreams) {
    for (const std::uint64_t stopped : {1U, 2U}) {
        TestCluster cluster(kSeed);
        cluster.add_all(2);
        Writing writing(cluster, "");
        ASSERT_TRUE(writing.write("x").ok());
        cluster.world.run_for(milliseconds(10));
        cluster.world.block_on(cluster.host(stopped), cluster.transport(stopped).stop());
        cluster.world.run_for(milliseconds(10));
        ASSERT_EQ(cluster.node(2).service.stream_ends.size(), 1U);
        EXPECT_FALSE(cluster.node(2).service.stream_ends[0].ok());
        EXPECT_EQ(writing.write("y").code(), Code::kUnavailable);
        EXPECT_EQ(writing.finish().status().code(), Code::kUnavailable);
    }
}

// The answer waits for a writer that does not read: it must not hold up the transport's end.
TEST(StreamEnd, OfATransportDoesNotWaitForAnAnswerToLeave) {
    TestCluster cluster(kSeed);
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    raw.stop_reading();
    Bytes stream;
    wire::append_frame(stream, wire::FrameKind::kStreamBegin, kTopic, 0, "big");
    wire::append_frame(stream, wire::FrameKind::kStreamEnd, 0, 0, "");
    raw.send(hello_frame(options_of(2).self, wire::ConnectionUse::kStream) + stream);
    cluster.world.run_for(milliseconds(100));
    ASSERT_EQ(cluster.node(1).service.stream_ends.size(), 1U);

    const MonotonicTime began = cluster.world.now();
    cluster.stop(1);
    EXPECT_LE(cluster.world.now() - began, milliseconds(10));
}

TEST(StreamEnd, IsWaitedForNoLongerThanTheDeadline) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    cluster.node(2).service.pace = seconds(2);
    Writing writing(cluster, "slow");
    ASSERT_TRUE(writing.write("x").ok());
    const Status late = writing.finish(seconds(1)).status();
    EXPECT_EQ(late.code(), Code::kDeadlineExceeded);
    EXPECT_EQ(late.effect(), Effect::kUnknown);
    cluster.world.run_for(seconds(5));
}

TEST(RateLimit, LetsThroughWhatItSaysInOrder) {
    internal::RateLimit limit(1000);
    const MonotonicTime start{seconds(100)};
    EXPECT_EQ(limit.reserve(500, start), start);
    EXPECT_EQ(limit.reserve(500, start), start + milliseconds(450)) << "a burst of 50 ms";
    EXPECT_EQ(limit.reserve(1000, start), start + milliseconds(950));
    EXPECT_EQ(limit.reserve(1, start + seconds(60)), start + seconds(60));

    internal::RateLimit none(0);
    EXPECT_EQ(none.reserve(1U << 30U, start), start);
    EXPECT_EQ(none.reserve(1U << 30U, start), start);
}

}  // namespace
}  // namespace kvstore::rpc
