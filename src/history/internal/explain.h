// From "no order explains this key" to the few operations that show it.
#pragma once

#include <cstddef>
#include <span>

#include "history/check.h"
#include "history/internal/problem.h"
#include "history/operation.h"

namespace kvstore::history::internal {

// First the shortest prefix in time that has no order (operations still on their way count as
// uncertain), then everything out of it that is not needed: answers that change nothing are left
// out, effects become uncertain, as long as there is still no order. What remains proves the
// violation by itself, since each of these steps makes the question easier.
//
// Requires: the operations of `key` with `roles` have no order. Spends at most `effort`; where it
//           ends early the explanation is longer than need be.
[[nodiscard]] Violation explain(const History& history,
                                const KeyOperations& key,
                                std::span<const Role> roles,
                                Effort effort);

}  // namespace kvstore::history::internal
