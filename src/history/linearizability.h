// Whether each key behaved as if its operations had taken effect one at a time, each at a moment
// between its call and its return (Herlihy and Wing 1990). Linearizability is local: a history is
// linearizable exactly if it is so for every key alone.
//
// Operations on one key are reads, writes, deletes, compare-and-sets, increments and appends. One
// that failed did nothing. One of unknown outcome takes effect once, at any moment after its call,
// or never. A key is absent at the beginning. Two operations of which one returns at the very
// moment at which the other is called overlap.
//
// The problem is NP-complete (Gibbons and Korach 1997), so the effort is bounded, and there is a
// third answer. Keys whose values tell who wrote them are decided in near-linear time, whatever
// their length (internal/zones.h); the others by search (internal/search.h).
#pragma once

#include <cstdint>

#include "history/check.h"
#include "history/operation.h"

namespace kvstore::history {

struct LinearizabilityOptions {
    // Of reads that name none. Reads below linearizable are not judged here.
    Consistency consistency = Consistency::kLinearizable;
    // Configurations that may be tried for one key.
    std::uint64_t budget = 1'000'000;
};

// Adds what is to say about one key.
void check_linearizability(const History& history,
                           const KeyOperations& key,
                           const LinearizabilityOptions& options,
                           CheckReport& report);

// All keys.
[[nodiscard]] CheckReport check_linearizability(const History& history,
                                                const LinearizabilityOptions& options = {});

}  // namespace kvstore::history
