// The writes since the last commit: a RocksDB batch, indexed so that they can be read before it is
// written.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <rocksdb/write_batch.h>

#include "base/bytes.h"

namespace kvstore::storage::lsm {

// Lifetime  Shared by the engine and the views that were taken while it was open.
// Runs on   The engine's core; views read it from their thread while they hold a BatchReader, and
//           the engine then changes a copy instead.
//
// Invariants
//   each key has at most one entry, which shows the last write to it
class OpenBatch {
public:
    struct Entry {
        std::uint64_t hash;
        std::size_t key_at;  // in the bytes of the batch; the prefix is the key's first byte
        std::size_t value_at;
        std::uint32_t key_size;
        std::uint32_t value_size;
        bool is_erased;
    };

    struct KeyLess {
        using is_transparent = void;
        const OpenBatch* batch;
        bool operator()(std::uint32_t left, std::uint32_t right) const {
            return batch->key(batch->entries_[left]) < batch->key(batch->entries_[right]);
        }
        bool operator()(std::uint32_t left, ByteView right) const {
            return batch->key(batch->entries_[left]) < right;
        }
        bool operator()(ByteView left, std::uint32_t right) const {
            return left < batch->key(batch->entries_[right]);
        }
    };
    using Ordered = std::set<std::uint32_t, KeyLess>;

    OpenBatch();
    OpenBatch(const OpenBatch&) = delete;
    OpenBatch& operator=(const OpenBatch&) = delete;
    ~OpenBatch() = default;

    // The same writes in a batch of its own.
    [[nodiscard]] std::shared_ptr<OpenBatch> clone() const;

    void put(std::uint8_t prefix, ByteView key, ByteView head, ByteView tail);
    void erase(std::uint8_t prefix, ByteView key);
    // Adds a record that is not shown to readers: the engine's own state.
    void put_hidden(std::uint8_t key, ByteView value);
    // Empty again; keeps memory worth keeping.
    void clear();

    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] std::size_t size_bytes() const { return batch_.GetDataSize(); }

    // Null when the batch has not written the key.
    [[nodiscard]] const Entry* find(std::uint8_t prefix, ByteView key) const;

    [[nodiscard]] ByteView key(const Entry& entry) const {
        return ByteView(batch_.Data()).substr(entry.key_at, entry.key_size);
    }
    [[nodiscard]] ByteView value(const Entry& entry) const {
        return ByteView(batch_.Data()).substr(entry.value_at, entry.value_size);
    }

    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
    [[nodiscard]] const Entry& entry(std::uint32_t number) const { return entries_[number]; }

    // Makes ordered() available; it is kept up to date from then on.
    void build_order();
    [[nodiscard]] const Ordered& ordered() const { return *ordered_; }

    [[nodiscard]] rocksdb::WriteBatch* raw() { return &batch_; }

    [[nodiscard]] bool has_readers() const { return readers_.load(std::memory_order_acquire) != 0; }

private:
    friend class BatchReader;

    void add_entry(std::uint8_t prefix, ByteView key, std::size_t value_size, bool is_erased);
    [[nodiscard]] std::size_t find_slot(std::uint64_t hash,
                                        std::uint8_t prefix,
                                        ByteView key) const;
    void grow_slots();

    rocksdb::WriteBatch batch_;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> slots_;  // number of an entry plus one; 0: free
    std::optional<Ordered> ordered_;
    std::atomic<std::uint32_t> readers_{0};
};

// Keeps a batch as it is while a view looks at it.
class BatchReader {
public:
    BatchReader() = default;
    explicit BatchReader(std::shared_ptr<OpenBatch> batch) : batch_(std::move(batch)) {
        batch_->readers_.fetch_add(1, std::memory_order_relaxed);
    }
    BatchReader(BatchReader&&) noexcept = default;
    BatchReader(const BatchReader&) = delete;
    BatchReader& operator=(const BatchReader&) = delete;
    ~BatchReader() {
        if (batch_ != nullptr) {
            batch_->readers_.fetch_sub(1, std::memory_order_release);
        }
    }

    // Null where the batch was empty.
    [[nodiscard]] const OpenBatch* get() const { return batch_.get(); }

private:
    std::shared_ptr<OpenBatch> batch_;
};

}  // namespace kvstore::storage::lsm
