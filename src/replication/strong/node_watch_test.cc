#include "replication/strong/node_watch.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "replication/testing/scripted_transport.h"
#include "wire/topics.h"

namespace kvstore::replication {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(LifeSign, LooksAsItIsDocumented) {
    Bytes bytes;
    encode_life_sign({.incarnation = 300, .withdrawals = 2}, bytes);
    EXPECT_EQ(bytes, "\xac\x02\x02");
    EXPECT_EQ(*decode_life_signs(bytes), (LifeSign{.incarnation = 300, .withdrawals = 2}));
}

TEST(LifeSign, TheLastOfSeveralCounts) {
    Bytes bytes;
    encode_life_sign({.incarnation = 1, .withdrawals = 2}, bytes);
    encode_life_sign({.incarnation = 1, .withdrawals = 3}, bytes);
    EXPECT_EQ(decode_life_signs(bytes)->withdrawals, 3U);
}

TEST(LifeSign, HalfOfOneIsDamage) {
    EXPECT_EQ(decode_life_signs("").status().code(), Code::kCorruption);
    EXPECT_EQ(decode_life_signs("\x01").status().code(), Code::kCorruption);
    EXPECT_EQ(decode_life_signs("\x01\x02\x03").status().code(), Code::kCorruption);
}

constexpr std::uint32_t kElectionTicks = 8;

class NodeWatching : public ::testing::Test, protected WatchedNodes {
protected:
    NodeWatching() { transport_.keeps_messages = true; }

    void tick(std::uint32_t count, const std::vector<NodeId>& asleep_with) {
        for (std::uint32_t i = 0; i < count; ++i) {
            watch_.tick(asleep_with, {.incarnation = 1, .withdrawals = 0});
        }
    }
    void hear(NodeId from, const LifeSign& sign) {
        Bytes bytes;
        encode_life_sign(sign, bytes);
        hear_bytes(from, bytes);
    }
    void hear_bytes(NodeId from, ByteView bytes) {
        transport_.services.at(wire::kLifeSignTopic)
            ->on_messages(from, {.owner = nullptr, .bytes = bytes});
    }

    void on_node_silent(NodeId peer) override { silent_.push_back(peer); }
    void on_node_changed(NodeId peer) override { changed_.push_back(peer); }

    testing::ScriptedTransport transport_;
    WatchedNodes& self_ = *this;
    NodeWatch watch_{transport_, self_, kElectionTicks};
    std::vector<NodeId> silent_;
    std::vector<NodeId> changed_;
};

TEST_F(NodeWatching, SaysNothingWhileNoGroupSleeps) {
    tick(100, {});
    EXPECT_THAT(transport_.messages, IsEmpty());
    EXPECT_THAT(silent_, IsEmpty());
}

TEST_F(NodeWatching, SaysItLivesAFewTimesPerElectionToThoseWithWhomGroupsSleep) {
    tick(kElectionTicks, {NodeId(2)});
    EXPECT_EQ(transport_.messages.size(), 1U);
    EXPECT_EQ(transport_.messages.at(NodeId(2)).size(), 4 * 2U);
}

TEST_F(NodeWatching, FindsANodeSilentAfterAnElectionTimeoutAndAgainWhileItStays) {
    tick(kElectionTicks - 1, {NodeId(2), NodeId(3)});
    hear(NodeId(3), {.incarnation = 1, .withdrawals = 0});
    EXPECT_THAT(silent_, IsEmpty());
    tick(1, {NodeId(2), NodeId(3)});
    EXPECT_THAT(silent_, ElementsAre(NodeId(2)));
    tick(kElectionTicks - 2, {NodeId(2)});
    EXPECT_THAT(silent_, ElementsAre(NodeId(2)));
    tick(2, {NodeId(2)});
    EXPECT_THAT(silent_, ElementsAre(NodeId(2), NodeId(2)));
}

TEST_F(NodeWatching, DoesNotCountTheTimeInWhichNoGroupSlept) {
    tick(kElectionTicks - 1, {NodeId(2)});
    tick(1, {});
    tick(kElectionTicks - 1, {NodeId(2)});
    EXPECT_THAT(silent_, IsEmpty());
}

TEST_F(NodeWatching, TellsOfAnotherLifeAndOfWithdrawals) {
    hear(NodeId(2), {.incarnation = 5, .withdrawals = 0});
    EXPECT_THAT(changed_, ElementsAre(NodeId(2)));
    hear(NodeId(2), {.incarnation = 5, .withdrawals = 0});
    EXPECT_THAT(changed_, ElementsAre(NodeId(2)));
    hear(NodeId(2), {.incarnation = 5, .withdrawals = 1});
    hear(NodeId(2), {.incarnation = 6, .withdrawals = 0});
    EXPECT_THAT(changed_, ElementsAre(NodeId(2), NodeId(2), NodeId(2)));
}

TEST_F(NodeWatching, DamageIsNoSignOfLife) {
    set_log_level(LogLevel::kOff);
    tick(kElectionTicks - 1, {NodeId(2)});
    hear_bytes(NodeId(2), "\x01");
    tick(1, {NodeId(2)});
    set_log_level(LogLevel::kInfo);
    EXPECT_THAT(silent_, ElementsAre(NodeId(2)));
}

}  // namespace
}  // namespace kvstore::replication
