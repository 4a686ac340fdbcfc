// `kvstore verify-data DIR`: reads everything that a stopped node has stored, and checks it.
#pragma once

#include <string>
#include <vector>

#include "async/task.h"
#include "base/status.h"
#include "cli/exit_code.h"
#include "env/env.h"
#include "replication/host.h"
#include "storage/wal/wal.h"

namespace kvstore::cli {

struct ShardReport {
    replication::ShardDescription description;
    std::uint64_t key_count = 0;
    Revision revision;
    Index durable;
    Status status;  // ok, or what is damaged
};

struct DataReport {
    storage::WalReport wal;
    Status wal_status;
    std::vector<ShardReport> shards;

    // The first damage found; ok when there is none.
    [[nodiscard]] Status status() const;
};

// Locks the data directory that is the root folder of `env` and checks the log and every shard.
// Damage is in the report; what is behind it is still checked.
// Errors: kNotFound: no data directory. kConflict: a server uses it. kCorruption: a shard's folder
//         does not say what it is.
async::Task<Result<DataReport>> verify_data(env::Env* env);

ExitCode run_verify(const std::vector<std::string>& arguments);

}  // namespace kvstore::cli
