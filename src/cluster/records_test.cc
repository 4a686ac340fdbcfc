// The records of the cluster: what is written is read, and nothing else is.
#include "cluster/records.h"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/coding.h"

namespace kvstore::cluster {
namespace {

NodeRecord example_node() {
    NodeRecord node;
    node.id = NodeId(7);
    node.name = "n7";
    node.store = 0x0123'4567'89ab'cdef;
    node.peer_address = "10.0.0.7:7070";
    node.http_address = "10.0.0.7:8080";
    node.grpc_address = "10.0.0.7:9090";
    node.resp_address = "10.0.0.7:6379";
    node.zone = "east";
    node.state = NodeState::kDraining;
    node.protocol_version = 300;
    node.is_learner = true;
    return node;
}

ShardRecord example_shard() {
    ShardRecord shard;
    shard.id = ShardId(300);
    shard.epoch = ShardEpoch(9);
    shard.keyspace = "redis/1";
    shard.range_start = Bytes("b\0b", 3);
    shard.range_end = "m";
    shard.voters = {NodeId(1), NodeId(4), NodeId(900)};
    shard.learners = {NodeId(2)};
    shard.engine = 2;
    shard.history_ms = 600'000;
    shard.preferred_leader = NodeId(4);
    shard.wanted = {NodeId(1), NodeId(5)};
    return shard;
}

ClusterRecord example_cluster() {
    ClusterRecord cluster;
    cluster.cluster_id = 0xfeed;
    cluster.next_node_id = NodeId(8);
    cluster.next_shard_id = ShardId(301);
    cluster.replace_after = std::chrono::seconds(30);
    cluster.format_version = 2;
    return cluster;
}

TEST(ClusterRecords, SayWhatTheyWereTold) {
    const auto node = decode_node(encode_node(example_node()));
    const auto shard = decode_shard(encode_shard(example_shard()));
    const auto cluster = decode_cluster(encode_cluster(example_cluster()));

    ASSERT_TRUE(node.ok() && shard.ok() && cluster.ok());
    EXPECT_EQ(*node, example_node());
    EXPECT_EQ(*shard, example_shard());
    EXPECT_EQ(*cluster, example_cluster());
}

// The example of docs/internals/membership.md. A change of these bytes is a change of the format.
TEST(ClusterRecords, HaveTheLayoutOfTheSpecification) {
    const Bytes expected = Bytes(
        "\x01\xac\x02\x09\x07redis/1\x03"
        "b\0b\x01m\x03\x01\x04\x84\x07\x01\x02\x02\xc0\xcf\x24\x04\x02\x01\x05",
        33);

    EXPECT_EQ(encode_shard(example_shard()), expected);
}

template <typename Decode>
void expect_refused_when_cut_or_extended(const Bytes& stored, Decode decode) {
    for (std::size_t size = 0; size < stored.size(); ++size) {
        EXPECT_EQ(decode(stored.substr(0, size)).status().code(), Code::kCorruption) << size;
    }
    EXPECT_EQ(decode(stored + '\0').status().code(), Code::kCorruption);
}

TEST(ClusterRecords, AreCorruptWhenCutShortOrExtended) {
    expect_refused_when_cut_or_extended(encode_node(example_node()), decode_node);
    expect_refused_when_cut_or_extended(encode_shard(example_shard()), decode_shard);
    expect_refused_when_cut_or_extended(encode_cluster(example_cluster()), decode_cluster);
}

TEST(ClusterRecords, OfALaterLayoutAreRefusedRatherThanHalfUnderstood) {
    Bytes node = encode_node(example_node());
    node.front() = 2;

    const Status refused = decode_node(node).status();

    EXPECT_EQ(refused.code(), Code::kCorruption);
    EXPECT_NE(refused.message().find("layout 2"), std::string_view::npos) << refused.message();
}

TEST(ClusterRecords, OfANodeAreCheckedFieldByField) {
    const auto refusal = [](auto change) {
        NodeRecord node = example_node();
        change(node);
        return check_record(node).code();
    };

    EXPECT_EQ(refusal([](auto&) {}), Code::kOk);
    EXPECT_EQ(refusal([](auto& node) { node.id = NodeId(); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& node) { node.name = ""; }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& node) { node.zone.assign(513, 'z'); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& node) { node.resp_address.assign(513, 'a'); }),
              Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& node) { node.state = static_cast<NodeState>(8); }),
              Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& node) { node.protocol_version = 0; }), Code::kInvalidArgument);
}

