// A shard's folder: what it is, kept beside its data in a small text file with a checksum.
//
//     kvstore-shard 1
//     id 7
//     engine memory
//     history_ms 600000
//     keyspace redis/1
//     crc 5f3a09c1
//
// The last line covers every byte before it (CRC-32C, hexadecimal).
#pragma once

#include <string>
#include <string_view>

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

// Every shard folder with a file in it; folders without one are unfinished and are removed.
// Errors: kCorruption with the file.
async::Task<Result<std::vector<ShardDescription>>> list_shard_folders(env::Disk* disk);

async::Task<Status> remove_shard_folder(env::Disk* disk, ShardId shard);

}  // namespace kvstore::replication
