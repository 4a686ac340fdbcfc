// How three nodes follow records about a replica that one of them has lost, and one that seems to
// have left it. The test plays the control loop, and the members' service that brings rows.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "cluster/directory.h"
#include "kv/keyspace_record.h"
#include "kv/kv.h"
#include "kv/shard_records.h"
#include "replication/host.h"
#include "replication/strong/raft_group.h"
#include "rpc/transport.h"
#include "sim/world.h"

namespace kvstore::kv {
namespace {

using std::chrono::seconds;

constexpr std::uint16_t kPort = 7070;
constexpr std::uint64_t kNodes = 3;

class CatalogDamage : public ::testing::Test {
protected:
    CatalogDamage() {
        set_log_level(LogLevel::kOff);
        for (std::uint64_t id = 1; id <= kNodes; ++id) {
            nodes_.push_back(std::make_unique<Node>());
            nodes_.back()->machine = &world_.add_host("n" + std::to_string(id));
        }
        for (std::uint64_t id = 1; id <= kNodes; ++id) {
            open_host(id);
            replication::ShardDescription system{.id = kSystemShard,
                                                 .engine = replication::EngineKind::kMemory,
                                                 .history_ms = 0,
                                                 .keyspace = "system",
                                                 .founders = all()};
            EXPECT_TRUE(run(id, at(id).host->create_shard(std::move(system))).ok());
            open_kv(id);
        }
        found();
    }
    ~CatalogDamage() override {
        for (std::uint64_t id = 1; id <= kNodes; ++id) {
            close(id);
        }
        set_log_level(LogLevel::kInfo);
    }

    struct Node {
        sim::Host* machine = nullptr;
        std::unique_ptr<rpc::Transport> transport;
        std::unique_ptr<cluster::Directory> directory;
        std::unique_ptr<replication::Host> host;
        std::unique_ptr<Kv> kv;
    };

    Node& at(std::uint64_t id) { return *nodes_.at(id - 1); }
    static std::vector<NodeId> all() { return {NodeId(1), NodeId(2), NodeId(3)}; }
    template <typename T>
    T run(std::uint64_t id, async::Task<T> task) {
        return world_.block_on(*at(id).machine, std::move(task));
    }
    [[nodiscard]] async::Deadline soon() const {
        return async::Deadline::after(world_.now(), seconds(20));
    }

    // ---- nodes ----

    void open_host(std::uint64_t id) {
        Node& node = at(id);
        rpc::Options options;
        options.self.cluster = 1;
        options.self.node = NodeId(id);
        options.self.store = id;
        options.self.incarnation = ++lives_;
        options.self.name = node.machine->name();
        options.self.address = node.machine->name() + ":" + std::to_string(kPort);
        node.transport = rpc::Transport::make(
            node.machine->env(), options, [](const auto& /*hello*/) { return Status(); });
        node.directory = std::make_unique<cluster::Directory>();
        replication::HostOptions host_options;
        host_options.wal.segment_bytes = 1U << 20U;
        host_options.self = NodeId(id);
        host_options.transport = node.transport.get();
        host_options.has_others = true;
        host_options.locate = [](ShardId /*shard*/) {
            return all();
        };
        auto opened =
            run(id, replication::Host::open(&node.machine->env(), std::move(host_options)));
        ASSERT_TRUE(opened.ok()) << opened.status().to_string();
        node.host = *std::move(opened);
        ASSERT_TRUE(node.transport->listen({.host = node.machine->name(), .port = kPort}).ok());
        for (std::uint64_t other = 1; other <= kNodes; ++other) {
            if (other != id) {
                node.transport->set_peer(NodeId(other),
                                         {.host = "n" + std::to_string(other), .port = kPort});
            }
        }
    }
    void open_kv(std::uint64_t id) {
        Kv::Options options;
        options.defaults.engine = replication::EngineKind::kMemory;
        options.defaults.replication_factor = 3;
        options.cluster.self = NodeId(id);
        options.cluster.directory = at(id).directory.get();
        auto opened = run(id, Kv::open(&at(id).machine->env(), at(id).host.get(), options));
        ASSERT_TRUE(opened.ok()) << opened.status().to_string();
        at(id).kv = *std::move(opened);
    }
    void close(std::uint64_t id) {
        Node& node = at(id);
        world_.block_on(*node.machine, node.kv->stop());
        EXPECT_TRUE(run(id, node.host->stop()).ok());
        world_.block_on(*node.machine, node.transport->stop());
        node.kv.reset();
        node.host.reset();
        node.transport.reset();
        node.directory.reset();
    }

