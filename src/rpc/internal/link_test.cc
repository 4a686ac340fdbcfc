// Connections under damage, silence and pressure.
#include "rpc/internal/link.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/testing/raw_connection.h"
#include "rpc/testing/test_node.h"

namespace kvstore::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::address_of;
using testing::connect_raw;
using ::testing::HasSubstr;
using testing::hello_frame;
using testing::kPort;
using testing::kTopic;
using testing::options_of;
using testing::Outcome;
using testing::RawConnection;
using testing::RawListener;
using testing::TestCluster;

constexpr std::uint64_t kSeed = 1;

Bytes all_messages(const testing::RecordingService& service) {
    Bytes all;
    for (const auto& [from, bytes] : service.messages) {
        all += bytes;
    }
    return all;
}

// ---- damage ----

TEST(LinkDamage, EndsTheConnectionAndNothingBehindItIsUsed) {
    TestCluster cluster(kSeed);
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    const Bytes hello = hello_frame(options_of(2).self, wire::ConnectionUse::kPeer);
    Bytes good;
    wire::append_frame(good, wire::FrameKind::kMessages, kTopic, 0, "good");
    Bytes bad = good;
    bad.back() = '!';

    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    raw.send(hello + good + bad + good);
    cluster.world.run_for(milliseconds(10));

    EXPECT_TRUE(raw.has_ended());
    EXPECT_EQ(all_messages(cluster.node(1).service), "good");
    EXPECT_EQ(cluster.transport(1).statistics().frames_damaged, 1U);
}

TEST(LinkDamage, IsEveryFrameThatDoesNotBelongThere) {
    TestCluster cluster(kSeed);
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    const auto ends = [&](wire::ConnectionUse use, wire::FrameKind kind) {
        RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
        Bytes frame;
        wire::append_frame(frame, kind, kTopic, 1, "x");
        raw.send(hello_frame(options_of(2).self, use) + frame);
        cluster.world.run_for(milliseconds(10));
        const bool has_ended = raw.has_ended();
        raw.close();
        return has_ended;
    };
    using wire::ConnectionUse;
    using wire::FrameKind;
    EXPECT_FALSE(ends(ConnectionUse::kPeer, FrameKind::kMessages));
    EXPECT_FALSE(ends(ConnectionUse::kPeer, FrameKind::kCall));
    EXPECT_FALSE(ends(ConnectionUse::kPeer, FrameKind::kPing));
    EXPECT_FALSE(ends(ConnectionUse::kOneCall, FrameKind::kCall));
    EXPECT_FALSE(ends(ConnectionUse::kStream, FrameKind::kStreamBegin));
    for (const FrameKind kind : {FrameKind::kAnswer,
                                 FrameKind::kErrorAnswer,
                                 FrameKind::kPong,
                                 FrameKind::kStreamBegin,
                                 FrameKind::kStreamChunk,
                                 FrameKind::kStreamAnswer,
                                 FrameKind::kStreamError}) {
        EXPECT_TRUE(ends(ConnectionUse::kPeer, kind)) << static_cast<int>(kind);
    }
    EXPECT_TRUE(ends(ConnectionUse::kOneCall, FrameKind::kMessages));
    EXPECT_TRUE(ends(ConnectionUse::kStream, FrameKind::kCall));
    EXPECT_TRUE(ends(ConnectionUse::kStream, FrameKind::kStreamChunk)) << "before it has begun";
}

// A peer whose answers are no answers.
TEST(LinkDamage, InAnswersFailsTheCallsWithAnUnknownEffect) {
    for (const char* kind : {"an answer", "an error", "a message"}) {
        SCOPED_TRACE(kind);
        TestCluster cluster(kSeed);
        cluster.add();
        sim::Host& fake = cluster.world.add_host("n2");
        RawListener listener(fake, kPort);
        cluster.transport(1).set_peer(NodeId(2), address_of(2));
        Outcome outcome;
        ASSERT_TRUE(cluster.transport(1)
                        .start_call(NodeId(2), kTopic, "x", cluster.in(seconds(50)), &outcome)
                        .ok());
        cluster.world.run_for(milliseconds(10));
        RawConnection raw(listener.last());
        raw.send(hello_frame(options_of(2).self, wire::ConnectionUse::kPeer));
        cluster.world.run_for(milliseconds(10));
        ASSERT_TRUE(cluster.transport(1).is_connected(NodeId(2)));

        Bytes frame;
        if (kind == std::string("a message")) {
            wire::append_frame(frame, wire::FrameKind::kMessages, kTopic, 0, "x");
        } else if (kind == std::string("an error")) {
            wire::append_frame(frame, wire::FrameKind::kErrorAnswer, 0, 1, "not a status");
        } else {
            wire::append_frame(frame, wire::FrameKind::kAnswer, 0, 1, "x");
            frame[0] = static_cast<char>(frame[0] + 1);
        }
        raw.send(frame);
        cluster.world.run_for(milliseconds(10));

        EXPECT_EQ(outcome.told, 1);
        EXPECT_EQ(outcome.failure.code(), Code::kUnavailable);
        EXPECT_EQ(outcome.failure.effect(), Effect::kUnknown);
        EXPECT_EQ(cluster.transport(1).statistics().frames_damaged, 1U);
    }
}

