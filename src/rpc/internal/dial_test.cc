// Who talks to whom: the handshake, its refusals, and connections that replace one another.
#include "rpc/internal/dial.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/testing/raw_connection.h"
#include "rpc/testing/test_node.h"
#include "wire/frame.h"

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

// Two nodes, the first with `options`; what the first is told when it connects to the second.
class Handshake : public ::testing::Test {
protected:
    Status refusal(Options first,
                   Options second,
                   AdmitPeer admit = {},
                   AdmitPeer second_admit = {}) {
        cluster.add(std::move(first), std::move(admit));
        cluster.add(std::move(second), std::move(second_admit));
        cluster.transport(1).set_peer(NodeId(2), address_of(2));
        const Status refused = cluster.call(1, 2, "x").status();
        EXPECT_EQ(refused.effect(), Effect::kNone);
        EXPECT_EQ(refused.code(), Code::kUnavailable);
        EXPECT_TRUE(cluster.node(2).service.calls.empty());
        EXPECT_GE(cluster.transport(1).statistics().handshakes_refused, 1U);
        cluster.world.run_for(milliseconds(10));
        EXPECT_GE(cluster.transport(2).statistics().handshakes_refused, 1U);
        const Status failure = cluster.status(1, 2).last_failure;
        EXPECT_THAT(refused.to_string(), HasSubstr(std::string(failure.message())));
        return failure;
    }

    TestCluster cluster{kSeed};
};

TEST_F(Handshake, OfAnotherClusterIsRefused) {
    Options other = options_of(1);
    other.self.cluster = 0xc2;
    const Status why = refusal(other, options_of(2));
    EXPECT_EQ(why.code(), Code::kInvalidArgument);
    EXPECT_THAT(why.to_string(), HasSubstr("different clusters"));
    EXPECT_THAT(why.to_string(), HasSubstr("n2:7070"));
}

TEST_F(Handshake, WithAnotherNodeThanExpectedIsRefused) {
    const Status why = refusal(options_of(1), options_of(3));
    EXPECT_THAT(why.to_string(), HasSubstr("node 3 (n3) answers where node 2 was expected"));
}

// Each end looks for itself, whatever the other says.
TEST_F(Handshake, ThatWantsAnotherNodeIsRefusedByWhoAccepts) {
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    wire::Hello hello = options_of(2).self;
    hello.target = NodeId(9);
    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    raw.send(hello_frame(hello, wire::ConnectionUse::kPeer));
    cluster.world.run_for(milliseconds(10));
    EXPECT_TRUE(raw.has_ended());
    EXPECT_THAT(std::string(raw.received()),
                HasSubstr("node 1 (n1) answers where node 9 was expected"));
}

TEST_F(Handshake, ThatAnotherNodeAnswersIsRefusedByWhoConnects) {
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("n2");
    RawListener listener(stranger, kPort);
    cluster.transport(1).set_peer(NodeId(2), address_of(2));
    cluster.say(1, 2, "");
    cluster.world.run_for(milliseconds(10));
    RawConnection raw(listener.last());
    raw.send(hello_frame(options_of(3).self, wire::ConnectionUse::kPeer));
    cluster.world.run_for(milliseconds(10));
    const std::string why = "node 3 (n3) answers where node 2 was expected";
    EXPECT_THAT(cluster.status(1, 2).last_failure.to_string(), HasSubstr(why));
    EXPECT_THAT(std::string(raw.received()), HasSubstr(why));
}

TEST_F(Handshake, WithoutAVersionInCommonIsRefusedWithBothRanges) {
    Options newer = options_of(1);
    newer.self.version = 9;
    newer.self.version_min = 8;
    const Status why = refusal(newer, options_of(2));
    EXPECT_EQ(why.code(), Code::kUnimplemented);
    EXPECT_THAT(why.to_string(), HasSubstr("8 to 9"));
    EXPECT_THAT(why.to_string(), HasSubstr("1 to 1"));
}

TEST_F(Handshake, WithItselfIsRefused) {
    cluster.add();
    cluster.transport(1).set_peer(NodeId(2), address_of(1));
    const Status refused = cluster.call(1, 2, "x").status();
    EXPECT_THAT(refused.to_string(), HasSubstr("that of node 1 (n1) itself"));
}

