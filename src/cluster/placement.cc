#include "cluster/placement.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "cluster/internal/placement_state.h"

namespace kvstore::cluster {
namespace {

using internal::majority_of;
using internal::NodeIndex;
using internal::NodeView;
using internal::PlacementState;
using internal::ShardView;

// In this order, whatever the shard.
enum class Urgency : std::uint8_t {
    kLeave,   // a leader from a node that must not lead
    kFinish,  // what is half done
    kRepair,  // a replica whose node is leaving or dead
    kGrow,
    kImprove,
};

struct Step {
    Urgency urgency = Urgency::kImprove;
    std::size_t spare_voters = 0;  // live ones beyond a majority
    Action action;
};

// The next step of one shard.
class StepFinder {
public:
    StepFinder(const PlacementState& state,
               const ShardView& shard,
               std::vector<Obstacle>& obstacles)
        : state_(state),
          shard_(shard),
          obstacles_(obstacles),
          live_(state.live_voters(shard)),
          majority_(majority_of(shard.voters.size())) {}

    std::optional<Step> find() {
        if (!shard_.can_change) {
            tell_lost_majority();
            return std::nullopt;
        }
        std::optional<Step> step = leave();
        if (!step.has_value()) {
            step = remove_damaged();
        }
        if (!step.has_value()) {
            step = remove_learner();
        }
        if (!step.has_value()) {
            step = promote();
        }
        if (!step.has_value()) {
            step = remove_voter();
        }
        if (!step.has_value()) {
            step = add_learner();
        }
        return step;
    }

private:
    [[nodiscard]] const NodeView& node(NodeIndex at) const { return state_.nodes[at]; }
    [[nodiscard]] bool counts(NodeIndex at) const { return state_.counts(shard_, at); }

    void tell(NodeId about, std::string reason) {
        if (obstacles_.size() < kObstaclesMax) {
            obstacles_.push_back(
                {.shard = shard_.shard->id, .node = about, .reason = std::move(reason)});
        }
    }

    void tell_lost_majority() {
        if (live_ < majority_) {
            tell(NodeId(),
                 "it has lost its majority: " + std::to_string(live_) + " of " +
                     std::to_string(shard_.voters.size()) + " voters are alive" +
                     (shard_.has_damaged_member() ? " and undamaged" : ""));
        }
    }

    [[nodiscard]] Step make(Urgency urgency,
                            ActionKind kind,
                            NodeIndex at,
                            std::string_view reason) const {
        Action action{.kind = kind,
                      .shard = shard_.shard->id,
                      .epoch = shard_.shard->epoch,
                      .node = node(at).id,
                      .from = NodeId(),
                      .reason = reason};
        if (kind == ActionKind::kTransferLeader) {
            action.from = node(shard_.leader).id;
        }
        return {.urgency = urgency, .spare_voters = live_ - majority_, .action = action};
    }

    // Of the live voters that stay, rather one that may lead, and then who leads fewest.
    [[nodiscard]] std::optional<NodeIndex> next_leader() const {
        std::optional<NodeIndex> best;
        const auto badness = [this](NodeIndex at) {
            return std::tuple(!node(at).may_lead, node(at).leaders);
        };
        for (const NodeIndex voter : shard_.voters) {
            const bool can = counts(voter) && voter != shard_.leader && shard_.is_wanted(voter);
            if (can && (!best.has_value() || badness(voter) < badness(*best))) {
                best = voter;
            }
        }
        return best;
    }

    [[nodiscard]] std::optional<Step> leave() const {
        if (node(shard_.leader).may_lead) {
            return std::nullopt;
        }
        const std::optional<NodeIndex> next = next_leader();
        if (!next.has_value() || !node(*next).may_lead) {
            return std::nullopt;
        }
        return make(Urgency::kLeave,
                    ActionKind::kTransferLeader,
                    *next,
                    node(shard_.leader).has_bad_disk
                        ? "the disk of the leader's node is full, slow or broken"
                        : "the leader's node is being drained or leaves");
    }

