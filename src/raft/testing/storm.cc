#include "raft/testing/storm.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/random.h"
#include "raft/testing/cluster.h"

namespace kvstore::raft::testing {

namespace {

constexpr std::size_t kMessagesMax = 60;
constexpr std::size_t kClearWeatherTicks = 200;

Config storm_config(const StormOptions& options) {
    Config config;
    config.group = GroupId(7);
    config.seed = options.seed;
    config.election_ticks = 5;
    config.heartbeat_ticks = 1;
    // Small limits, so that every one of them is met.
    config.append_bytes_max = 200;
    config.inflight_messages_max = 4;
    config.inflight_bytes_max = 600;
    config.uncommitted_bytes_max = 2000;
    config.apply_bytes_max = 150;
    config.pre_vote = options.seed % 5 != 0;
    config.check_quorum = options.seed % 7 != 0 || options.reads == ReadMode::kLease;
    config.coalesce_appends = options.seed % 3 != 0;
    config.reads = options.reads;
    // Two clocks that are at most a tick apart (see tick()) pass at most two ticks more or
    // less in the same time.
    config.lease_margin_ticks = 2;
    config.hibernate_after_ticks = options.hibernation ? 3 : 0;
    return config;
}

bool is_named(const ConfState& conf, NodeId id) {
    for (const auto* ids :
         {&conf.voters, &conf.voters_outgoing, &conf.learners, &conf.learners_next}) {
        if (std::ranges::find(*ids, id) != ids->end()) {
            return true;
        }
    }
    return false;
}

class Storm {
public:
    explicit Storm(const StormOptions& options)
        : options_(options),
          random_(options.seed),
          cluster_(options.voters, storm_config(options)) {}

    StormReport run() {
        for (std::size_t i = 0; i < options_.steps && cluster_.failure().empty(); ++i) {
            step();
        }
        clear_up();
        StormReport report;
        report.failure = cluster_.failure();
        if (!report.failure.empty()) {
            report.failure += "\n" + cluster_.describe();
        }
        report.steps = cluster_.steps();
        report.commits = cluster_.acknowledged().value();
        report.reads = cluster_.reads_served();
        report.leaders = cluster_.leaders_seen();
        return report;
    }

private:
    NodeId anybody() {
        const std::vector<NodeId> ids = cluster_.ids();
        return ids[random_.below(ids.size())];
    }

    // Most choices keep the group working; a few hurt it. How many depends on the seed:
    // some mistakes need a group that is nearly at rest, others one in turmoil.
    void step() {
        const std::uint64_t harm = 3U << (options_.seed % 4);
        const std::uint64_t time = 60 + 50 * (options_.seed % 3);
        const NodeId id = anybody();
        if (!cluster_.is_up(id)) {
            if (random_.chance(1, 6)) {
                cluster_.restart(id);
                clocks_[id] = std::max(clocks_[id], fastest_clock());
            }
            return;
        }
        if (random_.chance(harm, 1000)) {
            hurt(id);
        } else if (random_.chance(time, 1000)) {
            tick(id);
        } else if (random_.chance(70, 1000)) {
            propose(id);
        } else if (random_.chance(50, 1000)) {
            static_cast<void>(cluster_.read(id));
        }
        for (std::uint64_t i = random_.below(4); i > 0; --i) {
            move_message();
        }
        if (cluster_.is_up(id)) {
            work(id);
        }
    }

    // Clocks run as they like, unless leases rely on them: then none is more than a tick
    // ahead of another.
    void tick(NodeId id) {
        std::uint64_t slowest = UINT64_MAX;
        for (const NodeId other : cluster_.ids()) {
            slowest = cluster_.is_up(other) ? std::min(slowest, clocks_[other]) : slowest;
        }
        if (options_.reads == ReadMode::kQuorum || clocks_[id] == slowest) {
            ++clocks_[id];
            cluster_.tick(id);
        }
    }

    // Time passes for who is down.
    std::uint64_t fastest_clock() {
        std::uint64_t fastest = 0;
        for (const NodeId id : cluster_.ids()) {
            fastest = cluster_.is_up(id) ? std::max(fastest, clocks_[id]) : fastest;
        }
        return fastest;
    }

    void move_message() {
        std::vector<Message>& messages = cluster_.messages();
        if (messages.empty()) {
            return;
        }
        // Mostly in order, sometimes not; mostly once, sometimes twice or never.
        const std::size_t reach = random_.chance(3, 4) ? 3 : messages.size();
        const std::size_t position = random_.below(std::min(reach, messages.size()));
        if (random_.chance(1, 30) || messages.size() > kMessagesMax) {
            cluster_.drop(position);
            return;
        }
        if (random_.chance(1, 30)) {
            Message copy = messages[position];
            messages.push_back(std::move(copy));
        }
        cluster_.deliver(position);
    }

