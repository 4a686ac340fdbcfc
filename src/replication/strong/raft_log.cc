#include "replication/strong/raft_log.h"

#include "base/assert.h"

namespace kvstore::replication {

void RaftLog::restart(Index index, Term term) {
    entries_.clear();
    bytes_ = 0;
    start_ = index;
    start_term_ = term;
}

bool RaftLog::append(raft::Entry entry) {
    if (entry.index <= start_ || entry.index > last_index().next()) {
        return false;
    }
    truncate(entry.index);
    bytes_ += raft::entry_bytes(entry);
    entries_.push_back(std::move(entry));
    return true;
}

void RaftLog::truncate(Index index) {
    while (!entries_.empty() && entries_.back().index >= index) {
        bytes_ -= raft::entry_bytes(entries_.back());
        entries_.pop_back();
    }
}

void RaftLog::trim(Index applied, std::size_t bytes_max) {
    KVSTORE_ASSERT(applied <= last_index());
    while (bytes_ > bytes_max && !entries_.empty() && entries_.front().index <= applied) {
        bytes_ -= raft::entry_bytes(entries_.front());
        start_ = entries_.front().index;
        start_term_ = entries_.front().term;
        entries_.pop_front();
    }
}

const raft::Entry* RaftLog::find(Index index) const {
    if (index <= start_ || index > last_index()) {
        return nullptr;
    }
    return &entries_[raft::count_between(first_index(), index)];
}

std::optional<Term> RaftLog::term(Index index) const {
    if (index == start_) {
        return start_term_;
    }
    const raft::Entry* const entry = find(index);
    return entry != nullptr ? std::optional<Term>(entry->term) : std::nullopt;
}

raft::LogAnswer RaftLog::entries(Index low,
                                 Index high,
                                 std::size_t bytes_max,
                                 std::vector<raft::Entry>& out) const {
    if (low <= start_) {
        return raft::LogAnswer::kCompacted;
    }
    std::size_t bytes = 0;
    for (Index index = low; index < high && index <= last_index(); index = index.next()) {
        const raft::Entry& entry = *find(index);
        bytes += raft::entry_bytes(entry);
        if (bytes > bytes_max && index > low) {
            break;
        }
        out.push_back(entry);
    }
    return raft::LogAnswer::kOk;
}

}  // namespace kvstore::replication
