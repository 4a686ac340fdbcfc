// What the LSM engines of a node share.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>

#include <rocksdb/cache.h>
#include <rocksdb/write_buffer_manager.h>

#include "storage/engines.h"

namespace kvstore::storage {

// Lifetime  Owned by every engine that uses it and by whoever made it.
// Runs on   Any thread.
class LsmShared {
public:
    explicit LsmShared(const LsmSharedOptions& options);

    [[nodiscard]] const std::shared_ptr<rocksdb::Cache>& block_cache() const {
        return block_cache_;
    }
    [[nodiscard]] const std::shared_ptr<rocksdb::WriteBufferManager>& write_buffers() const {
        return write_buffers_;
    }
    // How much one engine may keep in its record cache: an equal share of the budget.
    [[nodiscard]] std::size_t record_cache_share() const {
        return record_cache_bytes_ /
               std::max<std::size_t>(1, engines_.load(std::memory_order_relaxed));
    }
    void add_engine() { engines_.fetch_add(1, std::memory_order_relaxed); }
    void remove_engine() { engines_.fetch_sub(1, std::memory_order_relaxed); }

    [[nodiscard]] int background_threads() const { return background_threads_; }

private:
    std::shared_ptr<rocksdb::Cache> block_cache_;
    std::shared_ptr<rocksdb::WriteBufferManager> write_buffers_;
    std::size_t record_cache_bytes_;
    std::atomic<std::size_t> engines_{0};
    int background_threads_;
};

}  // namespace kvstore::storage
