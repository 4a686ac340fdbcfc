// A shard's folder: what it is, kept beside its data in a small text file with a checksum.
//
//     kvstore-shard 1
//     id 7
//     engine memory
//     history_ms 600000
//     keyspace redis/1
//     founders 1,2,3           or `self` (this node alone), or `none` (joined later)
//     crc 5f3a09c1
//
// The last line covers every byte before it (CRC-32C, hexadecimal).
//
// The file is written after the folder and before any data, and when the shard is dropped it is
// renamed to `dropped` before any data is removed. So a folder that has neither and holds data has
// lost its file, and is never taken for rubbish.
//
// A file `damaged` says that the replica must take no part any more, and why, in words. It stays
// until the folder is dropped, whatever else the folder holds or lacks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/status.h"
#include "env/disk.h"
#include "replication/host.h"

namespace kvstore::replication {

inline constexpr std::string_view kShardsFolder = "shards";

[[nodiscard]] std::string shard_folder(ShardId shard);
[[nodiscard]] std::string shard_engine_folder(ShardId shard);

[[nodiscard]] std::string encode_shard_file(const ShardDescription& description);
// Errors: kCorruption.
Result<ShardDescription> decode_shard_file(std::string_view content);

// Makes the folder and its file, durable when it returns.
// Errors: kAlreadyExists, kDiskFull, kIoError.
async::Task<Status> create_shard_folder(env::Disk* disk, ShardDescription description);

struct ShardFolders {
    std::vector<ShardDescription> whole;  // by id
    // Marked as damaged, or without a file that can be read; by id.
    std::vector<DamagedReplica> damaged;
};
// Every shard folder that is in use. Changes nothing. Errors: kIoError.
async::Task<Result<ShardFolders>> look_at_shard_folders(env::Disk* disk);
// The whole ones. Errors: kCorruption: there is one that is damaged, with its file.
async::Task<Result<std::vector<ShardDescription>>> list_shard_folders(env::Disk* disk);

// Says that the replica takes no part any more, durable when it returns; makes a folder where there
// is none. Errors: kDiskFull, kIoError.
async::Task<Status> mark_shard_folder_damaged(env::Disk* disk, ShardId shard, std::string why);

// Removes what a creation or a drop that was cut short has left.
// Errors: kCorruption: a folder has lost its file and is not marked as damaged, before anything is
//         removed; kIoError.
async::Task<Status> remove_unfinished_shard_folders(env::Disk* disk);

// Says that the shard is gone, durable when it returns; its data goes with remove_shard_folder().
// Done when it was done before.
async::Task<Status> mark_shard_folder_dropped(env::Disk* disk, ShardId shard);
// Marks the folder, and removes it with everything in it.
async::Task<Status> remove_shard_folder(env::Disk* disk, ShardId shard);

}  // namespace kvstore::replication
