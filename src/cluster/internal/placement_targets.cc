#include <algorithm>
#include <limits>
#include <optional>
#include <ranges>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "cluster/internal/placement_path.h"
#include "cluster/internal/placement_state.h"

namespace kvstore::cluster::internal {
namespace {

void erase(std::vector<NodeIndex>& from, NodeIndex node) {
    from.erase(std::ranges::find(from, node));
}

void tell(std::vector<Obstacle>& obstacles, Obstacle obstacle) {
    if (obstacles.size() < kObstaclesMax) {
        obstacles.push_back(std::move(obstacle));
    }
}

class TargetChooser {
public:
    TargetChooser(PlacementState& state, std::vector<Obstacle>& obstacles)
        : state_(state), obstacles_(obstacles) {}

    void choose(ShardView& shard) {
        const std::size_t size = target_size(shard);
        shard.target = wanted(shard);
        shard.is_fixed = !shard.target.empty();
        if (!shard.is_fixed) {
            keep(shard);
            while (shard.target.size() > size) {
                erase(shard.target, worst(shard));
            }
            fill(shard, size);
            hold(shard, size);
        }
        KVSTORE_ASSERT(shard.target.size() == size);
        for (const auto* members : {&shard.voters, &shard.learners}) {
            for (const NodeIndex member : *members) {
                --state_.nodes[member].replicas;
            }
        }
        for (const NodeIndex node : shard.target) {
            ++state_.nodes[node].replicas;
        }
    }

private:
    // Odd, for an even number of voters bears no more failures than one less; so a learner is not
    // asked for while there is no node for a second one.
    [[nodiscard]] std::size_t target_size(const ShardView& shard) const {
        std::size_t available = shard.voters.size();
        for (NodeIndex at = 0; at < state_.nodes.size(); ++at) {
            const bool is_learner = shard.is_member(at) && !shard.is_voter(at);
            const bool can_join = !shard.is_member(at) && state_.nodes[at].may_take;
            available += can_join || (is_learner && state_.nodes[at].may_stay) ? 1 : 0;
        }
        const std::uint32_t factor =
            effective_factor(shard.shard->replication_factor, state_.member_count);
        return effective_factor(factor, available);
    }

    // Where an operator wants the shard; nothing while that cannot be.
    [[nodiscard]] std::vector<NodeIndex> wanted(const ShardView& shard) const {
        const std::vector<NodeId>& ids = shard.shard->wanted;
        std::vector<NodeIndex> nodes;
        for (NodeIndex at = 0; at < state_.nodes.size(); ++at) {
            const NodeView& node = state_.nodes[at];
            if (std::ranges::find(ids, node.id) == ids.end()) {
                continue;
            }
            // A copy that is begun waits for nobody who is dead.
            const bool may_hold = shard.is_member(at)
                                      ? node.may_stay && (shard.is_voter(at) || !node.is_dead)
                                      : node.may_take;
            if (may_hold) {
                nodes.push_back(at);
            }
        }
        const std::size_t factor =
            effective_factor(shard.shard->replication_factor, state_.member_count);
        const bool can_be = nodes.size() == ids.size() && nodes.size() == factor;
        return can_be ? nodes : std::vector<NodeIndex>();
    }

    static void add(ShardView& shard, NodeIndex node) { shard.target.push_back(node); }

    void keep(ShardView& shard) const {
        for (const NodeIndex voter : shard.voters) {
            if (state_.nodes[voter].may_stay) {
                add(shard, voter);
            }
        }
        for (const NodeIndex learner : shard.learners) {
            const NodeView& node = state_.nodes[learner];
            if (node.may_stay && !node.is_dead) {
                add(shard, learner);
            }
        }
    }

    // Of more than are needed, whom to do without. First voters that do not count for a majority
    // now; a learner on a suspected node may still catch up. Of equals the learner stays:
    // what was begun is finished.
    [[nodiscard]] NodeIndex worst(const ShardView& shard) const {
        const auto badness = [&](NodeIndex at) {
            const NodeView& node = state_.nodes[at];
            return std::tuple(!state_.counts(shard, at) && shard.is_voter(at),
                              state_.zone_count(shard.target, at),
                              node.replicas,
                              shard.is_voter(at),
                              shard.leader != at,
                              node.id);
        };
        return std::ranges::max(shard.target, {}, badness);
    }

    void fill(ShardView& shard, std::size_t size) const {
        while (shard.target.size() < size) {
            const std::optional<NodeIndex> newcomer = best_newcomer(shard);
            if (!newcomer.has_value()) {
                return;
            }
            add(shard, *newcomer);
        }
    }

