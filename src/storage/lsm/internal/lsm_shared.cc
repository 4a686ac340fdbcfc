#include "storage/lsm/internal/lsm_shared.h"

#include <algorithm>

#include <rocksdb/env.h>

namespace kvstore::storage {
namespace {

// From eight jobs on RocksDB flushes one shard's memtables in parallel, where 7.8.3 can misorder
// them after a failed flush (fixed in 7.9.0).
constexpr unsigned kBackgroundThreadsMax = 7;

}  // namespace

// Half of the cache holds blocks, half single records: a hot record costs its own size there, and a
// block here.
LsmShared::LsmShared(const LsmSharedOptions& options)
    : block_cache_(rocksdb::NewLRUCache(options.cache_bytes - options.cache_bytes / 2)),
      write_buffers_(std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes)),
      record_cache_bytes_(options.cache_bytes / 2),
      background_threads_(
          static_cast<int>(std::clamp(options.background_threads, 2U, kBackgroundThreadsMax))) {
    // The threads are RocksDB's own, one pool a process: flushes high, compactions low.
    rocksdb::Env::Default()->SetBackgroundThreads(1, rocksdb::Env::HIGH);
    rocksdb::Env::Default()->SetBackgroundThreads(background_threads_ - 1, rocksdb::Env::LOW);
}

std::shared_ptr<LsmShared> make_lsm_shared(const LsmSharedOptions& options) {
    return std::make_shared<LsmShared>(options);
}

}  // namespace kvstore::storage
