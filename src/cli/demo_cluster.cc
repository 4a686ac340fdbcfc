#include "cli/demo_cluster.h"

#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>

#include <boost/json/array.hpp>

#include "base/parse.h"
#include "cli/api_client.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kLocalhost = "127.0.0.1";
// The first node has the ports that a server has by default, the others those behind them.
constexpr std::uint16_t kHttpPort = 8080;
constexpr std::uint16_t kGrpcPort = 9090;
constexpr std::uint16_t kRespPort = 6379;
constexpr std::uint16_t kPeerPort = 7070;
// In the folder: the peers' addresses, which the nodes know each other by.
constexpr std::string_view kPeersFile = "demo-peers";
constexpr std::size_t kPeersBytesMax = 4096;

constexpr Duration kLook = std::chrono::milliseconds(20);
constexpr Duration kAskPatience = std::chrono::seconds(1);
constexpr Duration kEndPatience = std::chrono::seconds(10);
constexpr std::size_t kLogBytesMax = 1U << 20U;
constexpr std::size_t kLogBytesShown = 2000;

std::string initial_cluster(const std::array<DemoNode, kDemoNodes>& nodes) {
    std::string text;
    for (const DemoNode& node : nodes) {
        text += (text.empty() ? "" : ",") + node.name + "=" + node.addresses.peer.to_string();
    }
    return text;
}

ApiOptions only(const DemoNode& node, Duration timeout) {
    ApiOptions options;
    options.endpoints = {node.addresses.http};
    options.timeout = timeout;
    return options;
}

}  // namespace

std::optional<std::size_t> DemoCluster::find_node(std::string_view name) {
    if (name.starts_with('n') || name.starts_with('N')) {
        name.remove_prefix(1);
    }
    const auto number = parse_uint64(name);
    return number && *number >= 1 && *number <= kDemoNodes ? std::optional<std::size_t>(*number - 1)
                                                           : std::nullopt;
}

// What is chosen stays held until all are, so that no port is chosen twice.
Result<env::Address> DemoCluster::choose(std::uint16_t wanted,
                                         std::vector<std::unique_ptr<env::Listener>>* held) {
    const auto refuse = [](env::Connection&) {
        return std::unique_ptr<env::ConnectionHandler>();
    };
    env::Address address{.host = std::string(kLocalhost), .port = wanted};
    auto listener = env_.network.listen(address, refuse);
    if (!listener.ok()) {
        has_other_ports_ = true;
        address.port = 0;
        listener = env_.network.listen(address, refuse);
    }
    if (!listener.ok()) {
        return listener.status();
    }
    held->push_back(*std::move(listener));
    return held->back()->local();
}

async::Task<Status> DemoCluster::choose_ports() {
    std::vector<std::unique_ptr<env::Listener>> held;
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        const auto offset = static_cast<std::uint16_t>(i);
        DemoAddresses& to = nodes_[i].addresses;
        KVSTORE_CO_TRY(to.http, choose(kHttpPort + offset, &held));
        KVSTORE_CO_TRY(to.grpc, choose(kGrpcPort + offset, &held));
        KVSTORE_CO_TRY(to.resp, choose(kRespPort + offset, &held));
        KVSTORE_CO_TRY(to.peer, choose(kPeerPort + offset, &held));
    }
    held.clear();
    co_return co_await keep_peer_ports();
}

// Nodes that were started before look for each other where they were.
async::Task<Status> DemoCluster::keep_peer_ports() {
    const std::string file(kPeersFile);
    auto kept = co_await env::read_file(&env_.disk, file, kPeersBytesMax);
    if (!kept.ok() && kept.status().code() != Code::kNotFound) {
        co_return kept.status();
    }
    if (!kept.ok()) {
        std::string text;
        for (const DemoNode& node : nodes_) {
            text += (text.empty() ? "" : ",") + node.addresses.peer.to_string();
        }
        co_return co_await env::write_file_atomically(&env_.disk, file, std::move(text));
    }
    auto addresses = parse_endpoints(*kept);
    if (!addresses.ok() || addresses->size() != kDemoNodes) {
        co_return Status(Code::kInvalidArgument, "'" + folder_ + "' holds no demo's data");
    }
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        nodes_[i].addresses.peer = std::move((*addresses)[i]);
    }
    co_return Status();
}

std::string DemoCluster::log_file(std::size_t at) const {
    return nodes_[at].name + ".log";
}

async::Task<std::string> DemoCluster::end_of_log(std::size_t at) {
    const auto log = co_await env::read_file(&env_.disk, log_file(at), kLogBytesMax);
    const std::string text = log.ok() ? *log : std::string();
    co_return text.substr(text.size() - std::min(text.size(), kLogBytesShown));
}