    // ---- records ----

    void found() {
        std::vector<cluster::NodeRecord> records;
        for (const NodeId id : all()) {
            cluster::NodeRecord record;
            record.id = id;
            record.name = "n" + std::to_string(id.value());
            record.state = cluster::NodeState::kActive;
            record.store = id.value();
            record.peer_address = record.name + ":" + std::to_string(kPort);
            records.push_back(std::move(record));
        }
        ASSERT_TRUE(world_.run_until(
            [this] {
                return std::ranges::any_of(
                    nodes_, [](const auto& node) { return node->kv->metadata().is_leader(); });
            },
            seconds(20)));
        const Status founded = run(1, at(1).kv->found_cluster(std::move(records), all()));
        ASSERT_TRUE(founded.ok()) << founded.to_string();
        ASSERT_TRUE(until([this] {
            const auto shard = default_shard();
            return shard.has_value() && shard->epoch != kFounding && has_replica(3);
        }));
    }
    // What the members' service does.
    void look(std::uint64_t id) {
        Node& node = at(id);
        if (node.host->find_raft_group(kSystemShard) == nullptr) {
            EXPECT_TRUE(node.directory->update(at(1).directory->view()->rows).ok());
        }
        if (auto rows = node.kv->metadata().read_local(node.directory->version())) {
            EXPECT_TRUE(node.directory->update(*std::move(rows)).ok());
        }
    }
    std::optional<cluster::ShardRecord> default_shard() {
        for (const cluster::ShardRecord& record : at(1).directory->view()->map->shards()) {
            if (record.keyspace == "default") {
                return record;
            }
        }
        return std::nullopt;
    }
    template <typename Condition>
    bool until(Condition condition, Duration limit = seconds(20)) {
        const MonotonicTime end = world_.now() + limit;
        while (!condition() && world_.now() < end) {
            for (std::uint64_t id = 1; id <= kNodes; ++id) {
                look(id);
            }
            world_.run_for(std::chrono::milliseconds(20));
        }
        return condition();
    }
    // Lists node 3 as `voters` and `learners` say.
    void list(std::vector<NodeId> voters, std::vector<NodeId> learners) {
        look(1);
        cluster::ShardRecord record = *default_shard();
        std::vector<cluster::MetadataChange> changes(1);
        changes[0].key = cluster::shard_key(record.id);
        changes[0].expected = cluster::encode_shard(record);
        record.epoch = record.epoch.next();
        record.voters = std::move(voters);
        record.learners = std::move(learners);
        changes[0].value = cluster::encode_shard(record);
        const Status written = run(1, at(1).kv->metadata().write(std::move(changes), soon()));
        ASSERT_TRUE(written.ok()) << written.to_string();
        look(1);
    }

    // Its record says so, and it has seen that.
    void put_state(std::uint64_t id, cluster::NodeState state) {
        look(1);
        cluster::NodeRecord record = *at(1).directory->view()->metadata.find_node(NodeId(id));
        std::vector<cluster::MetadataChange> changes(1);
        changes[0].key = cluster::node_key(record.id);
        changes[0].expected = cluster::encode_node(record);
        record.state = state;
        changes[0].value = cluster::encode_node(record);
        const Status written = run(1, at(1).kv->metadata().write(std::move(changes), soon()));
        ASSERT_TRUE(written.ok()) << written.to_string();
        ASSERT_TRUE(until([this, id, state] {
            return at(id).directory->view()->metadata.find_node(NodeId(id))->state == state;
        }));
    }

    // ---- the shard of `default` ----

    bool has_replica(std::uint64_t id) { return group(id) != nullptr; }
    replication::RaftGroup* group(std::uint64_t id) {
        const auto shard = default_shard();
        return shard.has_value() ? at(id).host->find_raft_group(shard->id) : nullptr;
    }
    bool is_damaged(std::uint64_t id) {
        const std::vector<replication::DamagedReplica> damaged = at(id).host->damaged();
        return std::ranges::any_of(
            damaged, [this](const auto& replica) { return replica.shard == default_shard()->id; });
    }

