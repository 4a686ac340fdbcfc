// The failure detector: its rules one by one, and whole clusters of it on a lossy network.
#include "cluster/failure_detector.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/testing/gossip_bus.h"
#include "wire/gossip.h"

namespace kvstore::cluster {
namespace {

using testing::GossipBus;
using wire::GossipKind;
using wire::GossipMessage;
using wire::GossipUpdate;
using wire::MemberState;

constexpr NodeId kSelf(1);
constexpr NodeId kTwo(2);
constexpr NodeId kThree(3);
constexpr NodeId kFour(4);

std::uint64_t rounds(std::uint64_t usual) {
    const char* asked = std::getenv("KVSTORE_ROUNDS");  // NOLINT(concurrency-mt-unsafe): one thread
    return asked == nullptr ? usual : std::strtoull(asked, nullptr, 10);
}

FailureDetector detector_of(std::uint64_t nodes, FailureDetectorOptions options = {}) {
    FailureDetector detector(kSelf, options, 1);
    std::vector<NodeId> members;
    for (std::uint64_t i = 1; i <= nodes; ++i) {
        members.emplace_back(i);
    }
    detector.set_members(members);
    return detector;
}

GossipUpdate update(NodeId node,
                    std::uint64_t incarnation,
                    MemberState state,
                    NodeId accuser = NodeId()) {
    return {.node = node, .incarnation = incarnation, .state = state, .accuser = accuser};
}

GossipMessage message(GossipKind kind,
                      std::uint64_t number,
                      std::vector<GossipUpdate> updates = {}) {
    return {.kind = kind, .number = number, .target = {}, .map_version = 0, .updates = updates};
}

// The first message to `to` of that kind among what the detector has to say now.
std::optional<GossipMessage> said(FailureDetector& detector, NodeId to, GossipKind kind) {
    for (const auto& [receiver, message] : detector.take_output().messages) {
        if (receiver == to && message.kind == kind) {
            return message;
        }
    }
    return std::nullopt;
}

bool mentions(const GossipMessage& message, const GossipUpdate& expected) {
    return std::ranges::find(message.updates, expected) != message.updates.end();
}

TEST(FailureDetector, AnswersAPingWithItsNumber) {
    FailureDetector detector = detector_of(3);

    detector.receive(kTwo, message(GossipKind::kPing, 77));

    const auto ack = said(detector, kTwo, GossipKind::kAck);
    ASSERT_TRUE(ack.has_value());
    EXPECT_EQ(ack->number, 77U);
    EXPECT_EQ(ack->updates.at(0), update(kSelf, 1, MemberState::kAlive));
}

TEST(FailureDetector, PassesOverWhoIsNoMemberAndWhatIsSaidOfThem) {
    FailureDetector detector = detector_of(2);

    detector.receive(kThree, message(GossipKind::kPing, 1));
    detector.receive(kTwo, message(GossipKind::kAck, 1, {update(kThree, 5, MemberState::kDead)}));

    const FailureDetectorOutput output = detector.take_output();
    EXPECT_TRUE(output.messages.empty());
    EXPECT_TRUE(output.changes.empty());
    EXPECT_EQ(detector.find(kThree), nullptr);
    EXPECT_EQ(detector.find(kSelf), nullptr);
}

// SWIM 4.3: a whole round before anybody is probed again.
TEST(FailureDetector, ProbesEveryMemberOnceARound) {
    FailureDetector detector = detector_of(6);
    for (int round = 0; round < 4; ++round) {
        std::multiset<NodeId> pinged;
        for (int tick = 0; tick < 25; ++tick) {
            detector.tick();
            for (const auto& [to, ping] : detector.take_output().messages) {
                ASSERT_EQ(ping.kind, GossipKind::kPing);
                pinged.insert(to);
                detector.receive(to, message(GossipKind::kAck, ping.number));
            }
        }
        EXPECT_EQ(pinged.size(), 5U);
        EXPECT_EQ(std::set<NodeId>(pinged.begin(), pinged.end()).size(), 5U);
    }
}

// SWIM 3.1.
TEST(FailureDetector, AsksOthersToPingWhoDoesNotAnswer) {
    FailureDetector detector = detector_of(6);
    detector.tick();
    const auto first = detector.take_output().messages.at(0);

    detector.tick();
    EXPECT_TRUE(detector.take_output().messages.empty());
    detector.tick();
    const auto messages = detector.take_output().messages;

    ASSERT_EQ(messages.size(), 4U);
    EXPECT_EQ(messages[0].to, first.to) << "pinged once more";
    EXPECT_EQ(messages[0].message.number, first.message.number);
    std::set<NodeId> relays;
    for (std::size_t i = 1; i < 4; ++i) {
        EXPECT_EQ(messages[i].message.kind, GossipKind::kRequest);
        EXPECT_EQ(messages[i].message.target, first.to);
        EXPECT_NE(messages[i].to, first.to);
        relays.insert(messages[i].to);
    }
    EXPECT_EQ(relays.size(), 3U);
}

TEST(FailureDetector, PingsForAnotherAndTellsTheAnswer) {
    FailureDetector detector = detector_of(3);
    GossipMessage request = message(GossipKind::kRequest, 50);
    request.target = kThree;

    detector.receive(kTwo, request);
    const auto ping = said(detector, kThree, GossipKind::kPing);
    ASSERT_TRUE(ping.has_value());
    detector.receive(kThree, message(GossipKind::kAck, ping->number));

    const auto ack = said(detector, kTwo, GossipKind::kAck);
    ASSERT_TRUE(ack.has_value());
    EXPECT_EQ(ack->number, 50U);
    EXPECT_EQ(ack->target, kThree);
}

// Lifeguard 4: who asked knows then that it is heard, and the silence is the other's.
TEST(FailureDetector, TellsWhoAskedThatThereWasNoAnswer) {
    FailureDetector detector = detector_of(3);
    GossipMessage request = message(GossipKind::kRequest, 50);
    request.target = kThree;
    detector.receive(kTwo, request);

    detector.tick();
    EXPECT_FALSE(said(detector, kTwo, GossipKind::kNack).has_value());
    detector.tick();

    const auto nack = said(detector, kTwo, GossipKind::kNack);
    ASSERT_TRUE(nack.has_value());
    EXPECT_EQ(nack->number, 50U);
    EXPECT_EQ(nack->target, kThree);
}

// Runs until a probe of somebody fails, of a detector to which nobody answers. Returns: of whom.
NodeId first_suspect(FailureDetector& detector) {
    for (int i = 0; i < 30; ++i) {
        detector.tick();
        for (const auto& change : detector.take_output().changes) {
            EXPECT_EQ(change.state, MemberState::kSuspect);
            return change.node;
        }
    }
    return {};
}

TEST(FailureDetector, SuspectsWhoDoesNotAnswerByAnyWay) {
    FailureDetector detector = detector_of(3);

    const NodeId suspect = first_suspect(detector);

    EXPECT_EQ(detector.now(), 6U) << "one period after the first tick";
    EXPECT_EQ(detector.find(suspect)->state, MemberState::kSuspect);
    EXPECT_EQ(detector.find(suspect)->since, 6U);
}

// Ours: its turn in the round may be far off.
TEST(FailureDetector, ProbesEveryPeriodWhomItSuspectsByItsOwnProbe) {
    FailureDetector detector = detector_of(12);
    detector.tick();
    const auto first = detector.take_output().messages.at(0);
    int pings = 0;
    for (int i = 0; i < 25; ++i) {
        detector.tick();
        for (const auto& [to, sent] : detector.take_output().messages) {
            if (to == first.to) {
                ++pings;
            } else if (sent.kind == GossipKind::kPing) {
                detector.receive(to, message(GossipKind::kAck, sent.number));
            } else {
                GossipMessage nack = message(GossipKind::kNack, sent.number);
                nack.target = sent.target;
                detector.receive(to, nack);
            }
        }
    }

    EXPECT_EQ(detector.find(first.to)->state, MemberState::kSuspect);
    EXPECT_GE(pings, 9) << "twice in each of five periods, but for the first ping";
}

TEST(FailureDetector, TakesTheAnswerOfARelayForThatOfTheTarget) {
    FailureDetector detector = detector_of(3);
    detector.tick();
    const auto ping = detector.take_output().messages.at(0);
    const NodeId relay = ping.to == kTwo ? kThree : kTwo;
    GossipMessage ack = message(GossipKind::kAck, ping.message.number);
    ack.target = ping.to;

    detector.receive(relay, ack);
    for (int i = 0; i < 5; ++i) {
        detector.tick();
    }

    EXPECT_TRUE(detector.take_output().changes.empty());
}

TEST(FailureDetector, LetsNobodyElseAnswerForAProbe) {
    FailureDetector detector = detector_of(3);
    detector.tick();
    const auto ping = detector.take_output().messages.at(0);
    const NodeId other = ping.to == kTwo ? kThree : kTwo;

    detector.receive(other, message(GossipKind::kAck, ping.message.number));
    for (int i = 0; i < 5; ++i) {
        detector.tick();
    }

    EXPECT_EQ(detector.find(ping.to)->state, MemberState::kSuspect);
}

// SWIM 4.2, and the whole order of what overrides what.
TEST(FailureDetector, HoldsTheGreaterOfTwoAccounts) {
    const std::vector<GossipUpdate> rising = {update(kTwo, 0, MemberState::kSuspect, kThree),
                                              update(kTwo, 0, MemberState::kLeft),
                                              update(kTwo, 1, MemberState::kAlive),
                                              update(kTwo, 1, MemberState::kSuspect, kThree),
                                              update(kTwo, 2, MemberState::kAlive),
                                              update(kTwo, 2, MemberState::kLeft),
                                              update(kTwo, 9, MemberState::kSuspect, kFour)};
    FailureDetector detector = detector_of(4);
    for (std::size_t i = 0; i < rising.size(); ++i) {
        detector.receive(kThree, message(GossipKind::kNack, 0, {rising[i]}));
        for (std::size_t older = 0; older <= i; ++older) {
            detector.receive(kFour, message(GossipKind::kNack, 0, {rising[older]}));
        }
        EXPECT_EQ(detector.find(kTwo)->incarnation, rising[i].incarnation) << i;
        EXPECT_EQ(detector.find(kTwo)->state, rising[i].state) << i;
    }
}

TEST(FailureDetector, TellsEachChangeOnce) {
    FailureDetector detector = detector_of(3);
    const auto suspicion =
        message(GossipKind::kNack, 0, {update(kTwo, 4, MemberState::kSuspect, kThree)});

    detector.receive(kThree, suspicion);
    detector.receive(kThree, suspicion);

    const auto changes = detector.take_output().changes;
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].node, kTwo);
    EXPECT_EQ(changes[0].state, MemberState::kSuspect);
}

