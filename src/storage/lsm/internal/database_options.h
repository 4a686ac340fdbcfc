// How RocksDB is set up, with the reason for each setting that is not its default.
#pragma once

#include <memory>
#include <string>

#include <rocksdb/listener.h>
#include <rocksdb/options.h>

#include "storage/engines.h"

namespace kvstore::storage::lsm {

// Requires: options.shared.
[[nodiscard]] rocksdb::Options make_database_options(
    const std::string& directory,
    const LsmEngineOptions& options,
    std::shared_ptr<rocksdb::EventListener> events);

}  // namespace kvstore::storage::lsm