TEST(LinkDamage, OnTheWayIsFoundAndTheNextConnectionWorks) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    cluster.world.link(cluster.host(1), cluster.host(2)).corruption = 20'000;
    std::uint64_t answered = 0;
    for (int i = 0; i < 500; ++i) {
        const Bytes request = "request " + std::to_string(i);
        const auto answer = cluster.call(1, 2, request);
        if (answer.ok()) {
            EXPECT_EQ(*answer, request);
            ++answered;
        }
        cluster.world.run_for(milliseconds(100));
    }
    EXPECT_GE(answered, 300U);
    EXPECT_GE(cluster.transport(2).statistics().frames_damaged, 3U);
    for (const Bytes& call : cluster.node(2).service.calls) {
        EXPECT_TRUE(call.starts_with("request ")) << call;
    }
}

// ---- silence ----

TEST(LinkSilence, OfAPeerWithoutPowerIsNoticedByBothEndsInTime) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    ASSERT_TRUE(cluster.connect(2, 1));
    cluster.world.run_for(seconds(10));
    ASSERT_TRUE(cluster.transport(1).is_connected(NodeId(2))) << "idle is not silent";
    Outcome outcome;
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "hold", cluster.in(seconds(50)), &outcome)
                    .ok());
    cluster.world.run_for(milliseconds(10));
    const MonotonicTime began = cluster.world.now();
    cluster.crash(2);

    ASSERT_TRUE(cluster.world.run_until([&] { return outcome.told > 0; }, seconds(20)));
    EXPECT_GE(cluster.world.now() - began, seconds(3));
    EXPECT_LE(cluster.world.now() - began, milliseconds(4100));
    EXPECT_EQ(outcome.failure.effect(), Effect::kUnknown);
    EXPECT_THAT(outcome.failure.to_string(), HasSubstr("silent for 4"));
    EXPECT_THAT(cluster.status(1, 2).last_failure.to_string(), HasSubstr("silent for 4"));
}

TEST(LinkSilence, InOneDirectionAloneIsNoticedByBothEnds) {
    for (const bool is_forth : {true, false}) {
        TestCluster cluster(kSeed);
        metrics::Registry registry;
        cluster.add();
        Options measured = options_of(2);
        measured.registry = &registry;
        cluster.add(measured);
        cluster.introduce(1, 2);
        ASSERT_TRUE(cluster.connect(1, 2));
        cluster.world.run_for(milliseconds(100));
        ASSERT_EQ(registry.value("kvstore_rpc_connections"), 1);

        cluster.world.block(cluster.host(is_forth ? 1 : 2), cluster.host(is_forth ? 2 : 1));
        cluster.world.run_for(milliseconds(6200));
        EXPECT_FALSE(cluster.transport(1).is_connected(NodeId(2)));
        if (is_forth) {
            EXPECT_EQ(registry.value("kvstore_rpc_connections"), 0) << "it hears no pings";
        }

        cluster.world.heal_all();
        cluster.world.run_for(seconds(5));
        EXPECT_TRUE(cluster.transport(1).is_connected(NodeId(2)));
        EXPECT_EQ(registry.value("kvstore_rpc_connections"), 1);
        cluster.stop(2);
    }
}

// A large frame on a slow line: longer than silence_max under way, and alive all the time.
TEST(LinkSilence, IsNotWhatASlowLineIs) {
    sim::WorldOptions options;
    options.network.link.bandwidth = 400'000;
    TestCluster cluster(kSeed, options);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    EXPECT_EQ(cluster.call(1, 2, "big 5000000", seconds(60))->size(), 5'000'000U);
    EXPECT_EQ(cluster.call(1, 2, Bytes(5'000'000, 'x'), seconds(60))->size(), 5'000'000U);
    EXPECT_THAT(cluster.node(1).service.peer_states, ::testing::ElementsAre("2 up"));
}

