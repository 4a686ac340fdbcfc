// `kvstore simulate`: whole clusters on virtual time, under faults, judged by what clients were
// told.
#pragma once

#include <string>
#include <vector>

#include "cli/exit_code.h"

namespace kvstore::cli {

ExitCode run_simulate(const std::vector<std::string>& arguments);

}  // namespace kvstore::cli
