// Gossip between a detector, a transport and a clock.
#include "cluster/gossip.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/testing/fake_transport.h"
#include "sim/world.h"

namespace kvstore::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::GossipKind;
using wire::GossipMessage;
using wire::GossipUpdate;
using wire::MemberState;

constexpr NodeId kSelf(1);
constexpr NodeId kTwo(2);
constexpr NodeId kThree(3);

class RecordingListener final : public GossipListener {
public:
    struct Change {
        NodeId node;
        NodeLiveness liveness;
    };
    std::vector<Change> changes;
    std::vector<std::pair<MapVersion, NodeId>> versions;
    Gossip* to_stop = nullptr;  // from inside the next call

    void on_node_state(NodeId node, const NodeLiveness& liveness) override {
        changes.push_back({.node = node, .liveness = liveness});
        if (to_stop != nullptr) {
            to_stop->stop();
        }
    }
    void on_map_version(MapVersion version, NodeId from) override {
        versions.emplace_back(version, from);
    }
};

// Node 1 of a cluster of three on a simulated host; the test plays the others.
class GossipTest : public ::testing::Test {
protected:
    GossipTest() {
        gossip_.set_members({kSelf, kTwo, kThree});
        gossip_.start();
    }
    ~GossipTest() override { gossip_.stop(); }

    void hear(NodeId from, const GossipMessage& message) {
        auto batch = std::make_shared<Bytes>();
        wire::encode_gossip(message, *batch);
        gossip_.on_messages(from, {.owner = batch, .bytes = *batch});
    }
    static GossipMessage saying(GossipUpdate update, std::uint64_t map_version = 0) {
        return {.kind = GossipKind::kNack,
                .number = 0,
                .target = {},
                .map_version = map_version,
                .updates = {update}};
    }
    static GossipUpdate about(NodeId node, MemberState state) {
        return {.node = node, .incarnation = 3, .state = state, .accuser = kThree};
    }

    sim::World world_{7};
    sim::Host& host_ = world_.add_host("n1");
    testing::FakeTransport transport_;
    RecordingListener listener_;
    Gossip gossip_{host_.env(), transport_, kSelf, {}, &listener_};
};

TEST_F(GossipTest, ProbesOthersAsTimeGoesOn) {
    EXPECT_EQ(transport_.services.at(wire::kGossipTopic), &gossip_);
    world_.run_for(milliseconds(250));

    const auto sent = transport_.take();

    ASSERT_EQ(sent.size(), 1U);
    std::vector<GossipMessage> messages;
    ASSERT_TRUE(wire::decode_gossip(sent.begin()->second, messages).ok());
    EXPECT_EQ(messages.at(0).kind, GossipKind::kPing);
    EXPECT_EQ(gossip_.statistics().messages_sent, 1U);
}

TEST_F(GossipTest, AnswersAtOnce) {
    hear(kTwo,
         {.kind = GossipKind::kPing, .number = 9, .target = {}, .map_version = 0, .updates = {}});

    std::vector<GossipMessage> messages;
    ASSERT_TRUE(wire::decode_gossip(transport_.sent[kTwo], messages).ok());
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_EQ(messages[0].kind, GossipKind::kAck);
    EXPECT_EQ(messages[0].number, 9U);
    EXPECT_EQ(gossip_.statistics().messages_received, 1U);
}

TEST_F(GossipTest, KnowsSinceWhenItHoldsWhatItHolds) {
    EXPECT_EQ(gossip_.find(kTwo)->state, MemberState::kAlive);
    EXPECT_EQ(gossip_.find(kSelf), std::nullopt);
    EXPECT_EQ(gossip_.find(NodeId(9)), std::nullopt);
    world_.run_for(milliseconds(300));
    const MonotonicTime when = world_.now();

    hear(kThree, saying(about(kTwo, MemberState::kLeft)));
    world_.run_for(seconds(1));

    EXPECT_EQ(gossip_.find(kTwo)->state, MemberState::kLeft);
    EXPECT_EQ(gossip_.find(kTwo)->since, when);
    ASSERT_GE(listener_.changes.size(), 1U);
    EXPECT_EQ(listener_.changes[0].node, kTwo);
    EXPECT_EQ(listener_.changes[0].liveness.state, MemberState::kLeft);
    EXPECT_EQ(listener_.changes[0].liveness.since, when);
}

