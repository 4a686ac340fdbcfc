#include "history/internal/explain.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace kvstore::history::internal {
namespace {

// The share of the effort that one question may take.
constexpr std::uint64_t kTrials = 16;

class Explanation {
public:
    Explanation(const History& history,
                const KeyOperations& key,
                std::span<const Role> roles,
                Effort effort)
        : history_(history), key_(key), roles_(roles.begin(), roles.end()), effort_(effort) {}

    Violation run() {
        cut_to_shortest_prefix();
        weaken_what_is_not_needed();
        Violation violation;
        violation.key = Bytes(key_.key);
        const Problem problem = make_problem(history_, key_.places, roles_);
        for (const Step& step : problem.steps) {
            violation.window.push_back(step.place);
        }
        if (culprit_) {
            violation.culprit = key_.places[*culprit_];
            violation.reason = reason(history_[*violation.culprit]);
        }
        return violation;
    }

private:
    // An index into key_.places and roles_.
    using At = std::size_t;

    [[nodiscard]] const Operation& operation(At at) const { return history_[key_.places[at]]; }

    bool is_violated(const std::vector<Role>& roles) {
        Problem problem = make_problem(history_, key_.places, roles);
        // One hard question must not use up what the others need.
        Effort trial{.budget = std::min(effort_.budget / kTrials, effort_.budget - effort_.spent)};
        const Verdict verdict = judge(problem, trial);
        effort_.spent = std::min(effort_.spent + trial.spent, effort_.budget);
        return verdict == Verdict::kViolated;
    }

    // What was known when the first `count` of `by_return` had returned.
    [[nodiscard]] std::vector<Role> roles_in_prefix(const std::vector<At>& by_return,
                                                    std::size_t count) const {
        const MonotonicTime now = operation(by_return[count - 1]).returned;
        std::vector<Role> roles(roles_.size(), Role::kLeftOut);
        for (At at = 0; at < roles.size(); ++at) {
            if (roles_[at] != Role::kLeftOut && operation(at).called <= now) {
                roles[at] = Role::kUncertain;
            }
        }
        for (std::size_t i = 0; i < count; ++i) {
            roles[by_return[i]] = Role::kCertain;
        }
        return roles;
    }

    // A prefix of a history that has an order has one too, so bisection finds the shortest without.
    void cut_to_shortest_prefix() {
        std::vector<At> by_return;
        for (At at = 0; at < roles_.size(); ++at) {
            if (roles_[at] == Role::kCertain) {
                by_return.push_back(at);
            }
        }
        std::ranges::sort(
            by_return, {}, [this](At at) { return std::pair(operation(at).returned, at); });
        std::size_t holds = 0;
        std::size_t violated = by_return.size();
        while (violated - holds > 1) {
            const std::size_t middle = holds + (violated - holds) / 2;
            (is_violated(roles_in_prefix(by_return, middle)) ? violated : holds) = middle;
        }
        if (violated > 0) {
            roles_ = roles_in_prefix(by_return, violated);
            culprit_ = by_return[violated - 1];
        }
    }

    [[nodiscard]] Role weaker(At at) const {
        return may_have_effect(operation(at)) ? Role::kUncertain : Role::kLeftOut;
    }

    // Reads first: a write may be needed only to explain a read that is not.
    void weaken_what_is_not_needed() {
        for (const bool has_effect : {false, true}) {
            std::vector<At> left;
            for (At at = 0; at < roles_.size(); ++at) {
                if (roles_[at] == Role::kCertain && at != culprit_ &&
                    may_have_effect(operation(at)) == has_effect) {
                    left.push_back(at);
                }
            }
            weaken(std::move(left));
        }
    }

    // Tries ever smaller pieces.
    void weaken(std::vector<At> left) {
        for (std::size_t size = left.size(); size > 0; size /= 2) {
            for (std::size_t from = 0; from < left.size() && !effort_.is_exhausted();) {
                const std::size_t until = std::min(from + size, left.size());
                std::vector<Role> roles = roles_;
                for (std::size_t i = from; i < until; ++i) {
                    roles[left[i]] = weaker(left[i]);
                }
                if (!is_violated(roles)) {
                    from = until;
                    continue;
                }
                roles_ = std::move(roles);
                left.erase(left.begin() + static_cast<std::ptrdiff_t>(from),
                           left.begin() + static_cast<std::ptrdiff_t>(until));
            }
        }
    }

    // Whether `other` may have left the value that `read` saw. Sums and appended values are not
    // looked into.
    [[nodiscard]] static bool may_have_written(const Operation& other, const MaybeValue& value) {
        return other.kind == OperationKind::kIncrement || other.kind == OperationKind::kAppend ||
               other.argument == value;
    }

    [[nodiscard]] std::string reason(const Operation& culprit) const {
        const std::string text = operation_text(culprit);
        if (!culprit.observed) {
            return "no order of these operations explains: " + text;
        }
        const MaybeValue& value = *culprit.observed;
        bool is_written = !value.has_value();
        bool is_failed = false;
        bool is_future = false;
        for (const std::size_t place : key_.places) {
            const Operation& other = history_[place];
            if (&other == &culprit || other.kind == OperationKind::kRead || !other.is_matched ||
                !may_have_written(other, value)) {
                continue;
            }
            is_failed = is_failed || other.outcome == Outcome::kFailed;
            if (other.outcome != Outcome::kFailed) {
                (other.called <= culprit.returned ? is_written : is_future) = true;
            }
        }
        if (is_written) {
            return "no order of these operations explains: " + text;
        }
        return text + (is_future   ? ": the value was written only later"
                       : is_failed ? ": the value was given only to writes that failed"
                                   : ": nothing ever wrote this value");
    }

    const History& history_;
    const KeyOperations& key_;
    std::vector<Role> roles_;
    Effort effort_;
    std::optional<At> culprit_;
};

}  // namespace

Violation explain(const History& history,
                  const KeyOperations& key,
                  std::span<const Role> roles,
                  Effort effort) {
    return Explanation(history, key, roles, effort).run();
}

}  // namespace kvstore::history::internal
