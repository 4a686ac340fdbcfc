// The near-linear way for keys whose values tell who wrote them.
//
// Where each value that was read has one writer, an order that holds is a sequence of clusters: a
// write, then the reads of its value, before the next write. Cluster A must stand before B when
// some operation of A returned before one of B was called, which two numbers of each cluster tell:
// A's earliest return, and B's latest call. The span between the two is the cluster's zone: forward
// when the earliest return comes first, else backward. There is an order exactly if no read
// precedes its write, no two forward zones overlap, and no backward zone lies within a forward one.
//
// Gibbons and Korach 1997, "Testing shared memories", section 4; Golab, Li and Shah 2011,
// "Analyzing consistency properties for fun and profit".
#pragma once

#include <optional>

#include "history/check.h"
#include "history/internal/problem.h"

namespace kvstore::history::internal {

// Returns: nullopt where the steps are not all plain reads and writes, or a value that was read may
//          have come from more than one write.
[[nodiscard]] std::optional<Verdict> judge_by_zones(const Problem& problem);

}  // namespace kvstore::history::internal
