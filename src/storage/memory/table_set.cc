#include "storage/memory/table_set.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kvstore::storage::memory {
namespace {

// Garbage is collected at a commit from so much on, and within a batch from so much on. Little
// enough to hold, and enough to do in one go.
constexpr std::size_t kCommitWritesMax = 64;
constexpr std::size_t kCommitBytesMax = 1U << 20U;
constexpr std::size_t kBatchWritesMax = 4096;
constexpr std::size_t kBatchBytesMax = 16U << 20U;

// Blocks of a cleared table that are let go in one step; giving one back takes some 50
// microseconds.
constexpr int kBlocksPerStep = 4;

constexpr std::size_t kCompactEntriesPerStep = 512;

std::shared_ptr<MemoryTable> make_table(EpochDomain* epochs, Table table, std::uint64_t hash_seed) {
    const auto access = table == Table::kCurrent ? MemoryTable::Access::kHashedAndOrdered
                                                 : MemoryTable::Access::kOrdered;
    return std::make_shared<MemoryTable>(epochs, access, hash_seed);
}

}  // namespace

bool RowReader::find(ByteView key, Bytes* value) {
    reader_->enter();
    const bool found = current_->load(std::memory_order_acquire)->find_from_any_core(key, value);
    reader_->leave();
    return found;
}

TableSet::TableSet(std::uint64_t hash_seed) : hash_seed_(hash_seed) {
    for (std::size_t i = 0; i < kTableCount; ++i) {
        tables_[i] = make_table(&epochs_, static_cast<Table>(i), hash_seed_);
    }
    current_.store(slot(Table::kCurrent).get(), std::memory_order_release);
}

TableSet::~TableSet() {
    KVSTORE_ASSERT(observers_.empty());
    KVSTORE_ASSERT(epochs_.reader_count() == 0);
}

std::unique_ptr<RowReader> TableSet::add_reader() {
    return std::make_unique<RowReader>(&current_, epochs_.add_reader());
}

// ---- writes ----

void TableSet::begin_write(Table table, ByteView key) {
    ++generation_;
    ++writes_since_collect_;
    batch_is_open_ = true;
    for (WriteObserver* observer : observers_) {
        observer->before_write(table, key, *slot(table));
    }
}

void TableSet::put(Table table, ByteView key, ByteView head, ByteView tail) {
    if (should_collect(kBatchWritesMax, kBatchBytesMax)) {
        collect();
    }
    begin_write(table, key);
    slot(table)->put(key, head, tail);
}

void TableSet::append(Table table, ByteView key, ByteView value) {
    KVSTORE_ASSERT(observers_.empty());
    ++generation_;
    batch_is_open_ = true;
    slot(table)->append(key, value);
}

void TableSet::end_append() {
    for (const auto& table : tables_) {
        table->end_append();
    }
}

void TableSet::erase(Table table, ByteView key) {
    if (should_collect(kBatchWritesMax, kBatchBytesMax)) {
        collect();
    }
    begin_write(table, key);
    slot(table)->erase(key);
}

void TableSet::erase_range(Table table, ByteView from, ByteView to) {
    batch_is_open_ = true;
    ++generation_;
    MemoryTable::Cursor cursor(&rows(table));
    cursor.seek_to_last();
    if (!cursor.valid()) {
        return;
    }
    const bool reaches_the_end = to.empty() || cursor.key() < to;
    cursor.seek({});
    if (reaches_the_end && from <= cursor.key()) {
        clear(table);
        return;
    }
    if (!observers_.empty()) {
        for (cursor.seek(from); cursor.valid() && (to.empty() || cursor.key() < to);
             cursor.next()) {
            begin_write(table, cursor.key());
        }
    }
    slot(table)->erase_range(from, to);
    writes_since_collect_ += kCommitWritesMax;
}

void TableSet::clear(Table table) {
    for (WriteObserver* observer : observers_) {
        observer->before_clear(table, slot(table));
    }
    std::shared_ptr<MemoryTable>& cleared = tables_[static_cast<std::size_t>(table)];
    if (compact_table_ == static_cast<std::size_t>(table)) {
        compact_from_.reset();
    }
    dying_.push_back(
        Dying{.epoch = epochs_.current(),
              .table = std::exchange(cleared, make_table(&epochs_, table, hash_seed_))});
    if (table == Table::kCurrent) {
        current_.store(cleared.get(), std::memory_order_release);
    }
}

void TableSet::commit(Index applied) {
    KVSTORE_ASSERT(applied >= applied_);
    applied_ = applied;
    batch_is_open_ = false;
    if (!dying_.empty() || should_collect(kCommitWritesMax, kCommitBytesMax)) {
        collect();
    }
}

// ---- housekeeping ----

bool TableSet::should_collect(std::size_t writes_max, std::size_t bytes_max) const {
    if (writes_since_collect_ >= writes_max) {
        return true;
    }
    return std::any_of(tables_.begin(), tables_.end(), [bytes_max](const auto& table) {
        return table->retired_bytes() >= bytes_max;
    });
}

bool TableSet::collect() {
    writes_since_collect_ = 0;
    const std::uint64_t safe_epoch = epochs_.advance();
    for (const auto& table : tables_) {
        table->reclaim(safe_epoch);
    }
    return dismantle(safe_epoch);
}

bool TableSet::dismantle(std::uint64_t safe_epoch) {
    for (auto at = dying_.begin(); at != dying_.end(); ++at) {
        // A snapshot may still read it.
        if (at->epoch >= safe_epoch || at->table.use_count() > 1) {
            continue;
        }
        for (int i = 0; i < kBlocksPerStep; ++i) {
            if (!at->table->dismantle_step()) {
                dying_.erase(at);
                break;
            }
        }
        return !dying_.empty();
    }
    return false;
}

bool TableSet::compact_step() {
    if (!compact_from_.has_value()) {
        slot(static_cast<Table>(compact_table_))->arena().begin_evacuation();
        compact_from_.emplace();
    }
    MemoryTable& table = *slot(static_cast<Table>(compact_table_));
    ++generation_;
    compact_from_ = table.move_entries(*compact_from_, kCompactEntriesPerStep);
    if (!compact_from_.has_value()) {
        table.arena().end_evacuation();
        compact_table_ = (compact_table_ + 1) % kTableCount;
    }
    collect();
    return compact_from_.has_value() || compact_table_ != 0;
}

void TableSet::check() const {
    for (const auto& table : tables_) {
        table->check();
    }
}

std::uint64_t TableSet::memory_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& table : tables_) {
        bytes += table->memory_bytes();
    }
    for (const Dying& dying : dying_) {
        bytes += dying.table->memory_bytes();
    }
    return bytes;
}

void TableSet::remove_observer(WriteObserver* observer) {
    const auto at = std::find(observers_.begin(), observers_.end(), observer);
    KVSTORE_ASSERT(at != observers_.end());
    observers_.erase(at);
}

}  // namespace kvstore::storage::memory
