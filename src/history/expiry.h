// Values that run out: gone once their time is up, and not before.
//
// A client knows a span in which a value that it wrote runs out (Operation::expiry), by the clocks
// of the nodes. What is left to decide is in two halves:
//
//   - with_expiries() adds to each such write a deletion of unknown outcome, which can happen from
//     the beginning of the span on: so a value that is gone before then, or comes back, is a
//     violation of linearizability;
//   - check_expiry() finds reads that saw it after the end of the span.
#pragma once

#include <cstdint>

#include "history/check.h"
#include "history/operation.h"

namespace kvstore::history {

enum class Clocks : std::uint8_t {
    kAgree,
    // Within a span one node may show what another one hides. Reads that were under way then are
    // taken out.
    kDiffer,
};

// Operations keep their places; what is added stands behind them. Requires: a key whose values run
// out is only read and written, each value by one write: a conditional operation decides by the
// time at which it was proposed, a read by when it was answered.
[[nodiscard]] History with_expiries(const History& history, Clocks clocks);

void check_expiry(const History& history, const KeyOperations& key, CheckReport& report);

[[nodiscard]] CheckReport check_expiry(const History& history);

}  // namespace kvstore::history
