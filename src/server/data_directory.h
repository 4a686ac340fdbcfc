// The data directory as a whole: whose it is, and that only one server uses it.
//
//     LOCK      held while a server runs
//     kvstore   what this directory is: format, node id; text with a checksum
//     wal/      shards/
#pragma once

#include <memory>
#include <string>

#include "async/task.h"
#include "base/status.h"
#include "env/disk.h"

namespace kvstore::server {

inline constexpr std::uint64_t kDataFormat = 1;

struct DataDirectory {
    std::unique_ptr<env::FileLock> lock;
    std::string node_id;
    std::string cluster_id;  // 16 hexadecimal digits, made with the directory
};

// Locks the directory and checks, or writes for an empty one, what it is.
// Errors: kConflict: another server runs on it, or it belongs to another node id. kInvalidArgument:
//         not empty and no data directory of kvstore (it is left untouched), or written by a newer
//         version. kCorruption, kPermissionDenied, kIoError, kDiskFull.
async::Task<Result<DataDirectory>> open_data_directory(env::Disk* disk,
                                                       std::string node_id,
                                                       std::uint64_t fresh_cluster_id);

}  // namespace kvstore::server
