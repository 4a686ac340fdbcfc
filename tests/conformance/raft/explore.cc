// Walks every state of a small world of real cores:
//
//     raft_explore [--nodes N] [--terms N] [--entries N] [--crashes N] [--changes N]
//                  [--channel N] [--states N]
//
// A step is one of: a member campaigns; a leader takes an entry or a change of
// membership; the oldest message of a channel arrives, or is lost; a member crashes
// before what it has just learned is durable, and comes back. After each step but the
// crash the member writes and applies all that is due. Each state is visited once.
//
// Without bounds, three small worlds are walked. The bounds of the charter (three terms,
// two entries, a crash and a change at once) are some orders of magnitude larger.
//
// Channels keep order here and hold few messages, the oldest being lost when a new one
// does not fit; reordering is the storm's business.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "raft/internal/core.h"
#include "raft/internal/fingerprint.h"
#include "raft/testing/cluster.h"

namespace kvstore::raft::conformance {

namespace {

using testing::Cluster;

struct Bounds {
    std::size_t nodes = 3;
    std::uint64_t terms = 3;  // elections that may be begun are one fewer: the first is 1
    std::uint64_t entries = 2;
    std::uint64_t crashes = 1;
    std::uint64_t changes = 1;
    std::size_t channel = 1;
    std::uint64_t states = 0;  // stop after so many; 0 is never
};

struct World {
    std::unique_ptr<Cluster> cluster;
    std::uint64_t entries = 0;
    std::uint64_t crashes = 0;
    std::uint64_t changes = 0;

    [[nodiscard]] World copy() const { return {cluster->clone(), entries, crashes, changes}; }
};

class Walk {
public:
    explicit Walk(const Bounds& bounds) : bounds_(bounds) {}

    // False when a rule was broken.
    bool run() {
        Config config;
        config.group = GroupId(1);
        config.seed = 1;
        config.pre_vote = false;
        config.check_quorum = false;
        World first{std::make_unique<Cluster>(bounds_.nodes, config)};
        visit(std::move(first));
        while (!open_.empty() && failure_.empty() &&
               (bounds_.states == 0 || seen_.size() < bounds_.states)) {
            const World world = std::move(open_.back());
            open_.pop_back();
            expand(world);
        }
        std::printf("raft explorer: %zu distinct states, %llu steps, %s\n",
                    seen_.size(),
                    static_cast<unsigned long long>(steps_),
                    !failure_.empty() ? failure_.c_str()
                    : open_.empty()   ? "exhausted, no violation"
                                      : "stopped at the limit, no violation");
        return failure_.empty();
    }

private:
    void expand(const World& world) {
        for (const NodeId id : world.cluster->ids()) {
            from_member(world, id);
        }
        for (std::size_t i = 0; i < world.cluster->messages().size(); ++i) {
            if (!is_oldest_of_channel(world, i)) {
                continue;
            }
            const NodeId to = world.cluster->messages()[i].to;
            take(world, to, Then::kWork, [i](World& next) { next.cluster->deliver(i); });
            // In a channel of one, a message that is never delivered is as good as lost.
            if (bounds_.channel > 1) {
                take(world, to, Then::kNothing, [i](World& next) { next.cluster->drop(i); });
            }
            if (world.crashes < bounds_.crashes) {
                take(world, to, Then::kNothing, [i, to](World& next) {
                    next.cluster->deliver(i);
                    crash(next, to);
                });
            }
        }
    }

    void from_member(const World& world, NodeId id) {
        Node& node = world.cluster->node(id);
        const bool leads = node.is_leader();
        if (!leads && node.term().value() < bounds_.terms) {
            take(world, id, Then::kWork, [id](World& next) { next.cluster->campaign(id); });
        }
        if (leads && world.entries < bounds_.entries) {
            take(world, id, Then::kWork, [id](World& next) {
                static_cast<void>(next.cluster->propose(id, "x"));
                ++next.entries;
            });
        }
        if (leads && world.changes < bounds_.changes) {
            for (const NodeId other : world.cluster->ids()) {
                take(world, id, Then::kWork, [id, other](World& next) {
                    static_cast<void>(
                        next.cluster->change(id,
                                             {.steps = {{ConfOperation::kRemove, other}},
                                              .transition = Transition::kJoint,
                                              .context = {}}));
                    ++next.changes;
                });
            }
        }
    }

    static void crash(World& world, NodeId id) {
        world.cluster->take_ready(id);
        world.cluster->crash(id);
        world.cluster->restart(id);
        ++world.crashes;
    }