TEST(FailureDetector, DefendsItselfWithAHigherIncarnation) {
    FailureDetector detector = detector_of(3);

    detector.receive(
        kTwo, message(GossipKind::kPing, 1, {update(kSelf, 7, MemberState::kSuspect, kTwo)}));

    EXPECT_EQ(detector.incarnation(), 8U);
    const auto ack = said(detector, kTwo, GossipKind::kAck);
    ASSERT_TRUE(ack.has_value());
    EXPECT_EQ(ack->updates.at(0), update(kSelf, 8, MemberState::kAlive));
}

TEST(FailureDetector, NeedsNoDefenceAgainstWhatItHasAnswered) {
    FailureDetector detector = detector_of(3);
    detector.receive(kTwo, message(GossipKind::kNack, 1, {update(kSelf, 7, MemberState::kDead)}));

    detector.receive(kTwo, message(GossipKind::kNack, 1, {update(kSelf, 7, MemberState::kDead)}));

    EXPECT_EQ(detector.incarnation(), 8U);
}

TEST(FailureDetector, GoesOnFromTheIncarnationOfAnEarlierLife) {
    FailureDetector detector = detector_of(3);

    detector.receive(kTwo, message(GossipKind::kNack, 1, {update(kSelf, 40, MemberState::kAlive)}));

    EXPECT_EQ(detector.incarnation(), 40U);
    EXPECT_EQ(detector.health(), 0U) << "nobody accused it";
}