// A damaged length asks for more than will ever come: pings that it swallows are no sign of life.
TEST(LinkSilence, IsWhatADamagedLengthEndsIn) {
    TestCluster cluster(kSeed);
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    Bytes frame;
    wire::append_frame(frame, wire::FrameKind::kMessages, kTopic, 0, "hello");
    frame[6] = 1;  // 64 KiB longer
    raw.send(hello_frame(options_of(2).self, wire::ConnectionUse::kPeer) + frame);
    Bytes ping;
    wire::append_frame(ping, wire::FrameKind::kPing, 0, 1, "");
    for (int second = 0; second < 6; ++second) {
        raw.send(ping);
        cluster.world.run_for(seconds(1));
    }
    EXPECT_TRUE(raw.has_ended());
}

// ---- pressure ----

TEST(LinkPressure, OfAPeerThatDoesNotReadCostsBoundedMemory) {
    TestCluster cluster(kSeed);
    Options options = options_of(1);
    options.peer_output_max = 4U << 20U;
    cluster.add(options);
    cluster.add();
    cluster.introduce(1, 2);
    ASSERT_TRUE(cluster.connect(1, 2));
    cluster.world.pause(cluster.host(2));

    const Bytes message(100'000, 'm');
    std::size_t said = 0;
    Status refused;
    Outcome outcome;
    for (int turn = 0; turn < 200; ++turn) {
        said += cluster.say(1, 2, message) ? message.size() : 0;
        refused = cluster.transport(1).start_call(
            NodeId(2), kTopic, message, cluster.in(seconds(50)), &outcome);
        if (refused.ok()) {
            outcome.told = -1000;  // a later one is looked at
            said += message.size();
        }
        cluster.world.run_for(milliseconds(1));
    }
    EXPECT_GE(said, options.peer_output_max);
    EXPECT_LE(said, options.peer_output_max + (1U << 20U)) << "with what the sockets hold";
    EXPECT_EQ(refused.code(), Code::kOverloaded);
    EXPECT_EQ(refused.effect(), Effect::kNone);
    EXPECT_GE(cluster.transport(1).statistics().messages_dropped, 100U);

    cluster.world.run_for(seconds(6));
    EXPECT_FALSE(cluster.transport(1).is_connected(NodeId(2))) << "and it does not stay";
    cluster.world.resume(cluster.host(2));
    cluster.world.run_for(seconds(5));
    EXPECT_TRUE(cluster.transport(1).is_connected(NodeId(2)));
}

TEST(LinkPressure, OfACallerThatDoesNotReadItsAnswersEndsItsConnection) {
    TestCluster cluster(kSeed);
    metrics::Registry registry;
    Options options = options_of(1);
    options.peer_output_max = 4U << 20U;
    options.registry = &registry;
    cluster.add(options);
    sim::Host& stranger = cluster.world.add_host("stranger");
    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    raw.send(hello_frame(options_of(2).self, wire::ConnectionUse::kPeer));
    cluster.world.run_for(milliseconds(10));
    raw.stop_reading();
    for (std::uint64_t i = 1; i <= 100; ++i) {
        Bytes call;
        wire::append_frame(call, wire::FrameKind::kCall, kTopic, i, "big 100000");
        raw.send(call);
        cluster.world.run_for(milliseconds(2));
    }
    EXPECT_EQ(registry.value("kvstore_rpc_connections"), 0);
    EXPECT_LE(cluster.node(1).service.calls.size(), 50U);
    cluster.stop(1);
}

TEST(LinkPressure, OfCallsThatAreNeverAnsweredIsBounded) {
    std::vector<Outcome> outcomes(20);  // told at the end of the cluster
    TestCluster cluster(kSeed);
    Options few = options_of(1);
    few.calls_max = 10;
    cluster.add(few);
    cluster.add();
    cluster.introduce(1, 2);
    for (Outcome& outcome : outcomes) {
        ASSERT_TRUE(cluster.transport(2)
                        .start_call(NodeId(1), kTopic, "hold", cluster.in(seconds(50)), &outcome)
                        .ok());
    }
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(cluster.node(1).service.held.size(), 10U);
    EXPECT_EQ(outcomes[9].told, 0);
    EXPECT_EQ(outcomes[10].failure.code(), Code::kOverloaded);
    EXPECT_EQ(outcomes[10].failure.effect(), Effect::kNone);
}

// Both ends have more to say than sockets hold, and each must read for the other to go on.
TEST(LinkPressure, InBothDirectionsComesToAnEnd) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    std::vector<Outcome> outcomes(40);
    const Bytes request(1U << 20U, 'r');
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        ASSERT_TRUE(
            cluster.transport(1)
                .start_call(NodeId(2), kTopic, request, cluster.in(seconds(50)), &outcomes[i])
                .ok());
    }
    cluster.world.run_for(seconds(20));
    for (const Outcome& outcome : outcomes) {
        EXPECT_EQ(outcome.told, 1);
        EXPECT_EQ(outcome.answer.size(), request.size()) << outcome.failure.to_string();
    }
}

}  // namespace
}  // namespace kvstore::rpc