    enum class Then : bool { kNothing, kWork };

    template <typename Action>
    void take(const World& world, NodeId id, Then then, Action&& action) {
        World next = world.copy();
        action(next);
        if (then == Then::kWork) {
            work(*next.cluster, id);
        }
        keep_channels_short(*next.cluster);
        ++steps_;
        visit(std::move(next));
    }

    static void work(Cluster& cluster, NodeId id) {
        bool busy = true;
        while (busy) {
            busy = cluster.take_ready(id);
            busy |= cluster.write_one(id);
            busy |= cluster.tell_persisted(id);
            busy |= cluster.apply_one(id);
        }
        // No clock runs here, so what was drawn for it must not tell states apart.
        cluster.node(id).set_election_timeout(1);
    }

    [[nodiscard]] static bool is_oldest_of_channel(const World& world, std::size_t position) {
        const std::vector<Message>& messages = world.cluster->messages();
        for (std::size_t i = 0; i < position; ++i) {
            if (messages[i].from == messages[position].from &&
                messages[i].to == messages[position].to) {
                return false;
            }
        }
        return true;
    }

    void keep_channels_short(Cluster& cluster) const {
        std::vector<Message>& messages = cluster.messages();
        for (std::size_t i = messages.size(); i-- > 0;) {
            std::size_t later = 0;
            for (std::size_t j = i + 1; j < messages.size(); ++j) {
                later += messages[j].from == messages[i].from && messages[j].to == messages[i].to;
            }
            if (later >= bounds_.channel) {
                cluster.drop(i);
            }
        }
        // The order between channels means nothing.
        const auto before = [](const Message& a, const Message& b) {
            return std::pair(a.from, a.to) < std::pair(b.from, b.to);
        };
        for (auto next = messages.begin(); next != messages.end(); ++next) {
            std::rotate(
                std::upper_bound(messages.begin(), next, *next, before), next, std::next(next));
        }
    }

    void visit(World world) {
        if (!world.cluster->failure().empty()) {
            failure_ = world.cluster->failure() + "\n" + world.cluster->describe();
            return;
        }
        Fingerprint print;
        print.add(world.cluster->state_hash()).add(world.entries);
        print.add(world.crashes).add(world.changes);
        if (seen_.insert(print.value()).second) {
            open_.push_back(std::move(world));
        }
    }

    Bounds bounds_;
    std::vector<World> open_;
    std::unordered_set<std::uint64_t> seen_;
    std::uint64_t steps_ = 0;
    std::string failure_;
};

// Three worlds that can be walked to their ends within a minute: one with a crash, one
// with a change of membership, one with a third term.
int run_small_worlds() {
    const std::array<Bounds, 3> worlds{{{.terms = 2, .entries = 2, .crashes = 1, .changes = 0},
                                        {.terms = 2, .entries = 1, .crashes = 0, .changes = 1},
                                        {.terms = 3, .entries = 1, .crashes = 0, .changes = 0}}};
    bool fine = true;
    for (const Bounds& bounds : worlds) {
        std::printf("terms %llu, entries %llu, crashes %llu, changes %llu\n",
                    static_cast<unsigned long long>(bounds.terms),
                    static_cast<unsigned long long>(bounds.entries),
                    static_cast<unsigned long long>(bounds.crashes),
                    static_cast<unsigned long long>(bounds.changes));
        fine = Walk(bounds).run() && fine;
    }
    return fine ? 0 : 1;
}

int run(int argc, char** argv) {
    if (argc == 1) {
        return run_small_worlds();
    }
    Bounds bounds;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view name = argv[i];
        const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
        if (name == "--nodes") {
            bounds.nodes = value;
        } else if (name == "--terms") {
            bounds.terms = value;
        } else if (name == "--entries") {
            bounds.entries = value;
        } else if (name == "--crashes") {
            bounds.crashes = value;
        } else if (name == "--changes") {
            bounds.changes = value;
        } else if (name == "--channel") {
            bounds.channel = value;
        } else if (name == "--states") {
            bounds.states = value;
        } else {
            std::fprintf(stderr, "raft_explore: unknown bound %s\n", argv[i]);
            return 2;
        }
    }
    return Walk(bounds).run() ? 0 : 1;
}

}  // namespace

}  // namespace kvstore::raft::conformance

int main(int argc, char** argv) {
    return kvstore::raft::conformance::run(argc, argv);
}
