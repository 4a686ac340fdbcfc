// Hot records of one shard, in front of RocksDB: a read that finds its key here costs one probe and
// no search through memtables, filters and blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace kvstore::storage::lsm {

// A bounded map from key to value that forgets what was not used for a while.
//
// Forgetting is CLOCK: a hand goes over the cells; a cell that was used since the hand last passed
// is spared once. While there is room everything is taken in. When there is none, a key is taken in
// at its second miss only, so that one pass over cold data does not wash out the hot.
//
// Lifetime   Owned by the engine.
// Runs on    The engine's core.
// Never      Holds more than its capacity.
//
// Invariants
//   each key is held at most once; cells between a key's home and its place are never empty
class RecordCache {
public:
    explicit RecordCache(std::size_t capacity_bytes);
    RecordCache(const RecordCache&) = delete;
    RecordCache& operator=(const RecordCache&) = delete;

    // `hash` is hash64(key) throughout.

    // The value lasts until the next call that is not find().
    [[nodiscard]] bool find(std::uint64_t hash, ByteView key, ByteView* value);

    // Fetches the key's cell; then, when it has come, the record.
    void prefetch(std::uint64_t hash) const { __builtin_prefetch(&cells_[home(hash)]); }
    void prefetch_record(std::uint64_t hash) const;

    // Offers a record that find() did not have. Records above a sixteenth of the capacity are
    // never taken.
    void offer(std::uint64_t hash, ByteView key, ByteView value);
    // The record has changed: replaces it where it is held.
    void update(std::uint64_t hash, ByteView key, ByteView value);
    void erase(std::uint64_t hash, ByteView key);
    void clear();

    void set_capacity(std::size_t capacity_bytes);

    [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }
    [[nodiscard]] std::size_t record_count() const { return record_count_; }
    [[nodiscard]] std::size_t capacity_bytes() const { return capacity_bytes_; }

private:
    struct Cell {
        std::uint64_t hash = 0;          // with kUsed in bit 0
        std::unique_ptr<char[]> record;  // sizes, key, value; null: empty
    };

    [[nodiscard]] std::size_t home(std::uint64_t hash) const { return (hash >> 1U) & mask_; }
    // The key's cell, or the empty one where it would go.
    [[nodiscard]] std::size_t find_cell(std::uint64_t hash, ByteView key) const;
    void fill_cell(std::size_t at, std::uint64_t hash, ByteView key, ByteView value);
    void empty_cell(std::size_t at);
    [[nodiscard]] bool admit(std::uint64_t hash);
    void make_room(std::size_t bytes);
    void grow();

    std::vector<Cell> cells_;
    std::size_t mask_;
    std::vector<std::uint16_t> doorkeeper_;  // of keys missed once while full
    std::size_t hand_ = 0;
    std::size_t capacity_bytes_;
    std::size_t size_bytes_ = 0;
    std::size_t record_count_ = 0;
};

}  // namespace kvstore::storage::lsm
