#include "cluster/members.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "cluster/internal/admission.h"
#include "cluster/testing/member_world.h"

namespace kvstore::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::facts_of;
using testing::MemberWorld;
using testing::node_record;
using testing::rows_of;

// ---- the rules, on rows ----

class AdmissionRules : public ::testing::Test {
protected:
    Result<internal::Admission> join(const NodeFacts& facts, Liveness liveness = Liveness::kAlive) {
        Callback<Liveness(NodeId)> answer = [liveness](NodeId) {
            return liveness;
        };
        return internal::judge_newcomer(*view(), facts, answer);
    }
    Result<internal::Admission> announce(std::uint64_t id, const NodeFacts& facts) {
        return internal::judge_announcement(*view(), NodeId(id), facts);
    }
    [[nodiscard]] std::shared_ptr<const ClusterView> view() const {
        return ClusterView::build(rows_of(5, nodes, {})).value();
    }

    std::vector<NodeRecord> nodes = {node_record(1), node_record(2)};
};

TEST_F(AdmissionRules, ANewNodeGetsTheNextIdInOneWriteThatRestsOnTheCluster) {
    const auto admission = join(facts_of(3));

    ASSERT_TRUE(admission.ok());
    EXPECT_EQ(admission->id, NodeId(3));
    ASSERT_EQ(admission->changes.size(), 2U);
    const auto record = decode_node(*admission->changes[0].value);
    EXPECT_EQ(record->state, NodeState::kJoining);
    EXPECT_EQ(record->name, "n3");
    EXPECT_EQ(record->peer_address, "n3:7070");
    EXPECT_FALSE(admission->changes[0].expected.has_value());
    EXPECT_EQ(admission->changes[1].expected, view()->rows.find(kClusterKey));
    EXPECT_EQ(decode_cluster(*admission->changes[1].value)->next_node_id, NodeId(4));
}

TEST_F(AdmissionRules, ANodeThatAsksAgainIsTheSame) {
    const auto admission = join(facts_of(2));

    ASSERT_TRUE(admission.ok());
    EXPECT_EQ(admission->id, NodeId(2));
    EXPECT_TRUE(admission->changes.empty());
}

TEST_F(AdmissionRules, AnotherStoreUnderTheNameOfADeadNodeReplacesIt) {
    const auto admission = join(facts_of(2, 77), Liveness::kDead);

    ASSERT_TRUE(admission.ok());
    EXPECT_EQ(admission->id, NodeId(3));
    ASSERT_EQ(admission->changes.size(), 3U);
    EXPECT_EQ(decode_node(*admission->changes[0].value)->state, NodeState::kReplaced);
    EXPECT_EQ(admission->changes[0].expected, view()->rows.find(node_key(NodeId(2))));
}

TEST_F(AdmissionRules, TheNameOfANodeThatMayLiveIsTaken) {
    EXPECT_EQ(join(facts_of(2, 77), Liveness::kAlive).status().code(), Code::kConflict);
    EXPECT_EQ(join(facts_of(2, 77), Liveness::kSuspected).status().code(), Code::kConflict);
}

TEST_F(AdmissionRules, AStoreIsOfOneNodeForEver) {
    NodeFacts copy = facts_of(2);
    copy.name = "other";
    EXPECT_EQ(join(copy).status().code(), Code::kConflict);

    nodes[1].state = NodeState::kRemoved;
    EXPECT_EQ(join(facts_of(2)).status().code(), Code::kConflict);
    EXPECT_EQ(join(facts_of(2, 77))->id, NodeId(3)) << "the name is free again";
}

TEST_F(AdmissionRules, WhoIsExpectedJoinsUnderTheRecordThatWasKept) {
    NodeRecord expected;
    expected.id = NodeId(3);
    expected.name = "n3";
    expected.state = NodeState::kExpected;
    expected.is_learner = true;
    nodes.push_back(expected);

    const auto admission = join(facts_of(3), Liveness::kAlive);

    ASSERT_TRUE(admission.ok()) << admission.status().to_string();
    EXPECT_EQ(admission->id, NodeId(3));
    ASSERT_EQ(admission->changes.size(), 1U);
    EXPECT_EQ(admission->changes[0].expected, view()->rows.find(node_key(NodeId(3))));
    const auto record = decode_node(*admission->changes[0].value);
    EXPECT_EQ(record->state, NodeState::kJoining);
    EXPECT_EQ(record->store, facts_of(3).store);
    EXPECT_TRUE(record->is_learner);

    nodes.back() = *record;
    EXPECT_TRUE(join(facts_of(3))->changes.empty()) << "asking again is safe";
    const auto announced = announce(3, facts_of(3));
    EXPECT_EQ(decode_node(*announced->changes[0].value)->state, NodeState::kActive);
    EXPECT_TRUE(decode_node(*announced->changes[0].value)->is_learner);
}

