#include "storage/lsm/internal/open_batch.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <rocksdb/slice.h>

#include "base/assert.h"
#include "base/hash.h"
#include "storage/lsm/internal/rocks_status.h"

namespace kvstore::storage::lsm {
namespace {

constexpr std::size_t kSlotsMin = 64;
// Above these, memory is given back between batches, and clearing a small batch stays cheap.
constexpr std::size_t kSlotsKept = 1024;
constexpr std::size_t kBytesKept = 4U << 20U;

// RocksDB carries a checksum of each entry from here into the memtable.
constexpr std::size_t kProtectionBytesPerKey = 8;

rocksdb::WriteBatch make_batch() {
    return rocksdb::WriteBatch(0, 0, kProtectionBytesPerKey, 0);
}

std::size_t varint_size(std::size_t value) {
    std::size_t size = 1;
    for (; value >= 0x80; value >>= 7U) {
        ++size;
    }
    return size;
}

}  // namespace

OpenBatch::OpenBatch() : batch_(make_batch()), slots_(kSlotsMin) {}

std::shared_ptr<OpenBatch> OpenBatch::clone() const {
    auto copy = std::make_shared<OpenBatch>();
    copy->batch_ = batch_;
    copy->entries_ = entries_;
    copy->slots_ = slots_;
    return copy;
}

void OpenBatch::put(std::uint8_t prefix, ByteView key, ByteView head, ByteView tail) {
    const char first = static_cast<char>(prefix);
    const std::array<rocksdb::Slice, 2> keys{rocksdb::Slice(&first, 1), to_slice(key)};
    const std::array<rocksdb::Slice, 2> values{to_slice(head), to_slice(tail)};
    const rocksdb::Status status = batch_.Put(rocksdb::SliceParts(keys.data(), keys.size()),
                                              rocksdb::SliceParts(values.data(), values.size()));
    KVSTORE_ASSERT(status.ok());
    add_entry(prefix, key, head.size() + tail.size(), false);
}

void OpenBatch::erase(std::uint8_t prefix, ByteView key) {
    const char first = static_cast<char>(prefix);
    const std::array<rocksdb::Slice, 2> keys{rocksdb::Slice(&first, 1), to_slice(key)};
    const rocksdb::Status status = batch_.Delete(rocksdb::SliceParts(keys.data(), keys.size()));
    KVSTORE_ASSERT(status.ok());
    add_entry(prefix, key, 0, true);
}

void OpenBatch::put_hidden(std::uint8_t key, ByteView value) {
    const char first = static_cast<char>(key);
    const rocksdb::Status status = batch_.Put(rocksdb::Slice(&first, 1), to_slice(value));
    KVSTORE_ASSERT(status.ok());
}

void OpenBatch::clear() {
    KVSTORE_ASSERT(!has_readers());
    if (batch_.GetDataSize() > kBytesKept) {
        batch_ = make_batch();
    } else {
        batch_.Clear();
    }
    entries_.clear();
    if (slots_.size() > kSlotsKept) {
        slots_.assign(kSlotsMin, 0);
        entries_.shrink_to_fit();
    } else {
        std::ranges::fill(slots_, 0U);
    }
    ordered_.reset();
}

const OpenBatch::Entry* OpenBatch::find(std::uint8_t prefix, ByteView key) const {
    const std::size_t slot = find_slot(hash64(key, prefix), prefix, key);
    return slots_[slot] == 0 ? nullptr : &entries_[slots_[slot] - 1];
}

void OpenBatch::build_order() {
    if (ordered_.has_value()) {
        return;
    }
    ordered_.emplace(KeyLess{this});
    for (std::uint32_t number = 0; number < entries_.size(); ++number) {
        ordered_->insert(number);
    }
}

// The batch's bytes end with the record just written: the value behind its length, behind the key.
void OpenBatch::add_entry(std::uint8_t prefix,
                          ByteView key,
                          std::size_t value_size,
                          bool is_erased) {
    KVSTORE_ASSERT(key.size() < std::numeric_limits<std::uint32_t>::max());
    KVSTORE_ASSERT(value_size <= std::numeric_limits<std::uint32_t>::max());
    const std::size_t end = batch_.Data().size();
    const std::size_t value_at = end - value_size;
    const std::size_t key_end = is_erased ? end : value_at - varint_size(value_size);
    const Entry written{.hash = hash64(key, prefix),
                        .key_at = key_end - key.size() - 1,
                        .value_at = value_at,
                        .key_size = static_cast<std::uint32_t>(key.size() + 1),
                        .value_size = static_cast<std::uint32_t>(value_size),
                        .is_erased = is_erased};
    KVSTORE_DEBUG_ASSERT(this->key(written).substr(1) == key);
    KVSTORE_ASSERT(this->key(written).front() == static_cast<char>(prefix));

    const std::size_t slot = find_slot(written.hash, prefix, key);
    if (slots_[slot] != 0) {
        // Its place in the order stays: the key is the same.
        entries_[slots_[slot] - 1] = written;
        return;
    }
    entries_.push_back(written);
    slots_[slot] = static_cast<std::uint32_t>(entries_.size());
    if (ordered_.has_value()) {
        ordered_->insert(static_cast<std::uint32_t>(entries_.size() - 1));
    }
    if (entries_.size() * 2 > slots_.size()) {
        grow_slots();
    }
}

std::size_t OpenBatch::find_slot(std::uint64_t hash, std::uint8_t prefix, ByteView key) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = hash & mask;
    for (; slots_[slot] != 0; slot = (slot + 1) & mask) {
        const Entry& entry = entries_[slots_[slot] - 1];
        if (entry.hash != hash || entry.key_size != key.size() + 1) {
            continue;
        }
        const ByteView stored = this->key(entry);
        if (stored.front() == static_cast<char>(prefix) && stored.substr(1) == key) {
            break;
        }
    }
    return slot;
}

void OpenBatch::grow_slots() {
    slots_.assign(slots_.size() * 2, 0);
    const std::size_t mask = slots_.size() - 1;
    for (std::uint32_t number = 0; number < entries_.size(); ++number) {
        std::size_t slot = entries_[number].hash & mask;
        while (slots_[slot] != 0) {
            slot = (slot + 1) & mask;
        }
        slots_[slot] = number + 1;
    }
}

}  // namespace kvstore::storage::lsm
