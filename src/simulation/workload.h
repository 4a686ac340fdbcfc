// The workload file of `kvstore simulate`: docs/reference/simulate.md is its specification.
#pragma once

#include <string_view>

#include "base/status.h"
#include "simulation/options.h"

namespace kvstore::simulation {

// Sets in `options` what the text names; the rest stays.
// Errors: kInvalidArgument with "line N: ", what is wrong there, and what is allowed.
Status apply_workload(Options& options, std::string_view text);

}  // namespace kvstore::simulation
