// A node inside this process, for commands that work on a data directory or need no server.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "async/task.h"
#include "base/status.h"
#include "base/time.h"
#include "env/env.h"
#include "replication/host.h"
#include "server/node.h"
#include "storage/wal/wal.h"

namespace kvstore::cli {

struct EmbeddedOptions {
    replication::EngineKind engine = replication::EngineKind::kLsm;
    storage::Durability durability = storage::Durability::kAlways;
    Duration history = std::chrono::minutes(10);  // of a keyspace `default` that is made now
};

// Starts a node over the root folder of `env`, whichever node's data it is, with listeners on free
// ports of this machine alone.
// Errors: as server::Node::start().
async::Task<Result<std::unique_ptr<server::Node>>> start_embedded_node(env::Env* env,
                                                                       EmbeddedOptions options);

// The id of the node that a data directory belongs to.
// Errors: kNotFound: this is no data directory.
async::Task<Result<std::string>> read_node_id(env::Disk* disk);

}  // namespace kvstore::cli