TEST_F(AdmissionRules, FactsThatNoNodeHasAreRefused) {
    NodeFacts no_name = facts_of(3);
    no_name.name.clear();
    NodeFacts no_store = facts_of(3);
    no_store.store = 0;
    NodeFacts no_address = facts_of(3);
    no_address.peer_address = "nowhere";
    NodeFacts long_zone = facts_of(3);
    long_zone.zone = std::string(600, 'z');

    for (const NodeFacts& facts : {no_name, no_store, no_address, long_zone}) {
        EXPECT_EQ(join(facts).status().code(), Code::kInvalidArgument);
    }
}

TEST_F(AdmissionRules, ANodeThatComesBackTellsWhereItIsNow) {
    nodes[1].state = NodeState::kJoining;
    NodeFacts moved = facts_of(2);
    moved.peer_address = "elsewhere:7071";
    moved.zone = "b";

    const auto admission = announce(2, moved);

    ASSERT_TRUE(admission.ok());
    ASSERT_EQ(admission->changes.size(), 1U);
    const auto record = decode_node(*admission->changes[0].value);
    EXPECT_EQ(record->state, NodeState::kActive);
    EXPECT_EQ(record->peer_address, "elsewhere:7071");
    EXPECT_EQ(record->zone, "b");
    EXPECT_EQ(admission->changes[0].expected, view()->rows.find(node_key(NodeId(2))));
}

TEST_F(AdmissionRules, WhoDrainsStaysSoWhenItAnnouncesItself) {
    nodes[1].state = NodeState::kDraining;

    EXPECT_TRUE(announce(2, facts_of(2))->changes.empty());
}

TEST_F(AdmissionRules, WhoHasLeftDoesNotComeBack) {
    EXPECT_EQ(announce(9, facts_of(9)).status().code(), Code::kNotFound);
    EXPECT_EQ(announce(2, facts_of(2, 77)).status().code(), Code::kConflict);
    for (const NodeState state : {NodeState::kRemoved, NodeState::kReplaced}) {
        nodes[1].state = state;
        EXPECT_EQ(announce(2, facts_of(2)).status().code(), Code::kConflict);
    }
}

// ---- whole nodes ----

TEST(Members, ANodeThatJoinsBecomesActiveAndIsKnownToAll) {
    MemberWorld cluster(1);
    cluster.bootstrap(1);

    const std::uint64_t host = cluster.add_node();

    ASSERT_TRUE(cluster.settles(1, 1, seconds(20))) << cluster.describe();
    cluster.world.run_for(seconds(1));
    const NodeId id = cluster.id(host);
    EXPECT_EQ(cluster.node(1).directory.view()->metadata.find_node(id)->state, NodeState::kActive);
    EXPECT_TRUE(cluster.node(1).transport->is_connected(id));
    EXPECT_TRUE(cluster.node(host).members.standing().ok());
}

// A node without a replica of the system shard reads none of it itself.
TEST(Members, AChangeReachesEveryNodeWithinASecond) {
    MemberWorld cluster(2);
    cluster.bootstrap(1);
    cluster.add_node();
    cluster.add_node();
    cluster.add_node();
    ASSERT_TRUE(cluster.settles(3, 3, seconds(60))) << cluster.describe();
    cluster.world.run_for(seconds(10));

    cluster.truth.put("keyspace/new", "a row of others");
    cluster.world.run_for(seconds(1));

    for (std::uint64_t number = 1; number <= 4; ++number) {
        EXPECT_EQ(cluster.node(number).directory.view()->rows, cluster.truth.rows());
    }
}

