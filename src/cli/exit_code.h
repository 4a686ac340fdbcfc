// Exit codes, as documented for users.
#pragma once

#include "base/status.h"

namespace kvstore::cli {

enum class ExitCode : int {
    kOk = 0,
    kError = 1,
    kUsage = 2,
    kNotFound = 3,       // client: `get -e`, `--exists`
    kConfigInvalid = 3,  // server
    kUnavailable = 4,    // client: unreachable or timed out
    kDenied = 5,
    kConflict = 6,     // client: a condition did not hold
    kUndecided = 7,    // verify: the budget was spent before there was an answer
    kDiskFull = 10,    // server
    kCorruption = 12,  // server and checks: damaged data was found
};

// What a client command that failed with `status` exits with.
[[nodiscard]] ExitCode client_exit_code(const Status& status);
// What a server that could not start exits with.
[[nodiscard]] ExitCode server_exit_code(const Status& status);

}  // namespace kvstore::cli
