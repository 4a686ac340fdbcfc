// The definition of linearizability, word by word, for histories that are small enough to try every
// order. Shares nothing with the checkers.
#pragma once

#include "history/operation.h"

namespace kvstore::history::testing {

// Whether there is an order of all operations that were acknowledged, and of some of unknown
// outcome, in which nothing stands before what had returned before it was called, and every answer
// is the one that a store doing one thing at a time would give.
//
// Requires: one key, and few operations: all orders of them are tried, but not twice what follows
//           from the same operations having led to the same value.
[[nodiscard]] bool is_linearizable_by_brute_force(const History& history);

}  // namespace kvstore::history::testing