    // Whether or not the node is wanted: what it is given in its place is a new replica.
    [[nodiscard]] std::optional<Step> remove_damaged() const {
        for (const NodeIndex member : shard_.damaged) {
            if (!shard_.is_member(member)) {
                continue;
            }
            const bool votes = shard_.is_voter(member);
            if (!votes || live_ >= majority_of(shard_.voters.size() - 1)) {
                return make(Urgency::kRepair,
                            votes ? ActionKind::kRemoveVoter : ActionKind::kRemoveLearner,
                            member,
                            "its replica is damaged");
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] std::optional<Step> remove_learner() const {
        for (const NodeIndex learner : shard_.learners) {
            if (!shard_.is_wanted(learner)) {
                return make(Urgency::kFinish,
                            ActionKind::kRemoveLearner,
                            learner,
                            "the copy is no longer wanted, or its node is dead");
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] bool is_ready(NodeIndex learner) const {
        const auto& caught_up = shard_.shard->caught_up;
        return shard_.is_wanted(learner) && node(learner).is_alive &&
               std::ranges::find(caught_up, node(learner).id) != caught_up.end();
    }

    // An even number of voters bears no more failures than one less; it is passed through only when
    // the step to the next odd one can follow at once.
    [[nodiscard]] std::optional<Step> promote() const {
        const std::size_t voters = shard_.voters.size();
        const auto ready = std::ranges::count_if(
            shard_.learners, [this](NodeIndex learner) { return is_ready(learner); });
        const bool has_too_many = std::ranges::any_of(
            shard_.voters, [this](NodeIndex voter) { return !shard_.is_wanted(voter); });
        const bool can_follow = ready >= 2 || (has_too_many && voters >= shard_.target.size());
        if (ready == 0 || voters > shard_.target.size() || (voters % 2 == 1 && !can_follow)) {
            return std::nullopt;
        }
        const auto learner =
            std::ranges::find_if(shard_.learners, [this](NodeIndex at) { return is_ready(at); });
        return make(
            Urgency::kFinish, ActionKind::kPromoteLearner, *learner, "its copy has caught up");
    }

    [[nodiscard]] std::string_view removal_reason(NodeIndex at) const {
        if (node(at).may_stay) {
            return "there are replicas enough without it";
        }
        return node(at).is_alive ? "its node gives its replicas away"
                                 : "its node is dead or has left";
    }

    // The dead first, for that changes nothing but the count; the leader last.
    std::optional<Step> remove_voter() {
        std::vector<NodeIndex> candidates;
        for (const NodeIndex voter : shard_.voters) {
            if (!shard_.is_wanted(voter)) {
                candidates.push_back(voter);
            }
        }
        if (candidates.empty() || shard_.voters.size() <= shard_.target.size()) {
            return std::nullopt;
        }
        const NodeIndex chosen = std::ranges::min(candidates, {}, [this](NodeIndex at) {
            return std::tuple(node(at).is_alive, shard_.leader == at, !node(at).is_dead, at);
        });
        const std::size_t live_after = live_ - (counts(chosen) ? 1 : 0);
        if (live_after < majority_of(shard_.voters.size() - 1)) {
            tell(node(chosen).id,
                 "its replica stays: without it " + std::to_string(live_after) + " of " +
                     std::to_string(shard_.voters.size() - 1) +
                     " voters would be alive, which is no majority");
            return std::nullopt;
        }
        if (shard_.leader != chosen) {
            return make(Urgency::kFinish, ActionKind::kRemoveVoter, chosen, removal_reason(chosen));
        }
        const std::optional<NodeIndex> next = next_leader();
        if (!next.has_value()) {
            return std::nullopt;
        }
        return make(
            Urgency::kFinish, ActionKind::kTransferLeader, *next, "the leader's replica is to go");
    }

    std::optional<Step> add_learner() {
        for (const NodeIndex wanted : shard_.target) {
            if (shard_.is_damaged(wanted) && !shard_.is_member(wanted)) {
                tell(node(wanted).id,
                     "node " + std::to_string(node(wanted).id.value()) +
                         " is given a replica when it has put its damaged one away");
            } else if (!shard_.is_member(wanted)) {
                const auto [urgency, reason] = purpose();
                return make(urgency, ActionKind::kAddLearner, wanted, reason);
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] std::pair<Urgency, std::string_view> purpose() const {
        const bool is_repair = std::ranges::any_of(shard_.voters, [this](NodeIndex voter) {
            return !node(voter).may_stay && !shard_.is_wanted(voter);
        });
        if (is_repair) {
            return {Urgency::kRepair, "a node that has a replica is dead or leaves"};
        }
        if (shard_.voters.size() + shard_.learners.size() < shard_.target.size()) {
            return {Urgency::kGrow, "there are nodes for more replicas"};
        }
        if (shard_.is_fixed) {
            return {Urgency::kImprove, "it is wanted there"};
        }
        return {Urgency::kImprove, "to spread replicas over zones and nodes"};
    }

    const PlacementState& state_;
    const ShardView& shard_;
    std::vector<Obstacle>& obstacles_;
    std::size_t live_;
    std::size_t majority_;
};

// The first step of each shard, the most urgent first.
std::vector<Step> find_steps(PlacementState& state, std::vector<Obstacle>& obstacles) {
    std::vector<Step> steps;
    for (ShardView& shard : state.shards) {
        const std::optional<Step> step = StepFinder(state, shard, obstacles).find();
        if (!step.has_value()) {
            continue;
        }
        shard.has_action = true;
        if (step->action.kind == ActionKind::kTransferLeader) {
            --state.nodes[shard.leader].leaders;
            for (NodeView& node : state.nodes) {
                node.leaders += node.id == step->action.node ? 1 : 0;
            }
        }
        steps.push_back(*step);
    }
    std::ranges::sort(steps, {}, [](const Step& step) {
        return std::tuple(step.urgency, step.spare_voters, step.action.shard);
    });
    return steps;
}

// Learners that are being filled.
std::size_t count_fillings(const PlacementState& state) {
    std::size_t count = 0;
    for (const ShardView& shard : state.shards) {
        // What waits for a node or a majority is not filled, and may not be in anybody's way.
        if (shard.can_change || shard.shard->is_changing) {
            count += static_cast<std::size_t>(
                std::ranges::count_if(shard.learners, [&](NodeIndex learner) {
                    return shard.is_wanted(learner) && state.nodes[learner].is_alive &&
                           state.is_empty(shard, learner);
                }));
        }
    }
    return count;
}

}  // namespace

std::uint32_t effective_factor(std::uint32_t factor, std::size_t nodes) {
    const auto bound = static_cast<std::uint32_t>(std::min<std::size_t>(factor, nodes));
    return bound == 0 ? 1 : bound - (bound % 2 == 0 ? 1 : 0);
}

Plan plan_placement(const PlacementInput& input, const PlacementOptions& options) {
    Plan plan;
    PlacementState state = internal::make_placement_state(input, options);
    internal::choose_targets(state, options, plan.obstacles);
    std::size_t filling = count_fillings(state);
    for (Step& step : find_steps(state, plan.obstacles)) {
        if (step.action.kind == ActionKind::kAddLearner && filling++ >= options.filling_max) {
            continue;
        }
        plan.actions.push_back(step.action);
    }
    internal::balance_leaders(state, options, plan.actions);
    return plan;
}

std::string to_string(const Action& action) {
    const auto on = [](NodeId node) {
        return "node " + std::to_string(node.value());
    };
    std::string text = "shard " + std::to_string(action.shard.value()) + ": ";
    switch (action.kind) {
        case ActionKind::kTransferLeader:
            text += "transfer leadership from " + on(action.from) + " to " + on(action.node);
            break;
        case ActionKind::kPromoteLearner: text += "promote learner on " + on(action.node); break;
        case ActionKind::kRemoveVoter: text += "remove voter on " + on(action.node); break;
        case ActionKind::kRemoveLearner: text += "remove learner on " + on(action.node); break;
        case ActionKind::kAddLearner: text += "add learner on " + on(action.node); break;
    }
    return text + " (" + std::string(action.reason) + ")";
}

std::string_view disk_state_name(DiskState state) {
    switch (state) {
        case DiskState::kFine: return "ok";
        case DiskState::kFull: return "full";
        case DiskState::kSlow: return "slow";
        case DiskState::kFailed: break;
    }
    return "failed";
}

Status check_removal(const PlacementInput& input, NodeId node) {
    const auto is_it = [&](const PlacementNode& other) {
        return other.id == node && is_member(other.state);
    };
    if (std::ranges::none_of(input.nodes, is_it)) {
        return {Code::kNotFound,
                "no member of the cluster is node " + std::to_string(node.value())};
    }
    const std::string cannot = "node " + std::to_string(node.value()) + " cannot be removed: ";
    const auto is_other = [&](const PlacementNode& other) {
        return other.id != node && is_member(other.state);
    };
    if (std::ranges::none_of(input.nodes, is_other)) {
        return {Code::kConflict, cannot + "it is the last one"};
    }
    const PlacementState state = internal::make_placement_state(input, {});
    for (const ShardView& shard : state.shards) {
        std::size_t left = 0;
        std::size_t live = 0;
        for (const NodeIndex voter : shard.voters) {
            left += state.nodes[voter].id != node ? 1 : 0;
            live += state.nodes[voter].id != node && state.counts(shard, voter) ? 1 : 0;
        }
        if (left < shard.voters.size() && live < majority_of(left)) {
            return {Code::kConflict,
                    cannot + "shard " + std::to_string(shard.shard->id.value()) +
                        " would be left with " + std::to_string(live) + " live voters of " +
                        std::to_string(left) + "; decommission it, or bring others back first"};
        }
    }
    return {};
}

}  // namespace kvstore::cluster