TEST_F(Handshake, OfTwoNodesWithOneNumberIsRefused) {
    Options twin = options_of(2);
    twin.self.node = NodeId(1);
    const Status why = refusal(options_of(1), twin);
    EXPECT_THAT(why.to_string(), HasSubstr("two nodes have the number 1"));
}

TEST_F(Handshake, ThatTheAcceptingNodeDoesNotAdmitIsRefusedWithItsWords) {
    const Status why = refusal(options_of(1), options_of(2), {}, [](const wire::Hello& hello) {
        EXPECT_EQ(hello.node, NodeId(1));
        EXPECT_EQ(hello.store, 1001U);
        EXPECT_EQ(hello.name, "n1");
        return Status(Code::kPermissionDenied, "node 1 was removed");
    });
    EXPECT_EQ(why.code(), Code::kPermissionDenied);
    EXPECT_THAT(why.to_string(), HasSubstr("node 1 was removed"));
}

TEST_F(Handshake, ThatTheConnectingNodeDoesNotAdmitIsRefusedAndBothKnowWhy) {
    cluster.add([](const wire::Hello& hello) {
        EXPECT_EQ(hello.node, NodeId(2));
        return Status(Code::kPermissionDenied, "node 2 was wiped");
    });
    cluster.add();
    cluster.introduce(1, 2);
    EXPECT_THAT(cluster.call(1, 2, "x").status().to_string(), HasSubstr("node 2 was wiped"));
    cluster.world.run_for(milliseconds(5));
    EXPECT_THAT(cluster.status(2, 1).last_failure.to_string(), HasSubstr("node 2 was wiped"))
        << "the accepting node has never tried";
    EXPECT_EQ(cluster.transport(2).statistics().frames_damaged, 0U);
}

TEST_F(Handshake, OfNodesThatBelongToNoClusterYetIsAdmitted) {
    Options fresh = options_of(1);
    fresh.self.cluster = 0;
    cluster.add(fresh);
    cluster.add();
    cluster.introduce(1, 2);
    EXPECT_TRUE(cluster.call(1, 2, "x").ok());
    EXPECT_TRUE(cluster.call(2, 1, "x").ok());
}

TEST_F(Handshake, ThatIsRefusedIsTriedAgainUntilItIsAdmitted) {
    bool is_admitted = false;
    cluster.add();
    cluster.add([&is_admitted](const wire::Hello&) {
        return is_admitted ? Status() : Status(Code::kUnavailable, "not yet");
    });
    cluster.introduce(1, 2);
    EXPECT_FALSE(cluster.call(1, 2, "x").ok());
    cluster.world.run_for(seconds(20));
    is_admitted = true;
    cluster.world.run_for(seconds(2));
    EXPECT_TRUE(cluster.call(1, 2, "x").ok());
}

// From 20 ms on the wait doubles up to a second, and half of it is chance: between 20 and 50
// attempts in 20 seconds, and never at the same times twice.
TEST_F(Handshake, IsTriedLessAndLessOften) {
    std::vector<MonotonicTime> attempts;
    cluster.add();
    cluster.add([&](const wire::Hello&) {
        attempts.push_back(cluster.world.now());
        return Status(Code::kUnavailable, "no");
    });
    cluster.transport(1).set_peer(NodeId(2), address_of(2));
    cluster.say(1, 2, "");
    cluster.world.run_for(seconds(20));

    EXPECT_GE(attempts.size(), 20U);
    EXPECT_LE(attempts.size(), 50U);
    for (std::size_t i = 1; i < attempts.size(); ++i) {
        EXPECT_GE(attempts[i] - attempts[i - 1], milliseconds(10));
        EXPECT_LE(attempts[i] - attempts[i - 1], milliseconds(1010));
    }
    EXPECT_GE(attempts.back() - attempts[attempts.size() - 2], milliseconds(500));
}

// ---- against connections that say what no node says ----

TEST_F(Handshake, OfAStrangerEndsAtItsFirstBytes) {
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    raw.send("GET / HTTP/1.1\r\nHost: n1:7070\r\n\r\n");
    cluster.world.run_for(milliseconds(10));
    EXPECT_TRUE(raw.has_ended());
    EXPECT_EQ(raw.received(), "");
    EXPECT_EQ(cluster.transport(1).statistics().frames_damaged, 1U);
}