    [[nodiscard]] std::optional<NodeIndex> best_newcomer(const ShardView& shard) const {
        std::optional<NodeIndex> best;
        const auto merit = [&](NodeIndex at) {
            return std::tuple(state_.zone_count(shard.target, kNoNode, at),
                              -static_cast<std::ptrdiff_t>(state_.nodes[at].replicas));
        };
        for (NodeIndex at = 0; at < state_.nodes.size(); ++at) {
            if (!state_.nodes[at].may_take || shard.is_member(at) || shard.is_wanted(at)) {
                continue;
            }
            if (!best.has_value() || merit(at) > merit(*best)) {
                best = at;
            }
        }
        return best;
    }

    // While nobody else can: learners on nodes that may soon be back wait for them, and voters that
    // should go stay, the living first.
    void hold(ShardView& shard, std::size_t size) {
        for (const NodeIndex learner : shard.learners) {
            if (shard.target.size() < size && state_.nodes[learner].may_stay &&
                !shard.is_wanted(learner)) {
                add(shard, learner);
            }
        }
        for (const bool is_alive : {true, false}) {
            for (const NodeIndex voter : shard.voters) {
                const NodeView& node = state_.nodes[voter];
                const bool is_candidate =
                    node.is_alive == is_alive && !node.may_stay && !shard.is_wanted(voter);
                if (shard.target.size() < size && is_candidate) {
                    add(shard, voter);
                    tell(obstacles_,
                         {.shard = shard.shard->id,
                          .node = node.id,
                          .reason = "no other live node can take the replica of node " +
                                    std::to_string(node.id.value())});
                }
            }
        }
    }

    PlacementState& state_;
    std::vector<Obstacle>& obstacles_;
};

// Moves single replicas between targets of settled shards, while the budget lasts.
class Spreader {
public:
    Spreader(PlacementState& state, std::size_t budget)
        : state_(state), budget_(budget), settled_on_(state.nodes.size()) {
        std::set<std::size_t> zones;
        for (const NodeView& node : state_.nodes) {
            zones.insert(node.zone);
        }
        zone_total_ = zones.size();
        for (ShardView& shard : state_.shards) {
            if (shard.is_fixed) {
                continue;
            }
            if (!shard.is_settled()) {
                undecided_.push_back(&shard);
                continue;
            }
            for (const NodeIndex node : shard.target) {
                settled_on_[node].push_back(&shard);
            }
        }
    }

    void spread() {
        while (level_free_choices()) {
        }
        if (has_repairs()) {
            return;
        }
        bool has_gained = false;
        for (ShardView& shard : state_.shards) {
            while (budget_ > 0 && !shard.is_fixed && shard.is_settled() && gain_zone(shard)) {
                has_gained = true;
            }
        }
        // What levelling would build on these moves is left for when they are done.
        if (!has_gained) {
            for (const NodeView& node : state_.nodes) {
                before_.push_back(node.replicas);
            }
            while (budget_ > 0 && level()) {
            }
        }
    }

private:
    void move(ShardView& shard, NodeIndex from, NodeIndex to) {
        erase(shard.target, from);
        shard.target.push_back(to);
        --state_.nodes[from].replicas;
        ++state_.nodes[to].replicas;
    }

    [[nodiscard]] bool keeps_zones(const ShardView& shard, NodeIndex from, NodeIndex to) const {
        return state_.zone_count(shard.target, from, to) >= state_.zone_count(shard.target);
    }

    // Whether `to` may take the place of `from` at no cost: neither was begun, or both are there
    // and one too many.
    [[nodiscard]] bool is_free_choice(const ShardView& shard, NodeIndex from, NodeIndex to) const {
        const NodeView& node = state_.nodes[to];
        if (shard.is_wanted(to) || shard.is_member(from) != shard.is_member(to)) {
            return false;
        }
        return shard.is_member(to) ? node.is_alive && node.may_stay : node.may_take;
    }

    // Each shard chose alone; together they choose better, along shortest paths of free choices, as
    // leaders are balanced. So what moves under way were planned for is found again in every plan,
    // however far each of them has come.
    bool level_free_choices() {
        std::size_t fewest = std::numeric_limits<std::size_t>::max();
        for (const NodeView& node : state_.nodes) {
            fewest = node.is_alive && node.may_stay ? std::min(fewest, node.replicas) : fewest;
        }
        const auto load = [this](NodeIndex at) {
            return state_.nodes[at].replicas;
        };
        const auto edges_of = [this](NodeIndex at, auto visit) {
            free_choices(at, visit);
        };
        Path shortest;
        for (NodeIndex from = 0; from < state_.nodes.size() && shortest.size() != 1; ++from) {
            if (undecided_.empty() || load(from) < 2 || fewest > load(from) - 2) {
                continue;
            }
            Path path = find_path(state_.nodes.size(), from, load, edges_of);
            if (!path.empty() && (shortest.empty() || path.size() < shortest.size())) {
                shortest = std::move(path);
            }
        }
        // From the end, each judged again: one shard may stand at two places of the path.
        bool has_moved = false;
        for (const Edge& edge : shortest | std::views::reverse) {
            if (!keeps_zones(*edge.shard, edge.from, edge.to)) {
                return false;
            }
            move(*edge.shard, edge.from, edge.to);
            has_moved = true;
        }
        return has_moved;
    }