TEST(FailureDetector, PassesOverIncarnationsThatNobodyCanHaveReached) {
    FailureDetector detector = detector_of(3);

    detector.receive(kTwo,
                     message(GossipKind::kNack,
                             1,
                             {update(kSelf, ~0ULL, MemberState::kDead),
                              update(kThree, ~0ULL, MemberState::kDead)}));

    EXPECT_EQ(detector.incarnation(), 1U);
    EXPECT_EQ(detector.find(kThree)->state, MemberState::kAlive);
}

// Lifeguard 4, Buddy System.
TEST(FailureDetector, TellsASuspectWhatIsHeldAgainstIt) {
    FailureDetector detector = detector_of(3);
    const GossipUpdate suspicion = update(kTwo, 4, MemberState::kSuspect, kThree);
    detector.receive(kThree, message(GossipKind::kNack, 0, {suspicion}));
    static_cast<void>(detector.take_output());

    for (int i = 0; i < 40; ++i) {
        detector.receive(kTwo, message(GossipKind::kPing, 1));
        const auto ack = said(detector, kTwo, GossipKind::kAck);
        ASSERT_TRUE(ack.has_value());
        EXPECT_TRUE(mentions(*ack, suspicion)) << "however often it was said";
    }
}

// SWIM 4.1.
TEST(FailureDetector, SaysWhatIsNewSoManyTimesAndNoMore) {
    FailureDetector detector = detector_of(4);
    const GossipUpdate news = update(kTwo, 4, MemberState::kLeft);
    detector.receive(kThree, message(GossipKind::kNack, 0, {news}));
    int times = 0;
    for (int i = 0; i < 30; ++i) {
        detector.receive(kFour, message(GossipKind::kPing, 1));
        times += mentions(said(detector, kFour, GossipKind::kAck).value(), news) ? 1 : 0;
    }

    EXPECT_EQ(times, 6) << "3 times the logarithm of 4";

    // Ours: who knows less is told again.
    detector.receive(
        kFour, message(GossipKind::kPing, 1, {update(kTwo, 3, MemberState::kSuspect, kFour)}));
    EXPECT_TRUE(mentions(said(detector, kFour, GossipKind::kAck).value(), news));
}

