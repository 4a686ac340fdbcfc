// `kvstore server`: configuration from flags, environment and file, then a node until SIGTERM.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/exit_code.h"
#include "server/config.h"

namespace kvstore::cli {

// The configuration that these arguments, the environment, a YAML file (--config) and a `.env` file
// in the working directory add up to. Flags are taken with one dash or two, "--name value" or
// "--name=value", and in the older spellings (-addr, -port, -peers).
// Errors: kInvalidArgument, one line that says what, where and how to repair.
Result<server::Config> read_server_config(const std::vector<std::string>& arguments);

// Runs the server until SIGTERM or SIGINT. `arguments` are those behind the word "server".
ExitCode run_server(const std::vector<std::string>& arguments);

[[nodiscard]] std::string server_help();

}  // namespace kvstore::cli
