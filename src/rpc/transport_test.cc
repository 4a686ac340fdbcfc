// Messages and calls between nodes that can reach one another, and the effects of those that
// cannot.
#include "rpc/transport.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/testing/test_node.h"

namespace kvstore::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::address_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kOtherTopic;
using testing::kTopic;
using testing::options_of;
using testing::Outcome;
using testing::TestCluster;
using testing::TestNode;

constexpr std::uint64_t kSeed = 1;

Bytes all_messages(const testing::RecordingService& service) {
    Bytes all;
    for (const auto& [from, bytes] : service.messages) {
        all += bytes;
    }
    return all;
}

TEST(TransportMessages, OfOneTurnArriveInOrderInOneFrameForEachTopic) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    cluster.world.run_for(milliseconds(100));
    const std::uint64_t frames = cluster.transport(1).statistics().frames_sent;

    for (const char* word : {"a", "b", "c"}) {
        ASSERT_TRUE(cluster.say(1, 2, word));
        ASSERT_TRUE(cluster.say(1, 2, "x", kOtherTopic));
    }
    cluster.world.run_for(milliseconds(100));

    EXPECT_THAT(cluster.node(2).service.messages, ElementsAre(std::pair(NodeId(1), Bytes("abc"))));
    EXPECT_THAT(cluster.node(2).other_service.messages,
                ElementsAre(std::pair(NodeId(1), Bytes("xxx"))));
    EXPECT_EQ(cluster.transport(1).statistics().frames_sent - frames, 2U);
}

TEST(TransportMessages, LeaveInTheTurnInWhichTheyAreSaid) {
    sim::WorldOptions options;
    options.network.link.latency = {milliseconds(1), milliseconds(1)};
    options.network.cut_one_in = 0;
    options.turn = {milliseconds(10), milliseconds(10)};
    TestCluster cluster(kSeed, options);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    cluster.world.run_for(milliseconds(100));
    const MonotonicTime said_at = cluster.world.now();
    ASSERT_TRUE(cluster.say(1, 2, "a"));
    Outcome outcome;
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "b", cluster.in(seconds(5)), &outcome)
                    .ok());
    ASSERT_TRUE(cluster.world.run_until([&] { return !cluster.node(2).service.calls.empty(); },
                                        seconds(5)));
    EXPECT_LE(cluster.world.now() - said_at, milliseconds(1)) << "the way, and no turn more";
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(outcome.answer, "b");
    EXPECT_EQ(all_messages(cluster.node(2).service), "a");
}

TEST(TransportMessages, AndRequestsMayBeKeptAsTheyWereReceived) {
    sim::WorldOptions options;
    options.network.cut_one_in = 0;
    std::vector<Outcome> outcomes(50);
    TestCluster cluster(kSeed, options);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    std::vector<Bytes> said;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        said.push_back(std::to_string(i) + Bytes(i * 100, static_cast<char>('a' + i % 26)));
        ASSERT_TRUE(
            cluster.transport(1)
                .start_call(NodeId(2), kTopic, said.back(), cluster.in(seconds(5)), &outcomes[i])
                .ok());
    }
    ASSERT_TRUE(cluster.say(1, 2, "message"));
    said.insert(said.begin(), "message");
    cluster.world.run_for(seconds(1));
    ASSERT_TRUE(cluster.call(1, 2, "another turn").ok());
    said.emplace_back("another turn");

    std::vector<Bytes> kept;
    for (const Received& received : cluster.node(2).service.kept) {
        kept.emplace_back(received.bytes);
    }
    EXPECT_THAT(kept, ::testing::UnorderedElementsAreArray(said));
    EXPECT_EQ(outcomes[49].answer, said[50]);
}

TEST(TransportMessages, OfATurnThatLosesItsConnectionAreDroppedAndCounted) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    const std::uint64_t dropped = cluster.transport(1).statistics().messages_dropped;
    ASSERT_TRUE(cluster.say(1, 2, "lost"));
    cluster.transport(1).set_peer(NodeId(2), {.host = "n2", .port = 1});
    cluster.transport(1).set_peer(NodeId(2), address_of(2));
    EXPECT_EQ(cluster.transport(1).statistics().messages_dropped, dropped + 1);
    cluster.world.run_for(seconds(1));
    ASSERT_TRUE(cluster.say(1, 2, "here"));
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(all_messages(cluster.node(2).service), "here");
}