TEST(FailureDetector, PutsNoMoreInAMessageThanItMay) {
    FailureDetectorOptions options;
    options.updates_per_message_max = 3;
    FailureDetector detector = detector_of(20, options);

    detector.receive(kTwo, message(GossipKind::kPing, 1));

    EXPECT_EQ(said(detector, kTwo, GossipKind::kAck)->updates.size(), 1U + 3U);
}

// Lifeguard 4, LHA-Suspicion.
TEST(FailureDetector, GivesASuspectLessTimeTheMoreOthersSayTheSame) {
    const FailureDetector detector = detector_of(8);
    EXPECT_EQ(detector.suspicion_ticks(0), 135U);
    EXPECT_EQ(detector.suspicion_ticks(1), 90U);
    EXPECT_EQ(detector.suspicion_ticks(2), 64U);
    EXPECT_EQ(detector.suspicion_ticks(3), 45U);
    EXPECT_EQ(detector.suspicion_ticks(9), 45U);
    EXPECT_EQ(detector_of(3).suspicion_ticks(1), 30U) << "there is nobody else to say so";
    EXPECT_EQ(detector_of(2).suspicion_ticks(0), 45U) << "nobody can confirm it";

    FailureDetector alone = detector_of(8);
    FailureDetector confirmed = detector_of(8);
    for (FailureDetector* each : {&alone, &confirmed}) {
        each->receive(
            kThree,
            message(GossipKind::kNack, 0, {update(kTwo, 0, MemberState::kSuspect, kThree)}));
    }
    for (std::uint64_t accuser = 4; accuser <= 6; ++accuser) {
        const GossipUpdate same = update(kTwo, 0, MemberState::kSuspect, NodeId(accuser));
        confirmed.receive(kThree, message(GossipKind::kNack, 0, {same, same}));
    }
    const auto ticks_to_death = [](FailureDetector& detector) {
        while (detector.find(kTwo)->state != MemberState::kDead) {
            detector.tick();
            for (const auto& [to, sent] : detector.take_output().messages) {
                if (to != kTwo && sent.kind == GossipKind::kPing) {
                    detector.receive(to, message(GossipKind::kAck, sent.number));
                }
            }
        }
        return detector.now();
    };
    EXPECT_EQ(ticks_to_death(confirmed), 45U);
    EXPECT_LE(ticks_to_death(alone), 135U);
    EXPECT_GE(alone.now(), 90U) << "its own probe may have confirmed it, nobody else";
}