TEST(ClusterRecords, OfAShardAreCheckedFieldByField) {
    const auto refusal = [](auto change) {
        ShardRecord shard = example_shard();
        change(shard);
        return check_record(shard).code();
    };
    const auto many = [](std::uint64_t count) {
        std::vector<NodeId> ids;
        for (std::uint64_t i = 1; i <= count; ++i) {
            ids.emplace_back(1000 + i);
        }
        return ids;
    };

    EXPECT_EQ(refusal([](auto&) {}), Code::kOk);
    EXPECT_EQ(refusal([](auto& shard) { shard.range_end = ""; }), Code::kOk);
    EXPECT_EQ(refusal([](auto& shard) { shard.id = ShardId(); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& shard) { shard.epoch = ShardEpoch(); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& shard) { shard.keyspace = ""; }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& shard) { shard.range_end = shard.range_start; }),
              Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& shard) { shard.voters.clear(); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& shard) { shard.voters[0] = NodeId(); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& shard) { shard.wanted.clear(); }), Code::kOk);
    EXPECT_EQ(refusal([](auto& shard) { shard.wanted[0] = NodeId(); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& shard) { shard.wanted = {NodeId(5), NodeId(1)}; }),
              Code::kInvalidArgument);
    EXPECT_EQ(refusal([&](auto& shard) { shard.wanted = many(16); }), Code::kOk);
    EXPECT_EQ(refusal([&](auto& shard) { shard.wanted = many(17); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& shard) { shard.voters[0] = NodeId(5); }), Code::kInvalidArgument)
        << "out of order";
    EXPECT_EQ(refusal([](auto& shard) { shard.learners[0] = NodeId(4); }), Code::kInvalidArgument)
        << "a learner that votes";
    EXPECT_EQ(refusal([&](auto& shard) { shard.learners = many(13); }), Code::kOk);
    EXPECT_EQ(refusal([&](auto& shard) { shard.learners = many(14); }), Code::kInvalidArgument);
}

TEST(ClusterRecords, OfTheClusterAreCheckedFieldByField) {
    const auto refusal = [](auto change) {
        ClusterRecord cluster = example_cluster();
        change(cluster);
        return check_record(cluster).code();
    };

    EXPECT_EQ(refusal([](auto&) {}), Code::kOk);
    EXPECT_EQ(refusal([](auto& it) { it.cluster_id = 0; }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& it) { it.next_node_id = NodeId(); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& it) { it.next_shard_id = ShardId(); }), Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& it) { it.replace_after = std::chrono::milliseconds(0); }),
              Code::kInvalidArgument);
    EXPECT_EQ(
        refusal([](auto& it) { it.replace_after = kReplaceAfterMax + std::chrono::hours(1); }),
        Code::kInvalidArgument);
    EXPECT_EQ(refusal([](auto& it) { it.format_version = 0; }), Code::kInvalidArgument);
}

