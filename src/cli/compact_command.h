// `kvstore compact [DIR]`: of a running server, or of a data directory that no server uses.
#pragma once

#include <string>
#include <vector>

#include "cli/exit_code.h"

namespace kvstore::cli {

ExitCode run_compact(const std::vector<std::string>& arguments);

}  // namespace kvstore::cli
