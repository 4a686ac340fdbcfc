// Whether what was acknowledged is there in the end. The last linearizable read of a key that was
// called after everything acknowledged had returned must find a value whose writing can have been
// the last: it was acknowledged or its outcome is unknown, and nothing acknowledged was begun after
// it had returned. Answers in between are not looked at, so this also judges stores whose reads are
// weak.
#pragma once

#include <cstdint>

#include "history/check.h"
#include "history/operation.h"

namespace kvstore::history {

struct DurabilityOptions {
    // Of reads that name none.
    Consistency consistency = Consistency::kLinearizable;
    // For keys with appends, or increments among writes, which take a search.
    std::uint64_t budget = 1'000'000;
};

// Keys that were acknowledged writes and are not read at the end are counted as skipped. Keys with
// nothing but increments are left to check_counters().
void check_durability(const History& history,
                      const KeyOperations& key,
                      const DurabilityOptions& options,
                      CheckReport& report);

[[nodiscard]] CheckReport check_durability(const History& history,
                                           const DurabilityOptions& options = {});

}  // namespace kvstore::history
