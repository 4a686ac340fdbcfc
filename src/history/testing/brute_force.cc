#include "history/testing/brute_force.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/parse.h"

namespace kvstore::history::testing {
namespace {

bool told(const std::optional<std::int64_t>& number, std::int64_t actual) {
    return !number || *number == actual;
}

// Does `operation` to `value`. Returns: false where its answer is not the one it would have got.
bool apply(const Operation& operation, MaybeValue& value) {
    const bool is_known = operation.outcome == Outcome::kOk;
    if (is_known && operation.observed && *operation.observed != value) {
        return false;
    }
    switch (operation.kind) {
        case OperationKind::kRead: return true;
        case OperationKind::kWrite: value = operation.argument; return true;
        case OperationKind::kDelete: {
            const std::int64_t deleted = value.has_value() ? 1 : 0;
            value.reset();
            return told(operation.number, deleted);
        }
        case OperationKind::kCompareAndSet: {
            const bool matches = value == operation.expected;
            if (matches) {
                value = operation.argument;
            }
            return !is_known || operation.is_matched == matches;
        }
        case OperationKind::kIncrement: {
            const auto before = value ? parse_int64(*value) : std::optional<std::int64_t>(0);
            if (!before) {
                return !is_known;
            }
            value = std::to_string(*before + operation.delta);
            return told(operation.number, *before + operation.delta);
        }
        case OperationKind::kAppend:
            value = value.value_or("") + *operation.argument;
            return told(operation.number, static_cast<std::int64_t>(value->size()));
    }
    return false;
}

struct Trial {
    const History& history;
    std::vector<bool> is_placed;
    std::set<std::pair<std::vector<bool>, MaybeValue>> failed;

    [[nodiscard]] bool may_be_next(std::size_t at) const {
        for (std::size_t other = 0; other < history.size(); ++other) {
            if (!is_placed[other] && history[other].outcome == Outcome::kOk &&
                history[other].returned < history[at].called) {
                return false;
            }
        }
        return true;
    }

    bool has_order(const MaybeValue& value) {
        if (failed.contains({is_placed, value})) {
            return false;
        }
        bool is_complete = true;
        for (std::size_t at = 0; at < history.size(); ++at) {
            if (is_placed[at] || history[at].outcome == Outcome::kFailed) {
                continue;
            }
            is_complete = is_complete && history[at].outcome == Outcome::kUnknown;
            MaybeValue after = value;
            if (!may_be_next(at) || !apply(history[at], after)) {
                continue;
            }
            is_placed[at] = true;
            const bool found = has_order(after);
            is_placed[at] = false;
            if (found) {
                return true;
            }
        }
        if (!is_complete) {
            failed.emplace(is_placed, value);
        }
        return is_complete;
    }
};

}  // namespace

bool is_linearizable_by_brute_force(const History& history) {
    Trial trial{.history = history, .is_placed = std::vector<bool>(history.size()), .failed = {}};
    return trial.has_order(std::nullopt);
}

}  // namespace kvstore::history::testing
