#include "replication/testing/host_cluster.h"

#include <utility>

#include <gtest/gtest.h>

#include "base/assert.h"

namespace kvstore::replication::testing {
namespace {

constexpr std::uint16_t kPort = 7070;

std::string name_of(std::uint64_t node) {
    return "n" + std::to_string(node);
}

}  // namespace

void EchoServer::on_ask(ShardId /*shard*/, rpc::Received request, rpc::Responder responder) {
    if (request.bytes == "refuse") {
        responder.fail({Code::kInvalidArgument, "as asked"});
    } else if (request.bytes == "hold") {
        held.push_back(std::move(responder));
    } else if (request.bytes != "drop") {
        responder.answer(std::to_string(node_) + " has " + std::string(request.bytes));
    }
}

HostCluster::HostCluster(std::uint64_t seed, std::size_t size, std::size_t replicas)
    : world_(seed) {
    settings.wal.segment_bytes = 1U << 20U;
    settings.snapshot_interval = Duration(0);
    settings.has_others = size > 1;
    for (std::uint64_t id = 1; id <= size; ++id) {
        nodes_.push_back(std::make_unique<Node>());
        nodes_.back()->machine = &world_.add_host(name_of(id));
        if (id <= replicas) {
            founders_.push_back(NodeId(id));
        }
    }
    located = founders_;
    for (std::uint64_t id = 1; id <= size; ++id) {
        start(id);
    }
    for (const NodeId founder : founders_) {
        const auto created =
            run(founder.value(), host(founder.value()).create_shard(description()));
        KVSTORE_ASSERT(created.ok());
    }
}

HostCluster::~HostCluster() {
    stop_all();
}

void HostCluster::stop_all() {
    for (std::uint64_t id = 1; id <= size(); ++id) {
        if (is_up(id)) {
            stop(id);
        }
    }
}

ShardDescription HostCluster::description() const {
    return {.id = kShard,
            .engine = EngineKind::kMemory,
            .history_ms = 0,
            .keyspace = "test",
            .founders = founders_};
}

void HostCluster::start(std::uint64_t id) {
    Node& node = at(id);
    if (!node.machine->is_up()) {
        world_.restart(*node.machine);
    }
    rpc::Options options;
    options.self.cluster = 1;
    options.self.node = NodeId(id);
    options.self.store = id;
    options.self.incarnation = node.machine->life() + 1;
    options.self.name = name_of(id);
    options.self.address = name_of(id) + ":" + std::to_string(kPort);
    node.transport = rpc::Transport::make(
        node.machine->env(), options, [](const wire::Hello& /*hello*/) { return Status(); });
    HostOptions host_options{settings};
    host_options.self = NodeId(id);
    host_options.transport = node.transport.get();
    host_options.locate = [this](ShardId shard) {
        return shard == kShard ? located : std::vector<NodeId>();
    };
    auto opened = run(id, Host::open(&node.machine->env(), std::move(host_options)));
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    node.host = *std::move(opened);
    node.server = std::make_unique<EchoServer>(id);
    node.host->set_ask_server(node.server.get());
    const auto listening = node.transport->listen({.host = node.machine->name(), .port = kPort});
    ASSERT_TRUE(listening.ok()) << listening.status().to_string();
    for (std::uint64_t other = 1; other <= size(); ++other) {
        if (other != id) {
            node.transport->set_peer(NodeId(other), {.host = name_of(other), .port = kPort});
        }
    }
}

async::Task<bool> HostCluster::stop_transport(rpc::Transport* transport) {
    co_await transport->stop();
    co_return true;
}

void HostCluster::stop(std::uint64_t id) {
    Node& node = at(id);
    EXPECT_TRUE(run(id, node.host->stop()).ok());
    node.server->held.clear();
    run(id, stop_transport(node.transport.get()));
    node.host.reset();
    node.server.reset();
    node.transport.reset();
}

void HostCluster::crash(std::uint64_t id, sim::CrashKind kind) {
    Node& node = at(id);
    world_.crash(*node.machine, kind);
    sim::bury(std::move(node.host));
    sim::bury(std::move(node.server));
    sim::bury(std::move(node.transport));
}

RaftGroup* HostCluster::group(std::uint64_t node) {
    return group_of(node, kShard);
}

RaftGroup* HostCluster::group_of(std::uint64_t node, ShardId shard) {
    return is_up(node) ? host(node).find_raft_group(shard) : nullptr;
}

void HostCluster::found(ShardId shard) {
    ShardDescription another = description();
    another.id = shard;
    for (const NodeId founder : founders_) {
        const auto created = run(founder.value(), host(founder.value()).create_shard(another));
        KVSTORE_ASSERT(created.ok());
    }
}

bool HostCluster::falls_asleep() {
    const auto is_asleep = [this] {
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (group(id) != nullptr && !group(id)->is_asleep()) {
                return false;
            }
        }
        return true;
    };
    return world_.run_until(is_asleep, std::chrono::seconds(30));
}

std::uint64_t HostCluster::wait_for_leader(std::uint64_t but) {
    std::uint64_t leader = 0;
    const auto is_there = [&] {
        for (std::uint64_t id = 1; id <= size(); ++id) {
            if (id != but && group(id) != nullptr && group(id)->is_leader()) {
                leader = id;
            }
        }
        return leader != 0;
    };
    world_.run_until(is_there, std::chrono::seconds(20));
    return leader;
}

bool HostCluster::transfer(std::uint64_t heir) {
    const std::uint64_t leader = wait_for_leader();
    on_core(leader, [&] { EXPECT_TRUE(group(leader)->transfer_leader(NodeId(heir)).ok()); });
    return world_.run_until([&] { return group(heir)->is_leader(); }, std::chrono::seconds(10));
}

Status HostCluster::change(std::uint64_t leader,
                           raft::ConfOperation operation,
                           std::uint64_t node) {
    raft::ConfChange change;
    change.steps.push_back({.operation = operation, .node = NodeId(node)});
    return run(leader, group(leader)->change_membership(change));
}

Told& HostCluster::propose(std::uint64_t node, const mvcc::Operation& operation) {
    Told& told = told_.emplace_back();
    on_core(node, [&] { told.refusal = route(node).propose(operation, &told); });
    return told;
}

bool HostCluster::wait(const Told& told, Duration limit) {
    return world_.run_until([&told] { return told.is_over(); }, limit);
}

std::optional<Bytes> HostCluster::local_value(std::uint64_t node, ByteView key) {
    std::optional<Bytes> value;
    on_core(node, [&] {
        mvcc::Record record;
        if (group(node)->shard().find(key, 0, &record) == storage::Lookup::kFound) {
            value = Bytes(record.value);
        }
    });
    return value;
}

}  // namespace kvstore::replication::testing
