// `kvstore demo`: three nodes on this machine, sample data, and what to try with them.
#pragma once

#include <string>
#include <vector>

#include "cli/exit_code.h"

namespace kvstore::cli {

// Runs the nodes until Ctrl-C, SIGTERM or the prompt's end, then ends them. `arguments` are those
// behind the word "demo".
ExitCode run_demo(const std::vector<std::string>& arguments);

}  // namespace kvstore::cli
