#include "storage/lsm/internal/rocks_status.h"

#include <string>

namespace kvstore::storage::lsm {
namespace {

Code to_code(const rocksdb::Status& status) {
    if (status.IsCorruption()) {
        return Code::kCorruption;
    }
    if (status.IsNoSpace()) {
        return Code::kDiskFull;
    }
    if (status.IsIOError()) {
        return Code::kIoError;
    }
    if (status.IsIncomplete() || status.IsBusy() || status.IsTimedOut() || status.IsTryAgain() ||
        status.IsShutdownInProgress()) {
        return Code::kUnavailable;
    }
    return Code::kInternal;
}

}  // namespace

Status to_status(const rocksdb::Status& status, std::string_view directory) {
    if (status.ok()) {
        return {};
    }
    return Status(to_code(status), status.ToString()).with_context(directory);
}

}  // namespace kvstore::storage::lsm
