// Gossip crosses the wire as it was said, and nothing else is taken for it.
#include "wire/gossip.h"

#include <vector>

#include <gtest/gtest.h>

#include "base/coding.h"

namespace kvstore::wire {
namespace {

GossipMessage example() {
    return {.kind = GossipKind::kRequest,
            .number = 300,
            .target = NodeId(7),
            .map_version = 1000,
            .updates = {{.node = NodeId(1),
                         .incarnation = 5,
                         .state = MemberState::kAlive,
                         .accuser = NodeId()},
                        {.node = NodeId(2),
                         .incarnation = 1ULL << 40U,
                         .state = MemberState::kSuspect,
                         .accuser = NodeId(1)},
                        {.node = NodeId(900),
                         .incarnation = 0,
                         .state = MemberState::kDead,
                         .accuser = NodeId()},
                        {.node = NodeId(3),
                         .incarnation = 9,
                         .state = MemberState::kLeft,
                         .accuser = NodeId()}}};
}

Bytes encoded(const GossipMessage& message) {
    Bytes bytes;
    encode_gossip(message, bytes);
    return bytes;
}

Code outcome(ByteView batch) {
    std::vector<GossipMessage> messages(1);
    const Code code = decode_gossip(batch, messages).code();
    EXPECT_TRUE(code == Code::kOk || messages.size() == 1) << "as it was";
    return code;
}

TEST(Gossip, CrossesTheWireInBatches) {
    GossipMessage ping;
    ping.number = 1;
    Bytes batch = encoded(example());
    encode_gossip(ping, batch);

    std::vector<GossipMessage> messages;
    ASSERT_TRUE(decode_gossip(batch, messages).ok());

    ASSERT_EQ(messages.size(), 2U);
    EXPECT_EQ(messages[0], example());
    EXPECT_EQ(messages[1], ping);
}

TEST(Gossip, HasTheLayoutOfTheSpecification) {
    GossipMessage message = example();
    message.updates.resize(1);

    EXPECT_EQ(encoded(message), Bytes("\x04\xac\x02\x07\xe8\x07\x01\x01\x05\x01", 10));
}

TEST(Gossip, ThatIsCutShortIsCorrupt) {
    const Bytes whole = encoded(example());
    for (std::size_t size = 1; size < whole.size(); ++size) {
        EXPECT_EQ(outcome(whole.substr(0, size)), Code::kCorruption) << size;
    }
    EXPECT_EQ(outcome(""), Code::kOk) << "a batch of none";
}

TEST(Gossip, OfUnknownKindsIsCorrupt) {
    const auto with = [](std::uint8_t kind, std::uint64_t node, std::uint8_t state) {
        GossipMessage message = example();
        message.kind = static_cast<GossipKind>(kind);
        message.updates = {{.node = NodeId(node),
                            .incarnation = 1,
                            .state = static_cast<MemberState>(state),
                            .accuser = NodeId()}};
        return outcome(encoded(message));
    };

    EXPECT_EQ(with(1, 1, 1), Code::kOk);
    EXPECT_EQ(with(0, 1, 1), Code::kCorruption);
    EXPECT_EQ(with(5, 1, 1), Code::kCorruption);
    EXPECT_EQ(with(1, 0, 1), Code::kCorruption) << "nobody is node 0";
    EXPECT_EQ(with(1, 1, 0), Code::kCorruption);
    EXPECT_EQ(with(1, 1, 5), Code::kCorruption);
}

TEST(Gossip, ThatAsksForMoreThanAMessageHoldsIsCorrupt) {
    GossipMessage message = example();
    message.updates.assign(kGossipUpdatesMax, message.updates.front());
    EXPECT_EQ(outcome(encoded(message)), Code::kOk);

    Bytes many;
    many.push_back('\x01');
    for (const std::uint64_t number : {1ULL, 0ULL, 0ULL, ~0ULL}) {
        put_varint(many, number);
    }
    EXPECT_EQ(outcome(many), Code::kCorruption);
}

}  // namespace
}  // namespace kvstore::wire
