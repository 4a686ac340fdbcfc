// The death of a leader under load, shown and measured, for `kvstore demo`.
#pragma once

#include <string>

#include "async/task.h"
#include "base/status.h"
#include "cli/demo_cluster.h"
#include "env/env.h"

namespace kvstore::cli {

// Writes through the other nodes without a pause, kills the one that leads `default`,
// starts it again, and reads everything that was acknowledged through each node. Tells every step
// on stdout as it happens.
//
// Suspends: until the node is back, level with the others, and everything is read.
// Returns:  the summary.
// Errors:   kUnavailable: nobody leads, or no write succeeds, for half a minute; the node does not
//             come back. kCorruption: an acknowledged write is missing.
async::Task<Result<std::string>> show_failover(env::Env* env, DemoCluster* cluster);

}  // namespace kvstore::cli
