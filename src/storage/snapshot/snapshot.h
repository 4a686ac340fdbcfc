// Snapshot files: the rows of an engine's state at one applied index, in checksummed blocks.
//
// A snapshot is written aside, synced and renamed, so a file under its final name is whole. Format:
// docs/internals/snapshot.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "storage/engine.h"

namespace kvstore::storage {

struct SnapshotInfo {
    std::string path;
    ShardId shard;
    Index applied;
    std::uint64_t row_count = 0;
    std::uint64_t bytes = 0;
};

// Writes what `source` gives to `<directory>/snapshot-<applied index>` and removes older snapshots
// of the directory but the newest `keep_count`. Yields between blocks and writes at most
// `bytes_per_second` (0: no limit).
// Errors: kDiskFull, kIoError, the source's: no snapshot was made, older ones stand.
async::Task<Result<SnapshotInfo>> write_snapshot(env::Env* env,
                                                 std::string directory,
                                                 ShardId shard,
                                                 SnapshotSource* source,
                                                 std::uint64_t bytes_per_second);

// Takes rows of a snapshot that is read.
class SnapshotVisitor {
public:
    virtual ~SnapshotVisitor() = default;
    virtual Status on_row(Table table, ByteView key, ByteView value) = 0;
};

// The newest snapshot's path in the directory; nullopt when there is none. Unfinished files are
// removed.
async::Task<Result<std::optional<std::string>>> find_snapshot(env::Env* env, std::string directory);

// Reads one snapshot from front to back, every block checked before its rows are shown.
// Errors: kCorruption with file and offset, also for a file that ends early or belongs to another
//           shard; kIoError; the visitor's.
async::Task<Result<SnapshotInfo>> read_snapshot(env::Env* env,
                                                std::string path,
                                                ShardId shard,
                                                SnapshotVisitor* visitor);

}  // namespace kvstore::storage
