// How engines are opened.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "storage/engine.h"

namespace kvstore::storage {

struct MemoryEngineOptions {
    ShardId shard;
    std::uint64_t snapshot_bytes_per_second = 0;  // 0: no limit
    // Snapshots that fail their checks are never used; an older one is not silently taken instead.
};

// Opens the engine in `directory` from its newest snapshot, or empty.
// Errors: kCorruption with file and offset; kIoError.
async::Task<Result<std::unique_ptr<Engine>>> open_memory_engine(env::Env* env,
                                                                std::string directory,
                                                                MemoryEngineOptions options);

enum class Compression : std::uint8_t { kNone, kLz4, kZstd };

// What the LSM engines of a node share: block cache and write buffer budget.
class LsmShared;

struct LsmSharedOptions {
    std::uint64_t cache_bytes = 256ULL << 20U;
    std::uint64_t write_buffer_bytes = 256ULL << 20U;
    unsigned background_threads = 2;
};

[[nodiscard]] std::shared_ptr<LsmShared> make_lsm_shared(const LsmSharedOptions& options);

struct LsmEngineOptions {
    ShardId shard;
    Compression compression = Compression::kLz4;
    std::uint64_t write_buffer_bytes = 64ULL << 20U;
    std::shared_ptr<LsmShared> shared;
};

// Of RocksDB, "7.8.3".
[[nodiscard]] std::string lsm_library_version();

// Opens RocksDB in `directory`. Requires: env->disk has a native path.
// Errors: kCorruption with RocksDB's words and the directory; kIoError; kDiskFull.
async::Task<Result<std::unique_ptr<Engine>>> open_lsm_engine(env::Env* env,
                                                             std::string directory,
                                                             LsmEngineOptions options);

}  // namespace kvstore::storage
