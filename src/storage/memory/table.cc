#include "storage/memory/table.h"

#include "base/assert.h"

namespace kvstore::storage::memory {

MemoryTable::Cursor::Cursor(const MemoryTable* table)
    : rows_(&table->rows_), at_(table->rows_.end()) {}

void MemoryTable::Cursor::seek(ByteView key) {
    at_ = rows_->lower_bound(key);
}

void MemoryTable::Cursor::seek_before(ByteView key) {
    at_ = rows_->lower_bound(key);
    at_ = at_ == rows_->begin() ? rows_->end() : std::prev(at_);
}

void MemoryTable::Cursor::seek_to_last() {
    at_ = rows_->empty() ? rows_->end() : std::prev(rows_->end());
}

void MemoryTable::Cursor::next() {
    KVSTORE_ASSERT(valid());
    ++at_;
}

void MemoryTable::Cursor::previous() {
    KVSTORE_ASSERT(valid());
    at_ = at_ == rows_->begin() ? rows_->end() : std::prev(at_);
}

bool MemoryTable::Cursor::valid() const {
    return at_ != rows_->end();
}

ByteView MemoryTable::Cursor::key() const {
    return at_->first;
}

ByteView MemoryTable::Cursor::value() const {
    return at_->second;
}

MemoryTable::MemoryTable(Access access) : access_(access) {}

bool MemoryTable::find(ByteView key, ByteView* value) const {
    const auto at = rows_.find(key);
    if (at == rows_.end()) {
        return false;
    }
    *value = at->second;
    return true;
}

bool MemoryTable::put(ByteView key, ByteView head, ByteView tail) {
    Bytes value;
    value.reserve(head.size() + tail.size());
    value.append(head).append(tail);
    return rows_.insert_or_assign(Bytes(key), std::move(value)).second;
}

bool MemoryTable::erase(ByteView key) {
    const auto at = rows_.find(key);
    if (at == rows_.end()) {
        return false;
    }
    rows_.erase(at);
    return true;
}

std::uint64_t MemoryTable::memory_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [key, value] : rows_) {
        bytes += 96 + key.size() + value.size();
    }
    return bytes;
}

}  // namespace kvstore::storage::memory
