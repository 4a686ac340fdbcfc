#include "cluster/internal/member_calls.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "cluster/testing/rows.h"

namespace kvstore::cluster::internal {
namespace {

using cluster::testing::facts_of;
using cluster::testing::node_record;
using cluster::testing::rows_of;
using std::chrono::milliseconds;

const std::vector<MemberRequest>& some_requests() {
    static const std::vector<MemberRequest> requests = {
        JoinRequest{.facts = facts_of(3)},
        AnnounceRequest{.id = NodeId(300), .facts = facts_of(4)},
        FetchRequest{.known = MapVersion(1000)},
        ActRequest{.kind = ActionKind::kPromoteLearner,
                   .shard = ShardId(16),
                   .node = NodeId(4),
                   .patience = milliseconds(300)},
        LedShardsRequest(),
    };
    return requests;
}

TEST(MemberCalls, RequestsReadTheSame) {
    for (const MemberRequest& request : some_requests()) {
        const auto read = decode_request(encode_request(request));
        ASSERT_TRUE(read.ok()) << read.status().to_string();
        EXPECT_EQ(*read, request);
    }
}

TEST(MemberCalls, EveryActionReadsTheSame) {
    for (const ActionKind kind : {ActionKind::kTransferLeader,
                                  ActionKind::kPromoteLearner,
                                  ActionKind::kRemoveVoter,
                                  ActionKind::kRemoveLearner,
                                  ActionKind::kAddLearner}) {
        const auto read = decode_request(encode_request(
            ActRequest{.kind = kind, .shard = ShardId(1), .node = NodeId(1), .patience = {}}));
        ASSERT_TRUE(read.ok());
        EXPECT_EQ(std::get<ActRequest>(*read).kind, kind);
    }
}

// As docs/internals/membership.md shows it.
TEST(MemberCalls, AnActIsLaidOutAsDocumented) {
    const Bytes bytes = encode_request(some_requests()[3]);

    EXPECT_EQ(bytes, Bytes("\x04\x02\x10\x04\xac\x02", 6));
}

TEST(MemberCalls, RequestsThatAreCutOrTooLongAreRefused) {
    for (const MemberRequest& request : some_requests()) {
        const Bytes bytes = encode_request(request);
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            EXPECT_EQ(decode_request(bytes.substr(0, size)).status().code(),
                      Code::kInvalidArgument);
        }
        EXPECT_EQ(decode_request(bytes + "x").status().code(), Code::kInvalidArgument);
    }
    EXPECT_EQ(decode_request("\x09").status().code(), Code::kInvalidArgument);
    EXPECT_EQ(decode_request(ByteView("\x04\x06\x01\x01\x01", 5)).status().code(),
              Code::kInvalidArgument);
}

TEST(MemberCalls, APatienceWithoutEndIsBounded) {
    const auto read =
        decode_request(ByteView("\x04\x05\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14));

    ASSERT_TRUE(read.ok());
    EXPECT_EQ(std::get<ActRequest>(*read).patience, kPatienceMax);
}

TEST(MemberCalls, AnswersReadTheSame) {
    Joined joined;
    joined.cluster_id = 0xc1;
    joined.id = NodeId(7);
    joined.rows = rows_of(9, {node_record(7)}, {});
    LedShard led;
    led.id = ShardId(16);
    led.term = Term(300);
    led.voters = {NodeId(1), NodeId(2), NodeId(4)};
    led.learners = {NodeId(5)};
    led.caught_up = {NodeId(5)};
    led.is_changing = true;

    const auto read_joined = decode_joined(encode_joined(joined));
    const auto read_fetched = decode_fetched(encode_fetched(&joined.rows));
    const auto read_nothing = decode_fetched(encode_fetched(nullptr));
    const ShardReport report{
        .led = {led}, .damaged = {ShardId(1), ShardId(300)}, .disk = DiskState::kSlow};
    const auto read_led = decode_shard_report(encode_shard_report(report));

    ASSERT_TRUE(read_joined.ok() && read_fetched.ok() && read_nothing.ok() && read_led.ok());
    EXPECT_EQ(read_joined->rows, joined.rows);
    EXPECT_EQ(read_joined->id, joined.id);
    EXPECT_EQ(**read_fetched, joined.rows);
    EXPECT_FALSE(read_nothing->has_value());
    EXPECT_EQ(encode_shard_report(*read_led), encode_shard_report(report));
    EXPECT_EQ(read_led->led.front().voters, led.voters);
    EXPECT_TRUE(read_led->led.front().is_changing);
    EXPECT_EQ(read_led->damaged, report.damaged);
    EXPECT_EQ(read_led->disk, DiskState::kSlow);
}

TEST(MemberCalls, AReportOfANodeThatSaysNothingOfItsDiskIsOfOneThatIsFine) {
    const auto read = decode_shard_report(ByteView("\0\0", 2));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->disk, DiskState::kFine);
    EXPECT_EQ(encode_shard_report(ShardReport()), Bytes("\0\0", 2));
}

TEST(MemberCalls, DamagedAnswersAreCorrupt) {
    Joined joined;
    joined.cluster_id = 0xc1;
    joined.id = NodeId(7);
    LedShard led;
    led.id = ShardId(16);
    led.voters = {NodeId(2), NodeId(1)};

    const ShardReport not_rising{.led = {}, .damaged = {ShardId(2), ShardId(2)}};

    EXPECT_EQ(
        decode_shard_report(encode_shard_report({.led = {led}, .damaged = {}})).status().code(),
        Code::kCorruption);
    EXPECT_EQ(decode_shard_report(encode_shard_report(not_rising)).status().code(),
              Code::kCorruption);
    EXPECT_EQ(decode_shard_report(ByteView("\0", 1)).status().code(), Code::kCorruption);
    EXPECT_EQ(decode_shard_report(ByteView("\0\0\0", 3)).status().code(), Code::kCorruption);
    EXPECT_EQ(decode_shard_report(ByteView("\0\0\4", 3)).status().code(), Code::kCorruption);
    EXPECT_EQ(decode_joined(encode_joined(joined) + "x").status().code(), Code::kCorruption);
    EXPECT_EQ(decode_joined("").status().code(), Code::kCorruption);
    EXPECT_EQ(decode_joined(encode_joined(Joined())).status().code(), Code::kCorruption);
    EXPECT_EQ(decode_fetched("\x02").status().code(), Code::kCorruption);
    EXPECT_EQ(decode_fetched("\x01\x05\x7f").status().code(), Code::kCorruption);
    EXPECT_EQ(decode_shard_report("\xff\xff\xff\xff\x0f").status().code(), Code::kCorruption);
}

}  // namespace
}  // namespace kvstore::cluster::internal