TEST(TransportMessages, AreDroppedWhileThereIsNoConnectionAndItIsMadeInTheBackground) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);

    EXPECT_FALSE(cluster.say(1, 2, "lost"));
    EXPECT_FALSE(cluster.say(1, 9, "to nobody"));
    EXPECT_EQ(cluster.transport(1).statistics().messages_dropped, 2U);

    EXPECT_TRUE(cluster.connect(1, 2));
    EXPECT_TRUE(cluster.say(1, 2, "here"));
    cluster.world.run_for(milliseconds(100));
    EXPECT_EQ(all_messages(cluster.node(2).service), "here");
}

// Many turns with much to say: frames are cut, and nothing is lost or changes places.
TEST(TransportMessages, OfManyMegabytesArriveInOrder) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));

    Bytes said;
    for (std::uint64_t i = 0; i < 400; ++i) {
        const Bytes message = std::to_string(i) + Bytes(20'000, static_cast<char>('a' + i % 26));
        ASSERT_TRUE(cluster.say(1, 2, message));
        said += message;
        if (i % 100 == 99) {
            cluster.world.run_for(milliseconds(1));
        }
    }
    cluster.world.run_for(seconds(2));

    EXPECT_EQ(all_messages(cluster.node(2).service), said);
    EXPECT_EQ(cluster.transport(1).statistics().messages_dropped, 1U) << "the one that connected";
}

TEST(TransportMessages, OnATopicThatNobodyServesAreIgnored) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    ASSERT_TRUE(cluster.say(1, 2, "what", 99));
    ASSERT_TRUE(cluster.say(1, 2, "known"));
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(all_messages(cluster.node(2).service), "known");
    EXPECT_TRUE(cluster.transport(1).is_connected(NodeId(2)));
}

TEST(TransportMessages, OfWhichOneIsLongerThanAFrameAreDropped) {
    TestCluster cluster(kSeed);
    Options options = options_of(1);
    options.frame_bytes_max = 1000;
    cluster.add(options);
    cluster.add();
    cluster.introduce(1, 2);
    ASSERT_TRUE(cluster.connect(1, 2));
    ASSERT_TRUE(cluster.say(1, 2, Bytes(1001, 'x')));
    cluster.world.run_for(seconds(1));
    ASSERT_TRUE(cluster.say(1, 2, Bytes(1000, 'y')));
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(all_messages(cluster.node(2).service), Bytes(1000, 'y'));
    EXPECT_EQ(cluster.transport(1).statistics().messages_dropped, 2U);
}

TEST(TransportCalls, AreAnsweredByThePeersService) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);

    EXPECT_EQ(*cluster.call(1, 2, "hello"), "hello");
    EXPECT_EQ(*cluster.call(2, 1, ""), "");
    EXPECT_EQ(cluster.call(1, 2, "big 3000000")->size(), 3'000'000U);
}

TEST(TransportCalls, AreToldThePeersOwnErrors) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);

    const Status failed = cluster.call(1, 2, "fail").status();
    EXPECT_EQ(failed.code(), Code::kConflict);
    EXPECT_EQ(failed.effect(), Effect::kNone);
    EXPECT_EQ(failed.message(), "as asked");

    const Status dropped = cluster.call(1, 2, "drop").status();
    EXPECT_EQ(dropped.code(), Code::kUnavailable);
    EXPECT_EQ(dropped.effect(), Effect::kUnknown);
}

TEST(TransportCalls, OnATopicThatNobodyServesHaveNoEffect) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    const auto answer = cluster.world.block_on(
        cluster.host(1), cluster.transport(1).call(NodeId(2), 99, "what", cluster.in(seconds(1))));
    EXPECT_EQ(answer.status().code(), Code::kUnimplemented);
    EXPECT_EQ(answer.status().effect(), Effect::kNone);
}

