#include "replication/strong/forward_codec.h"

#include <gtest/gtest.h>

namespace kvstore::replication {
namespace {

Bytes encoded(const ForwardRequest& request) {
    Bytes bytes;
    encode_forward_request(request, bytes);
    return bytes;
}

TEST(ForwardCodec, EachKindOfRequestComesBackAsItWas) {
    const ForwardRequest propose{.kind = ForwardKind::kPropose,
                                 .shard = ShardId(300),
                                 .term = Term(1ULL << 63U),
                                 .body = "command"};
    const ForwardRequest who{.kind = ForwardKind::kWhoLeads, .shard = ShardId(UINT64_MAX)};
    const ForwardRequest ask{.kind = ForwardKind::kAsk,
                             .shard = ShardId(1),
                             .whom = AskWhom::kAnyReplica,
                             .body = "question"};
    const ForwardRequest digests{.kind = ForwardKind::kDigests, .shard = ShardId(7)};
    const ForwardRequest diverged{
        .kind = ForwardKind::kDiverged, .shard = ShardId(7), .body = "digest"};
    for (const ForwardRequest& request : {propose, who, ask, digests, diverged}) {
        const Bytes bytes = encoded(request);
        const auto decoded = decode_forward_request(bytes);
        ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
        EXPECT_EQ(decoded->kind, request.kind);
        EXPECT_EQ(decoded->shard, request.shard);
        EXPECT_EQ(decoded->term, request.term);
        EXPECT_EQ(decoded->whom, request.whom);
        EXPECT_EQ(decoded->body, request.body);
    }
}

// docs/internals/wire.md shows these bytes.
TEST(ForwardCodec, RequestsLookAsTheyAreDocumented) {
    EXPECT_EQ(
        encoded(
            {.kind = ForwardKind::kPropose, .shard = ShardId(300), .term = Term(7), .body = "cmd"}),
        Bytes("\x01\x01\xac\x02\x07"
              "cmd"));
    EXPECT_EQ(encoded({.kind = ForwardKind::kWhoLeads, .shard = ShardId(300)}),
              Bytes("\x01\x02\xac\x02"));
    EXPECT_EQ(encoded({.kind = ForwardKind::kAsk,
                       .shard = ShardId(300),
                       .whom = AskWhom::kLeader,
                       .body = "ask"}),
              Bytes("\x01\x03\xac\x02\x01"
                    "ask"));
    Bytes answer;
    encode_leader_answer({.leader = NodeId(4), .term = Term(7)}, answer);
    EXPECT_EQ(answer, Bytes("\x01\x04\x07"));
}

TEST(ForwardCodec, WhatIsCutShortOrWrongIsRefused) {
    const Bytes whole = encoded(
        {.kind = ForwardKind::kPropose, .shard = ShardId(300), .term = Term(300), .body = ""});
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(decode_forward_request(ByteView(whole).substr(0, size)).status().code(),
                  Code::kCorruption)
            << size;
    }
    EXPECT_EQ(decode_forward_request("\x01\x02\x10more").status().code(), Code::kCorruption);
    EXPECT_EQ(decode_forward_request("\x01\x03\x10\x03").status().code(), Code::kCorruption)
        << "asks neither the leader nor a replica";
    EXPECT_EQ(decode_forward_request("\x02\x02\x10").status().code(), Code::kUnimplemented);
    EXPECT_EQ(decode_forward_request("\x01\x04\x10more").status().code(), Code::kCorruption);
    EXPECT_EQ(decode_forward_request("\x01\x06\x10").status().code(), Code::kUnimplemented);
}

TEST(ForwardCodec, AnAnswerWhoLeadsComesBackOrIsRefused) {
    Bytes bytes;
    encode_leader_answer({.leader = NodeId(300), .term = Term(1ULL << 40U)}, bytes);
    const auto decoded = decode_leader_answer(bytes);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->leader, NodeId(300));
    EXPECT_EQ(decoded->term, Term(1ULL << 40U));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_EQ(decode_leader_answer(ByteView(bytes).substr(0, size)).status().code(),
                  Code::kCorruption);
    }
    EXPECT_FALSE(decode_leader_answer(bytes + "x").ok());
    EXPECT_FALSE(decode_leader_answer("\x02\x01\x01").ok());
}

}  // namespace
}  // namespace kvstore::replication
