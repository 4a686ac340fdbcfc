#include "raft/testing/memory_log.h"

#include <utility>

#include "base/assert.h"

namespace kvstore::raft::testing {

std::optional<Term> MemoryLog::term(Index index) const {
    if (index == base_) {
        return base_term_;
    }
    if (index < base_ || index > last_index()) {
        return std::nullopt;
    }
    return entries_[count_between(first_index(), index)].term;
}

LogAnswer MemoryLog::entries(Index low,
                             Index high,
                             std::size_t bytes_max,
                             std::vector<Entry>& out) const {
    if (low < first_index()) {
        return LogAnswer::kCompacted;
    }
    if (low < cold_below_) {
        return LogAnswer::kNotLoaded;
    }
    KVSTORE_ASSERT(high <= last_index().next());
    std::size_t used = 0;
    const std::size_t from = count_between(first_index(), low);
    for (std::size_t i = from; i < count_between(first_index(), high); ++i) {
        used += size_of(entries_[i]);
        if (used > bytes_max && i > from) {
            break;
        }
        out.push_back(entries_[i]);
    }
    return LogAnswer::kOk;
}

void MemoryLog::write(const std::vector<Entry>& entries) {
    if (entries.empty()) {
        return;
    }
    std::size_t skip = 0;
    while (skip < entries.size() && entries[skip].index <= base_) {
        ++skip;
    }
    if (skip == entries.size()) {
        return;
    }
    KVSTORE_ASSERT(entries[skip].index <= last_index().next());
    entries_.resize(count_between(first_index(), entries[skip].index));
    entries_.insert(
        entries_.end(), entries.begin() + static_cast<std::ptrdiff_t>(skip), entries.end());
}

void MemoryLog::install(SnapshotRef snapshot) {
    entries_.clear();
    base_ = snapshot->index;
    base_term_ = snapshot->term;
    snapshot_ = std::move(snapshot);
}

void MemoryLog::compact(Index index) {
    if (index <= base_) {
        return;
    }
    KVSTORE_ASSERT(index <= last_index());
    base_term_ = *term(index);
    entries_.erase(entries_.begin(),
                   entries_.begin() + static_cast<std::ptrdiff_t>(count_between(base_, index)));
    base_ = index;
}

void MemoryLog::lose_after(Index index) {
    if (index < last_index()) {
        entries_.resize(count_between(base_, index));
    }
}

}  // namespace kvstore::raft::testing
