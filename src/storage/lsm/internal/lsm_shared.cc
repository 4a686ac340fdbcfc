#include "storage/lsm/internal/lsm_shared.h"

#include <algorithm>

namespace kvstore::storage {
namespace {

// RocksDB's threads are one pool a process, sized by the largest number of jobs that an engine asks
// for. From eight jobs on RocksDB flushes one shard's memtables in parallel, where 7.8.3 can
// misorder them after a failed flush (fixed in 7.9.0).
constexpr unsigned kBackgroundThreadsMax = 7;

}  // namespace

// Half of the cache holds blocks, half single records: a hot record costs its own size there, and a
// block here.
LsmShared::LsmShared(const LsmSharedOptions& options)
    : block_cache_(rocksdb::NewLRUCache(options.cache_bytes - options.cache_bytes / 2)),
      write_buffers_(std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes)),
      record_cache_bytes_(options.cache_bytes / 2),
      background_threads_(
          static_cast<int>(std::clamp(options.background_threads, 2U, kBackgroundThreadsMax))) {}

std::shared_ptr<LsmShared> make_lsm_shared(const LsmSharedOptions& options) {
    return std::make_shared<LsmShared>(options);
}

}  // namespace kvstore::storage