TEST(Members, TwoThatJoinUnderOneNameAreNotBothTakenIn) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        MemberWorld cluster(seed);
        cluster.bootstrap(1);
        const std::uint64_t one = cluster.add_host();
        const std::uint64_t other = cluster.add_host();
        std::vector<Result<Joined>> outcomes;
        std::vector<std::unique_ptr<rpc::Transport>> transports;
        for (const std::uint64_t number : {one, other}) {
            NodeFacts facts = facts_of(one, 500 + number);
            rpc::Options options;
            options.self.store = facts.store;
            transports.push_back(
                rpc::Transport::make(cluster.host(number).env(), std::move(options), {}));
            cluster.host(number).spawn(
                [](rpc::Transport* transport,
                   NodeFacts of,
                   std::vector<Result<Joined>>* into,
                   async::Deadline deadline) -> async::Task<void> {
                    std::vector<env::Address> targets(1, env::Address{.host = "n1", .port = 7070});
                    auto joined = co_await join_cluster(
                        transport, std::move(targets), std::move(of), deadline);
                    into->push_back(std::move(joined));
                }(transports.back().get(),
                                             facts,
                                             &outcomes,
                                             async::Deadline::after(cluster.world.now(),
                                                                    seconds(10))));
        }
        cluster.world.run_for(seconds(12));

        ASSERT_EQ(outcomes.size(), 2U);
        EXPECT_NE(outcomes[0].ok(), outcomes[1].ok());
        const Result<Joined>& refused = outcomes[0].ok() ? outcomes[1] : outcomes[0];
        EXPECT_EQ(refused.status().code(), Code::kConflict);
        EXPECT_EQ(cluster.truth.metadata().nodes.size(), 2U);
        cluster.world.block_on(cluster.host(one), transports[0]->stop());
        cluster.world.block_on(cluster.host(other), transports[1]->stop());
    }
}

TEST(Members, AWipedNodeReturnsAsANewOneOnceItIsFoundDead) {
    MemberWorld cluster(3);
    cluster.bootstrap(1);
    cluster.add_node();
    cluster.add_node();
    ASSERT_TRUE(cluster.settles(3, 3, seconds(60)));
    const NodeId before = cluster.id(2);
    cluster.crash(2);
    cluster.wipe(2);

    EXPECT_EQ(cluster.try_join(2, {1, 3}).status().code(), Code::kConflict) << "it may be alive";
    cluster.world.run_for(seconds(10));
    const auto joined = cluster.try_join(2, {1, 3});
    ASSERT_TRUE(joined.ok()) << joined.status().to_string();
    cluster.start(2, *joined);

    EXPECT_NE(joined->id, before);
    EXPECT_EQ(cluster.truth.metadata().find_node(before)->state, NodeState::kReplaced);
    EXPECT_TRUE(cluster.settles(3, 3, seconds(60))) << cluster.describe();
    EXPECT_EQ(cluster.truth.violations, std::vector<std::string>());
}

TEST(Members, ANodeThatWasRemovedMeanwhileKnowsItMustNotTakePart) {
    MemberWorld cluster(4);
    cluster.bootstrap(1);
    const std::uint64_t host = cluster.add_node();
    ASSERT_TRUE(cluster.settles(1, 1, seconds(60)));
    cluster.crash(host);
    const SystemRows known = cluster.truth.rows();
    cluster.set_state(cluster.id(host), NodeState::kRemoved);

    cluster.restart(host, known);
    cluster.world.run_for(seconds(5));

    EXPECT_EQ(cluster.node(host).members.standing().code(), Code::kConflict);
}

// One without a replica of the system shard, whose connections everybody refuses: nobody is left
// whom it could ask.
TEST(Members, ANodeThatIsRefusedByAllKnowsThatItWasRemoved) {
    MemberWorld cluster(5);
    cluster.bootstrap(1);
    while (cluster.size() < 4) {
        cluster.add_node();
    }
    ASSERT_TRUE(cluster.settles(3, 3, seconds(60)));
    const std::vector<NodeId>& system = cluster.truth.group(kSystemShardId).led.voters;
    std::uint64_t host = 1;
    while (std::ranges::find(system, cluster.id(host)) != system.end()) {
        ++host;
    }
    cluster.crash(host);
    const SystemRows known = cluster.truth.rows();
    cluster.set_state(cluster.id(host), NodeState::kRemoved);
    cluster.world.run_for(seconds(2));

    cluster.restart(host, known);
    cluster.world.run_for(seconds(5));

    const Status& standing = cluster.node(host).members.standing();
    EXPECT_EQ(standing.code(), Code::kConflict);
    EXPECT_NE(standing.message().find("no member any more"), std::string_view::npos)
        << standing.message();
}