// A number in the bytes may be larger than the field that takes it.
TEST(ClusterRecords, AreCorruptWhenANumberDoesNotFitItsField) {
    const auto node_with = [](std::uint64_t state, std::uint64_t protocol, int learner = 0) {
        Bytes stored = encode_node(example_node());
        stored.resize(stored.size() - 4);  // one byte of state, two of protocol, one of learner
        put_varint(stored, state);
        put_varint(stored, protocol);
        stored += static_cast<char>(learner);
        return decode_node(stored).status().code();
    };
    const auto cluster_with = [](std::uint64_t replace_after, std::uint64_t format) {
        Bytes stored = encode_cluster(example_cluster());
        stored.resize(stored.size() - 4);
        put_varint(stored, replace_after);
        put_varint(stored, format);
        return decode_cluster(stored).status().code();
    };
    constexpr std::uint64_t kWrapsToOne = (1ULL << 32U) + 1;

    EXPECT_EQ(node_with(2, 1), Code::kOk);
    EXPECT_EQ(node_with(0x102, 1), Code::kCorruption);
    EXPECT_EQ(node_with(2, kWrapsToOne), Code::kCorruption);
    EXPECT_EQ(node_with(2, 1, 1), Code::kOk);
    EXPECT_EQ(node_with(2, 1, 2), Code::kCorruption);
    EXPECT_EQ(cluster_with(30'000, 1), Code::kOk);
    EXPECT_EQ(cluster_with(std::numeric_limits<std::uint64_t>::max(), 1), Code::kCorruption);
    EXPECT_EQ(cluster_with(30'000, kWrapsToOne), Code::kCorruption);
}

TEST(ClusterRecords, StandInTheOrderOfTheirIds) {
    EXPECT_EQ(node_key(NodeId(7)), "node/00000000000000000007");
    EXPECT_LT(shard_key(ShardId(9)), shard_key(ShardId(10)));
    EXPECT_EQ(shard_key(ShardId(std::numeric_limits<std::uint64_t>::max())),
              "shard/18446744073709551615");
}

TEST(ClusterRecords, ContainTheKeysBetweenTheirBounds) {
    ShardRecord shard = example_shard();
    shard.range_start = "b";

    EXPECT_FALSE(shard.contains("azz"));
    EXPECT_TRUE(shard.contains("b"));
    EXPECT_TRUE(shard.contains(Bytes("l\xff", 2)));
    EXPECT_FALSE(shard.contains("m"));
    shard.range_end = "";
    EXPECT_TRUE(shard.contains("\xff\xff"));
}

TEST(ClusterMetadata, IsMadeOfTheRowsThatConcernIt) {
    Metadata metadata;

    ASSERT_TRUE(metadata.add_row(kClusterKey, encode_cluster(example_cluster())).ok());
    ASSERT_TRUE(metadata.add_row(node_key(NodeId(7)), encode_node(example_node())).ok());
    ASSERT_TRUE(metadata.add_row(shard_key(ShardId(300)), encode_shard(example_shard())).ok());
    ASSERT_TRUE(metadata.add_row("keyspace/default", "what others keep here").ok());

    ASSERT_TRUE(metadata.cluster.has_value());
    EXPECT_EQ(*metadata.cluster, example_cluster());
    ASSERT_EQ(metadata.nodes.size(), 1U);
    ASSERT_EQ(metadata.shards.size(), 1U);
    EXPECT_EQ(metadata.find_node(NodeId(7)), metadata.nodes.data());
    EXPECT_EQ(metadata.find_node(NodeId(8)), nullptr);
}

TEST(ClusterMetadata, NamesTheKeyOfARowThatItCannotRead) {
    Metadata metadata;
    const Bytes node = encode_node(example_node());

    const Status unreadable = metadata.add_row(kClusterKey, "");
    const Status misplaced = metadata.add_row(node_key(NodeId(8)), node);
    const Status misspelt = metadata.add_row("node/7", node);

    for (const Status& refused : {unreadable, misplaced, misspelt}) {
        EXPECT_EQ(refused.code(), Code::kCorruption);
    }
    EXPECT_TRUE(unreadable.message().starts_with("cluster: ")) << unreadable.message();
    EXPECT_TRUE(misplaced.message().starts_with(node_key(NodeId(8)))) << misplaced.message();
    EXPECT_TRUE(metadata.nodes.empty());
}

TEST(ClusterMetadata, LetsANameBeTakenAgainByTheNextNode) {
    Metadata metadata;
    metadata.nodes.assign(2, example_node());
    metadata.nodes[0].state = NodeState::kReplaced;
    metadata.nodes[1].id = NodeId(8);

    EXPECT_EQ(metadata.find_named("n7"), &metadata.nodes[1]);

    metadata.nodes[1].state = NodeState::kRemoved;
    EXPECT_EQ(metadata.find_named("n7"), nullptr);

    metadata.nodes[0].state = NodeState::kExpected;
    EXPECT_EQ(metadata.find_named("n7"), &metadata.nodes[0]) << "kept for who is to come";
}

TEST(NodeStates, HaveNamesForPeople) {
    EXPECT_EQ(node_state_name(NodeState::kJoining), "joining");
    EXPECT_EQ(node_state_name(NodeState::kActive), "active");
    EXPECT_EQ(node_state_name(NodeState::kDraining), "draining");
    EXPECT_EQ(node_state_name(NodeState::kDecommissioning), "decommissioning");
    EXPECT_EQ(node_state_name(NodeState::kRemoved), "removed");
    EXPECT_EQ(node_state_name(NodeState::kReplaced), "replaced");
    EXPECT_EQ(node_state_name(NodeState::kExpected), "expected");
}

}  // namespace
}  // namespace kvstore::cluster
