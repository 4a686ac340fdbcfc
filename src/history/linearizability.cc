#include "history/linearizability.h"

#include <algorithm>
#include <vector>

#include "history/internal/explain.h"
#include "history/internal/problem.h"

namespace kvstore::history {
namespace {

internal::Role role_of(const Operation& operation, Consistency fallback) {
    const bool is_weak = operation.kind == OperationKind::kRead &&
                         operation.consistency.value_or(fallback) != Consistency::kLinearizable;
    return is_weak ? internal::Role::kLeftOut : internal::role_of(operation);
}

}  // namespace

void check_linearizability(const History& history,
                           const KeyOperations& key,
                           const LinearizabilityOptions& options,
                           CheckReport& report) {
    std::vector<internal::Role> roles;
    roles.reserve(key.places.size());
    for (const std::size_t place : key.places) {
        roles.push_back(role_of(history[place], options.consistency));
    }
    const auto judged = std::ranges::count(roles, internal::Role::kCertain);
    if (judged == 0) {
        return;
    }
    ++report.key_count;
    report.operation_count += static_cast<std::uint64_t>(judged);
    internal::Problem problem = internal::make_problem(history, key.places, roles);
    internal::Effort effort{.budget = options.budget};
    const Verdict verdict = internal::judge(problem, effort);
    report.configuration_count += effort.spent;
    if (verdict == Verdict::kUndecided) {
        report.undecided.emplace_back(key.key);
    }
    if (verdict == Verdict::kViolated) {
        // Explaining asks the question again and again, and may cost as much as deciding may.
        report.add(report.wants_violation()
                       ? internal::explain(history, key, roles, {.budget = options.budget})
                       : Violation());
    }
}

CheckReport check_linearizability(const History& history, const LinearizabilityOptions& options) {
    CheckReport report;
    for (const KeyOperations& key : partition_by_key(history)) {
        check_linearizability(history, key, options, report);
    }
    return report;
}

}  // namespace kvstore::history
