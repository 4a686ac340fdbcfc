// Members that come, go and move the system shard, over whole nodes.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/log.h"
#include "base/random.h"
#include "http/client.h"
#include "kv/keyspace_record.h"
#include "kv/remote_read.h"
#include "replication/strong/raft_group.h"
#include "sim/world.h"
#include "simulation/internal/fleet.h"

namespace kvstore::simulation {
namespace {

using internal::Fleet;
using internal::Member;
using std::chrono::seconds;

constexpr Duration kPatience = seconds(60);

struct Stage {
    explicit Stage(std::uint64_t seed) : world(seed), random(seed) {}

    sim::World world;
    Random random;
    std::optional<Fleet> fleet;
};

class WholeMembers : public testing::Test {
protected:
    WholeMembers() { set_log_level(LogLevel::kOff); }
    ~WholeMembers() override {
        sim::internal::bury(std::move(stage_));  // nodes run in it
        set_log_level(LogLevel::kInfo);
    }

    // Of `founders`, and then `joiners` that join it one after another.
    void begin(std::uint32_t founders, std::uint32_t joiners) {
        fleet().emplace(world(), stage_->random, founders, joiners);
        for (const auto& member : fleet()->members()) {
            fleet()->start(*member);
        }
        until([&] { return fleet()->all_up(); }, "the founders did not start");
        for (std::uint32_t i = 0; i < joiners; ++i) {
            fleet()->grow();
            until([&] { return fleet()->all_up(); }, "a node did not join");
        }
        until([&] { return all_are_active(); }, "a node is not taken in");
    }
    // As the first node sees them.
    [[nodiscard]] bool all_are_active() {
        const auto& nodes = kv(1).options().cluster.directory->view()->metadata.nodes;
        return nodes.size() == fleet()->size() &&
               std::ranges::all_of(nodes, [](const cluster::NodeRecord& node) {
                   return node.state == cluster::NodeState::kActive;
               });
    }

    [[nodiscard]] Stage& stage() { return *stage_; }
    [[nodiscard]] std::optional<Fleet>& fleet() { return stage_->fleet; }
    [[nodiscard]] sim::World& world() { return stage_->world; }
    [[nodiscard]] Member& member(std::size_t number) { return fleet()->at(number - 1); }
    [[nodiscard]] kv::Kv& kv(std::size_t number) { return member(number).node->kv(); }
    [[nodiscard]] bool has_system_replica(std::size_t number) {
        return kv(number).host().find_group(kv::kSystemShard) != nullptr;
    }

    [[nodiscard]] std::size_t first_without_system_replica() {
        std::size_t number = 1;
        while (has_system_replica(number)) {
            ++number;
        }
        return number;
    }

    template <typename Condition>
    void until(Condition condition, const char* otherwise) {
        ASSERT_TRUE(world().run_until(condition, kPatience)) << otherwise;
    }
    template <typename T>
    T run(std::size_t number, async::Task<T> task) {
        return world().block_on(*member(number).host, std::move(task), kPatience);
    }