TEST(TransportCalls, WhoseAnswerIsLongerThanAFrameFailWithAnUnknownEffect) {
    TestCluster cluster(kSeed);
    cluster.add();
    Options options = options_of(2);
    options.frame_bytes_max = 1000;
    cluster.add(options);
    cluster.introduce(1, 2);
    EXPECT_EQ(cluster.call(1, 2, "big 1000")->size(), 1000U);
    const Status failed = cluster.call(1, 2, "big 1001").status();
    EXPECT_EQ(failed.code(), Code::kTooLarge);
    EXPECT_EQ(failed.effect(), Effect::kUnknown);
}

TEST(TransportCalls, AreAnsweredInAnyOrder) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    Outcome first;
    Outcome second;
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "hold", cluster.in(seconds(5)), &first)
                    .ok());
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "now", cluster.in(seconds(5)), &second)
                    .ok());
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(first.told, 0);
    EXPECT_EQ(second.answer, "now");

    cluster.node(2).service.held[0].answer("later");
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(first.answer, "later");
    EXPECT_EQ(first.told, 1);
}

TEST(TransportCalls, OverTheLimitsAreRefusedAtOnce) {
    TestCluster cluster(kSeed);
    Options options = options_of(1);
    options.frame_bytes_max = 1000;
    options.calls_max = 2;
    cluster.add(options);
    cluster.add();
    cluster.introduce(1, 2);
    Transport& transport = cluster.transport(1);
    const async::Deadline deadline = cluster.in(seconds(5));
    Outcome outcome;
    const auto refused = [&](NodeId peer, ByteView request, async::Deadline by) {
        const Status status = transport.start_call(peer, kTopic, request, by, &outcome);
        EXPECT_EQ(status.effect(), Effect::kNone);
        return status.code();
    };

    EXPECT_EQ(refused(NodeId(9), "x", deadline), Code::kUnavailable);
    EXPECT_EQ(refused(NodeId(2), Bytes(1001, 'x'), deadline), Code::kTooLarge);
    EXPECT_EQ(refused(NodeId(2), "x", async::Deadline{cluster.world.now()}),
              Code::kDeadlineExceeded);

    std::vector<Outcome> under_way(2);
    for (Outcome& sink : under_way) {
        ASSERT_TRUE(transport.start_call(NodeId(2), kTopic, "hold", deadline, &sink).ok());
    }
    EXPECT_EQ(refused(NodeId(2), "x", deadline), Code::kOverloaded);
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(refused(NodeId(2), "x", deadline), Code::kOverloaded);
    cluster.node(2).service.held.clear();
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(*cluster.call(1, 2, "room again"), "room again");
    EXPECT_EQ(outcome.told, 0);
}

// ---- effects ----

TEST(TransportCalls, WaitForTheFirstConnectionAndHaveNoEffectWhenItFails) {
    TestCluster cluster(kSeed);
    cluster.add();
    cluster.transport(1).set_peer(NodeId(2), address_of(2));
    Outcome outcome;
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "x", cluster.in(seconds(5)), &outcome)
                    .ok());
    EXPECT_EQ(outcome.told, 0);
    cluster.world.run_for(seconds(1));

    EXPECT_EQ(outcome.told, 1);
    EXPECT_EQ(outcome.failure.code(), Code::kUnavailable);
    EXPECT_EQ(outcome.failure.effect(), Effect::kNone);
    EXPECT_THAT(outcome.failure.to_string(), HasSubstr("unknown host"));

    const Status refused =
        cluster.transport(1).start_call(NodeId(2), kTopic, "x", cluster.in(seconds(5)), &outcome);
    EXPECT_EQ(refused.code(), Code::kUnavailable) << "known to be unreachable";
    EXPECT_THAT(refused.to_string(), HasSubstr("unknown host"));
}

TEST(TransportCalls, ThatExpireBeforeTheConnectionIsThereAreNeverSent) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    cluster.world.block(cluster.host(2), cluster.host(1));
    Outcome expired;
    Outcome patient;
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "a", cluster.in(milliseconds(300)), &expired)
                    .ok());
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "b", cluster.in(seconds(5)), &patient)
                    .ok());
    cluster.world.run_for(milliseconds(400));
    EXPECT_EQ(expired.failure.code(), Code::kDeadlineExceeded);
    EXPECT_EQ(expired.failure.effect(), Effect::kNone);

    cluster.world.heal_all();
    ASSERT_TRUE(cluster.world.run_until([&] { return patient.told > 0; }, seconds(3)));
    EXPECT_EQ(patient.answer, "b");
    EXPECT_THAT(cluster.node(2).service.calls, ElementsAre("b"));
    EXPECT_EQ(expired.told, 1);
}

