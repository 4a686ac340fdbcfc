// Hosts on several machines over the real transport: groups that elect, replicate and fail over,
// and states that are streamed to members which join late.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "replication/host.h"
#include "replication/strong/raft_group.h"
#include "replication/testing/told.h"
#include "rpc/transport.h"
#include "sim/world.h"

namespace kvstore::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::put_of;
using testing::Told;

constexpr ShardId kShard{16};
constexpr std::uint16_t kPort = 7070;

class HostCluster : public ::testing::Test {
protected:
    HostCluster() {
        set_log_level(LogLevel::kOff);
        for (std::uint64_t id = 1; id <= 4; ++id) {
            nodes_.push_back(std::make_unique<Node>());
            nodes_.back()->machine = &world_.add_host("n" + std::to_string(id));
        }
        for (std::uint64_t id = 1; id <= 4; ++id) {
            start(id);
        }
        for (std::uint64_t id = 1; id <= 3; ++id) {
            const auto created = run(id, at(id).host->create_shard(description()));
            EXPECT_TRUE(created.ok());
        }
    }
    ~HostCluster() override {
        for (std::uint64_t id = 1; id <= 4; ++id) {
            if (at(id).host != nullptr) {
                stop(id);
            }
        }
        set_log_level(LogLevel::kInfo);
    }

    struct Node {
        sim::Host* machine = nullptr;
        std::unique_ptr<rpc::Transport> transport;
        std::unique_ptr<Host> host;
    };

    static ShardDescription description() {
        return {.id = kShard,
                .engine = EngineKind::kMemory,
                .history_ms = 0,
                .keyspace = "test",
                .founders = {NodeId(1), NodeId(2), NodeId(3)}};
    }

    Node& at(std::uint64_t id) { return *nodes_.at(id - 1); }

    void start(std::uint64_t id) {
        Node& node = at(id);
        if (!node.machine->is_up()) {
            world_.restart(*node.machine);
        }
        rpc::Options options;
        options.self.cluster = 1;
        options.self.node = NodeId(id);
        options.self.store = id;
        options.self.incarnation = node.machine->life() + 1;
        options.self.name = node.machine->name();
        options.self.address = node.machine->name() + ":" + std::to_string(kPort);
        node.transport = rpc::Transport::make(
            node.machine->env(), options, [](const wire::Hello& /*hello*/) { return Status(); });
        HostOptions host_options;
        host_options.wal.segment_bytes = 1U << 20U;
        host_options.self = NodeId(id);
        host_options.transport = node.transport.get();
        auto opened = run(id, Host::open(&node.machine->env(), std::move(host_options)));
        ASSERT_TRUE(opened.ok()) << opened.status().to_string();
        node.host = *std::move(opened);
        const auto listening =
            node.transport->listen({.host = node.machine->name(), .port = kPort});
        ASSERT_TRUE(listening.ok()) << listening.status().to_string();
        for (std::uint64_t other = 1; other <= 4; ++other) {
            if (other != id) {
                node.transport->set_peer(NodeId(other),
                                         {.host = "n" + std::to_string(other), .port = kPort});
            }
        }
    }
    void stop(std::uint64_t id) {
        Node& node = at(id);
        EXPECT_TRUE(run(id, node.host->stop()).ok());
        run(id, stop_transport(node.transport.get()));
        node.host.reset();
        node.transport.reset();
    }
    void crash(std::uint64_t id, sim::CrashKind kind = sim::CrashKind::kPowerLoss) {
        Node& node = at(id);
        world_.crash(*node.machine, kind);
        sim::bury(std::move(node.host));
        sim::bury(std::move(node.transport));
    }
    static async::Task<bool> stop_transport(rpc::Transport* transport) {
        co_await transport->stop();
        co_return true;
    }

    [[nodiscard]] RaftGroup* group(std::uint64_t id) {
        return at(id).host == nullptr ? nullptr : at(id).host->find_raft_group(kShard);
    }
    std::uint64_t wait_for_leader(std::uint64_t but = 0) {
        std::uint64_t leader = 0;
        world_.run_until(
            [&] {
                for (std::uint64_t id = 1; id <= 4; ++id) {
                    if (id != but && group(id) != nullptr && group(id)->is_leader()) {
                        leader = id;
                    }
                }
                return leader != 0;
            },
            seconds(20));
        return leader;
    }
    Told& put(std::uint64_t id, ByteView key, ByteView value) {
        Told& told = told_.emplace_back();
        run(id, [](RaftGroup* to, mvcc::Operation what, Told* outcome) -> async::Task<bool> {
            outcome->refusal = to->propose(what, outcome);
            co_return true;
        }(group(id), put_of(key, value), &told));
        world_.run_until([&told] { return told.is_over(); }, seconds(20));
        return told;
    }
    std::optional<Bytes> local_value(std::uint64_t id, ByteView key) {
        std::optional<Bytes> value;
        run(id, [](RaftGroup* of, ByteView which, std::optional<Bytes>* to) -> async::Task<bool> {
            mvcc::Record record;
            if (of->shard().find(which, 0, &record) == storage::Lookup::kFound) {
                *to = Bytes(record.value);
            }
            co_return true;
        }(group(id), key, &value));
        return value;
    }
    // Whether this member comes to what the leader has.
    bool catches_up(std::uint64_t id, std::uint64_t leader) {
        return world_.run_until(
            [&] {
                return group(id) != nullptr && group(leader) != nullptr &&
                       group(id)->shard().applied_index() ==
                           group(leader)->shard().applied_index() &&
                       group(id)->shard().state().digest == group(leader)->shard().state().digest;
            },
            seconds(60));
    }
    Status change(std::uint64_t leader, raft::ConfOperation operation, std::uint64_t node) {
        raft::ConfChange change;
        change.steps.push_back({.operation = operation, .node = NodeId(node)});
        return run(leader, group(leader)->change_membership(change));
    }

