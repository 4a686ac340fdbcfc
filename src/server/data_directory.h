// The data directory as a whole: whose it is, and that only one server uses it.
//
//     LOCK      held while a server runs
//     kvstore   what this directory is: format, whose, of which cluster; text with a checksum
//     wal/      shards/
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/disk.h"

namespace kvstore::server {

inline constexpr std::uint64_t kDataFormat = 1;

struct DataDirectory {
    std::unique_ptr<env::FileLock> lock;
    std::string node_id;       // the name: --id
    std::string cluster_id{};  // 16 hexadecimal digits; all zeros: of none yet
    NodeId number{};           // in the cluster; 0: not given yet
    // Drawn when the directory was made: whoever lost it comes back with another.
    std::uint64_t store = 0;
    // Until the cluster has records: who founds it (meeting.h), and whether this node's replica of
    // the system shard has been made. That happens once.
    std::string founding{};
    bool has_begun = false;
};

// What a directory that is made now gets.
struct FreshIdentity {
    std::uint64_t cluster_id = 0;
    NodeId number{};
    std::uint64_t store = 0;
    std::string founding{};
};

// Locks the directory and checks, or writes for an empty one, what it is.
// Errors: kConflict: another server runs on it, or it belongs to another node id. kInvalidArgument:
//         not empty and no data directory of kvstore (it is left untouched), or written by a newer
//         version. kCorruption, kPermissionDenied, kIoError, kDiskFull.
async::Task<Result<DataDirectory>> open_data_directory(env::Disk* disk,
                                                       std::string node_id,
                                                       FreshIdentity fresh);
// Writes down what has become known: the cluster, the number. Durable when it returns.
// Errors: kIoError, kDiskFull.
async::Task<Status> save_identity(env::Disk* disk, const DataDirectory* directory);

// Of 16 digits, as DataDirectory has it.
[[nodiscard]] std::string cluster_id_text(std::uint64_t cluster_id);
// 0 for anything that is no such text.
[[nodiscard]] std::uint64_t cluster_id_of(std::string_view text);

}  // namespace kvstore::server