    // Mostly all that is due; sometimes the disk or the state machine is slow.
    void work(NodeId id) {
        if (random_.chance(4, 5)) {
            cluster_.take_ready(id);
        }
        if (random_.chance(3, 4)) {
            cluster_.write_one(id);
        }
        if (random_.chance(3, 4)) {
            cluster_.tell_persisted(id);
        }
        if (random_.chance(3, 4)) {
            cluster_.apply_one(id);
        }
    }

    void propose(NodeId id) {
        const std::string command(random_.below(80), 'x');
        static_cast<void>(cluster_.propose_batch(id, 1 + random_.below(3), command));
    }

    void hurt(NodeId id) {
        switch (random_.below(12)) {
            case 0:
            case 1:
                if (options_.crashes) {
                    cluster_.crash(id, random_.below(3));
                }
                break;
            case 2: cluster_.cut(id, anybody()); break;
            case 3: cluster_.cut_one_way(id, anybody()); break;
            case 4: cluster_.isolate(id); break;
            case 5:
            case 6: cluster_.heal(); break;
            case 7:
                if (options_.transfers) {
                    static_cast<void>(cluster_.transfer(id, anybody()));
                }
                break;
            case 8:
                if (options_.changes) {
                    change(id);
                }
                break;
            case 9: cut_log(id); break;
            default: disturb(id); break;
        }
    }

    void cut_log(NodeId id) {
        if (options_.snapshots) {
            cluster_.save_checkpoint(id);
            if (random_.chance(1, 2)) {
                cluster_.compact(id);
            }
        }
    }

    void disturb(NodeId id) {
        switch (random_.below(6)) {
            case 0:
            case 5: cluster_.campaign(id); break;
            case 4: cluster_.report_snapshots(id); break;
            case 1: static_cast<void>(cluster_.forget_leader(id)); break;
            case 2: cluster_.wake(id); break;
            default: cluster_.unreachable(id, anybody()); break;
        }
    }

    void change(NodeId id) {
        ConfChange change;
        const std::size_t count = random_.below(4);
        for (std::size_t i = 0; i < count; ++i) {
            const NodeId target(1 + random_.below(options_.voters + 2));
            if (cluster_.ids().size() < target.value()) {
                for (std::size_t next = cluster_.ids().size() + 1; next <= target.value(); ++next) {
                    cluster_.add_blank(NodeId(next));
                    clocks_[NodeId(next)] = fastest_clock();
                }
            }
            change.steps.push_back({static_cast<ConfOperation>(random_.below(3)), target});
        }
        if (count > 0) {
            change.transition = static_cast<Transition>(random_.below(3));
        }
        static_cast<void>(cluster_.change(id, change));
    }

    void clear_up() {
        cluster_.heal();
        for (const NodeId id : cluster_.ids()) {
            cluster_.restart(id);
        }
        for (std::size_t tick = 0; tick < kClearWeatherTicks && cluster_.failure().empty();
             ++tick) {
            cluster_.run(1);
            for (const NodeId id : cluster_.ids()) {
                // What a host does when a follower's state is behind the leader's log.
                if (tick % 10 == 9 && cluster_.failure().empty()) {
                    cluster_.save_checkpoint(id);
                    cluster_.wake(id);
                    cluster_.report_snapshots(id);
                }
            }
        }
        if (cluster_.failure().empty()) {
            finish();
        }
    }

    // The last change of membership may just have removed the leader.
    void await_leader() {
        for (int i = 0; i < 20 && cluster_.leader() == kNoNode; ++i) {
            cluster_.run(10);
        }
    }

    // A member that was removed and has not heard of it campaigns on, and unseats leader
    // after leader where neither pre-vote nor check-quorum keeps it from that (thesis,
    // section 4.2.3). A host stops it.
    void stop_the_removed() {
        const NodeId leader = cluster_.leader();
        const Config config = storm_config(options_);
        if (leader == kNoNode || config.pre_vote || config.check_quorum) {
            return;
        }
        const ConfState conf = cluster_.node(leader).status().conf;
        for (const NodeId id : cluster_.ids()) {
            if (cluster_.is_up(id) && !is_named(conf, id)) {
                cluster_.crash(id);
            }
        }
        // What they have sent arrives, and the leader that it deposed finds out.
        cluster_.run(20);
        await_leader();
    }

    void finish() {
        await_leader();
        stop_the_removed();
        const NodeId leader = cluster_.leader();
        if (leader == kNoNode) {
            cluster_.fail("no leader after healing");
            return;
        }
        const Result<Proposed> last = cluster_.propose(leader, "last");
        const Result<ReadToken> read = cluster_.read(leader);
        cluster_.settle();
        cluster_.run(12);
        if (!last.ok() || !read.ok() || cluster_.acknowledged() < last->first) {
            cluster_.fail("a healed group does not take writes");
            return;
        }
        await_leader();
        cluster_.run(3);
        cluster_.check_converged();
    }

    StormOptions options_;
    Random random_;
    Cluster cluster_;
    std::map<NodeId, std::uint64_t> clocks_;
};

}  // namespace

StormReport run_storm(const StormOptions& options) {
    return Storm(options).run();
}

}  // namespace kvstore::raft::testing