TEST_F(Handshake, ThatDoesNotComeEndsTheConnection) {
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    cluster.world.run_for(milliseconds(1900));
    EXPECT_FALSE(raw.has_ended());
    cluster.world.run_for(milliseconds(200));
    EXPECT_TRUE(raw.has_ended());
}

TEST_F(Handshake, IsWantedBeforeAnythingElse) {
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    for (int kind = 2; kind <= static_cast<int>(wire::FrameKind::kStreamError); ++kind) {
        RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
        Bytes frame;
        wire::append_frame(frame, static_cast<wire::FrameKind>(kind), kTopic, 1, "x");
        raw.send(frame);
        cluster.world.run_for(milliseconds(10));
        EXPECT_TRUE(raw.has_ended()) << kind;
        EXPECT_EQ(raw.received(), "") << kind;
    }
    EXPECT_TRUE(cluster.node(1).service.calls.empty());
    EXPECT_TRUE(cluster.node(1).service.messages.empty());
}

TEST_F(Handshake, OfAnUnboundedLengthIsRefusedByItsHeader) {
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    Bytes frame;
    wire::append_frame(frame, wire::FrameKind::kHello, 1, 0, Bytes(1U << 20U, 'x'));
    raw.send(ByteView(frame).substr(0, wire::kFrameHeaderSize));
    cluster.world.run_for(milliseconds(10));
    EXPECT_TRUE(raw.has_ended());
}

TEST_F(Handshake, IsNotRepeated) {
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
    const Bytes hello = hello_frame(options_of(2).self, wire::ConnectionUse::kPeer);
    raw.send(hello + hello);
    cluster.world.run_for(milliseconds(10));
    EXPECT_TRUE(raw.has_ended());
    EXPECT_EQ(cluster.transport(1).statistics().frames_damaged, 1U);
}

TEST_F(Handshake, OfTheSameNodeEndsItsConnectionBefore) {
    cluster.add();
    sim::Host& stranger = cluster.world.add_host("stranger");
    wire::Hello hello = options_of(2).self;
    const auto connect = [&](std::uint64_t incarnation, wire::ConnectionUse use) {
        hello.incarnation = incarnation;
        RawConnection raw = connect_raw(cluster.world, stranger, address_of(1));
        raw.send(hello_frame(hello, use));
        cluster.world.run_for(milliseconds(10));
        return raw;
    };
    RawConnection first = connect(5, wire::ConnectionUse::kPeer);
    EXPECT_FALSE(first.has_ended());
    RawConnection same_life = connect(5, wire::ConnectionUse::kPeer);
    EXPECT_TRUE(first.has_ended()) << "the later one stays";
    RawConnection next_life = connect(6, wire::ConnectionUse::kPeer);
    EXPECT_TRUE(same_life.has_ended());
    RawConnection earlier_life = connect(4, wire::ConnectionUse::kPeer);
    EXPECT_TRUE(earlier_life.has_ended());
    EXPECT_THAT(earlier_life.received(), HasSubstr("a later start of node 2 is connected"));
    RawConnection beside = connect(6, wire::ConnectionUse::kStream);
    EXPECT_FALSE(next_life.has_ended()) << "streams stand beside it";
    EXPECT_FALSE(beside.has_ended());
}

TEST_F(Handshake, IsNotAnsweredToMoreConnectionsThanAllowed) {
    Options few = options_of(1);
    few.incoming_connections_max = 3;
    cluster.add(few);
    sim::Host& stranger = cluster.world.add_host("stranger");
    std::vector<RawConnection> connections;
    for (std::uint64_t i = 0; i < 5; ++i) {
        connections.push_back(connect_raw(cluster.world, stranger, address_of(1)));
        cluster.world.run_for(milliseconds(1));
        EXPECT_EQ(connections.back().has_ended(), i >= 3) << i;
    }
    cluster.world.run_for(seconds(3));
    RawConnection later = connect_raw(cluster.world, stranger, address_of(1));
    cluster.world.run_for(milliseconds(1));
    EXPECT_FALSE(later.has_ended()) << "those without a hello have gone";
}

}  // namespace
}  // namespace kvstore::rpc