// Lifeguard 4, LHA-Probe.
TEST(FailureDetector, TakesItselfForSlowWhenNobodyAnswersAtAll) {
    FailureDetector detector = detector_of(5);
    first_suspect(detector);
    EXPECT_EQ(detector.health(), 1U);
    for (int i = 0; i < 300; ++i) {
        detector.tick();
    }
    EXPECT_LE(detector.health(), 3U);

    FailureDetector heard = detector_of(5);
    for (int i = 0; i < 6; ++i) {
        heard.tick();
        for (const auto& [to, sent] : heard.take_output().messages) {
            if (sent.kind == GossipKind::kRequest) {
                GossipMessage nack = message(GossipKind::kNack, sent.number);
                nack.target = sent.target;
                heard.receive(to, nack);
            }
        }
    }
    EXPECT_EQ(heard.health(), 0U) << "relays answered, so the silence is the other's";
}

TEST(FailureDetector, GivesMoreTimeWhileItTakesItselfForSlowAndRecoversByAnswers) {
    FailureDetector detector = detector_of(3);
    detector.receive(kTwo,
                     message(GossipKind::kNack, 0, {update(kSelf, 1, MemberState::kSuspect)}));
    static_cast<void>(detector.take_output());
    ASSERT_EQ(detector.health(), 1U);
    detector.tick();
    const auto ping = detector.take_output().messages.at(0);
    for (int i = 0; i < 9; ++i) {
        detector.tick();
        EXPECT_TRUE(detector.take_output().changes.empty()) << "twice the period";
    }

    detector.receive(ping.to, message(GossipKind::kAck, ping.message.number));

    EXPECT_EQ(detector.health(), 0U);
}

TEST(FailureDetector, TakesNobodysWordForADeath) {
    FailureDetector detector = detector_of(8);

    detector.receive(kThree, message(GossipKind::kNack, 0, {update(kTwo, 5, MemberState::kDead)}));
    detector.receive(kFour, message(GossipKind::kNack, 0, {update(kTwo, 5, MemberState::kDead)}));

    EXPECT_EQ(detector.find(kTwo)->state, MemberState::kSuspect);
    while (detector.find(kTwo)->state == MemberState::kSuspect) {
        detector.tick();
    }
    EXPECT_EQ(detector.find(kTwo)->state, MemberState::kDead);
    EXPECT_EQ(detector.now(), detector.suspicion_ticks(3)) << "the shortest time";
}

TEST(FailureDetector, PingsTheDeadNowAndThen) {
    FailureDetector detector = detector_of(2);
    while (detector.find(kTwo)->state != MemberState::kDead) {
        detector.tick();
    }
    static_cast<void>(detector.take_output());
    int pings = 0;
    for (int i = 0; i < 100; ++i) {
        detector.tick();
        for (const auto& [to, ping] : detector.take_output().messages) {
            ++pings;
            EXPECT_TRUE(mentions(ping, update(kTwo, 0, MemberState::kDead)));
        }
    }

    EXPECT_EQ(pings, 5) << "every fourth period";
}

TEST(FailureDetector, SaysThatItLeavesAndProbesNobodyThen) {
    FailureDetector detector = detector_of(3);

    detector.leave();
    const auto messages = detector.take_output().messages;
    detector.leave();
    for (int i = 0; i < 20; ++i) {
        detector.tick();
    }

    ASSERT_EQ(messages.size(), 2U);
    for (const auto& [to, ping] : messages) {
        EXPECT_EQ(ping.updates.at(0), update(kSelf, 1, MemberState::kLeft));
    }
    EXPECT_TRUE(detector.take_output().messages.empty());
    detector.receive(kTwo, message(GossipKind::kNack, 0, {update(kSelf, 1, MemberState::kDead)}));
    EXPECT_EQ(detector.incarnation(), 1U) << "it does not defend itself";
}

TEST(FailureDetector, ForgetsWhoIsNoMemberAnyMore) {
    FailureDetector detector = detector_of(3);
    detector.tick();
    static_cast<void>(detector.take_output());

    detector.set_members({kSelf});
    for (int i = 0; i < 40; ++i) {
        detector.tick();
    }

    const FailureDetectorOutput output = detector.take_output();
    EXPECT_TRUE(output.messages.empty());
    EXPECT_TRUE(output.changes.empty());
    EXPECT_EQ(detector.find(kTwo), nullptr);
}

