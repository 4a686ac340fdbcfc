#include "history/internal/sums.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/parse.h"

namespace kvstore::history::internal {
namespace {

// Sums that are looked at before it is called too many to tell.
constexpr std::size_t kSumsMax = 200'000;

}  // namespace

std::optional<std::int64_t> number_of(const MaybeValue& value) {
    return value ? parse_int64(*value) : std::optional<std::int64_t>(0);
}

void Sums::add(std::vector<Total>& totals, MonotonicTime time, std::int64_t delta) {
    Total total = totals.empty() ? Total() : totals.back();
    total.time = time;
    (delta > 0 ? total.positive : total.negative) += delta;
    totals.push_back(total);
}

std::optional<Sums> Sums::of(const History& history, const KeyOperations& key) {
    Sums sums;
    std::vector<const Operation*> returned;
    for (const std::size_t place : key.places) {
        const Operation& operation = history[place];
        if (!may_have_effect(operation)) {
            continue;
        }
        if (operation.kind != OperationKind::kIncrement) {
            return std::nullopt;
        }
        add(sums.by_call_, operation.called, operation.delta);
        if (operation.outcome == Outcome::kOk) {
            returned.push_back(&operation);
        } else {
            sums.unknown_.push_back(operation.delta);
        }
    }
    if (sums.by_call_.empty()) {
        return std::nullopt;
    }
    std::ranges::sort(returned, {}, &Operation::returned);
    for (const Operation* const operation : returned) {
        add(sums.by_return_, operation->returned, operation->delta);
        sums.acknowledged_ += operation->delta;
        sums.latest_return_ = operation->returned;
    }
    return sums;
}

Sums::Range Sums::range(MonotonicTime called, MonotonicTime returned) const {
    const auto begun = std::ranges::upper_bound(by_call_, returned, {}, &Total::time);
    const Total may = begun == by_call_.begin() ? Total() : *(begun - 1);
    const auto done = std::ranges::lower_bound(by_return_, called, {}, &Total::time);
    const Total must = done == by_return_.begin() ? Total() : *(done - 1);
    const Wide sum = must.positive + must.negative;
    return {.low = sum + may.negative - must.negative, .high = sum + may.positive - must.positive};
}

bool Sums::is_possible_before(MonotonicTime returned, std::int64_t number) const {
    const auto begun = std::ranges::upper_bound(by_call_, returned, {}, &Total::time);
    const Total may = begun == by_call_.begin() ? Total() : *(begun - 1);
    return may.negative <= number && number <= may.positive;
}

bool Sums::is_sum_of_unknown(Wide rest) const {
    std::set<Wide> sums{0};
    std::size_t looked_at = 0;
    for (const std::int64_t delta : unknown_) {
        std::set<Wide> more = sums;
        for (const Wide sum : sums) {
            more.insert(sum + delta);
        }
        sums = std::move(more);
        looked_at += sums.size();
        if (looked_at > kSumsMax) {
            return true;
        }
    }
    return sums.contains(rest);
}

}  // namespace kvstore::history::internal
