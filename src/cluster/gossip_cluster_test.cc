// Gossip of whole clusters: simulated hosts, the real transport between them.
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cluster/gossip.h"
#include "rpc/testing/test_node.h"
#include "rpc/transport.h"
#include "sim/world.h"

namespace kvstore::cluster {
namespace {

using rpc::testing::address_of;
using rpc::testing::options_of;
using std::chrono::minutes;
using std::chrono::seconds;
using wire::MemberState;

// Lifetime  Of the host's process: buried by a crash.
struct Node final : GossipListener {
    Node(env::Env& env, std::uint64_t number)
        : transport(rpc::Transport::make(env, options_of(number), {})),
          gossip(env, *transport, NodeId(number), {}, this) {}

    void on_node_state(NodeId /*node*/, const NodeLiveness& liveness) override {
        deaths += liveness.state == MemberState::kDead ? 1 : 0;
    }
    void on_map_version(MapVersion version, NodeId /*from*/) override {
        versions.push_back(version);
    }

    std::unique_ptr<rpc::Transport> transport;
    Gossip gossip;
    int deaths = 0;
    std::vector<MapVersion> versions;
};

class GossipCluster {
public:
    GossipCluster(std::uint64_t seed, std::uint64_t count) : world(seed) {
        for (std::uint64_t number = 1; number <= count; ++number) {
            hosts_.push_back(&world.add_host("n" + std::to_string(number)));
            nodes_.emplace_back();
            ids_.emplace_back(number);
        }
        for (std::uint64_t number = 1; number <= count; ++number) {
            start(number);
        }
    }
    ~GossipCluster() {
        for (std::uint64_t number = 1; number <= nodes_.size(); ++number) {
            if (nodes_[number - 1] != nullptr) {
                node(number).gossip.stop();
                world.block_on(host(number), node(number).transport->stop());
            }
        }
    }
    GossipCluster(const GossipCluster&) = delete;
    GossipCluster& operator=(const GossipCluster&) = delete;

    void start(std::uint64_t number) {
        auto& node = nodes_[number - 1];
        node = std::make_unique<Node>(host(number).env(), number);
        EXPECT_TRUE(node->transport->listen(address_of(number)).ok());
        for (const NodeId id : ids_) {
            if (id.value() != number) {
                node->transport->set_peer(id, address_of(id.value()));
            }
        }
        node->gossip.set_members(ids_);
        node->gossip.start();
    }
    void crash(std::uint64_t number) {
        world.crash(host(number));
        sim::bury(std::move(nodes_[number - 1]));
    }
    void restart(std::uint64_t number) {
        world.restart(host(number));
        start(number);
    }

    [[nodiscard]] Node& node(std::uint64_t number) { return *nodes_[number - 1]; }
    [[nodiscard]] sim::Host& host(std::uint64_t number) { return *hosts_[number - 1]; }
    [[nodiscard]] MemberState state(std::uint64_t of, std::uint64_t seen_by) {
        return node(seen_by).gossip.find(NodeId(of))->state;
    }
    // Whether all others that are up hold `of` to be so within `limit`.
    bool all_hold(std::uint64_t of, MemberState expected, Duration limit) {
        return world.run_until(
            [&] {
                for (std::uint64_t by = 1; by <= nodes_.size(); ++by) {
                    if (by != of && nodes_[by - 1] != nullptr && state(of, by) != expected) {
                        return false;
                    }
                }
                return true;
            },
            limit);
    }
    [[nodiscard]] int deaths() const {
        int sum = 0;
        for (const auto& node : nodes_) {
            sum += node == nullptr ? 0 : node->deaths;
        }
        return sum;
    }

