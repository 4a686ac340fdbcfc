// The shell: PUT, GET, REMOVE and their kind at a prompt, or line by line from stdin.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/exit_code.h"

namespace kvstore::cli {

// Words between blanks. Quotes, single or double, hold blanks together; in double quotes and
// outside, a backslash takes the next character as it is (\n, \t, \r as in C).
// Errors: kInvalidArgument: a quote that does not end.
Result<std::vector<std::string>> split_words(std::string_view line);

// `kvstore shell [--endpoints ...]`: over a server that runs.
ExitCode run_shell(const std::vector<std::string>& arguments);

// `kv_store`: the same; where no server answers, over a node of its own in ./kv_store_data
// (--data-dir).
ExitCode run_embedded_shell(const std::vector<std::string>& arguments);

}  // namespace kvstore::cli
