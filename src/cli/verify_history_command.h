// `kvstore verify FILE`: whether a recorded history keeps the promises of the store.
#pragma once

#include <string>
#include <vector>

#include "cli/exit_code.h"

namespace kvstore::cli {

ExitCode run_verify_history(const std::vector<std::string>& arguments);

}  // namespace kvstore::cli