    sim::World world;

private:
    std::vector<sim::Host*> hosts_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<NodeId> ids_;
};

TEST(GossipOverRpc, FindsACrashAndARestart) {
    for (const std::uint64_t nodes : {3U, 10U}) {
        GossipCluster cluster(nodes, nodes);
        cluster.world.run_for(seconds(5));

        cluster.crash(2);
        EXPECT_TRUE(cluster.all_hold(2, MemberState::kDead, seconds(nodes == 3 ? 6 : 10)));
        EXPECT_EQ(cluster.deaths(), static_cast<int>(nodes) - 1);

        cluster.restart(2);
        EXPECT_TRUE(cluster.all_hold(2, MemberState::kAlive, seconds(10)));
        cluster.world.run_for(seconds(10));
        EXPECT_EQ(cluster.deaths(), static_cast<int>(nodes) - 1) << "it took nobody for dead";
    }
}

TEST(GossipOverRpc, HasAPausedNodeBackByItself) {
    GossipCluster cluster(1, 5);
    cluster.world.run_for(seconds(3));
    cluster.world.pause(cluster.host(2));
    ASSERT_TRUE(cluster.all_hold(2, MemberState::kDead, seconds(10)));
    cluster.world.run_for(minutes(2));

    cluster.world.resume(cluster.host(2));

    EXPECT_TRUE(cluster.all_hold(2, MemberState::kAlive, seconds(15)));
    cluster.world.run_for(seconds(30));
    EXPECT_EQ(cluster.deaths(), 4) << "nor did it take anybody for dead";
}

TEST(GossipOverRpc, HealsAfterAPartition) {
    GossipCluster cluster(1, 5);
    cluster.world.run_for(seconds(3));
    for (const std::uint64_t one : {1U, 2U}) {
        for (const std::uint64_t other : {3U, 4U, 5U}) {
            cluster.world.partition(cluster.host(one), cluster.host(other));
        }
    }
    cluster.world.run_for(minutes(1));
    EXPECT_EQ(cluster.state(3, 1), MemberState::kDead);
    EXPECT_EQ(cluster.state(1, 3), MemberState::kDead);
    EXPECT_EQ(cluster.state(2, 1), MemberState::kAlive);
    EXPECT_EQ(cluster.state(4, 3), MemberState::kAlive);

    cluster.world.heal_all();

    for (std::uint64_t node = 1; node <= 5; ++node) {
        EXPECT_TRUE(cluster.all_hold(node, MemberState::kAlive, seconds(30))) << node;
    }
}

// One way only: node 2 hears everybody and nobody hears it.
TEST(GossipOverRpc, FindsANodeThatNobodyHears) {
    GossipCluster cluster(1, 5);
    cluster.world.run_for(seconds(3));
    for (const std::uint64_t other : {1U, 3U, 4U, 5U}) {
        cluster.world.block(cluster.host(2), cluster.host(other));
    }

    EXPECT_TRUE(cluster.all_hold(2, MemberState::kDead, seconds(20)));
    for (const std::uint64_t other : {1U, 3U, 4U, 5U}) {
        for (const std::uint64_t by : {1U, 3U, 4U, 5U}) {
            EXPECT_TRUE(other == by || cluster.state(other, by) == MemberState::kAlive);
        }
    }
    cluster.world.heal_all();
    EXPECT_TRUE(cluster.all_hold(2, MemberState::kAlive, seconds(30)));
}

// A lost packet holds up its connection and comes late.
TEST(GossipOverRpc, DeclaresNobodyDeadOnLossyLinks) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        GossipCluster cluster(seed, 5);
        for (std::uint64_t from = 1; from <= 5; ++from) {
            for (std::uint64_t to = 1; to <= 5; ++to) {
                if (from != to) {
                    cluster.world.link(cluster.host(from), cluster.host(to)).loss = 200'000;
                }
            }
        }

        cluster.world.run_for(minutes(2));

        EXPECT_EQ(cluster.deaths(), 0) << seed;
    }
}

TEST(GossipOverRpc, BearsAFlappingLink) {
    GossipCluster cluster(4, 5);
    for (int flap = 0; flap < 20; ++flap) {
        cluster.world.partition(cluster.host(1), cluster.host(2));
        cluster.world.run_for(seconds(3));
        cluster.world.heal_all();
        cluster.world.run_for(seconds(3));
    }
    EXPECT_EQ(cluster.deaths(), 0) << "others reach both";
}

TEST(GossipOverRpc, TellsEveryNodeOnceOfANewerMap) {
    GossipCluster cluster(1, 10);
    cluster.world.run_for(seconds(3));

    cluster.node(4).gossip.raise_map_version(MapVersion(9));
    cluster.world.run_for(seconds(5));

    for (std::uint64_t number = 1; number <= 10; ++number) {
        const std::size_t told = number == 4 ? 0 : 1;
        EXPECT_EQ(cluster.node(number).versions, std::vector(told, MapVersion(9))) << number;
    }
}

TEST(GossipOverRpc, RefusesCalls) {
    GossipCluster cluster(1, 2);
    const auto deadline = async::Deadline::after(cluster.world.now(), seconds(5));

    const auto refused = cluster.world.block_on(
        cluster.host(1),
        cluster.node(1).transport->call(NodeId(2), wire::kGossipTopic, Bytes("?"), deadline));

    EXPECT_EQ(refused.status().code(), Code::kUnimplemented);
}

TEST(GossipOverRpc, IsTheSameForTheSameSeed) {
    const auto run = [](std::uint64_t seed) {
        GossipCluster cluster(seed, 5);
        cluster.world.run_for(seconds(5));
        cluster.crash(2);
        cluster.world.run_for(seconds(10));
        return cluster.world.trace_hash();
    };

    EXPECT_EQ(run(1), run(1));
    EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace kvstore::cluster
