// What `kvstore verify` prints.
#pragma once

#include <string>

#include "cli/history_file.h"
#include "history/verify.h"

namespace kvstore::cli {

// A line for each check, the windows of violations, and the verdict.
[[nodiscard]] std::string verification_text(const HistoryFile& file,
                                            const history::Verification& verification);

// The same as one JSON object.
[[nodiscard]] std::string verification_json(const HistoryFile& file,
                                            const history::Verification& verification);

}  // namespace kvstore::cli
