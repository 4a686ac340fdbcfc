#include "storage/memory/table_set.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kvstore::storage::memory {
namespace {

std::shared_ptr<MemoryTable> make_table(Table table) {
    return std::make_shared<MemoryTable>(table == Table::kCurrent
                                             ? MemoryTable::Access::kHashedAndOrdered
                                             : MemoryTable::Access::kOrdered);
}

}  // namespace

TableSet::TableSet() {
    for (std::size_t i = 0; i < kTableCount; ++i) {
        tables_[i] = make_table(static_cast<Table>(i));
    }
}

TableSet::~TableSet() {
    KVSTORE_ASSERT(observers_.empty());
}

void TableSet::begin_write(Table table, ByteView key) {
    ++generation_;
    batch_is_open_ = true;
    for (WriteObserver* observer : observers_) {
        observer->before_write(table, key, *slot(table));
    }
}

void TableSet::put(Table table, ByteView key, ByteView head, ByteView tail) {
    begin_write(table, key);
    slot(table)->put(key, head, tail);
}

void TableSet::erase(Table table, ByteView key) {
    begin_write(table, key);
    slot(table)->erase(key);
}

void TableSet::erase_range(Table table, ByteView from, ByteView to) {
    MemoryTable::Cursor cursor(&rows(table));
    cursor.seek_to_last();
    if (!cursor.valid()) {
        batch_is_open_ = true;
        return;
    }
    const bool reaches_the_end = to.empty() || cursor.key() < to;
    cursor.seek({});
    if (reaches_the_end && from <= cursor.key()) {
        clear(table);
        return;
    }
    cursor.seek(from);
    while (cursor.valid() && (to.empty() || cursor.key() < to)) {
        const Bytes key(cursor.key());
        erase(table, key);
        cursor = MemoryTable::Cursor(&rows(table));
        cursor.seek(key);
    }
}

void TableSet::clear(Table table) {
    ++generation_;
    batch_is_open_ = true;
    for (WriteObserver* observer : observers_) {
        observer->before_clear(table, slot(table));
    }
    tables_[static_cast<std::size_t>(table)] = make_table(table);
}

void TableSet::commit(Index applied) {
    KVSTORE_ASSERT(applied >= applied_);
    applied_ = applied;
    batch_is_open_ = false;
}

std::uint64_t TableSet::memory_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& table : tables_) {
        bytes += table->memory_bytes();
    }
    return bytes;
}

void TableSet::remove_observer(WriteObserver* observer) {
    const auto at = std::find(observers_.begin(), observers_.end(), observer);
    KVSTORE_ASSERT(at != observers_.end());
    observers_.erase(at);
}

}  // namespace kvstore::storage::memory