TEST(TransportCalls, WhoseTimeIsUpHaveAnUnknownEffectAndLateAnswersAreDropped) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    Outcome outcome;
    const MonotonicTime began = cluster.world.now();
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "hold", cluster.in(milliseconds(500)), &outcome)
                    .ok());
    ASSERT_TRUE(cluster.world.run_until([&] { return outcome.told > 0; }, seconds(5)));

    EXPECT_GE(cluster.world.now() - began, milliseconds(500));
    EXPECT_LE(cluster.world.now() - began, milliseconds(515));
    EXPECT_EQ(outcome.failure.code(), Code::kDeadlineExceeded);
    EXPECT_EQ(outcome.failure.effect(), Effect::kUnknown);

    cluster.node(2).service.held[0].answer("too late");
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(outcome.told, 1);
    EXPECT_EQ(*cluster.call(1, 2, "next"), "next");
}

TEST(TransportCalls, WithDeadlinesOfAllLengthsEachEndInTime) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    std::vector<Outcome> outcomes(200);
    const MonotonicTime began = cluster.world.now();
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        // From 20 s down to 0.1 s: longer than the table's wheel, and each earlier than the last.
        const Duration patience = milliseconds(20'000 - 100 * i);
        ASSERT_TRUE(cluster.transport(1)
                        .start_call(NodeId(2), kTopic, "hold", cluster.in(patience), &outcomes[i])
                        .ok());
    }
    for (std::size_t i = outcomes.size(); i-- > 0;) {
        const MonotonicTime due = began + milliseconds(20'000 - 100 * i);
        cluster.world.run_for(due - cluster.world.now());
        EXPECT_EQ(outcomes[i].told, 0) << i;
        cluster.world.run_for(milliseconds(15));
        EXPECT_EQ(outcomes[i].told, 1) << i;
    }
}

TEST(TransportCalls, HaveAnUnknownEffectOnceTheyMayHaveLeftAndNoneBefore) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    Outcome sent;
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "hold", cluster.in(seconds(50)), &sent)
                    .ok());
    cluster.world.run_for(seconds(1));
    Outcome unsent;
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "never", cluster.in(seconds(50)), &unsent)
                    .ok());

    // In the turn in which the second was started, before it ends.
    cluster.transport(1).remove_peer(NodeId(2));
    cluster.world.run_for(seconds(1));

    EXPECT_EQ(sent.failure.code(), Code::kUnavailable);
    EXPECT_EQ(sent.failure.effect(), Effect::kUnknown);
    EXPECT_EQ(unsent.failure.code(), Code::kUnavailable);
    EXPECT_EQ(unsent.failure.effect(), Effect::kNone);
    EXPECT_THAT(cluster.node(2).service.calls, ElementsAre("hold"));
}

TEST(TransportCalls, FailWhenTheConnectionBreaksAndAreRefusedUntilItIsBack) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    Outcome outcome;
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "hold", cluster.in(seconds(50)), &outcome)
                    .ok());
    cluster.world.run_for(milliseconds(100));
    cluster.crash(2, sim::CrashKind::kKill);
    cluster.world.run_for(milliseconds(100));

    EXPECT_EQ(outcome.failure.code(), Code::kUnavailable);
    EXPECT_EQ(outcome.failure.effect(), Effect::kUnknown);
    EXPECT_EQ(cluster.call(1, 2, "x").status().effect(), Effect::kNone);
    EXPECT_FALSE(cluster.transport(1).is_connected(NodeId(2)));
    EXPECT_FALSE(cluster.status(1, 2).last_failure.ok());

    cluster.restart(2);
    ASSERT_TRUE(cluster.world.run_until(
        [&] { return cluster.transport(1).is_connected(NodeId(2)); }, seconds(3)));
    EXPECT_TRUE(cluster.status(1, 2).last_failure.ok());
    EXPECT_EQ(*cluster.call(1, 2, "back"), "back");
}

