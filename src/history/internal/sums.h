// A key with nothing but increments and reads: what its sum can be at each moment, without asking
// in which order they took effect.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "history/operation.h"

namespace kvstore::history::internal {

// What an increment would make of a value; absent counts as 0, and what is no number as nothing.
[[nodiscard]] std::optional<std::int64_t> number_of(const MaybeValue& value);

class Sums {
public:
    // Wide enough for as many increments as there are.
    __extension__ using Wide = __int128;

    struct Range {
        Wide low = 0;
        Wide high = 0;
    };

    // nullopt where something else writes the key, or nothing does.
    [[nodiscard]] static std::optional<Sums> of(const History& history, const KeyOperations& key);

    // Of what may be seen by an operation: all that had returned before it was called, and any of
    // what was called by the time it returned.
    [[nodiscard]] Range range(MonotonicTime called, MonotonicTime returned) const;

    // For reads without a lower bound in time: the sum of any of what was called by then.
    [[nodiscard]] bool is_possible_before(MonotonicTime returned, std::int64_t number) const;

    // Whether `rest` is a sum of some of the increments whose outcome is unknown. True where there
    // are too many different sums to tell.
    [[nodiscard]] bool is_sum_of_unknown(Wide rest) const;

    // Acknowledged, and of unknown outcome.
    [[nodiscard]] Wide acknowledged() const { return acknowledged_; }
    [[nodiscard]] MonotonicTime latest_return() const { return latest_return_; }

private:
    // Running totals of positive and of negative amounts.
    struct Total {
        MonotonicTime time;
        Wide positive = 0;
        Wide negative = 0;
    };
    static void add(std::vector<Total>& totals, MonotonicTime time, std::int64_t delta);

    std::vector<Total> by_call_;    // all
    std::vector<Total> by_return_;  // acknowledged
    std::vector<std::int64_t> unknown_;
    Wide acknowledged_ = 0;
    MonotonicTime latest_return_ = MonotonicTime::min();
};

}  // namespace kvstore::history::internal
