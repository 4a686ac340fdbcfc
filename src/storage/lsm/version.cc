#include <rocksdb/version.h>

#include "storage/engines.h"

namespace kvstore::storage {

std::string lsm_library_version() {
    return std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
           std::to_string(ROCKSDB_PATCH);
}

}  // namespace kvstore::storage