    void restart(std::size_t number) {
        fleet()->crash(member(number), sim::CrashKind::kPowerLoss);
        fleet()->start(member(number));
        until([&] { return member(number).is_up(); }, "a node did not start again");
    }
    // Asks `asked`, as an operator does, until it is done.
    void move_system_shard(std::size_t asked, const std::string& from, const std::string& to) {
        move_shard(asked, kv::kSystemShard, from, to);
    }
    void move_shard(std::size_t asked,
                    ShardId shard,
                    const std::string& from,
                    const std::string& to) {
        administer(asked,
                   "/v1/cluster/shards/" + std::to_string(shard.value()) + "/move",
                   R"({"from":")" + from + R"(","to":")" + to + R"("})");
    }
    void administer(std::size_t asked,
                    const std::string& path,
                    std::string body,
                    std::uint32_t status = 200) {
        http::ClientRequest request;
        request.method = http::Method::kPost;
        request.target = path + "?wait=30s";
        request.body = std::move(body);
        sim::Host& desk = world().add_host("desk" + std::to_string(++desk_count_));
        http::Client client(desk.env(), {.host = member(asked).name, .port = 8080});
        const auto answer = world().block_on(
            desk, client.request(std::move(request), async::Deadline()), kPatience);
        ASSERT_TRUE(answer.ok()) << answer.status().to_string();
        ASSERT_EQ(answer->status, status) << answer->body;
    }
    // Makes a keyspace through `asked`; all who are up see it.
    void create(std::size_t asked, const std::string& name) {
        kv::KeyspaceOptions options;
        options.engine = replication::EngineKind::kMemory;
        std::vector<Bytes> unsplit;
        const auto created = run(
            asked, kv(asked).create_keyspace(kv::CallContext(), name, options, std::move(unsplit)));
        ASSERT_TRUE(created.ok()) << created.status().to_string();
        for (std::size_t number = 1; number <= fleet()->size(); ++number) {
            until([&] { return kv(number).find_keyspace(name) != nullptr; }, "it is not seen");
        }
    }

private:
    int desk_count_ = 0;
    std::shared_ptr<Stage> stage_ = std::make_shared<Stage>(1);
};

TEST_F(WholeMembers, ANodeThatLeavesTheSystemShardKeepsNoReplicaOfIt) {
    begin(1, 1);
    ASSERT_TRUE(has_system_replica(1));

    move_system_shard(1, "n1", "n2");

    until([&] { return has_system_replica(2) && !has_system_replica(1); }, "it stays behind");
    EXPECT_EQ(fleet()->failure(), "");
}

TEST_F(WholeMembers, ANodeThatLeftTheSystemShardFollowsItThroughOthers) {
    begin(1, 1);
    move_system_shard(1, "n1", "n2");
    until([&] { return !has_system_replica(1); }, "it stays behind");

    create(2, "seen");
    create(1, "made");
    restart(1);
    create(2, "later");

    EXPECT_FALSE(has_system_replica(1));
    EXPECT_NE(kv(1).find_keyspace("seen"), nullptr);
    EXPECT_NE(kv(1).find_keyspace("made"), nullptr);
}

TEST_F(WholeMembers, ANodeThatLeftTheSystemShardMayHoldItAgain) {
    begin(1, 1);
    move_system_shard(1, "n1", "n2");
    until([&] { return !has_system_replica(1); }, "it stays behind");

    move_system_shard(1, "n2", "n1");

    until([&] { return has_system_replica(1) && !has_system_replica(2); }, "it stays behind");
    create(2, "seen");
    restart(1);
    EXPECT_TRUE(has_system_replica(1));
}

// Nobody tells it: what it has is an old member's replica, which asks for votes.
TEST_F(WholeMembers, ANodeThatWasCutOffLearnsThatTheSystemShardHasMoved) {
    begin(3, 1);
    world().run_for(seconds(20));  // balanced
    const std::size_t without = first_without_system_replica();
    const std::size_t victim = without == 1 ? 2 : 1;
    const std::size_t asked = victim == 1 && without != 2 ? 2 : 3;
    world().isolate(*member(victim).host);
    world().run_for(seconds(10));
    move_system_shard(asked, member(victim).name, member(without).name);
    EXPECT_TRUE(has_system_replica(victim));

    world().heal_all();

    until([&] { return !has_system_replica(victim); }, "it stays behind");
    create(victim, "made");
}

// It won the votes to ask for votes, and was cut off before it asked, while the leader was heard
// again: the group goes on at an earlier term than the one that it has come to, and tells it
// nothing.
TEST_F(WholeMembers, ANodeOfALaterTermThanTheGroupItLeftFindsItsLeader) {
    begin(3, 1);
    world().run_for(seconds(20));  // balanced
    const std::size_t without = first_without_system_replica();
    const auto group = [&](std::size_t number) {
        return kv(number).host().find_raft_group(kv::kSystemShard);
    };
    std::size_t leader = 0;
    std::size_t victim = 0;
    std::size_t stays = 0;
    for (int round = 0; round < 50; ++round) {
        std::vector<std::size_t> others;
        for (std::size_t number = 1; number <= 4; ++number) {
            if (number != without && group(number)->is_leader()) {
                leader = number;
            } else if (number != without) {
                others.push_back(number);
            }
        }
        ASSERT_EQ(others.size(), 2U);
        victim = others[0];
        stays = others[1];
        const Term before = group(leader)->term();
        world().isolate(*member(leader).host);
        until([&] { return group(victim)->term() > before || group(stays)->term() > before; },
              "nobody asks");
        if (group(stays)->term() > before) {
            std::swap(victim, stays);
        }
        world().heal_all();
        world().isolate(*member(victim).host);
        world().reset_connections(*member(victim).host, *member(stays).host);
        world().run_for(seconds(5));
        if (group(victim)->term() > group(leader)->term() && group(leader)->is_leader()) {
            break;
        }
        world().heal_all();
        world().run_for(seconds(10));
    }
    move_system_shard(stays, member(victim).name, member(without).name);
    ASSERT_GT(group(victim)->term(), group(stays)->term());

    world().heal_all();

    until([&] { return !has_system_replica(victim); }, "it stays behind");
    create(victim, "made");
}

// A start without the replica finds the others by what was noted of them, so that comes first.
TEST_F(WholeMembers, TheOthersAreNotedBeforeTheReplicaGoes) {
    begin(1, 1);
    sim::DiskFaults& faults = member(1).host->disk_faults();
    faults.path_prefix = "members";
    faults.on(sim::DiskCall::kWrite).chance = 1'000'000;
    move_system_shard(1, "n1", "n2");
    world().run_for(seconds(5));
    EXPECT_TRUE(has_system_replica(1));

    faults = {};

    until([&] { return !has_system_replica(1); }, "it stays behind");
    restart(1);
    create(2, "seen");
}

// Whom it knew has left, and come again under another number and the same address.
TEST_F(WholeMembers, ANodeWhoseOnlyKnownMemberWasReplacedFindsTheClusterAgain) {
    fleet().emplace(world(), stage().random, 2, 1);
    fleet()->start(member(1));
    fleet()->start(member(2));
    until([&] { return member(1).is_up() && member(2).is_up(); }, "the founders did not start");
    until([&] { return kv(2).default_keyspace() != nullptr; }, "nothing is founded");
    world().run_for(seconds(2));
    fleet()->crash(member(2), sim::CrashKind::kKill);
    member(2).holds = 1;
    fleet()->grow();
    until([&] { return member(3).is_up(); }, "a node did not join");
    administer(1, "/v1/cluster/members/n1/decommission", "", 202);
    until(
        [&] {
            const auto view = kv(3).options().cluster.directory->view();
            return cluster::has_left(view->metadata.find_node(NodeId(1))->state);
        },
        "it gives nothing away");
    fleet()->begin_anew(member(1));
    until([&] { return member(1).is_up(); }, "it was not taken in again");

    member(2).holds = 0;
    fleet()->start(member(2));

    until([&] { return member(2).is_up() && kv(2).default_keyspace() != nullptr; },
          "it finds nobody");
    create(1, "seen");
}

TEST_F(WholeMembers, AStateIsSentNoFasterThanItMayBe) {
    constexpr std::uint64_t kRate = 100'000;
    constexpr int kValues = 20;
    fleet().emplace(world(), stage().random, 1, 1);
    for (const auto& each : fleet()->members()) {
        each->config.state_rate = kRate;
    }
    fleet()->start(member(1));
    until([&] { return fleet()->all_up(); }, "the founder did not start");
    fleet()->grow();
    until([&] { return fleet()->all_up() && all_are_active(); }, "a node did not join");
    world().run_for(seconds(20));  // balanced
    create(1, "large");
    const std::string value(50'000, 'x');
    for (int i = 0; i < kValues; ++i) {
        const std::string key = std::to_string(i);
        mvcc::Command command;
        mvcc::Operation& put = command.operations.emplace_back();
        put.kind = mvcc::OperationKind::kPut;
        put.key = key;
        put.argument = value;
        ASSERT_TRUE(run(1, kv(1).execute({}, kv(1).find_keyspace("large"), &command)).ok());
    }
    const ShardId shard = kv(1).find_keyspace("large")->shards().front()->id();
    const bool is_on_first = kv(1).host().find_raft_group(shard) != nullptr;
    const MonotonicTime began = world().now();

    move_shard(1, shard, is_on_first ? "n1" : "n2", is_on_first ? "n2" : "n1");

    EXPECT_GE(world().now() - began, seconds(kValues * value.size() / kRate) * 9 / 10);
}

// Through the node that does not hold it, where it is led elsewhere.
TEST_F(WholeMembers, AReadThroughAnotherNodeIsOfTheSessionAndOfTheShardsOwnKeys) {
    begin(1, 1);
    kv::KeyspaceOptions options;
    options.engine = replication::EngineKind::kMemory;
    std::vector<Bytes> split_at{"m"};
    ASSERT_TRUE(run(1, kv(1).create_keyspace({}, "divided", options, std::move(split_at))).ok());
    until([&] { return kv(2).find_keyspace("divided") != nullptr; }, "it is not seen");
    const kv::ShardHandle shard = kv(1).find_keyspace("divided")->shards().front();
    const std::size_t other = kv(1).host().find_group(shard->id()) != nullptr ? 2 : 1;
    const kv::KeyspaceHandle there = kv(other).find_keyspace("divided");
    mvcc::Command command;
    mvcc::Operation& put = command.operations.emplace_back();
    put.kind = mvcc::OperationKind::kPut;
    put.key = "a";
    put.argument = "1";
    ASSERT_TRUE(run(other, kv(other).execute({}, there, &command)).ok());

    kv::CallContext context;
    context.session = std::make_shared<kv::SessionToken>();
    ASSERT_TRUE(run(other, kv(other).get(context, there, "a", Revision())).ok());
    EXPECT_EQ(context.session->seen(shard->id()), Revision(1));

    kv::RemoteRead read;
    read.keys.emplace_back("z");
    const auto answer =
        run(other,
            there->shards().front()->group().ask(
                kv::encode_remote_read(read), replication::AskWhom::kLeader, async::Deadline()));
    EXPECT_EQ(answer.status().code(), Code::kUnavailable) << "the other shard holds it";
}

// Who is left alone in a group of two knows it after a crash too: the other one's replica is gone,
// and so is its vote.
TEST_F(WholeMembers, AShardThatMovedToAnotherNodeIsLedAfterACrashOfThatOne) {
    begin(1, 1);
    const ShardId shard = kv(1).default_keyspace()->info().shard;
    const auto has_replica = [&](std::size_t number) {
        return kv(number).host().find_group(shard) != nullptr;
    };
    const std::size_t from = has_replica(1) ? 1 : 2;
    const std::size_t to = 3 - from;
    move_shard(from, shard, member(from).name, member(to).name);

    restart(to);
    until([&] { return !has_replica(from); }, "it stays behind");

    kv::CallContext context;
    context.deadline = async::Deadline::after(world().now(), seconds(5));
    const auto read =
        run(from, kv(from).get(context, kv(from).default_keyspace(), "k", Revision()));
    EXPECT_TRUE(read.ok()) << read.status().to_string();
}

// The same of three: two of those who stay are a majority, whether or not they knew at once that a
// fourth one had gone.
TEST_F(WholeMembers, AfterACrashNobodyAsksForTheVoteOfOneWhoWasRemoved) {
    begin(4, 0);
    world().run_for(seconds(20));  // balanced
    const ShardId shard = kv(1).default_keyspace()->info().shard;
    const auto has_replica = [&](std::size_t number) {
        return kv(number).host().find_group(shard) != nullptr;
    };
    std::vector<std::size_t> holders;
    std::size_t free = 0;
    for (std::size_t number = 1; number <= 4; ++number) {
        if (has_replica(number)) {
            holders.push_back(number);
        } else {
            free = number;
        }
    }
    ASSERT_EQ(holders.size(), 3U);
    const std::size_t gone = holders[0];
    const std::size_t stays = holders[1];
    move_shard(free, shard, member(gone).name, member(free).name);
    until([&] { return !has_replica(gone); }, "it stays behind");
    world().run_for(seconds(1));  // and its files go

    for (const auto& each : fleet()->members()) {
        fleet()->crash(*each, sim::CrashKind::kPowerLoss);
    }
    for (const std::size_t number : {gone, stays, free}) {
        fleet()->start(member(number));
    }
    until([&] { return member(gone).is_up() && member(stays).is_up() && member(free).is_up(); },
          "a node did not start again");

    kv::CallContext context;
    context.deadline = async::Deadline::after(world().now(), seconds(10));
    const auto read =
        run(gone, kv(gone).get(context, kv(gone).default_keyspace(), "k", Revision()));
    EXPECT_TRUE(read.ok()) << read.status().to_string();
}

}  // namespace
}  // namespace kvstore::simulation