TEST(TransportCalls, MayBeAnsweredAfterTheirConnectionAndTheirTransportHaveGone) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    Outcome outcome;
    ASSERT_TRUE(cluster.transport(1)
                    .start_call(NodeId(2), kTopic, "hold", cluster.in(seconds(50)), &outcome)
                    .ok());
    cluster.world.run_for(seconds(1));
    std::vector<Responder> held = std::move(cluster.node(2).service.held);
    ASSERT_EQ(held.size(), 1U);
    cluster.stop(2);

    held[0].answer("to nobody");
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(outcome.told, 1);
    EXPECT_EQ(outcome.failure.effect(), Effect::kUnknown);
}

// ---- peers ----

TEST(TransportPeers, AreToldToServicesWhenTheyComeAndGo) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    cluster.world.run_for(seconds(3));
    const PeerStatus status = cluster.status(1, 2);
    EXPECT_TRUE(status.is_connected);
    EXPECT_EQ(status.address.to_string(), "n2:7070");
    EXPECT_GT(status.round_trip, Duration(0));
    EXPECT_LT(status.round_trip, milliseconds(10));

    cluster.crash(2, sim::CrashKind::kKill);
    cluster.world.run_for(seconds(1));
    cluster.restart(2);
    cluster.world.run_for(seconds(3));
    EXPECT_THAT(cluster.node(1).service.peer_states, ElementsAre("2 up", "2 down", "2 up"));
    EXPECT_THAT(cluster.node(1).other_service.peer_states, ElementsAre("2 up", "2 down", "2 up"));
}

TEST(TransportPeers, AreReachedAtAnAddressThatChanges) {
    TestCluster cluster(kSeed);
    cluster.add_all(1);
    cluster.add();
    cluster.transport(1).set_peer(NodeId(2), {.host = "n2", .port = 1});
    EXPECT_FALSE(cluster.call(1, 2, "x").ok());

    cluster.transport(1).set_peer(NodeId(2), address_of(2));
    EXPECT_EQ(*cluster.call(1, 2, "x"), "x");

    cluster.transport(1).set_peer(NodeId(2), address_of(2));
    EXPECT_TRUE(cluster.transport(1).is_connected(NodeId(2))) << "no other address";
    cluster.transport(1).set_peer(NodeId(2), {.host = "n2", .port = 1});
    EXPECT_FALSE(cluster.transport(1).is_connected(NodeId(2)));
    EXPECT_FALSE(cluster.call(1, 2, "x").ok());
}

TEST(TransportPeers, ThatAreRemovedAreForgotten) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    ASSERT_TRUE(cluster.connect(2, 1));
    cluster.transport(1).remove_peer(NodeId(2));
    EXPECT_TRUE(cluster.transport(1).peers().empty());
    EXPECT_FALSE(cluster.call(1, 2, "x").ok());
    cluster.world.run_for(milliseconds(5));
    EXPECT_FALSE(cluster.transport(2).is_connected(NodeId(1))) << "its own connection closes too";
}

// ---- one call to an address ----

TEST(TransportCallAddress, IsAnsweredByWhoeverListens) {
    TestCluster cluster(kSeed);
    Options joiner = options_of(1);
    joiner.self.node = NodeId();
    joiner.self.cluster = 0;
    cluster.add(joiner);
    cluster.add();

    const auto ask = [&](env::Address address, Bytes request, Duration patience) {
        return cluster.world.block_on(
            cluster.host(1),
            cluster.transport(1).call_address(
                std::move(address), kTopic, std::move(request), cluster.in(patience)));
    };
    EXPECT_EQ(ask(address_of(2), "who", seconds(5))->bytes, "who");
    EXPECT_EQ(ask(address_of(2), "fail", seconds(5)).status().code(), Code::kConflict);
    EXPECT_TRUE(cluster.transport(1).peers().empty());

    const Status late = ask(address_of(2), "hold", seconds(1)).status();
    EXPECT_EQ(late.code(), Code::kDeadlineExceeded);
    EXPECT_EQ(late.effect(), Effect::kUnknown);

    const Status nobody = ask({.host = "n2", .port = 1}, "x", seconds(5)).status();
    EXPECT_EQ(nobody.code(), Code::kUnavailable);
    EXPECT_EQ(nobody.effect(), Effect::kNone);
    cluster.world.run_for(seconds(1));
    EXPECT_EQ(cluster.transport(2).statistics().frames_damaged, 0U);
}

