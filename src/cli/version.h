// What this program is, for people and for bug reports.
#pragma once

#include <string>
#include <vector>

#include "cli/exit_code.h"

namespace kvstore::cli {

[[nodiscard]] std::string version_text();
// One JSON object with the versions of everything underneath.
[[nodiscard]] std::string version_json();

// `kvstore version [--json]`.
ExitCode run_version(const std::vector<std::string>& arguments);

}  // namespace kvstore::cli
