// What the engine itself keeps in RocksDB, under one key, written with every batch.
//
// Each table lives under a prefix of one byte. Erasing a whole table gives it a fresh prefix, so it
// is let go at once and atomically with the batch; the old prefix is dead, and what stands under
// it is purged in the background before the byte is used again. RocksDB's own range deletion is
// never used: in 7.8.3 an iterator that meets a range tombstone can lose a read error and skip
// data (facebook/rocksdb#11786), and a corrupt block must never look like absence.
//
// Layout of the value (little-endian):
//
//     1 byte            format version, 1
//     8 bytes           applied index
//     kTableCount bytes prefix of each table
//     rest              dead prefixes
//
// The key is kStatePrefix alone; prefixes of tables are never kStatePrefix.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "storage/engine.h"

namespace kvstore::storage::lsm {

inline constexpr std::uint8_t kStatePrefix = 0;

using Prefixes = std::array<std::uint8_t, kTableCount>;

struct StoredState {
    Index applied;
    Prefixes prefixes{1, 2, 3, 4, 5};
    std::vector<std::uint8_t> dead;

    [[nodiscard]] std::uint8_t prefix(Table table) const {
        return prefixes[static_cast<std::size_t>(table)];
    }

    // A prefix that is neither in use nor dead; nullopt when there is none.
    [[nodiscard]] std::optional<std::uint8_t> find_free_prefix() const;

    [[nodiscard]] Bytes encode() const;
    // Errors: kCorruption.
    [[nodiscard]] static Result<StoredState> decode(ByteView stored);
};

}  // namespace kvstore::storage::lsm