// ---- the end ----

TEST(Transport, LeavesNothingBehindWhenItStops) {
    TestCluster cluster(kSeed);
    cluster.add_all(3);
    for (const std::uint64_t to : {1U, 2U}) {
        ASSERT_TRUE(cluster.connect(3, to));
        ASSERT_TRUE(cluster.connect(to, 3));
    }
    Outcome under_way;
    ASSERT_TRUE(cluster.transport(3)
                    .start_call(NodeId(1), kTopic, "hold", cluster.in(seconds(50)), &under_way)
                    .ok());
    cluster.world.run_for(seconds(1));
    cluster.transport(3).set_peer(NodeId(4), {.host = "n9", .port = 1});
    Outcome waiting;
    ASSERT_TRUE(cluster.transport(3)
                    .start_call(NodeId(4), kTopic, "x", cluster.in(seconds(50)), &waiting)
                    .ok());
    cluster.say(3, 1, "unsent");

    for (const std::uint64_t number : {3U, 2U, 1U}) {
        cluster.stop(number);
    }
    EXPECT_EQ(under_way.told, 1);
    EXPECT_EQ(under_way.failure.effect(), Effect::kUnknown);
    EXPECT_EQ(waiting.told, 1);
    EXPECT_EQ(waiting.failure.effect(), Effect::kNone);

    // Whatever is still on its way between the hosts comes to rest.
    cluster.world.run_for(std::chrono::minutes(5));
    const std::uint64_t trace = cluster.world.trace_hash();
    cluster.world.run_for(std::chrono::hours(1));
    EXPECT_EQ(cluster.world.trace_hash(), trace) << "no timer, turn or packet";
}

TEST(Transport, RefusesEverythingOnceItHasStopped) {
    TestCluster cluster(kSeed);
    cluster.add_all(2);
    ASSERT_TRUE(cluster.connect(1, 2));
    Transport& transport = cluster.transport(1);
    cluster.world.block_on(cluster.host(1), transport.stop());

    EXPECT_EQ(transport.message_buffer(NodeId(2), kTopic), nullptr);
    EXPECT_EQ(cluster.call(1, 2, "x").status().code(), Code::kUnavailable);
    EXPECT_EQ(cluster.stream(1, 2, "", {}).status().code(), Code::kUnavailable);
    const auto answer = cluster.world.block_on(
        cluster.host(1),
        transport.call_address(address_of(2), kTopic, "x", cluster.in(seconds(1))));
    EXPECT_EQ(answer.status().code(), Code::kUnavailable);
}

TEST(Transport, CountsInTheRegistry) {
    metrics::Registry registry;
    TestCluster cluster(kSeed);
    Options options = options_of(1);
    options.registry = &registry;
    cluster.add(options);
    cluster.add();
    cluster.introduce(1, 2);
    ASSERT_TRUE(cluster.call(1, 2, "x").ok());
    ASSERT_FALSE(cluster.call(1, 2, "hold", milliseconds(50)).ok());
    cluster.world.run_for(seconds(2));

    EXPECT_EQ(registry.value("kvstore_rpc_calls_sent_total"), 2);
    EXPECT_EQ(registry.value("kvstore_rpc_calls_failed_total"), 1);
    EXPECT_EQ(registry.value("kvstore_rpc_connections"), 1);
    const TransportStatistics counted = cluster.transport(1).statistics();
    EXPECT_EQ(registry.value("kvstore_rpc_frames_sent_total"),
              static_cast<double>(counted.frames_sent));
    EXPECT_EQ(registry.value("kvstore_rpc_sent_bytes_total"),
              static_cast<double>(counted.bytes_sent));
    EXPECT_EQ(counted.bytes_sent, cluster.transport(2).statistics().bytes_received);
    EXPECT_EQ(counted.frames_sent, cluster.transport(2).statistics().frames_received);
    EXPECT_THAT(registry.expose(cluster.world.now()), HasSubstr("kvstore_rpc_ping_seconds_count"));
    cluster.stop(1);
}

}  // namespace
}  // namespace kvstore::rpc
