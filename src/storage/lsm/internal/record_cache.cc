#include "storage/lsm/internal/record_cache.h"

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/coding.h"

namespace kvstore::storage::lsm {
namespace {

constexpr std::size_t kCellsMin = 256;
constexpr std::size_t kSharesMax = 16;
constexpr std::uint64_t kUsed = 1;

// A record in memory: size of the key, size of the value, key, value.
constexpr std::size_t kSizesBytes = 2 * sizeof(std::uint32_t);

// What the allocator adds, about; and the cells, which are at most three quarters full.
constexpr std::size_t kOverheadBytes = 16 + 2 * (sizeof(std::uint64_t) + sizeof(void*));

std::size_t cost_of(ByteView key, ByteView value) {
    return kOverheadBytes + kSizesBytes + key.size() + value.size();
}

ByteView key_of(const char* record) {
    return {record + kSizesBytes, load_fixed<std::uint32_t>(record)};
}

ByteView value_of(const char* record) {
    const ByteView key = key_of(record);
    return {key.data() + key.size(), load_fixed<std::uint32_t>(record + sizeof(std::uint32_t))};
}

void store_record(char* record, ByteView key, ByteView value) {
    store_fixed(record, static_cast<std::uint32_t>(key.size()));
    store_fixed(record + sizeof(std::uint32_t), static_cast<std::uint32_t>(value.size()));
    std::memcpy(record + kSizesBytes, key.data(), key.size());
    std::memcpy(record + kSizesBytes + key.size(), value.data(), value.size());
}

}  // namespace

RecordCache::RecordCache(std::size_t capacity_bytes)
    : cells_(kCellsMin),
      mask_(kCellsMin - 1),
      doorkeeper_(kCellsMin),
      capacity_bytes_(capacity_bytes) {}

bool RecordCache::find(std::uint64_t hash, ByteView key, ByteView* value) {
    Cell& cell = cells_[find_cell(hash, key)];
    if (cell.record == nullptr) {
        return false;
    }
    cell.hash |= kUsed;
    *value = value_of(cell.record.get());
    return true;
}

void RecordCache::prefetch_record(std::uint64_t hash) const {
    constexpr std::size_t kLine = 64;
    const char* record = cells_[home(hash)].record.get();
    for (std::size_t line = 0; line < 3; ++line) {
        __builtin_prefetch(record + (line * kLine));
    }
}

void RecordCache::offer(std::uint64_t hash, ByteView key, ByteView value) {
    const std::size_t cost = cost_of(key, value);
    if (cost > capacity_bytes_ / kSharesMax) {
        return;
    }
    const bool has_room = size_bytes_ + cost <= capacity_bytes_;
    if (!has_room && !admit(hash)) {
        return;
    }
    make_room(cost);
    if ((record_count_ + 1) * 4 > cells_.size() * 3) {
        grow();
    }
    const std::size_t at = find_cell(hash, key);
    if (cells_[at].record == nullptr) {
        fill_cell(at, hash, key, value);
    }
}

void RecordCache::update(std::uint64_t hash, ByteView key, ByteView value) {
    const std::size_t at = find_cell(hash, key);
    Cell& cell = cells_[at];
    if (cell.record == nullptr) {
        return;
    }
    if (value_of(cell.record.get()).size() == value.size()) {
        store_record(cell.record.get(), key, value);
        return;
    }
    empty_cell(at);
    const std::size_t cost = cost_of(key, value);
    if (cost <= capacity_bytes_ / kSharesMax) {
        make_room(cost);
        fill_cell(find_cell(hash, key), hash, key, value);
    }
}

void RecordCache::erase(std::uint64_t hash, ByteView key) {
    const std::size_t at = find_cell(hash, key);
    if (cells_[at].record != nullptr) {
        empty_cell(at);
    }
}

void RecordCache::clear() {
    cells_.clear();
    cells_.resize(kCellsMin);
    mask_ = kCellsMin - 1;
    doorkeeper_.assign(kCellsMin, 0);
    hand_ = 0;
    size_bytes_ = 0;
    record_count_ = 0;
}

void RecordCache::set_capacity(std::size_t capacity_bytes) {
    capacity_bytes_ = capacity_bytes;
    make_room(0);
}

std::size_t RecordCache::find_cell(std::uint64_t hash, ByteView key) const {
    std::size_t at = home(hash);
    for (; cells_[at].record != nullptr; at = (at + 1) & mask_) {
        if ((cells_[at].hash | kUsed) == (hash | kUsed) && key_of(cells_[at].record.get()) == key) {
            break;
        }
    }
    return at;
}

void RecordCache::fill_cell(std::size_t at, std::uint64_t hash, ByteView key, ByteView value) {
    KVSTORE_ASSERT(cells_[at].record == nullptr);
    auto record = std::make_unique_for_overwrite<char[]>(kSizesBytes + key.size() + value.size());
    store_record(record.get(), key, value);
    cells_[at] = Cell{hash & ~kUsed, std::move(record)};
    size_bytes_ += cost_of(key, value);
    ++record_count_;
}

// Empties a cell and moves back those behind it that would not be found otherwise.
void RecordCache::empty_cell(std::size_t at) {
    const char* record = cells_[at].record.get();
    size_bytes_ -= cost_of(key_of(record), value_of(record));
    --record_count_;
    cells_[at].record.reset();
    std::size_t hole = at;
    for (std::size_t next = (at + 1) & mask_; cells_[next].record != nullptr;
         next = (next + 1) & mask_) {
        const std::size_t distance_home = (next - home(cells_[next].hash)) & mask_;
        const std::size_t distance_hole = (next - hole) & mask_;
        if (distance_home >= distance_hole) {
            cells_[hole] = std::move(cells_[next]);
            hole = next;
        }
    }
}

bool RecordCache::admit(std::uint64_t hash) {
    const auto tag = static_cast<std::uint16_t>((hash >> 48U) | 1U);
    std::uint16_t& seen = doorkeeper_[home(hash)];
    if (seen == tag) {
        seen = 0;
        return true;
    }
    seen = tag;
    return false;
}

void RecordCache::make_room(std::size_t bytes) {
    while (record_count_ > 0 && size_bytes_ + bytes > capacity_bytes_) {
        hand_ = (hand_ + 1) & mask_;
        Cell& cell = cells_[hand_];
        if (cell.record == nullptr) {
            continue;
        }
        if ((cell.hash & kUsed) != 0) {
            cell.hash &= ~kUsed;
            continue;
        }
        empty_cell(hand_);
        // Another record may have moved into this cell; it is looked at next.
        hand_ = (hand_ - 1) & mask_;
    }
}

void RecordCache::grow() {
    std::vector<Cell> old(cells_.size() * 2);
    old.swap(cells_);
    mask_ = cells_.size() - 1;
    doorkeeper_.assign(cells_.size(), 0);
    for (Cell& cell : old) {
        if (cell.record != nullptr) {
            const std::size_t at = find_cell(cell.hash, key_of(cell.record.get()));
            cells_[at] = std::move(cell);
        }
    }
}

}  // namespace kvstore::storage::lsm
