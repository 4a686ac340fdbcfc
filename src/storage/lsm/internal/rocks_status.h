// RocksDB's errors in our words.
#pragma once

#include <string_view>

#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#include "base/bytes.h"
#include "base/status.h"

namespace kvstore::storage::lsm {

[[nodiscard]] inline rocksdb::Slice to_slice(ByteView bytes) {
    return {bytes.data(), bytes.size()};
}
[[nodiscard]] inline ByteView to_view(const rocksdb::Slice& slice) {
    return {slice.data(), slice.size()};
}

// RocksDB's words with the directory before them. The effect is none; a caller that wrote adds
// what it knows.
//
//     Corruption              kCorruption
//     IOError, no space       kDiskFull
//     IOError, other          kIoError
//     Incomplete, Busy,
//     TimedOut, TryAgain,
//     ShutdownInProgress      kUnavailable
//     anything else           kInternal
[[nodiscard]] Status to_status(const rocksdb::Status& status, std::string_view directory);

}  // namespace kvstore::storage::lsm
