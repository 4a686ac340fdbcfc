// Whether keys that are only incremented lost or doubled nothing, whatever the order: each sum that
// was read or answered lies between what had certainly been added before and what may have been
// added by then; and the last one is exactly what was acknowledged plus a sum of some increments
// whose outcome is unknown. Linear, where the search for an order may give up.
#pragma once

#include "history/check.h"
#include "history/operation.h"

namespace kvstore::history {

// `fallback` is the promise of reads that name none; reads below linearizable are not judged.
void check_counters(const History& history,
                    const KeyOperations& key,
                    Consistency fallback,
                    CheckReport& report);

[[nodiscard]] CheckReport check_counters(const History& history,
                                         Consistency fallback = Consistency::kLinearizable);

}  // namespace kvstore::history
