#include "simulation/internal/fleet.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kvstore::simulation::internal {
namespace {

using State = Member::State;

constexpr Duration kRetryStart = std::chrono::milliseconds(500);
// Far above what a graceful stop may take (20 s).
constexpr Duration kStopPatience = std::chrono::seconds(40);

constexpr std::uint16_t kPeerPort = 7070;
constexpr std::string_view kSystemKeyspace = "system";

// What every node of the run has in common; small files, so that segments turn over and snapshots
// are made and sent within a minute.
server::Config common_config(Random& random, std::uint32_t count) {
    server::Config config;
    config.insecure = true;
    config.default_engine = replication::EngineKind::kMemory;
    config.replication_factor = count >= 5 && random.chance(1, 2) ? 5 : 3;
    config.snapshot_interval = std::chrono::milliseconds(random.between(500, 20'000));
    config.wal_segment_bytes = 64ULL << (10U + random.below(5));
    config.default_history =
        random.chance(1, 2) ? Duration(0) : Duration(std::chrono::milliseconds(2'000));
    config.performance_log_interval = Duration(0);
    return config;
}

}  // namespace

bool Member::has_failed_log() const {
    return is_up() && node->kv().host().log_health().code() == Code::kUnavailable;
}

bool Member::has_failed_replica() const {
    if (!is_up()) {
        return false;
    }
    // A log that failed takes no new replica either, so there may be none that shows it.
    return has_failed_log() ||
           std::ranges::any_of(node->kv().host().statistics(),
                               [](const auto& shard) { return !shard.health.ok(); });
}

bool Member::leads() const {
    return is_up() &&
           std::ranges::any_of(node->kv().host().statistics(), [this](const auto& shard) {
               return shard.leader == node->kv().self() &&
                      shard.description.keyspace != kSystemKeyspace;
           });
}

Fleet::Fleet(sim::World& world, Random& random, std::uint32_t founders, std::uint32_t joiners)
    : world_(world), random_(random) {
    const server::Config common = common_config(random, founders + joiners);
    std::string list;
    for (std::uint32_t i = 1; i <= founders; ++i) {
        const std::string name = "n" + std::to_string(i);
        list += (i == 1 ? "" : ",") + name + "=" + name + ":" + std::to_string(kPeerPort);
    }
    for (std::uint32_t i = 0; i < founders; ++i) {
        Member& member = add_member(common);
        if (founders > 1) {
            member.config.initial_cluster = list;
        }
    }
    for (std::uint32_t i = 0; i < joiners; ++i) {
        Member& member = add_member(common);
        // Whoever of those before it takes it in.
        for (std::size_t other = 0; other + 1 < members_.size(); ++other) {
            member.config.join += (other == 0 ? "n" : ",n") + std::to_string(other + 1) + ":" +
                                  std::to_string(kPeerPort);
        }
        member.is_member = false;
    }
}

Member& Fleet::add_member(const server::Config& common) {
    auto member = std::make_unique<Member>();
    member->name = "n" + std::to_string(members_.size() + 1);
    member->host = &world_.add_host(member->name);
    member->config = common;
    member->config.id = member->name;
    member->config.http_addr.host = member->name;
    member->config.grpc_addr.host = member->name;
    member->config.resp_addr.host = member->name;
    member->config.peer_addr = {.host = member->name, .port = kPeerPort};
    members_.push_back(std::move(member));
    return *members_.back();
}

void Fleet::grow() {
    for (const std::unique_ptr<Member>& member : members_) {
        if (!member->is_member) {
            member->is_member = true;
            start(*member);
            return;
        }
    }
}

void Fleet::fail(std::string what) {
    if (failure_.empty()) {
        failure_ = std::move(what);
    }
}

void Fleet::start(Member& member) {
    if (member.state != State::kDown || member.holds > 0 || !member.is_member) {
        return;
    }
    if (!member.host->is_up()) {
        world_.restart(*member.host);
    }
    ++start_count_;
    member.state = State::kStarting;
    member.life = member.host->life();
    member.node = nullptr;
    log_info("simulation: start", {{"node", member.name}, {"life", member.life}});
    member.host->spawn(open(&member, member.life));
}

async::Task<void> Fleet::open(Member* member, std::uint64_t life) {
    auto started =
        co_await server::Node::start(&member->host->env(), member->config, Callback<void()>());
    if (started.ok()) {
        member->node = &member->host->own(*std::move(started));
        member->state = State::kUp;
        member->has_new_disk = false;
        co_return;
    }
    world_.after(Duration(), [this, member, life, why = started.status()] {
        on_start_failed(*member, life, why);
    });
}

void Fleet::on_start_failed(Member& member, std::uint64_t life, const Status& why) {
    if (member.life != life || !member.host->is_up()) {
        return;
    }
    log_info("simulation: start refused", {{"node", member.name}, {"why", why.to_string()}});
    crash(member, sim::CrashKind::kKill);
    const bool has_misbehaved =
        member.disk_misbehaves || (member.mended && world_.now() < *member.mended + kLastCalls);
    if (has_misbehaved && why.code() != Code::kConflict) {
        world_.after(kRetryStart, [this, &member] { start(member); });
        return;
    }
    if (member.is_damaged && why.code() == Code::kCorruption) {
        // Found is found: an operator gives the machine an empty disk.
        ++refused_start_count_;
        wipe(member);
        world_.after(kRetryStart, [this, &member] { start(member); });
        return;
    }
    if (member.was_sent_away) {
        // It may have been told that it was removed; then it is begun anew.
        world_.after(kRetryStart, [this, &member] { start(member); });
        return;
    }
    fail(member.name + " did not start: " + why.to_string());
}

void Fleet::on_down(Member& member) {
    member.state = State::kDown;
    member.node = nullptr;
    member.pause_life = 0;
    member.elections += std::exchange(member.elections_now, 0);
    member.host->crash_at_change(0);
}

void Fleet::crash(Member& member, sim::CrashKind kind) {
    if (!member.host->is_up()) {
        return;
    }
    log_info("simulation: crash", {{"node", member.name}, {"kill", kind == sim::CrashKind::kKill}});
    world_.crash(*member.host, kind);
    on_down(member);
}

void Fleet::stop(Member& member) {
    KVSTORE_ASSERT(member.is_up());
    log_info("simulation: stop", {{"node", member.name}});
    member.state = State::kStopping;
    const std::uint64_t life = member.life;
    member.host->spawn(close(&member, life));
    world_.after(kStopPatience, [this, &member, life] {
        if (member.life == life && member.state == State::kStopping && member.host->is_up()) {
            if (!member.is_paused() && !member.disk_misbehaves) {
                fail(member.name + " did not stop in 40 s");
            }
            crash(member, sim::CrashKind::kKill);
        }
    });
}

async::Task<void> Fleet::close(Member* member, std::uint64_t life) {
    const Status stopped = co_await member->node->stop();
    log_info("simulation: stopped", {{"node", member->name}, {"status", stopped.to_string()}});
    world_.after(Duration(), [this, member, life] {
        if (member->life == life && member->state == State::kStopping) {
            crash(*member, sim::CrashKind::kKill);
        }
    });
}

void Fleet::pause(Member& member) {
    if (member.host->is_up() && !member.is_paused()) {
        world_.pause(*member.host);
        member.pause_life = member.host->life();
    }
}

void Fleet::resume(Member& member) {
    if (member.host->is_up() && member.pause_life == member.host->life()) {
        world_.resume(*member.host);
    }
    member.pause_life = 0;
}

void Fleet::wipe(Member& member) {
    log_info("simulation: empty disk", {{"node", member.name}});
    member.host->wipe_disk();
    member.is_damaged = true;
    member.has_new_disk = true;
}

void Fleet::begin_anew(Member& member) {
    crash(member, sim::CrashKind::kKill);
    wipe(member);
    member.config.initial_cluster.clear();
    member.config.join.clear();
    for (const std::unique_ptr<Member>& other : members_) {
        if (other.get() != &member) {
            member.config.join += (member.config.join.empty() ? "" : ",") + other->name + ":" +
                                  std::to_string(kPeerPort);
        }
    }
    start(member);
}

void Fleet::look() {
    for (const std::unique_ptr<Member>& each : members_) {
        Member& member = *each;
        if (member.state != State::kDown && !member.host->is_up()) {
            on_down(member);
            world_.after(std::chrono::milliseconds(random_.between(50, 3'000)),
                         [this, &member] { start(member); });
        }
        if (member.is_up()) {
            member.elections_now = 0;
            for (const auto& shard : member.node->kv().host().statistics()) {
                member.elections_now += shard.elections_won;
            }
        }
    }
}

bool Fleet::all_up() const {
    return std::ranges::all_of(
        members_, [](const auto& member) { return member->is_up() || !member->is_member; });
}

std::uint64_t Fleet::elections() const {
    std::uint64_t total = 0;
    for (const std::unique_ptr<Member>& member : members_) {
        total += member->elections + member->elections_now;
    }
    return total;
}

}  // namespace kvstore::simulation::internal
