// Sessions over three nodes, each with a replica of one shard: what a client is shown when it goes
// from node to node, and of a node that has lost the others.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "kv/kv.h"
#include "kv/testing/kv_fixture.h"
#include "replication/host.h"
#include "replication/strong/raft_group.h"
#include "rpc/transport.h"
#include "sim/world.h"

namespace kvstore::kv {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::put_of;

constexpr ShardId kShard{1'000};
constexpr std::uint16_t kPort = 7070;
constexpr std::uint64_t kNodes = 3;

class SessionCluster : public ::testing::Test {
protected:
    SessionCluster() {
        set_log_level(LogLevel::kOff);
        for (std::uint64_t id = 1; id <= kNodes; ++id) {
            nodes_.push_back(std::make_unique<Node>());
            nodes_.back()->machine = &world_.add_host("n" + std::to_string(id));
        }
        for (std::uint64_t id = 1; id <= kNodes; ++id) {
            start(id);
        }
        world_.run_until([this] { return leader() != 0; }, seconds(20));
    }
    ~SessionCluster() override {
        for (std::uint64_t id = 1; id <= kNodes; ++id) {
            Node& node = at(id);
            world_.block_on(*node.machine, node.kv->stop());
            EXPECT_TRUE(run(id, node.host->stop()).ok());
            world_.block_on(*node.machine, node.transport->stop());
        }
        set_log_level(LogLevel::kInfo);
    }

    struct Node {
        sim::Host* machine = nullptr;
        std::unique_ptr<rpc::Transport> transport;
        std::unique_ptr<replication::Host> host;
        std::unique_ptr<Kv> kv;
        KeyspaceHandle keyspace;
    };

    void start(std::uint64_t id) {
        Node& node = at(id);
        rpc::Options options;
        options.self.cluster = 1;
        options.self.node = NodeId(id);
        options.self.store = id;
        options.self.incarnation = 1;
        options.self.name = node.machine->name();
        options.self.address = node.machine->name() + ":" + std::to_string(kPort);
        node.transport = rpc::Transport::make(
            node.machine->env(), options, [](const auto& /*hello*/) { return Status(); });
        replication::HostOptions host_options;
        host_options.wal.segment_bytes = 1U << 20U;
        host_options.self = NodeId(id);
        host_options.transport = node.transport.get();
        node.host =
            *run(id, replication::Host::open(&node.machine->env(), std::move(host_options)));
        Kv::Options kv_options;
        kv_options.defaults.engine = replication::EngineKind::kMemory;
        node.kv = *run(id, Kv::open(&node.machine->env(), node.host.get(), kv_options));
        ASSERT_TRUE(node.transport->listen({.host = node.machine->name(), .port = kPort}).ok());
        replication::ShardDescription description{.id = kShard,
                                                  .engine = replication::EngineKind::kMemory,
                                                  .history_ms = 0,
                                                  .keyspace = "shared",
                                                  .founders = {}};
        for (std::uint64_t other = 1; other <= kNodes; ++other) {
            description.founders.emplace_back(other);
            if (other != id) {
                node.transport->set_peer(NodeId(other),
                                         {.host = "n" + std::to_string(other), .port = kPort});
            }
        }
        const auto created = run(id, node.host->create_shard(std::move(description)));
        ASSERT_TRUE(created.ok()) << created.status().to_string();
        node.keyspace = std::make_shared<Keyspace>(
            KeyspaceInfo{.name = "shared", .options = {}, .shard = kShard}, *created);
    }

    Node& at(std::uint64_t id) { return *nodes_.at(id - 1); }
    [[nodiscard]] std::uint64_t leader() {
        for (std::uint64_t id = 1; id <= kNodes; ++id) {
            if (at(id).host->find_raft_group(kShard)->is_leader()) {
                return id;
            }
        }
        return 0;
    }
    template <typename T>
    T run(std::uint64_t id, async::Task<T> task) {
        return world_.block_on(*at(id).machine, std::move(task));
    }

    // A client's token goes over the wire as text: each request begins with what that says.
    struct Client {
        std::string token;
        [[nodiscard]] CallContext context(Consistency level) const {
            CallContext context;
            context.consistency = level;
            context.session = std::make_shared<SessionToken>();
            if (!token.empty()) {
                *context.session = *SessionToken::parse(token);
            }
            return context;
        }
    };
    void write(Client& client, std::uint64_t number) {
        const std::uint64_t id = leader();
        const CallContext context = client.context(Consistency::kLinearizable);
        const std::string value = std::to_string(number);
        mvcc::Command command;
        command.operations.push_back(put_of("k", value));
        const auto done = run(id, at(id).kv->execute(context, at(id).keyspace, &command));
        ASSERT_TRUE(done.ok()) << done.status().to_string();
        client.token = context.session->text();
    }
    Result<std::uint64_t> try_read(Client& client,
                                   std::uint64_t id,
                                   Consistency level,
                                   Duration patience = seconds(10)) {
        CallContext context = client.context(level);
        context.deadline = async::Deadline::after(world_.now(), patience);
        const auto found = run(id, at(id).kv->get(context, at(id).keyspace, "k", {}));
        KVSTORE_CHECK_OK(found.status());
        client.token = context.session->text();
        return found->has_value() ? std::stoull((*found)->value) : 0;
    }
    std::uint64_t read(Client& client, std::uint64_t id, Consistency level) {
        const auto number = try_read(client, id, level);
        EXPECT_TRUE(number.ok()) << number.status().to_string();
        return number.ok() ? *number : 0;
    }

    sim::World world_{1};
    std::vector<std::unique_ptr<Node>> nodes_;
};

TEST_F(SessionCluster, AClientReadsItsOwnWritesOnWhicheverNodeAtEveryLevel) {
    Client client;
    int without = 0;
    std::uint64_t number = 0;
    for (const auto level : {Consistency::kLinearizable,
                             Consistency::kCausal,
                             Consistency::kBounded,
                             Consistency::kEventual}) {
        for (int i = 0; i < 30; ++i) {
            write(client, ++number);
            const std::uint64_t reader = 1 + ((number * 7 / 3) % kNodes);
            Client stranger;
            without += read(stranger, reader, Consistency::kEventual) < number ? 1 : 0;
            EXPECT_EQ(read(client, reader, level), number) << consistency_name(level);
        }
    }
    EXPECT_GT(without, 10) << "replicas that lag are what this is about";
}

TEST_F(SessionCluster, AClientNeverSeesAnOlderStateAfterANewerOne) {
    Client writer;
    Client reader;
    std::uint64_t newest = 0;
    int backwards = 0;
    for (std::uint64_t number = 1; number <= 60; ++number) {
        write(writer, number);
        const std::uint64_t other = 1 + (number % kNodes);
        Client forgetful;
        const std::uint64_t before = read(forgetful, leader(), Consistency::kCausal);
        forgetful.token.clear();
        backwards += read(forgetful, other, Consistency::kCausal) < before ? 1 : 0;
        for (const std::uint64_t id : {leader(), other}) {
            const std::uint64_t seen = read(reader, id, Consistency::kEventual);
            EXPECT_GE(seen, newest);
            newest = seen;
        }
    }
    EXPECT_GT(backwards, 0) << "without its token it does";
}

TEST_F(SessionCluster, CountsTheOthersThatHoldAWriteAndWaitsForThem) {
    Client client;
    const std::uint64_t id = leader();
    const std::uint64_t slow = id == 1 ? 2 : 1;
    const auto count = [&](HoldersQuestion question) {
        return run(id, at(id).kv->count_holders(at(id).keyspace->shards().front(), question));
    };
    write(client, 1);
    const auto all = count({.index = {}, .wanted = 2, .wait = seconds(1)});
    ASSERT_TRUE(all.ok()) << all.status().to_string();
    EXPECT_EQ(all->count, 2U);

    world_.pause(*at(slow).machine);
    write(client, 2);
    const MonotonicTime began = world_.now();
    const auto without = count({.index = {}, .wanted = 2, .wait = milliseconds(300)});
    ASSERT_TRUE(without.ok());
    EXPECT_EQ(without->count, 1U);
    EXPECT_GT(without->index, all->index);
    EXPECT_GE(world_.now() - began, milliseconds(300));
    const MonotonicTime again = world_.now();
    EXPECT_EQ(count({.index = {}, .wanted = 1, .wait = seconds(1)})->count, 1U);
    EXPECT_LT(world_.now() - again, milliseconds(100)) << "enough is enough";

    world_.after(milliseconds(200), [&] { world_.resume(*at(slow).machine); });
    const auto with = count({.index = without->index, .wanted = 2, .wait = seconds(1)});
    ASSERT_TRUE(with.ok());
    EXPECT_EQ(with->count, 2U);
    EXPECT_EQ(with->index, without->index);
}

TEST_F(SessionCluster, ALeaderThatCannotProveThatItLeadsCountsNothing) {
    Client client;
    write(client, 1);
    const std::uint64_t id = leader();
    for (std::uint64_t other = 1; other <= kNodes; ++other) {
        if (other != id) {
            world_.pause(*at(other).machine);
        }
    }
    const auto counted =
        run(id,
            at(id).kv->count_holders(at(id).keyspace->shards().front(),
                                     {.index = {}, .wanted = 1, .wait = milliseconds(100)}));
    EXPECT_FALSE(counted.ok());
    for (std::uint64_t other = 1; other <= kNodes; ++other) {
        if (other != id) {
            world_.resume(*at(other).machine);
        }
    }
    world_.run_until([this] { return leader() != 0; }, seconds(20));
}

TEST_F(SessionCluster, ANodeWithoutTheOthersShowsWhatItHasAndNoMore) {
    Client client;
    write(client, 1);
    const std::uint64_t lonely = leader();  // it believes in itself for a while
    ASSERT_EQ(read(client, lonely, Consistency::kBounded), 1U);
    world_.isolate(*at(lonely).machine);
    EXPECT_EQ(read(client, lonely, Consistency::kBounded), 1U);

    const auto refused = try_read(client, lonely, Consistency::kLinearizable);
    EXPECT_EQ(refused.status().code(), Code::kUnavailable);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("?consistency=eventual"));
    world_.run_for(kMaxStalenessDefault);
    EXPECT_EQ(try_read(client, lonely, Consistency::kBounded).status().code(), Code::kUnavailable);
    EXPECT_EQ(read(client, lonely, Consistency::kEventual), 1U);
    EXPECT_EQ(read(client, lonely, Consistency::kCausal), 1U);
    world_.heal_all();
}

TEST_F(SessionCluster, ANodeThatIsBehindTheSessionAnswersOnceItHasCaughtUp) {
    const std::uint64_t behind = leader() == 1 ? 2 : 1;
    world_.isolate(*at(behind).machine);
    Client client;
    write(client, 7);
    const auto late = try_read(client, behind, Consistency::kCausal, milliseconds(500));
    EXPECT_EQ(late.status().code(), Code::kDeadlineExceeded);
    EXPECT_EQ(late.status().effect(), Effect::kNone);

    world_.heal_all();
    world_.run_until(
        [this, behind] {
            return at(behind).keyspace->group().shard().state().revision == Revision(1);
        },
        seconds(20));
    EXPECT_EQ(read(client, behind, Consistency::kCausal), 7U);
}

TEST_F(SessionCluster, AReplicaThatWasSentNothingYetShowsNothing) {
    replication::ShardDescription description{.id = kShard.next(),
                                              .engine = replication::EngineKind::kMemory,
                                              .history_ms = 0,
                                              .keyspace = "late",
                                              .founders = {}};
    description.is_newcomer = true;
    const auto created = run(1, at(1).host->create_shard(std::move(description)));
    ASSERT_TRUE(created.ok()) << created.status().to_string();
    at(1).keyspace = std::make_shared<Keyspace>(
        KeyspaceInfo{.name = "late", .options = {}, .shard = kShard.next()}, *created);
    Client client;
    const auto refused = try_read(client, 1, Consistency::kEventual);
    EXPECT_EQ(refused.status().code(), Code::kUnavailable) << "not that the key is absent";
}

}  // namespace
}  // namespace kvstore::kv
