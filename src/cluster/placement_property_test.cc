// Random clusters through random lives: from whatever state, plans come to an end, every action is
// safe by itself (PlacementWorld judges each), what comes out is as the rules want it, and no more
// is moved than must be.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "cluster/placement.h"
#include "cluster/testing/placement_world.h"

namespace kvstore::cluster {
namespace {

using testing::PlacementWorld;

constexpr PlacementWorld::Pace kPaces[] = {PlacementWorld::Pace::kWholePlans,
                                           PlacementWorld::Pace::kFirstActions,
                                           PlacementWorld::Pace::kAnyPart};

// How many clusters a test tries; KVSTORE_ROUNDS asks for more.
std::uint64_t rounds(std::uint64_t usual) {
    const char* asked = std::getenv("KVSTORE_ROUNDS");  // NOLINT(concurrency-mt-unsafe): one thread
    return asked == nullptr ? usual : std::strtoull(asked, nullptr, 10);
}

std::vector<NodeId> some_nodes(Random& random, std::size_t nodes, std::size_t count) {
    std::set<NodeId> chosen;
    while (chosen.size() < std::min(nodes, count)) {
        chosen.insert(NodeId(1 + random.below(nodes)));
    }
    return {chosen.begin(), chosen.end()};
}

// Nodes of one zone or of several, shards anywhere on them, also badly placed.
void populate(PlacementWorld& world, Random& random, std::uint64_t zones) {
    const std::uint64_t nodes = random.between(1, 9);
    for (std::uint64_t i = 0; i < nodes; ++i) {
        world.add_node(zones <= 1 ? "" : "z" + std::to_string(random.below(zones)));
    }
    constexpr std::uint32_t kFactors[] = {1, 3, 3, 3, 5, 7};
    for (std::uint64_t left = random.between(1, 24); left > 0; --left) {
        const std::size_t voters = 1 + 2 * random.below((nodes + 1) / 2);
        world.add_shard(some_nodes(random, nodes, voters), kFactors[random.below(6)]);
    }
    world.options.filling_max = random.between(1, 10);
}

std::size_t free_nodes(PlacementWorld& world) {
    return static_cast<std::size_t>(std::ranges::count_if(
        world.input.nodes, [&](const PlacementNode& node) { return world.is_free(node.id); }));
}

bool is_given_up(const PlacementWorld& world, const PlacementNode& node) {
    return node.liveness == Liveness::kDead &&
           world.input.now - node.dead_since >= world.options.replace_after;
}

bool may_stay(PlacementWorld& world, NodeId id) {
    const PlacementNode& node = world.node(id);
    return is_member(node.state) && node.state != NodeState::kDecommissioning &&
           !is_given_up(world, node);
}

// Shards that have a leader are as many and where they should be.
void expect_right_count(PlacementWorld& world) {
    const auto members = static_cast<std::size_t>(
        std::ranges::count_if(world.input.nodes, [](const PlacementNode& node) {
            return node.state == NodeState::kActive || node.state == NodeState::kDraining;
        }));
    std::set<ShardId> hindered;
    for (const Obstacle& obstacle : world.plan().obstacles) {
        hindered.insert(obstacle.shard);
    }
    for (const PlacementShard& shard : world.input.shards) {
        if (shard.leader == NodeId() || hindered.contains(shard.id)) {
            continue;
        }
        const std::size_t factor = effective_factor(shard.replication_factor, members);
        const bool waits = std::ranges::any_of(
            shard.learners, [&](NodeId learner) { return !world.is_alive(learner); });
        if (free_nodes(world) >= factor && !waits) {
            EXPECT_EQ(shard.voters.size(), factor) << shard.id.value();
            EXPECT_TRUE(shard.learners.empty()) << shard.id.value();
            for (const NodeId voter : shard.voters) {
                EXPECT_TRUE(may_stay(world, voter)) << shard.id.value();
                EXPECT_FALSE(PlacementWorld::holds(shard.damaged, voter)) << shard.id.value();
            }
        }
        const bool has_free_voter = std::ranges::any_of(
            shard.voters, [&](NodeId id) { return world.is_free(id) && world.counts(shard, id); });
        EXPECT_TRUE(world.is_free(shard.leader) || !has_free_voter) << shard.id.value();
    }
}

std::size_t zones_after(PlacementWorld& world, std::vector<NodeId> voters, NodeId from, NodeId to) {
    std::erase(voters, from);
    voters.push_back(to);
    return world.zones_of(voters);
}

bool is_as_wanted(const PlacementShard& shard) {
    std::vector<NodeId> voters = shard.voters;
    std::ranges::sort(voters);
    return voters == shard.wanted;
}

// Who can be where an operator wants it is there.
void expect_what_is_wanted(PlacementWorld& world) {
    const auto members = static_cast<std::size_t>(
        std::ranges::count_if(world.input.nodes, [](const PlacementNode& node) {
            return node.state == NodeState::kActive || node.state == NodeState::kDraining;
        }));
    for (const PlacementShard& shard : world.input.shards) {
        const std::size_t factor = effective_factor(shard.replication_factor, members);
        const bool can_be =
            shard.leader != NodeId() && shard.wanted.size() == factor &&
            std::ranges::all_of(shard.wanted, [&](NodeId id) { return world.is_free(id); });
        EXPECT_TRUE(!can_be || is_as_wanted(shard)) << shard.id.value();
    }
}

// Nobody could swap one replica for another and be better off.
void expect_no_better_swap(PlacementWorld& world) {
    const bool is_anybody_waited_for =
        std::ranges::any_of(world.input.shards, [](const PlacementShard& shard) {
            return !shard.learners.empty() || shard.leader == NodeId();
        });
    if (is_anybody_waited_for) {
        return;  // repairs go first, and what cannot be repaired now has its place kept
    }
    for (const PlacementShard& shard : world.input.shards) {
        if (shard.leader == NodeId() || !shard.learners.empty() || is_as_wanted(shard)) {
            continue;
        }
        const std::size_t zones = world.zones_of(shard.voters);
        for (const NodeId from : shard.voters) {
            for (const PlacementNode& to : world.input.nodes) {
                if (!world.is_free(to.id) || PlacementWorld::holds(shard.voters, to.id)) {
                    continue;
                }
                const std::size_t after = zones_after(world, shard.voters, from, to.id);
                const bool levels = world.is_free(from) && after == zones &&
                                    world.replicas_on(from) >= world.replicas_on(to.id) + 2;
                EXPECT_FALSE(after > zones || levels) << "shard " << shard.id.value() << " from "
                                                      << from.value() << " to " << to.id.value();
            }
        }
    }
}

void expect_balanced_leaders(PlacementWorld& world) {
    for (const PlacementShard& shard : world.input.shards) {
        if (shard.leader == NodeId() || !world.is_free(shard.leader) || !shard.learners.empty()) {
            continue;  // waits for somebody
        }
        for (const NodeId voter : shard.voters) {
            if (world.is_free(voter)) {
                EXPECT_LE(world.leaders_on(shard.leader), world.leaders_on(voter) + 1)
                    << shard.id.value();
            }
        }
    }
}

void expect_all_well(PlacementWorld& world) {
    expect_right_count(world);
    expect_what_is_wanted(world);
    expect_no_better_swap(world);
    expect_balanced_leaders(world);
}

// One shard is wanted on one node instead of another, on some nodes, or nowhere in particular.
void want_something(PlacementWorld& world, Random& random) {
    PlacementShard& shard = world.input.shards[random.below(world.input.shards.size())];
    shard.wanted.clear();
    if (random.chance(1, 4)) {
        return;
    }
    shard.wanted = some_nodes(random, world.input.nodes.size(), shard.voters.size());
    std::ranges::sort(shard.wanted);
}

void something_happens(PlacementWorld& world, Random& random, std::uint64_t zones) {
    const NodeId node(1 + random.below(world.input.nodes.size()));
    switch (random.below(10)) {
        case 0: world.add_node(zones <= 1 ? "" : "z" + std::to_string(random.below(zones))); break;
        case 1: world.kill(node); break;
        case 2: world.revive(node); break;
        case 3: world.node(node).state = NodeState::kDraining; break;
        case 4: world.node(node).state = NodeState::kDecommissioning; break;
        case 5:
            if (check_removal(world.input, node).ok()) {
                world.node(node).state = NodeState::kRemoved;
            }
            break;
        case 6: world.node(node).liveness = Liveness::kSuspected; break;
        case 7: {
            PlacementShard& hurt = world.input.shards[random.below(world.input.shards.size())];
            if (PlacementWorld::holds(hurt.voters, node) ||
                PlacementWorld::holds(hurt.learners, node)) {
                world.damage(hurt, node);
            }
            break;
        }
        case 8: want_something(world, random); break;
        default: world.input.now += world.options.replace_after;
    }
    world.elect();
}

class RandomClusters : public ::testing::TestWithParam<PlacementWorld::Pace> {};

TEST_P(RandomClusters, SettleThroughWhateverHappens) {
    for (std::uint64_t seed = 1; seed <= rounds(400); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random(seed);
        PlacementWorld world(seed);
        const std::uint64_t zones = random.below(5);
        populate(world, random, zones);
        for (int event = 0; event < 8; ++event) {
            ASSERT_NE(world.settle(GetParam()), 0U) << "no end after event " << event;
            expect_all_well(world);
            ASSERT_TRUE(world.plan().actions.empty());
            ASSERT_FALSE(HasFailure());
            something_happens(world, random, zones);
        }
    }
}

// What happens while plans are under way finds things half done.
TEST_P(RandomClusters, SettleWhenEventsComeInTheMiddle) {
    for (std::uint64_t seed = 1; seed <= rounds(400); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random(seed);
        PlacementWorld world(seed);
        const std::uint64_t zones = random.below(5);
        populate(world, random, zones);
        for (int step = 0; step < 60; ++step) {
            if (random.chance(1, 6)) {
                something_happens(world, random, zones);
            }
            for (const Action& action : world.plan().actions) {
                world.carry_out(action);
                ASSERT_FALSE(HasFatalFailure());
                if (random.chance(1, 3)) {
                    break;
                }
            }
            world.fill();
        }
        ASSERT_NE(world.settle(GetParam()), 0U);
        expect_all_well(world);
        ASSERT_FALSE(HasFailure());
    }
}

INSTANTIATE_TEST_SUITE_P(Paces, RandomClusters, ::testing::ValuesIn(kPaces));

std::vector<std::vector<NodeId>> voters_of(const PlacementWorld& world) {
    std::vector<std::vector<NodeId>> voters;
    for (const PlacementShard& shard : world.input.shards) {
        voters.push_back(shard.voters);
    }
    return voters;
}

// How many replicas stand where none stood before.
std::size_t moved(const PlacementWorld& world, const std::vector<std::vector<NodeId>>& before) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
        for (const NodeId voter : world.input.shards[i].voters) {
            count += PlacementWorld::holds(before[i], voter) ? 0 : 1;
        }
    }
    return count;
}

