// Hosts on several simulated machines over the real transport, and one shard with replicas on some
// of them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replication/host.h"
#include "replication/strong/raft_group.h"
#include "replication/testing/told.h"
#include "rpc/transport.h"
#include "sim/world.h"

namespace kvstore::replication::testing {

// Answers a question with "<node> has <question>"; "refuse" with kInvalidArgument; "drop" not at
// all; "hold" when the test says so.
class EchoServer final : public AskServer {
public:
    explicit EchoServer(std::uint64_t node) : node_(node) {}
    virtual ~EchoServer() = default;
    void on_ask(ShardId shard, rpc::Received request, rpc::Responder responder) override;

    std::vector<rpc::Responder> held;

private:
    std::uint64_t node_;
};

// Lifetime  Ends what is up when it is destroyed.
class HostCluster {
public:
    static constexpr ShardId kShard{16};

    // Nodes are numbered from 1. All of them are up, and the first `replicas` found the shard.
    HostCluster(std::uint64_t seed, std::size_t size, std::size_t replicas);
    HostCluster(const HostCluster&) = delete;
    HostCluster& operator=(const HostCluster&) = delete;
    ~HostCluster();

    void start(std::uint64_t node);
    void stop(std::uint64_t node);
    void crash(std::uint64_t node, sim::CrashKind kind = sim::CrashKind::kPowerLoss);
    // Ends what is up, with what is under way.
    void stop_all();

    [[nodiscard]] std::size_t size() const { return nodes_.size(); }
    [[nodiscard]] bool is_up(std::uint64_t node) const { return at(node).host != nullptr; }
    [[nodiscard]] Host& host(std::uint64_t node) { return *at(node).host; }
    [[nodiscard]] rpc::Transport& transport(std::uint64_t node) { return *at(node).transport; }
    [[nodiscard]] sim::Host& machine(std::uint64_t node) { return *at(node).machine; }
    [[nodiscard]] sim::World& world() { return world_; }
    [[nodiscard]] EchoServer& asked(std::uint64_t node) { return *at(node).server; }
    // Null when the node is down, or has no replica.
    [[nodiscard]] RaftGroup* group(std::uint64_t node);
    [[nodiscard]] Group& route(std::uint64_t node) { return host(node).route(kShard); }
    // As the shard was founded.
    [[nodiscard]] ShardDescription description() const;
    // Founds another shard where the first one is.
    void found(ShardId shard);
    [[nodiscard]] RaftGroup* group_of(std::uint64_t node, ShardId shard);
    // Whether every replica of the first shard sleeps, within half a minute.
    bool falls_asleep();

    // Of nodes that are started from now on.
    HostSettings settings;
    // Where every node believes the replicas to be.
    std::vector<NodeId> located;

    // Whoever leads, but for this one. Returns: 0 when nobody does in time.
    std::uint64_t wait_for_leader(std::uint64_t but = 0);
    // Has `heir` lead.
    bool transfer(std::uint64_t heir);
    Status change(std::uint64_t leader, raft::ConfOperation operation, std::uint64_t node);

    // Proposes through the node's route in a turn of it, and does not wait.
    Told& propose(std::uint64_t node, const mvcc::Operation& operation);
    bool wait(const Told& told, Duration limit = std::chrono::seconds(20));
    std::optional<Bytes> local_value(std::uint64_t node, ByteView key);

    template <typename T>
    T run(std::uint64_t node, async::Task<T> task) {
        return world_.block_on(*at(node).machine, std::move(task));
    }
    // Runs `work` in a turn of the node.
    template <typename Work>
    void on_core(std::uint64_t node, Work work) {
        Callback<void()> callback = [&work] {
            work();
        };
        run(node, call(&callback));
    }

private:
    struct Node {
        sim::Host* machine = nullptr;
        std::unique_ptr<rpc::Transport> transport;
        std::unique_ptr<EchoServer> server;
        std::unique_ptr<Host> host;
    };

    static async::Task<bool> call(Callback<void()>* work) {
        (*work)();
        co_return true;
    }
    static async::Task<bool> stop_transport(rpc::Transport* transport);
    Node& at(std::uint64_t node) { return *nodes_.at(node - 1); }
    [[nodiscard]] const Node& at(std::uint64_t node) const { return *nodes_.at(node - 1); }

    sim::World world_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<NodeId> founders_;
    std::deque<Told> told_;
};

}  // namespace kvstore::replication::testing