    // Makes an empty replica there, which the leader then fills.
    Status join(std::uint64_t leader, std::uint64_t node) {
        ShardDescription newcomer = description();
        newcomer.founders.clear();
        newcomer.is_newcomer = true;
        KVSTORE_CHECK_OK(run(node, at(node).host->create_shard(newcomer)).status());
        return change(leader, raft::ConfOperation::kAddLearner, node);
    }

    template <typename T>
    T run(std::uint64_t id, async::Task<T> task) {
        return world_.block_on(*at(id).machine, std::move(task));
    }

    sim::World world_{1};
    std::vector<std::unique_ptr<Node>> nodes_;
    std::deque<Told> told_;
};

TEST_F(HostCluster, ReplicatesAndFailsOver) {
    const std::uint64_t leader = wait_for_leader();
    ASSERT_NE(leader, 0U);
    ASSERT_TRUE(put(leader, "k", "v").is_done());
    crash(leader);
    const std::uint64_t next = wait_for_leader(leader);
    ASSERT_NE(next, 0U);
    ASSERT_TRUE(run(next, group(next)->read_barrier(async::Deadline::never())).ok());
    EXPECT_EQ(local_value(next, "k"), "v");
    ASSERT_TRUE(put(next, "k", "w").is_done());
    start(leader);
    EXPECT_TRUE(catches_up(leader, next));
    EXPECT_EQ(local_value(leader, "k"), "w");
}

TEST_F(HostCluster, AMemberThatJoinsIsSentTheState) {
    const std::uint64_t leader = wait_for_leader();
    for (int i = 0; i < 300; ++i) {
        ASSERT_TRUE(put(leader, "k" + std::to_string(i), std::string(2'000, 'x')).is_done());
    }
    ASSERT_TRUE(join(leader, 4).ok());
    ASSERT_TRUE(catches_up(4, leader));
    EXPECT_EQ(local_value(4, "k299"), std::string(2'000, 'x'));
    ASSERT_TRUE(change(leader, raft::ConfOperation::kAddVoter, 4).ok());
    ASSERT_TRUE(put(leader, "after", "v").is_done());
    ASSERT_TRUE(catches_up(4, leader));

    // What it was sent is its own, on its disk.
    crash(4);
    start(4);
    ASSERT_TRUE(catches_up(4, leader));
    EXPECT_EQ(local_value(4, "k0"), std::string(2'000, 'x'));
    EXPECT_EQ(group(4)->configuration().voters.size(), 4U);
}

// Alone it keeps neither entries nor a state to send; its first learner needs both.
TEST_F(HostCluster, AGroupOfOneFillsItsFirstLearner) {
    const std::uint64_t leader = wait_for_leader();
    ASSERT_TRUE(put(leader, "k", "v").is_done());
    for (std::uint64_t other = 1; other <= 3; ++other) {
        if (other != leader) {
            ASSERT_TRUE(change(leader, raft::ConfOperation::kRemove, other).ok());
        }
    }
    ASSERT_TRUE(put(leader, "alone", "v").is_done());
    ASSERT_TRUE(join(leader, 4).ok());
    ASSERT_TRUE(catches_up(4, leader));
    EXPECT_EQ(local_value(4, "alone"), "v");
}

// Nothing is applied there but the state as a whole.
TEST_F(HostCluster, AReadThatWaitsForARevisionIsLetGoByAStateThatHasIt) {
    const std::uint64_t leader = wait_for_leader();
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(put(leader, "k" + std::to_string(i), "v").is_done());
    }
    const Revision seen = group(leader)->shard().state().revision;
    ASSERT_TRUE(join(leader, 4).ok());
    ASSERT_LT(group(4)->shard().state().revision, seen);
    const Status applied =
        run(4, group(4)->wait_applied(seen, async::Deadline::after(world_.now(), seconds(2))));
    EXPECT_TRUE(applied.ok()) << applied.to_string();
    EXPECT_EQ(local_value(4, "k9"), "v");
}

TEST_F(HostCluster, AStateThatIsCutShortIsSentAgainWhereverItIsCut) {
    const std::uint64_t leader = wait_for_leader();
    for (int i = 0; i < 300; ++i) {
        ASSERT_TRUE(put(leader, "k" + std::to_string(i), std::string(5'000, 'x')).is_done());
    }
    ASSERT_TRUE(join(leader, 4).ok());
    for (int i = 1; i <= 12; ++i) {
        world_.run_for(milliseconds(20 * i));
        crash(4, i % 2 == 0 ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss);
        start(4);
    }
    ASSERT_TRUE(catches_up(4, leader));
    EXPECT_EQ(local_value(4, "k299"), std::string(5'000, 'x'));
}

TEST_F(HostCluster, AMemberFarBehindItsLogIsSentTheStateWhileWritesGoOn) {
    const std::uint64_t leader = wait_for_leader();
    const std::uint64_t away = leader == 1 ? 2 : 1;
    ASSERT_TRUE(put(leader, "k", "v").is_done());
    crash(away);
    // More than a group keeps for those who are behind.
    for (int i = 0; i < 40; ++i) {
        ASSERT_TRUE(put(leader, "big", std::string(300'000, 'x')).is_done());
    }
    start(away);
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(put(leader, "k" + std::to_string(i), "v").is_done());
    }
    ASSERT_TRUE(catches_up(away, leader));
    EXPECT_EQ(local_value(away, "k49"), "v");
}

}  // namespace
}  // namespace kvstore::replication