TEST_F(GossipTest, FindsTheDeadAfterTheirTime) {
    world_.run_for(seconds(12));

    EXPECT_EQ(gossip_.find(kTwo)->state, MemberState::kDead);
    EXPECT_EQ(gossip_.find(kThree)->state, MemberState::kDead);
    EXPECT_EQ(listener_.changes.size(), 4U) << "suspected and dead, both";
}

// Ticks that were missed are not made up for.
TEST_F(GossipTest, CountsNoTimeInWhichTheProcessWasStopped) {
    world_.run_for(milliseconds(150));
    world_.pause(host_);
    world_.run_for(std::chrono::minutes(10));
    world_.resume(host_);
    world_.run_for(milliseconds(300));

    EXPECT_TRUE(listener_.changes.empty());
    EXPECT_EQ(gossip_.find(kTwo)->state, MemberState::kAlive);
}

TEST_F(GossipTest, TellsOfANewerMapOnce) {
    gossip_.raise_map_version(MapVersion(5));

    hear(kTwo, saying(about(kTwo, MemberState::kAlive), 5));
    hear(kTwo, saying(about(kTwo, MemberState::kAlive), 8));
    hear(kThree, saying(about(kTwo, MemberState::kAlive), 8));

    ASSERT_EQ(listener_.versions.size(), 1U);
    EXPECT_EQ(listener_.versions[0], std::pair(MapVersion(8), kTwo));
    EXPECT_EQ(gossip_.map_version(), MapVersion(8));
}

TEST_F(GossipTest, CountsWhatItCannotReadAndGoesOn) {
    auto damaged = std::make_shared<Bytes>("\x09nonsense");
    gossip_.on_messages(kTwo, {.owner = damaged, .bytes = *damaged});

    EXPECT_EQ(gossip_.statistics().batches_damaged, 1U);
    EXPECT_EQ(gossip_.statistics().messages_received, 0U);
    hear(kThree, saying(about(kTwo, MemberState::kLeft)));
    EXPECT_EQ(gossip_.find(kTwo)->state, MemberState::kLeft);
}

TEST_F(GossipTest, CountsWhatItCannotSend) {
    transport_.unreachable = {kTwo, kThree};

    world_.run_for(milliseconds(250));

    EXPECT_EQ(gossip_.statistics().messages_sent, 0U);
    EXPECT_EQ(gossip_.statistics().messages_unsendable, 1U);
}

TEST_F(GossipTest, ForgetsWhoIsNoMemberAnyMore) {
    gossip_.set_members({kSelf, kTwo});

    EXPECT_EQ(gossip_.find(kThree), std::nullopt);
    world_.run_for(seconds(12));
    for (const auto& change : listener_.changes) {
        EXPECT_EQ(change.node, kTwo);
    }
    gossip_.set_members({kSelf, kTwo, kThree});
    EXPECT_EQ(gossip_.find(kThree)->state, MemberState::kAlive) << "anew";
    EXPECT_EQ(gossip_.find(kThree)->since, world_.now());
}

TEST_F(GossipTest, SaysGoodbye) {
    gossip_.leave();

    EXPECT_EQ(transport_.take().size(), 2U);
    world_.run_for(seconds(5));
    EXPECT_TRUE(transport_.take().empty());
}

TEST_F(GossipTest, NeitherSaysNorHearsNorTellsAnythingOnceStopped) {
    listener_.to_stop = &gossip_;
    hear(kThree,
         {.kind = GossipKind::kNack,
          .number = 0,
          .target = {},
          .map_version = 7,
          .updates = {about(kTwo, MemberState::kLeft), about(kThree, MemberState::kLeft)}});
    EXPECT_EQ(listener_.changes.size(), 1U) << "stopped in the middle of the telling";
    EXPECT_TRUE(listener_.versions.empty());
    static_cast<void>(transport_.take());

    hear(kTwo,
         {.kind = GossipKind::kPing, .number = 9, .target = {}, .map_version = 0, .updates = {}});
    world_.run_for(seconds(10));

    EXPECT_TRUE(transport_.take().empty());
    EXPECT_EQ(listener_.changes.size(), 1U);
}

TEST_F(GossipTest, HasNoStreams) {
    const auto refused = world_.block_on(host_, gossip_.on_stream(kTwo, "", nullptr));

    EXPECT_EQ(refused.status().code(), Code::kUnimplemented);
}

}  // namespace
}  // namespace kvstore::cluster
