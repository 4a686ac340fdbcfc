// Three nodes on this machine as child processes, for `kvstore demo`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/deadline.h"
#include "async/task.h"
#include "base/status.h"
#include "env/env.h"
#include "posix/process.h"

namespace kvstore::cli {

inline constexpr std::size_t kDemoNodes = 3;

struct DemoAddresses {
    env::Address http;
    env::Address grpc;
    env::Address resp;
    env::Address peer;
};

struct DemoNode {
    std::string name;  // "n1"
    DemoAddresses addresses;
    std::optional<posix::Process> process;
};

// What one node says of the cluster.
struct DemoView {
    std::uint64_t self = 0;    // numbers of nodes
    std::uint64_t leader = 0;  // of `default`; 0: nobody, as far as this node knows
    std::uint64_t applied = 0;
};

// Lifetime  Owned by the command; its nodes end with it. The env outlives it.
// Runs on   One core, on the thread that made it.
class DemoCluster {
public:
    // `folder` is the root of `env`'s disk.
    DemoCluster(env::Env& env, std::string folder) : env_(env), folder_(std::move(folder)) {}

    // Chooses ports (the defaults where they are free; in a folder that was used before, the peers'
    // of then) and starts the nodes.
    // Suspends: until all of them serve.
    // Errors:   kUnavailable: a node ended, with the end of what it said; or they were not ready at
    //           `deadline`. Those of the disk and of starting a process.
    async::Task<Status> start(async::Deadline deadline);
    // Errors: as start(); kAlreadyExists: it runs.
    async::Task<Status> start_node(std::size_t at, async::Deadline deadline);
    void kill_node(std::size_t at);
    // SIGTERM to all, and SIGKILL to who is not gone in time. Blocks.
    void end();

    [[nodiscard]] std::array<DemoNode, kDemoNodes>& nodes() { return nodes_; }
    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] bool is_running(std::size_t at);
    // Whether a default port was taken.
    [[nodiscard]] bool has_other_ports() const { return has_other_ports_; }
    // The number of the node of this name ("n2", "2"); nullopt: there is none.
    [[nodiscard]] static std::optional<std::size_t> find_node(std::string_view name);

    // Errors: those of asking it, within a second.
    async::Task<Result<DemoView>> view(std::size_t at);
    // The node that leads `default`, as those that run agree; nullopt: nobody for now.
    async::Task<std::optional<std::size_t>> leader();

private:
    async::Task<Status> choose_ports();
    async::Task<Status> keep_peer_ports();
    Result<env::Address> choose(std::uint16_t wanted,
                                std::vector<std::unique_ptr<env::Listener>>* held);
    Status spawn(std::size_t at);
    [[nodiscard]] std::optional<std::size_t> find_ended();
    async::Task<Status> wait_ready(std::size_t at, async::Deadline deadline);
    [[nodiscard]] std::string log_file(std::size_t at) const;
    async::Task<std::string> end_of_log(std::size_t at);

    env::Env& env_;
    std::string folder_;
    std::array<DemoNode, kDemoNodes> nodes_{};
    bool has_other_ports_ = false;
};

}  // namespace kvstore::cli
