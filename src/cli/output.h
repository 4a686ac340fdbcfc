// Data to stdout, messages to stderr.
#pragma once

#include <string_view>

namespace kvstore::cli {

// Returns: false when stdout takes no more (a closed pipe).
bool write_output(std::string_view text);
void write_error(std::string_view text);

}  // namespace kvstore::cli
