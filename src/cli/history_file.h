// Recorded histories as NDJSON, one operation a line; docs/reference/history-format.md is the
// specification.
//
// Here and not in `history`, since that is pure and Boost.JSON has its home in this module: the
// checkers work on plain values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/callback.h"
#include "base/status.h"
#include "cli/input.h"
#include "history/operation.h"

namespace kvstore::cli {

// Errors: kInvalidArgument: "column N: ", and what is wrong there. Members that the format does not
//         know are refused: a misspelt answer would otherwise go unchecked.
Result<history::Operation> parse_history_line(std::string_view line);

// Without a newline. What parse_history_line() reads back as the same operation.
[[nodiscard]] std::string format_history_line(const history::Operation& operation);

struct HistoryFile {
    history::History history;
    std::vector<std::size_t> lines;  // of each operation
};

// Reads to the end and holds no more text than a line; calls `on_line` after each. Empty lines are
// left out.
//
// Errors: kInvalidArgument: the first line that is no operation. kIoError.
Result<HistoryFile> read_history(LineReader& reader, Callback<void(const HistoryFile&)> on_line);

}  // namespace kvstore::cli
