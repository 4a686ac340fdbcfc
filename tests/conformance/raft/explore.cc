// Walks every state of a small world of real cores:
//
//     raft_explore [--terms N] [--entries N] [--crashes N] [--changes N]
//                  [--change remove|demote] [--channel N] [--heartbeats 0|1]
//                  [--answers 0|1] [--states-max N] [--planted BUG]
//
// Without bounds, a few small worlds are walked in less than a minute.
// docs/internals/raft.md ("The explored world") tells what a step is, and why it is sound
// to leave out what is left out.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "explore_world.h"
#include "fingerprint_set.h"
#include "raft/internal/mutants.h"

namespace kvstore::raft::conformance {

namespace {

constexpr std::size_t kStatesMax = 20'000'000;

class Walk {
public:
    Walk(const Bounds& bounds, std::size_t states_max) : universe_(bounds), seen_(states_max) {}

    // False when a rule was broken, or when there is more than fits.
    bool run() {
        visit(universe_.first());
        while (!path_.empty() && verdict_.empty()) {
            Frame& top = path_.back();
            if (top.next == universe_.actions().size()) {
                path_.pop_back();
                continue;
            }
            const Action& action = universe_.actions()[top.next++];
            const std::optional<World> next = universe_.after(top.world, action);
            if (!universe_.failure().empty()) {
                verdict_ = universe_.failure();
                break;
            }
            if (next.has_value()) {
                ++steps_;
                visit(*next);
            }
        }
        report();
        return verdict_.empty();
    }

private:
    // A world on the way to the present one, and the first action not taken there yet.
    struct Frame {
        World world;
        std::uint32_t next = 0;
    };

    void visit(const World& world) {
        switch (seen_.insert(universe_.fingerprint(world))) {
            case FingerprintSet::Insert::kKnown: return;
            case FingerprintSet::Insert::kFull:
                verdict_ = "stopped: more states than --states-max";
                return;
            case FingerprintSet::Insert::kNew: break;
        }
        path_.push_back({world});
        depth_max_ = std::max(depth_max_, path_.size());
        constexpr std::size_t kTellEvery = 10'000'000;
        if (seen_.size() % kTellEvery == 0) {
            std::fprintf(stderr,
                         "%zu states so far, %llu steps, %s\n",
                         seen_.size(),
                         static_cast<unsigned long long>(steps_),
                         universe_.sizes().c_str());
        }
    }

    void report() {
        std::printf("raft explorer: %zu distinct states, %llu steps, %zu deep, %s, %s\n",
                    seen_.size(),
                    static_cast<unsigned long long>(steps_),
                    depth_max_,
                    universe_.sizes().c_str(),
                    verdict_.empty() ? "exhausted, no violation" : verdict_.c_str());
        if (universe_.failure().empty()) {
            return;
        }
        for (const Frame& frame : path_) {
            const Action& action = universe_.actions()[frame.next - 1];
            std::printf("%s%s\n",
                        universe_.describe(frame.world).c_str(),
                        universe_.describe(frame.world, action).c_str());
        }
    }

    Universe universe_;
    FingerprintSet seen_;
    std::vector<Frame> path_;
    std::uint64_t steps_ = 0;
    std::size_t depth_max_ = 0;
    std::string verdict_;
};

// That names do not matter is what allows one world to stand for six. Chance takes the
// same walk under two sets of names; the worlds must stay the same but for the names.
bool names_do_not_matter(const Bounds& bounds) {
    constexpr std::size_t kWalks = 300;
    constexpr std::size_t kLength = 60;
    Universe universe(bounds);
    Random random(1);
    for (std::size_t walk = 0; walk < kWalks; ++walk) {
        const std::size_t names = random.below(kRelabellings.size());
        World world = universe.first();
        World twin = world;
        for (std::size_t i = 0; i < kLength; ++i) {
            const Action& action = universe.actions()[random.below(universe.actions().size())];
            const auto next = universe.after(world, action);
            const auto other = universe.after(twin, Universe::relabelled(action, names));
            if (next.has_value() != other.has_value()) {
                return false;
            }
            if (!next.has_value()) {
                continue;
            }
            world = *next;
            twin = *other;
            if (universe.fingerprint(world, names) != universe.fingerprint(twin, 0) ||
                universe.fingerprint(world) != universe.fingerprint(twin)) {
                return false;
            }
        }
    }
    return true;
}

bool walk(const Bounds& bounds, std::size_t states_max) {
    std::printf("terms %llu, entries %llu, crashes %llu, changes %llu (%s), channel %zu%s%s\n",
                static_cast<unsigned long long>(bounds.terms),
                static_cast<unsigned long long>(bounds.entries),
                static_cast<unsigned long long>(bounds.crashes),
                static_cast<unsigned long long>(bounds.changes),
                bounds.change == ConfOperation::kRemove ? "remove" : "demote",
                bounds.channel,
                bounds.heartbeats ? ", heartbeats" : "",
                bounds.answers ? ", answers" : "");
    std::fflush(stdout);
    if (!names_do_not_matter(bounds)) {
        std::printf("raft explorer: what a member is called changes what it does\n");
        return false;
    }
    return Walk(bounds, states_max).run();
}

Mutant mutant_called(std::string_view name) {
    const auto found = std::find(kMutantNames.begin(), kMutantNames.end(), name);
    return found == kMutantNames.end() ? Mutant::kNone
                                       : static_cast<Mutant>(found - kMutantNames.begin());
}

int run_small_worlds() {
    const std::vector<Bounds> worlds{
        {.terms = 2, .entries = 2, .crashes = 1, .changes = 0},
        {.terms = 2, .entries = 1, .crashes = 1, .changes = 1},
        {.terms = 3, .entries = 1, .crashes = 1, .changes = 0},
        {.terms = 2, .entries = 1, .crashes = 1, .changes = 0, .channel = 2},
        {.terms = 3, .entries = 2, .crashes = 1, .changes = 0, .answers = false},
        {.terms = 3, .entries = 1, .crashes = 0, .changes = 0, .heartbeats = true},
    };
    bool fine = true;
    for (const Bounds& bounds : worlds) {
        fine = walk(bounds, kStatesMax) && fine;
    }
    return fine ? 0 : 1;
}

int run(int argc, char** argv) {
    if (argc == 1) {
        return run_small_worlds();
    }
    Bounds bounds;
    std::size_t states_max = kStatesMax;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view name = argv[i];
        const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
        if (name == "--terms") {
            bounds.terms = value;
        } else if (name == "--entries") {
            bounds.entries = value;
        } else if (name == "--crashes") {
            bounds.crashes = value;
        } else if (name == "--changes") {
            bounds.changes = value;
        } else if (name == "--change") {
            const bool demote = std::string_view(argv[i + 1]) == "demote";
            bounds.change = demote ? ConfOperation::kAddLearner : ConfOperation::kRemove;
        } else if (name == "--channel") {
            bounds.channel = value;
        } else if (name == "--heartbeats") {
            bounds.heartbeats = value != 0;
        } else if (name == "--answers") {
            bounds.answers = value != 0;
        } else if (name == "--states-max") {
            states_max = value;
        } else if (name == "--planted") {
            active_mutant = mutant_called(argv[i + 1]);
        } else {
            std::fprintf(stderr, "raft_explore: unknown bound %s\n", argv[i]);
            return 2;
        }
    }
    return walk(bounds, states_max) ? 0 : 1;
}

}  // namespace

}  // namespace kvstore::raft::conformance

int main(int argc, char** argv) {
    return kvstore::raft::conformance::run(argc, argv);
}
