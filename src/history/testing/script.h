// Histories written by hand, one operation a line:
//
//     CLIENT CALL RETURN KIND [ARGUMENT...] [-> ANSWER] [key=K] [revision=N] [level=L]
//     [expires=A..B]
//
//     1   0  10  write a            acknowledged
//     2   5   ?  write b            of unknown outcome
//     3   5   x  write c            failed
//     2  20  30  read -> a
//     1  40  50  cas a b -> yes     from a to b; "no": it did not match
//     1  40  50  inc 2 -> 7
//     1  40  50  append xy -> 4
//     1  40  50  delete -> 1
//     1  40  50  write a expires=60..70     "60..": nobody knows by when
//
// "-" is absence. What follows # is a remark. The key is k unless named.
#pragma once

#include <string_view>

#include "history/operation.h"

namespace kvstore::history::testing {

// Requires: a script without mistakes; anything else stops the process.
[[nodiscard]] History parse_script(std::string_view script);

}  // namespace kvstore::history::testing
