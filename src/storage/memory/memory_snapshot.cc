#include "storage/memory/memory_snapshot.h"

#include <utility>

#include "base/assert.h"
#include "base/planted_bug.h"

namespace kvstore::storage::memory {
namespace {

// What one entry of the side map costs besides the bytes of key and value: a tree node with two
// strings and the optional's flag.
constexpr std::size_t kSideEntryOverhead = 112;

std::size_t side_entry_bytes(ByteView key, const std::optional<Bytes>& value) {
    return kSideEntryOverhead + key.size() + (value.has_value() ? value->size() : 0);
}

}  // namespace

MemorySnapshotSource::MemorySnapshotSource(TableSet* tables, std::uint64_t* side_bytes)
    : tables_(tables), side_bytes_(side_bytes), applied_(tables->applied()) {
    // Half a batch must not be shown as the state at its index.
    KVSTORE_ASSERT(!tables->batch_is_open());
    tables_->add_observer(this);
}

MemorySnapshotSource::~MemorySnapshotSource() {
    while (at_table_ < kTableCount) {
        end_table();
    }
    tables_->remove_observer(this);
}

async::Task<Result<std::vector<SnapshotSource::Row>>> MemorySnapshotSource::next(
    std::size_t bytes_max) {
    if (is_cancelled_) {
        co_return Status(Code::kUnavailable, "the engine is closing");
    }
    std::vector<Row> rows;
    std::size_t bytes = 0;
    while (at_table_ < kTableCount && (rows.empty() || bytes < bytes_max)) {
        walk_table(bytes_max, rows, bytes);
    }
    co_return rows;
}

// Goes on in the current table until it ends or the rows are enough.
void MemorySnapshotSource::walk_table(std::size_t bytes_max,
                                      std::vector<Row>& rows,
                                      std::size_t& bytes) {
    const auto table = static_cast<Table>(at_table_);
    const auto& kept = handed_over_[at_table_];
    MemoryTable::Cursor live(kept != nullptr ? kept.get() : &tables_->rows(table));
    live.seek(passed_.has_value() ? ByteView(*passed_) : ByteView());
    if (passed_.has_value() && live.valid() && live.key() == *passed_) {
        live.next();
    }
    SideMap& side = side_[at_table_];
    Bytes last;
    bool has_moved = false;
    while (bytes < bytes_max || rows.empty()) {
        const auto saved = side.begin();
        const bool has_saved = saved != side.end();
        if (!has_saved && !live.valid()) {
            end_table();
            return;
        }
        has_moved = true;
        if (has_saved && (!live.valid() || saved->first <= live.key())) {
            if (live.valid() && live.key() == saved->first) {
                live.next();
            }
            if (saved->second.has_value()) {
                emit(saved->first, *saved->second, rows, bytes);
            }
            last = saved->first;
            drop_side_entry(side, saved);
            continue;
        }
        emit(live.key(), live.value(), rows, bytes);
        last.assign(live.key());
        live.next();
    }
    if (has_moved) {
        pass(last);
    }
}

bool MemorySnapshotSource::emit(ByteView key,
                                ByteView value,
                                std::vector<Row>& rows,
                                std::size_t& bytes) {
    bytes += key.size() + value.size();
    rows.push_back(
        Row{.table = static_cast<Table>(at_table_), .key = Bytes(key), .value = Bytes(value)});
    return true;
}

void MemorySnapshotSource::pass(ByteView key) {
    KVSTORE_ASSERT(!passed_.has_value() || *passed_ < key);
    passed_ = Bytes(key);
}

void MemorySnapshotSource::end_table() {
    SideMap& side = side_[at_table_];
    while (!side.empty()) {
        drop_side_entry(side, side.begin());
    }
    handed_over_[at_table_].reset();
    passed_.reset();
    ++at_table_;
}

void MemorySnapshotSource::drop_side_entry(SideMap& side, SideMap::iterator entry) {
    const std::size_t bytes = side_entry_bytes(entry->first, entry->second);
    KVSTORE_ASSERT(*side_bytes_ >= bytes);
    *side_bytes_ -= bytes;
    side.erase(entry);
}

bool MemorySnapshotSource::has_passed(Table table, ByteView key) const {
    const auto number = static_cast<std::size_t>(table);
    if (number != at_table_) {
        return number < at_table_;
    }
    return passed_.has_value() && key <= *passed_;
}

void MemorySnapshotSource::before_write(Table table, ByteView key, const MemoryTable& rows) {
    const auto number = static_cast<std::size_t>(table);
    if (has_passed(table, key) || handed_over_[number] != nullptr ||
        planted_bug(PlantedBug::kMemorySnapshotMissesPreimage)) {
        return;
    }
    SideMap& side = side_[number];
    const auto at = side.lower_bound(key);
    if (at != side.end() && at->first == key) {
        return;
    }
    std::optional<Bytes> value;
    ByteView found;
    if (rows.find(key, &found)) {
        value.emplace(found);
    }
    *side_bytes_ += side_entry_bytes(key, value);
    side.emplace_hint(at, key, std::move(value));
}

void MemorySnapshotSource::before_clear(Table table, std::shared_ptr<const MemoryTable> rows) {
    const auto number = static_cast<std::size_t>(table);
    if (number < at_table_ || handed_over_[number] != nullptr) {
        return;
    }
    handed_over_[number] = std::move(rows);
}

}  // namespace kvstore::storage::memory
