// `kvstore stress`: response time, throughput and errors under load.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/arguments.h"
#include "cli/exit_code.h"
#include "cli/stress.h"

namespace kvstore::cli {

// Errors: kInvalidArgument: which flag, and what it takes.
Result<StressPlan> read_stress_plan(const Arguments& arguments);

ExitCode run_stress(const std::vector<std::string>& arguments);

}  // namespace kvstore::cli