Status DemoCluster::spawn(std::size_t at) {
    DemoNode& node = nodes_[at];
    posix::ProcessOptions options;
    options.words = {"kvstore",
                     "server",
                     "--id",
                     node.name,
                     "--data-dir",
                     folder_ + "/" + node.name,
                     "--http-addr",
                     node.addresses.http.to_string(),
                     "--grpc-addr",
                     node.addresses.grpc.to_string(),
                     "--resp-addr",
                     node.addresses.resp.to_string(),
                     "--peer-addr",
                     node.addresses.peer.to_string(),
                     "--initial-cluster",
                     initial_cluster(nodes_)};
    options.output_file = folder_ + "/" + log_file(at);
    KVSTORE_TRY(posix::Process process, posix::Process::start(options));
    node.process.emplace(std::move(process));
    return {};
}

bool DemoCluster::is_running(std::size_t at) {
    return nodes_[at].process.has_value() && nodes_[at].process->is_running();
}

// A node that was not asked to end.
std::optional<std::size_t> DemoCluster::find_ended() {
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        if (nodes_[i].process.has_value() && !is_running(i)) {
            return i;
        }
    }
    return std::nullopt;
}

async::Task<Status> DemoCluster::wait_ready(std::size_t at, async::Deadline deadline) {
    ApiClient api(env_, only(nodes_[at], kAskPatience));
    for (;;) {
        http::ClientRequest request;
        request.target = "/readyz";
        const auto answer = co_await api.call(std::move(request));
        if (answer.ok()) {
            co_return Status();
        }
        // A node may wait for another that will never come.
        const auto ended = find_ended();
        if (ended || deadline.has_passed(env_.clock.now())) {
            const std::size_t to_blame = ended.value_or(at);
            const std::string said = co_await end_of_log(to_blame);
            co_return Status(Code::kUnavailable,
                             "node " + nodes_[to_blame].name +
                                 (ended ? " ended" : " is not ready in time") + "; it said:\n" +
                                 said);
        }
        co_await env_.clock.sleep(kLook);
    }
}

async::Task<Status> DemoCluster::start(async::Deadline deadline) {
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        nodes_[i].name = "n" + std::to_string(i + 1);
    }
    KVSTORE_CO_CHECK_OK(co_await env_.disk.create_directories(""));
    KVSTORE_CO_CHECK_OK(co_await choose_ports());
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        KVSTORE_CO_CHECK_OK(spawn(i));
    }
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        KVSTORE_CO_CHECK_OK(co_await wait_ready(i, deadline));
    }
    co_return Status();
}

async::Task<Status> DemoCluster::start_node(std::size_t at, async::Deadline deadline) {
    if (is_running(at)) {
        co_return Status(Code::kAlreadyExists, "node " + nodes_[at].name + " runs already");
    }
    KVSTORE_CO_CHECK_OK(spawn(at));
    co_return co_await wait_ready(at, deadline);
}

void DemoCluster::kill_node(std::size_t at) {
    if (is_running(at)) {
        nodes_[at].process->send_signal(SIGKILL);
        (void)nodes_[at].process->wait_end(kEndPatience);
        nodes_[at].process.reset();
    }
}

void DemoCluster::end() {
    for (DemoNode& node : nodes_) {
        if (node.process) {
            node.process->send_signal(SIGTERM);
        }
    }
    for (DemoNode& node : nodes_) {
        if (node.process) {
            (void)node.process->wait_end(kEndPatience);
            node.process.reset();
        }
    }
}

async::Task<Result<DemoView>> DemoCluster::view(std::size_t at) {
    ApiClient api(env_, only(nodes_[at], kAskPatience));
    http::ClientRequest request;
    request.target = "/v1/status";
    const auto status = co_await api.call_json(std::move(request));
    if (!status.ok()) {
        co_return status.status();
    }
    DemoView view;
    view.self = static_cast<std::uint64_t>(number_of(*status, "node_number"));
    const json::value* const shards = status->if_contains("shards");
    if (shards != nullptr && shards->is_array()) {
        for (const json::value& shard : shards->as_array()) {
            if (shard.is_object() && bytes_of(shard.as_object(), "keyspace") == "default") {
                view.leader = static_cast<std::uint64_t>(number_of(shard.as_object(), "leader"));
                view.applied =
                    static_cast<std::uint64_t>(number_of(shard.as_object(), "applied_index"));
            }
        }
    }
    co_return view;
}

async::Task<std::optional<std::size_t>> DemoCluster::leader() {
    std::array<DemoView, kDemoNodes> views{};
    std::optional<std::uint64_t> agreed;
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        if (!is_running(i)) {
            continue;
        }
        const auto seen = co_await view(i);
        if (!seen.ok() || (agreed && *agreed != seen->leader)) {
            co_return std::nullopt;
        }
        views[i] = *seen;
        agreed = seen->leader;
    }
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        if (agreed && views[i].self != 0 && views[i].self == *agreed) {
            co_return i;
        }
    }
    co_return std::nullopt;
}

}  // namespace kvstore::cli