TEST(FailureDetector, SpreadsTheHighestMapVersion) {
    FailureDetector detector = detector_of(3);
    GossipMessage newer = message(GossipKind::kPing, 1);
    newer.map_version = 9;

    detector.raise_map_version(5);
    detector.raise_map_version(4);
    EXPECT_EQ(detector.map_version(), 5U);
    EXPECT_EQ(detector.take_output().map_version_from, NodeId());

    detector.receive(kTwo, newer);
    const FailureDetectorOutput output = detector.take_output();
    EXPECT_EQ(detector.map_version(), 9U);
    EXPECT_EQ(output.map_version_from, kTwo);
    EXPECT_EQ(output.messages.at(0).message.map_version, 9U);

    detector.receive(kThree, newer);
    EXPECT_EQ(detector.take_output().map_version_from, NodeId()) << "that is known";
}

// ---- whole clusters ----

TEST(GossipCluster, FindsACrashEverywhereInTime) {
    struct Case {
        std::size_t nodes;
        std::uint64_t ticks_max;
    };
    for (const Case& each : {Case{2, 60}, Case{3, 60}, Case{5, 80}, Case{16, 110}, Case{64, 150}}) {
        for (std::uint64_t seed = 1; seed <= (each.nodes > 16 ? 4 : 20); ++seed) {
            SCOPED_TRACE(std::to_string(each.nodes) + " nodes, seed " + std::to_string(seed));
            GossipBus bus(each.nodes, seed);
            bus.run(20 + bus.random().below(20));

            bus.crash(kTwo);

            EXPECT_TRUE(bus.run_until([&] { return bus.all_hold(kTwo, MemberState::kDead); },
                                      each.ticks_max));
            EXPECT_EQ(bus.deaths, each.nodes - 1) << "nobody else was declared dead";
        }
    }
}

TEST(GossipCluster, FindsACrashAtTwentyPercentLoss) {
    for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        GossipBus bus(7, seed);
        bus.loss_percent = 20;
        bus.run(100);

        bus.crash(kTwo);

        EXPECT_TRUE(bus.run_until([&] { return bus.all_hold(kTwo, MemberState::kDead); }, 300));
    }
}

// Five minutes of each cluster.
TEST(GossipCluster, DeclaresNobodyDeadAtTwentyPercentLoss) {
    for (std::uint64_t seed = 1; seed <= rounds(12); ++seed) {
        for (const std::size_t nodes : {2U, 3U, 5U, 12U}) {
            SCOPED_TRACE(std::to_string(nodes) + " nodes, seed " + std::to_string(seed));
            GossipBus bus(nodes, seed);
            bus.loss_percent = 20;

            bus.run(3000);

            EXPECT_EQ(bus.deaths, 0U) << bus.suspicions << " suspicions";
        }
    }
}

TEST(GossipCluster, HasAPausedNodeBackByItself) {
    for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        GossipBus bus(5, seed);
        bus.run(30);
        bus.pause(kTwo);
        ASSERT_TRUE(bus.run_until([&] { return bus.all_hold(kTwo, MemberState::kDead); }, 80));
        bus.run(600);
        const std::uint64_t deaths = bus.deaths;

        bus.resume(kTwo);

        EXPECT_TRUE(bus.run_until([&] { return bus.all_hold_all_alive(); }, 40));
        bus.run(200);
        EXPECT_TRUE(bus.all_hold_all_alive());
        EXPECT_EQ(bus.deaths, deaths) << "it accused nobody of its own silence";
    }
}

TEST(GossipCluster, HasARestartedNodeBack) {
    for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        GossipBus bus(5, seed);
        bus.loss_percent = 20;
        for (int life = 0; life < 3; ++life) {
            bus.crash(kTwo);
            ASSERT_TRUE(bus.run_until([&] { return bus.all_hold(kTwo, MemberState::kDead); }, 300));
            bus.start(kTwo);
            ASSERT_TRUE(
                bus.run_until([&] { return bus.all_hold(kTwo, MemberState::kAlive); }, 200));
        }
    }
}