// A settled cluster of `nodes` in one zone.
void settle_cluster(PlacementWorld& world, Random& random, std::uint64_t nodes) {
    for (std::uint64_t i = 0; i < nodes; ++i) {
        world.add_node();
    }
    for (std::uint64_t left = random.between(1, 40); left > 0; --left) {
        world.add_shard(some_nodes(random, nodes, 3));
    }
    ASSERT_NE(world.settle(PlacementWorld::Pace::kWholePlans), 0U);
    world.copies = 0;
}

TEST(Placement, MovesToANewNodeItsShareAndNothingElse) {
    for (std::uint64_t seed = 1; seed <= rounds(60); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random(seed);
        PlacementWorld world(seed);
        const std::uint64_t nodes = random.between(3, 10);
        settle_cluster(world, random, nodes);
        const std::size_t replicas = 3 * world.input.shards.size();

        const NodeId newcomer = world.add_node();
        ASSERT_NE(world.settle(PlacementWorld::Pace::kAnyPart), 0U);

        EXPECT_EQ(world.copies, world.replicas_on(newcomer)) << "every copy went there, once";
        EXPECT_EQ(world.replicas_on(newcomer), replicas / (nodes + 1));
    }
}

TEST(Placement, CopiesOfADeadNodeWhatItHeldAndNoReplicaTwice) {
    for (std::uint64_t seed = 1; seed <= rounds(60); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random(seed);
        PlacementWorld world(seed);
        const std::uint64_t nodes = random.between(4, 10);
        settle_cluster(world, random, nodes);
        const NodeId lost(1 + random.below(nodes));
        const auto before = voters_of(world);
        const std::size_t held = world.replicas_on(lost);

        if (random.chance(1, 2)) {
            world.kill(lost);
            world.input.now += world.options.replace_after;
        } else {
            world.node(lost).state = NodeState::kDecommissioning;
        }
        ASSERT_NE(world.settle(PlacementWorld::Pace::kAnyPart), 0U);

        EXPECT_EQ(world.replicas_on(lost), 0U);
        EXPECT_EQ(world.copies, moved(world, before)) << "no copy was made in vain";
        EXPECT_LE(world.copies, held + nodes) << "and few to level what that left";
    }
}

}  // namespace
}  // namespace kvstore::cluster