    sim::World world_{3};
    std::vector<std::unique_ptr<Node>> nodes_;
    std::uint64_t lives_ = 0;
};

TEST_F(CatalogDamage, ALostReplicaIsMadeAnewOnlyBehindItsRemoval) {
    const std::string folder = "shards/" + std::to_string(default_shard()->id.value());
    close(3);
    ASSERT_TRUE(run(3, at(3).machine->env().disk.remove(folder)).ok());
    open_host(3);
    open_kv(3);
    ASSERT_TRUE(until([this] { return is_damaged(3); }));
    world_.run_for(seconds(2));
    EXPECT_FALSE(has_replica(3)) << "it is listed as a voter, and has forgotten what it promised";

    list({NodeId(1), NodeId(2)}, {});
    ASSERT_TRUE(until([this] { return !is_damaged(3); }));
    EXPECT_FALSE(has_replica(3));

    list({NodeId(1), NodeId(2)}, {NodeId(3)});
    ASSERT_TRUE(until([this] { return has_replica(3); }));
    EXPECT_EQ(group(3)->shard().applied_index(), Index()) << "it waits for its state";
}

// The log was lost with the folder, and whether the group has made it a voter the record does not
// tell.
TEST_F(CatalogDamage, AfterALostLogAListedLearnerThatIsMissingIsNotBelievedToBeNew) {
    list({NodeId(1), NodeId(2)}, {NodeId(3)});
    const std::string folder = "shards/" + std::to_string(default_shard()->id.value());
    close(3);
    for (const std::string& gone : {folder, std::string("wal")}) {
        ASSERT_TRUE(run(3, at(3).machine->env().disk.remove(gone)).ok());
    }
    open_host(3);
    open_kv(3);

    ASSERT_TRUE(until([this] { return is_damaged(3); }));
    EXPECT_FALSE(has_replica(3));
    EXPECT_TRUE(until([this] { return !at(3).host->has_lost_log(); }));
}

// It is silenced before the records are asked once more: what it acknowledges after that, nobody
// could know of.
TEST_F(CatalogDamage, AReplicaThatSeemsToHaveLeftIsStoppedAndGoesOnWhenItIsListedAgain) {
    list({NodeId(1), NodeId(2)}, {});
    world_.run_for(seconds(1));
    look(3);
    ASSERT_TRUE(
        world_.run_until([this] { return !has_replica(3) || group(3)->is_paused(); }, seconds(5)));
    ASSERT_TRUE(has_replica(3));
    world_.partition(*at(3).machine, *at(1).machine);
    world_.partition(*at(3).machine, *at(2).machine);

    list(all(), {});
    world_.run_for(seconds(1));
    ASSERT_TRUE(has_replica(3));
    EXPECT_TRUE(group(3)->is_paused()) << "as long as it does not know";

    world_.heal_all();
    ASSERT_TRUE(until([this] { return !group(3)->is_paused(); }));
    world_.run_for(seconds(3));
    EXPECT_TRUE(has_replica(3));
}

// It has left before it saw that nothing is listed on it any more.
TEST_F(CatalogDamage, ANodeThatGaveEverythingAwayAndHasLeftPutsItsReplicasAway) {
    const std::string folder = "shards/" + std::to_string(default_shard()->id.value());
    put_state(3, cluster::NodeState::kDecommissioning);
    at(3).kv->exclude({Code::kUnavailable, "it was removed"});

    EXPECT_TRUE(world_.run_until([this] { return !has_replica(3); }, seconds(5)));
    world_.run_for(seconds(1));
    EXPECT_FALSE(*run(3, at(3).machine->env().disk.exists(folder)));
}

TEST_F(CatalogDamage, ANodeThatReadsThatItHasLeftPutsAwayWhatIsListedNowhere) {
    put_state(3, cluster::NodeState::kRemoved);
    at(3).kv->exclude({Code::kUnavailable, "it was removed"});
    world_.run_for(seconds(2));
    EXPECT_TRUE(has_replica(3)) << "it is listed still";

    list({NodeId(1), NodeId(2)}, {});
    EXPECT_TRUE(at(3).directory->update(at(1).directory->view()->rows).ok());
    EXPECT_TRUE(world_.run_until([this] { return !has_replica(3); }, seconds(5)));
}

TEST_F(CatalogDamage, ANodeThatWasCutOffKeepsItsReplicasForPeopleAndSilencesThem) {
    at(3).kv->exclude({Code::kUnavailable, "it was removed"});

    world_.run_for(seconds(5));
    ASSERT_TRUE(has_replica(3));
    EXPECT_TRUE(group(3)->is_paused());
}

TEST_F(CatalogDamage, AReplicaThatHasLeftIsRemoved) {
    list({NodeId(1), NodeId(2)}, {});

    EXPECT_TRUE(until([this] { return !has_replica(3); }));
}

}  // namespace
}  // namespace kvstore::kv
