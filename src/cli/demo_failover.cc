#include "cli/demo_failover.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>

#include "async/sync.h"
#include "cli/api_client.h"
#include "cli/output.h"
#include "cli/progress_bar.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kWritersEach = 2;  // of the nodes that stay
constexpr Duration kWarmUp = std::chrono::milliseconds(500);
constexpr Duration kAfterwards = std::chrono::milliseconds(500);
constexpr Duration kLook = std::chrono::milliseconds(10);
constexpr Duration kPatience = std::chrono::seconds(30);
constexpr Duration kRetry = std::chrono::milliseconds(5);
constexpr std::uint64_t kWritesAfterwards = 100;

std::string seconds_text(Duration span) {
    std::array<char, 32> text;
    const double seconds = std::chrono::duration<double>(span).count();
    const int size = std::snprintf(text.data(), text.size(), "%.2f s", seconds);
    return {text.data(), static_cast<std::size_t>(size)};
}

void tell(const std::string& line) {
    write_output("  " + line + "\n");
}

// Clients that write one new key after another, and what they were told.
//
// Lifetime  On the stack of its user, who awaits stop().
class Writers {
public:
    explicit Writers(env::Env& env)
        : env_(env),
          prefix_("failover:" + std::to_string(to_unix_ms(env.clock.wall_now())) + ":"),
          gate_(env.scheduler) {}

    void add(const env::Address& node) {
        gate_.spawn(write(node, prefix_ + std::to_string(count_++) + ":"));
    }
    async::Task<void> stop() {
        is_stopping_ = true;
        co_await gate_.close();
    }
    // From here on the longest time without an acknowledgement is looked for.
    void begin_watch() { longest_gap_ = Duration::zero(); }

    [[nodiscard]] const std::string& prefix() const { return prefix_; }
    [[nodiscard]] const std::vector<std::string>& acknowledged() const { return acknowledged_; }
    [[nodiscard]] std::uint64_t unknown() const { return unknown_; }
    [[nodiscard]] Duration longest_gap() const { return longest_gap_; }

private:
    async::Task<void> write(env::Address node, std::string prefix) {
        ApiOptions options;
        options.endpoints = {std::move(node)};
        ApiClient api(env_, std::move(options));
        for (std::uint64_t i = 0; !is_stopping_; ++i) {
            std::string key = prefix + std::to_string(i);
            PutOptions put;
            const auto written = co_await api.put(key, "acknowledged", std::move(put));
            if (written.ok()) {
                on_acknowledged(std::move(key));
                continue;
            }
            unknown_ += written.status().effect() == Effect::kUnknown ? 1 : 0;
            co_await env_.clock.sleep(kRetry);
        }
    }
    void on_acknowledged(std::string key) {
        const MonotonicTime now = env_.clock.now();
        if (!acknowledged_.empty()) {
            longest_gap_ = std::max(longest_gap_, now - last_);
        }
        last_ = now;
        acknowledged_.push_back(std::move(key));
    }

    env::Env& env_;
    std::string prefix_;
    std::size_t count_ = 0;
    std::vector<std::string> acknowledged_;
    std::uint64_t unknown_ = 0;
    MonotonicTime last_{};
    Duration longest_gap_{};
    bool is_stopping_ = false;
    async::Gate gate_;
};

// Waits for somebody who leads.
async::Task<Result<std::size_t>> wait_leader(env::Env* env, DemoCluster* cluster) {
    const auto deadline = async::Deadline::after(env->clock.now(), kPatience);
    for (;;) {
        const auto leader = co_await cluster->leader();
        if (leader) {
            co_return *leader;
        }
        if (deadline.has_passed(env->clock.now())) {
            co_return Status(Code::kUnavailable, "nobody leads the keyspace `default`");
        }
        co_await env->clock.sleep(kLook);
    }
}

async::Task<Status> wait_writes(env::Env* env, const Writers* writers, std::uint64_t count) {
    const auto deadline = async::Deadline::after(env->clock.now(), kPatience);
    while (writers->acknowledged().size() < count) {
        if (deadline.has_passed(env->clock.now())) {
            co_return Status(Code::kUnavailable, "no write succeeds");
        }
        co_await env->clock.sleep(kLook);
    }
    co_return Status();
}

// Until the node has applied what the leader had.
async::Task<Status> wait_level(env::Env* env,
                               DemoCluster* cluster,
                               std::size_t node,
                               std::size_t leader) {
    const auto there = co_await cluster->view(leader);
    const std::uint64_t wanted = there.ok() ? there->applied : 0;
    const auto deadline = async::Deadline::after(env->clock.now(), kPatience);
    for (;;) {
        const auto here = co_await cluster->view(node);
        if (here.ok() && here->applied >= wanted) {
            co_return Status();
        }
        if (deadline.has_passed(env->clock.now())) {
            co_return Status(Code::kUnavailable, "the node does not catch up");
        }
        co_await env->clock.sleep(kLook);
    }
}

