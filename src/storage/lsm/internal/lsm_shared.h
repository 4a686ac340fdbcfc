// What the LSM engines of a node share.
#pragma once

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
    [[nodiscard]] int background_threads() const { return background_threads_; }

private:
    std::shared_ptr<rocksdb::Cache> block_cache_;
    std::shared_ptr<rocksdb::WriteBufferManager> write_buffers_;
    int background_threads_;
};

}  // namespace kvstore::storage