// It comes back with another address, and older rows than those that hold it.
TEST(Members, ANodeThatComesBackElsewhereIsFoundThere) {
    MemberWorld cluster(9);
    cluster.bootstrap(1);
    cluster.add_node();
    const std::uint64_t host = cluster.add_node();
    ASSERT_TRUE(cluster.settles(3, 3, seconds(60)));
    cluster.crash(host);
    NodeRecord elsewhere = *cluster.truth.metadata().find_node(cluster.id(host));
    elsewhere.peer_address = "elsewhere:7070";
    cluster.truth.put(node_key(elsewhere.id), encode_node(elsewhere));
    cluster.world.run_for(seconds(2));
    ASSERT_EQ(cluster.node(1).transport->peers().back().address.host, "elsewhere");

    cluster.restart(host, rows_of(1, {node_record(1)}, {}));
    cluster.world.run_for(seconds(5));

    EXPECT_EQ(cluster.truth.metadata().find_node(cluster.id(host))->peer_address, "n3:7070");
    EXPECT_TRUE(cluster.node(1).transport->is_connected(cluster.id(host)));
}

TEST(Members, JoinSaysWhatEachMemberSaid) {
    MemberWorld cluster(5);
    cluster.bootstrap(1);
    const std::uint64_t empty = cluster.add_host();
    const std::uint64_t host = cluster.add_host();

    const auto joined = cluster.try_join(
        host,
        {env::Address{.host = "nowhere", .port = 7070}, env::Address{.host = "n2", .port = 7070}},
        facts_of(host));

    EXPECT_EQ(joined.status().code(), Code::kUnavailable);
    EXPECT_EQ(joined.status().effect(), Effect::kNone);
    EXPECT_NE(joined.status().message().find("nowhere:7070: "), std::string::npos)
        << joined.status().to_string();
    EXPECT_NE(joined.status().message().find("n2:7070: "), std::string::npos);
    EXPECT_EQ(cluster.try_join(host, {empty, 1})->id, NodeId(2)) << "one of them answers";
}

// The first address leads to whoever has this store, which refuses to talk to itself.
TEST(Members, JoinGoesOnAfterAnAddressThatIsWrong) {
    MemberWorld cluster(10);
    cluster.bootstrap(1);
    cluster.add_node();
    const std::uint64_t host = cluster.add_host();
    const env::Address first{.host = "n1", .port = 7070};
    const env::Address second{.host = "n2", .port = 7070};
    const NodeFacts facts = facts_of(host, facts_of(1).store);

    EXPECT_EQ(cluster.try_join(host, {first}, facts).status().code(), Code::kInvalidArgument);
    const auto joined = cluster.try_join(host, {first, second}, facts);

    EXPECT_EQ(joined.status().code(), Code::kConflict) << joined.status().to_string();
    EXPECT_NE(joined.status().message().find("n2:7070: "), std::string::npos);
}

TEST(Members, JoinWaitsForTheClusterToBeFormed) {
    MemberWorld cluster(6);
    cluster.bootstrap(1);
    const std::uint64_t host = cluster.add_host();
    cluster.node(1).members.set_store(nullptr);

    const auto joined = cluster.try_join(host, {1});
    cluster.node(1).members.set_store(&cluster.node(1).store);

    EXPECT_EQ(joined.status().code(), Code::kUnavailable);
    EXPECT_NE(joined.status().message().find("being formed"), std::string::npos);
    EXPECT_TRUE(cluster.try_join(host, {1}).ok());
}

TEST(Members, StepsAndReportsCrossTheNetworkWithTheirErrors) {
    MemberWorld cluster(7);
    cluster.bootstrap(1);
    cluster.add_node();
    ASSERT_TRUE(cluster.settles(1, 1, seconds(60)));
    cluster.world.run_for(seconds(1));
    Members& other = cluster.node(2).members;
    const auto deadline = async::Deadline::after(cluster.world.now(), seconds(2));

    const auto led =
        cluster.world.block_on(cluster.host(2), other.shard_report(NodeId(1), deadline));
    ASSERT_TRUE(led.ok() && !led->led.empty()) << led.status().to_string();
    const ShardId shard = led->led.front().id;
    const Status refused = cluster.world.block_on(
        cluster.host(2),
        other.act(NodeId(1), ActionKind::kPromoteLearner, shard, NodeId(2), deadline));
    const Status led_elsewhere = cluster.world.block_on(
        cluster.host(2),
        other.act(NodeId(2), ActionKind::kRemoveLearner, shard, NodeId(3), deadline));
    const auto unknown =
        cluster.world.block_on(cluster.host(2), other.shard_report(NodeId(9), deadline));

    EXPECT_EQ(led->led.front().voters, std::vector<NodeId>{NodeId(1)});
    EXPECT_EQ(refused.code(), Code::kConflict);
    EXPECT_EQ(refused.effect(), Effect::kNone);
    EXPECT_EQ(led_elsewhere.code(), Code::kNotLeader);
    EXPECT_EQ(unknown.status().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace kvstore::cluster