// The keys under a prefix, as one node shows them.
async::Task<Result<std::set<std::string>>> read_keys(env::Env* env,
                                                     env::Address node,
                                                     std::string prefix) {
    ApiOptions options;
    options.endpoints = {std::move(node)};
    ApiClient api(*env, std::move(options));
    std::set<std::string> keys;
    ScanOptions scan;
    scan.prefix = std::move(prefix);
    scan.keys_only = true;
    for (;;) {
        const auto page = co_await api.scan_page(scan);
        if (!page.ok()) {
            co_return page.status();
        }
        const json::value* const rows = page->if_contains("keys");
        if (rows != nullptr && rows->is_array()) {
            for (const json::value& row : rows->as_array()) {
                keys.insert(row.is_object() ? bytes_of(row.as_object(), "key").value_or("")
                                            : std::string());
            }
        }
        const auto cursor = bytes_of(*page, "cursor");
        if (!cursor) {
            co_return keys;
        }
        scan.cursor = *cursor;
    }
}

async::Task<Status> check_nothing_lost(env::Env* env,
                                       DemoCluster* cluster,
                                       const Writers* writers) {
    for (const DemoNode& node : cluster->nodes()) {
        const auto keys = co_await read_keys(env, node.addresses.http, writers->prefix());
        if (!keys.ok()) {
            co_return keys.status().with_context(node.name);
        }
        const auto lost =
            std::ranges::count_if(writers->acknowledged(),
                                  [&keys](const std::string& key) { return !keys->contains(key); });
        if (lost > 0) {
            co_return Status(
                Code::kCorruption,
                node.name + " lacks " + std::to_string(lost) + " writes that were acknowledged");
        }
        tell("read through " + node.name + ": all " +
             with_thousands(writers->acknowledged().size()) + " acknowledged writes are there");
    }
    co_return Status();
}

std::string summary(const Writers& writers, const DemoNode& victim) {
    std::string text = "writes stood still for " + seconds_text(writers.longest_gap()) + " when " +
                       victim.name + " was killed; " +
                       with_thousands(writers.acknowledged().size()) + " acknowledged, 0 lost";
    if (writers.unknown() > 0) {
        text += ", " + std::to_string(writers.unknown()) +
                " told truthfully that their outcome is unknown";
    }
    return text;
}

async::Task<Status> run_failover(env::Env* env,
                                 DemoCluster* cluster,
                                 Writers* writers,
                                 std::size_t victim) {
    DemoNode& node = cluster->nodes()[victim];
    KVSTORE_CO_CHECK_OK(co_await wait_writes(env, writers, 1));
    co_await env->clock.sleep(kWarmUp);
    tell("kill -9 " + std::to_string(node.process->id()) + ": " + node.name + ", which leads");
    writers->begin_watch();
    cluster->kill_node(victim);
    const std::uint64_t before = writers->acknowledged().size();
    auto elected = co_await wait_leader(env, cluster);
    KVSTORE_CO_TRY(const std::size_t heir, std::move(elected));
    KVSTORE_CO_CHECK_OK(co_await wait_writes(env, writers, before + kWritesAfterwards));
    tell(cluster->nodes()[heir].name + " leads now; writes stood still for " +
         seconds_text(writers->longest_gap()));
    co_await env->clock.sleep(kAfterwards);

    const MonotonicTime began = env->clock.now();
    const auto deadline = async::Deadline::after(began, kPatience);
    KVSTORE_CO_CHECK_OK(co_await cluster->start_node(victim, deadline));
    KVSTORE_CO_CHECK_OK(co_await wait_level(env, cluster, victim, heir));
    tell(node.name + " is started again: serving, and level with the others, after " +
         seconds_text(env->clock.now() - began));
    co_return Status();
}

}  // namespace

async::Task<Result<std::string>> show_failover(env::Env* env, DemoCluster* cluster) {
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        if (!cluster->is_running(i)) {
            co_return Status(Code::kUnavailable,
                             "node " + cluster->nodes()[i].name +
                                 " does not run, and two of three must stay; START it first");
        }
    }
    auto led = co_await wait_leader(env, cluster);
    KVSTORE_CO_TRY(const std::size_t victim, std::move(led));
    Writers writers(*env);
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        for (std::size_t k = 0; i != victim && k < kWritersEach; ++k) {
            writers.add(cluster->nodes()[i].addresses.http);
        }
    }
    tell(cluster->nodes()[victim].name + " leads; four clients write through the other nodes");
    const Status shown = co_await run_failover(env, cluster, &writers, victim);
    co_await writers.stop();
    KVSTORE_CO_CHECK_OK(shown);
    KVSTORE_CO_CHECK_OK(co_await check_nothing_lost(env, cluster, &writers));
    co_return summary(writers, cluster->nodes()[victim]);
}

}  // namespace kvstore::cli
