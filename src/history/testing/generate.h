// Histories by seed: of a store that keeps its word, and of one that says anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "history/operation.h"

namespace kvstore::history::testing {

struct GenerateOptions {
    std::size_t operations = 1000;
    std::uint64_t clients = 5;
    std::uint64_t keys = 1;
    std::vector<OperationKind> kinds{OperationKind::kRead, OperationKind::kWrite};
    // Values to choose from; 0: every write has a value of its own.
    std::uint64_t values = 0;
    std::uint64_t unknown_percent = 0;
    std::uint64_t failed_percent = 0;
    // Whether increments, appends and deletes tell numbers, and some writes what stood there
    // before.
    bool tells_more = false;
    // One linearizable read of each key at the end.
    bool has_final_reads = false;
};

// Every client does one operation after another; each takes effect at a moment of its own between
// call and return, some of those without an answer long after, some never.
[[nodiscard]] History generate(const GenerateOptions& options, Random& random);

// Changes the answer of one acknowledged read, increment, compare-and-set or delete that has one.
void change_an_answer(History& history, Random& random);

}  // namespace kvstore::history::testing