TEST(GossipCluster, HealsAfterAPartition) {
    for (std::uint64_t seed = 1; seed <= rounds(20); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        GossipBus bus(6, seed);
        bus.run(20);
        bus.cut_off({kSelf, kTwo});
        ASSERT_TRUE(bus.run_until(
            [&] {
                return bus.state(kSelf, kThree) == MemberState::kDead &&
                       bus.state(kThree, kSelf) == MemberState::kDead;
            },
            300));
        bus.run(300);
        EXPECT_EQ(bus.state(kTwo, kSelf), MemberState::kAlive) << "they hear one another";
        EXPECT_EQ(bus.state(kFour, kThree), MemberState::kAlive);

        bus.heal();

        EXPECT_TRUE(bus.run_until([&] { return bus.all_hold_all_alive(); }, 200));
    }
}

// A node that comes and goes is told so, and harms nobody else's name.
TEST(GossipCluster, BearsAFlappingNode) {
    for (std::uint64_t seed = 1; seed <= rounds(10); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        GossipBus bus(6, seed);
        bus.run(20);
        for (int flap = 0; flap < 20; ++flap) {
            bus.cut_off({kTwo});
            bus.run(bus.random().between(1, 80));
            bus.heal();
            bus.run(bus.random().between(1, 80));
            for (const NodeId by : bus.ids()) {
                for (const NodeId of : bus.ids()) {
                    if (by != kTwo && of != kTwo && by != of) {
                        ASSERT_NE(bus.state(of, by), MemberState::kDead);
                    }
                }
            }
        }
        EXPECT_TRUE(bus.run_until([&] { return bus.all_hold_all_alive(); }, 200));
    }
}

TEST(GossipCluster, TellsAllOfOneWhoLeaves) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        GossipBus bus(8, seed);
        bus.run(40);

        bus.at(kTwo).leave();

        EXPECT_TRUE(bus.run_until([&] { return bus.all_hold(kTwo, MemberState::kLeft); }, 40));
        bus.run(300);
        EXPECT_TRUE(bus.all_hold(kTwo, MemberState::kLeft));
        EXPECT_EQ(bus.suspicions, 0U);

        bus.start(kTwo);
        EXPECT_TRUE(bus.run_until([&] { return bus.all_hold_all_alive(); }, 100));
    }
}

TEST(GossipCluster, SpreadsAMapVersionInAFewPeriods) {
    for (const std::size_t nodes : {3U, 12U, 60U}) {
        GossipBus bus(nodes, nodes);
        bus.run(30);

        bus.at(kTwo).raise_map_version(42);

        EXPECT_TRUE(bus.run_until(
            [&] {
                return std::ranges::all_of(
                    bus.ids(), [&](NodeId id) { return bus.at(id).map_version() == 42; });
            },
            40));
    }
}

TEST(GossipCluster, SendsAsManyMessagesANodeHoweverLargeItIs) {
    const auto measured = [](std::size_t nodes, std::uint32_t loss_percent) {
        GossipBus bus(nodes, 1);
        bus.loss_percent = loss_percent;
        bus.run(100);
        bus.messages = bus.bytes = 0;
        bus.run(600);
        const double node_seconds = 60.0 * static_cast<double>(nodes);
        return std::pair(static_cast<double>(bus.messages) / node_seconds,
                         static_cast<double>(bus.bytes) / node_seconds);
    };

    for (const std::size_t nodes : {4U, 16U, 64U}) {
        const auto [messages, bytes] = measured(nodes, 0);
        EXPECT_NEAR(messages, 4.0, 0.1) << nodes << " nodes: two probes a second, and answers";
        EXPECT_LT(bytes, 100) << nodes;
    }
    const double small = measured(8, 20).first;
    const double large = measured(64, 20).first;
    EXPECT_LT(small, 13.0);
    EXPECT_NEAR(large, small, 2.0) << "nor at 20 % loss";
}

TEST(GossipCluster, KeepsMessagesSmallWhileManyDie) {
    GossipBus bus(60, 1);
    bus.run(100);
    for (std::uint64_t id = 31; id <= 60; ++id) {
        bus.crash(NodeId(id));
    }

    bus.run(600);

    EXPECT_LE(bus.updates_max, 26U);
    for (std::uint64_t id = 31; id <= 60; ++id) {
        EXPECT_TRUE(bus.all_hold(NodeId(id), MemberState::kDead)) << id;
    }
    for (std::uint64_t id = 1; id <= 30; ++id) {
        EXPECT_TRUE(bus.all_hold(NodeId(id), MemberState::kAlive)) << id;
    }
}

}  // namespace
}  // namespace kvstore::cluster
