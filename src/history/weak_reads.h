// Whether bounded and eventual reads gave something real: a value that an operation wrote which was
// begun before the read returned and did not fail, or absence. Bounded reads moreover must not be
// further behind than was promised, where that is given.
#pragma once

#include <optional>

#include "history/check.h"
#include "history/operation.h"

namespace kvstore::history {

struct WeakReadOptions {
    // Of reads that name none.
    Consistency consistency = Consistency::kLinearizable;
    // How far behind a bounded read may be.
    std::optional<Duration> staleness_max = std::nullopt;
};

// Keys with appends are skipped, and with increments whose sum nobody was told, unless there is
// nothing but increments: then a sum is judged by what it can be at most and at least.
void check_weak_reads(const History& history,
                      const KeyOperations& key,
                      const WeakReadOptions& options,
                      CheckReport& report);

[[nodiscard]] CheckReport check_weak_reads(const History& history,
                                           const WeakReadOptions& options = {});

}  // namespace kvstore::history
