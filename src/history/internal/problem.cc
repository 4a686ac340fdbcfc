#include "history/internal/problem.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "history/internal/search.h"
#include "history/internal/zones.h"

namespace kvstore::history::internal {
namespace {

bool has_vague_steps(const std::vector<Step>& steps) {
    return std::ranges::any_of(steps, [](const Step& step) {
        const Transition& transition = step.transition;
        const bool is_exact = transition.need == Need::kNothing ||
                              transition.need == Need::kExactly || transition.need == Need::kNever;
        const bool is_set = transition.effect == Effect::kKeep || transition.effect == Effect::kSet;
        return !is_exact || !is_set;
    });
}

// Leaves out uncertain steps whose value no step asks for. Where every need names one value, this
// decides nothing: in an order that holds, such a step stands directly before one that asks for
// nothing, or at the end, and can be taken out.
void drop_unseen_effects(Problem& problem) {
    std::vector<Step>& steps = problem.steps;
    if (has_vague_steps(steps)) {
        return;
    }
    std::size_t before = 0;
    do {
        before = steps.size();
        std::vector<bool> is_asked_for(problem.states.count());
        for (const Step& step : steps) {
            if (step.transition.need == Need::kExactly) {
                is_asked_for[step.transition.state.value()] = true;
            }
        }
        std::erase_if(steps, [&](const Step& step) {
            return !step.is_certain && !is_asked_for[step.transition.result.value()];
        });
    } while (steps.size() < before);
}

}  // namespace

Role role_of(const Operation& operation) noexcept {
    if (operation.outcome == Outcome::kOk) {
        return Role::kCertain;
    }
    return may_have_effect(operation) ? Role::kUncertain : Role::kLeftOut;
}

Problem make_problem(const History& history,
                     std::span<const std::size_t> places,
                     std::span<const Role> roles) {
    KVSTORE_ASSERT(places.size() == roles.size());
    Problem problem;
    for (std::size_t i = 0; i < places.size(); ++i) {
        const Operation& operation = history[places[i]];
        const bool is_certain = roles[i] == Role::kCertain;
        if (roles[i] == Role::kLeftOut || (!is_certain && !may_have_effect(operation))) {
            continue;
        }
        problem.steps.push_back(
            {.transition =
                 make_transition(operation,
                                 is_certain ? Observations::kCounted : Observations::kIgnored,
                                 problem.states),
             .called = operation.called,
             .deadline = is_certain ? effect_deadline(operation) : MonotonicTime::max(),
             .is_certain = is_certain,
             .place = places[i]});
    }
    drop_unseen_effects(problem);
    return problem;
}

Verdict judge(Problem& problem, Effort& effort) {
    if (effort.is_exhausted()) {
        return Verdict::kUndecided;
    }
    if (const auto verdict = judge_by_zones(problem)) {
        // Linear work counts too, so that many small questions end as well.
        effort.spent += 1 + problem.steps.size() / 64;
        return *verdict;
    }
    Search search(problem, effort.budget - effort.spent);
    const Verdict verdict = search.run();
    effort.spent += search.spent();
    return verdict;
}

}  // namespace kvstore::history::internal