    template <typename Visit>
    void free_choices(NodeIndex from, Visit visit) const {
        for (ShardView* shard : undecided_) {
            for (NodeIndex to = 0; shard->is_wanted(from) && to < state_.nodes.size(); ++to) {
                if (is_free_choice(*shard, from, to) && keeps_zones(*shard, from, to)) {
                    visit(Edge{.shard = shard, .from = from, .to = to});
                }
            }
        }
    }

    // While shards have too few replicas, or some on nodes that go, nothing moves for less.
    [[nodiscard]] bool has_repairs() const {
        return std::ranges::any_of(state_.shards, [this](const ShardView& shard) {
            const bool is_missing = shard.voters.size() < shard.target.size();
            const bool is_leaving = std::ranges::any_of(shard.voters, [&](NodeIndex voter) {
                return !state_.nodes[voter].may_stay && !shard.is_wanted(voter);
            });
            return shard.can_change && (is_missing || is_leaving || shard.has_damaged_member());
        });
    }

    bool gain_zone(ShardView& shard) {
        const std::size_t zones = state_.zone_count(shard.target);
        if (zones == shard.target.size() || zones == zone_total_) {
            return false;
        }
        std::optional<std::pair<NodeIndex, NodeIndex>> best;
        const auto merit = [&](NodeIndex from, NodeIndex to) {
            return std::tuple(-static_cast<std::ptrdiff_t>(state_.nodes[to].replicas),
                              state_.nodes[from].replicas,
                              shard.leader != from);
        };
        for (const NodeIndex from : shard.target) {
            for (NodeIndex to = 0; to < state_.nodes.size(); ++to) {
                if (!state_.nodes[to].may_take || shard.is_wanted(to) ||
                    state_.zone_count(shard.target, from, to) <= zones) {
                    continue;
                }
                if (!best.has_value() || merit(from, to) > merit(best->first, best->second)) {
                    best.emplace(from, to);
                }
            }
        }
        if (best.has_value()) {
            move(shard, best->first, best->second);
            --budget_;
        }
        return best.has_value();
    }

    // Takes one replica from the fullest node that can give one to the emptiest that can take it;
    // each such move is right with or without the others of this plan.
    bool level() {
        std::vector<NodeIndex> nodes;
        for (NodeIndex at = 0; at < state_.nodes.size(); ++at) {
            if (state_.nodes[at].may_take) {
                nodes.push_back(at);
            }
        }
        std::ranges::sort(
            nodes, {}, [&](NodeIndex at) { return std::tuple(state_.nodes[at].replicas, at); });
        for (auto from = nodes.rbegin(); from != nodes.rend(); ++from) {
            for (const NodeIndex to : nodes) {
                if (state_.nodes[*from].replicas < state_.nodes[to].replicas + 2) {
                    break;
                }
                ShardView* shard = before_[*from] < before_[to] + 2 ? nullptr : movable(*from, to);
                if (shard != nullptr) {
                    move(*shard, *from, to);
                    --budget_;
                    return true;
                }
            }
        }
        return false;
    }

    // The first shard that may move a replica so, rather one that is not led there.
    ShardView* movable(NodeIndex from, NodeIndex to) {
        ShardView* led = nullptr;
        for (ShardView* shard : settled_on_[from]) {
            if (shard->is_wanted(to) || !shard->is_settled() || !keeps_zones(*shard, from, to)) {
                continue;
            }
            if (shard->leader != from) {
                return shard;
            }
            if (led == nullptr) {
                led = shard;
            }
        }
        return led;
    }

    PlacementState& state_;
    std::size_t budget_;
    std::size_t zone_total_ = 0;
    std::vector<std::size_t> before_;  // replicas of each node before levelling
    std::vector<ShardView*> undecided_;
    std::vector<std::vector<ShardView*>> settled_on_;  // by node, as it was at the beginning
};

// Replicas that are being filled, or wait for it.
std::size_t fillings(const PlacementState& state) {
    std::size_t count = 0;
    for (const ShardView& shard : state.shards) {
        if (shard.can_change || shard.shard->is_changing) {
            count += static_cast<std::size_t>(std::ranges::count_if(
                shard.target, [&](NodeIndex node) { return state.is_empty(shard, node); }));
        }
    }
    return count;
}

}  // namespace

void choose_targets(PlacementState& state,
                    const PlacementOptions& options,
                    std::vector<Obstacle>& obstacles) {
    TargetChooser chooser(state, obstacles);
    for (ShardView& shard : state.shards) {
        chooser.choose(shard);
    }
    const std::size_t budget = std::max<std::size_t>(1, options.filling_max / 2);
    const std::size_t taken = fillings(state);
    Spreader(state, budget - std::min(budget, taken)).spread();
}

}  // namespace kvstore::cluster::internal
