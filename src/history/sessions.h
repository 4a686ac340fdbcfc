// Whether each client's own view of a key only moved forward: monotonic reads and read-your-writes
// (Terry et al. 1994, "Session guarantees for weakly consistent replicated data").
//
// By revisions where they were recorded: what a client saw or wrote never has a lower revision than
// what it had seen or written before. By values as well: a read must not give one that was
// certainly overwritten before something that the client had already written or seen was begun.
// Nothing is ever reported that a store which keeps the two guarantees could have answered.
#pragma once

#include "history/check.h"
#include "history/operation.h"

namespace kvstore::history {

// Judges what was promised to be linearizable or causal; `fallback` is the promise of reads that
// name none.
void check_sessions(const History& history,
                    const KeyOperations& key,
                    Consistency fallback,
                    CheckReport& report);

[[nodiscard]] CheckReport check_sessions(const History& history,
                                         Consistency fallback = Consistency::kLinearizable);

}  // namespace kvstore::history
