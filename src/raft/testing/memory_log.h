// A log in memory behind the core's LogView: what a disk would hold after its writes.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "raft/log_view.h"
#include "raft/types.h"

namespace kvstore::raft::testing {

class MemoryLog : public LogView {
public:
    [[nodiscard]] Index first_index() const override { return base_.next(); }
    [[nodiscard]] Index last_index() const override { return base_.plus(entries_.size()); }
    [[nodiscard]] std::optional<Term> term(Index index) const override;
    LogAnswer entries(Index low,
                      Index high,
                      std::size_t bytes_max,
                      std::vector<Entry>& out) const override;
    [[nodiscard]] SnapshotRef snapshot() const override { return snapshot_; }

    // Replaces everything from the first of `entries` on.
    void write(const std::vector<Entry>& entries);
    // The whole log becomes this snapshot.
    void install(SnapshotRef snapshot);
    // Drops everything up to and including `index`.
    // Requires: a snapshot from there on was offered.
    void compact(Index index);
    void offer(SnapshotRef snapshot) { snapshot_ = std::move(snapshot); }
    // Loses what stands behind `index`: a disk that lied.
    void lose_after(Index index);

    // From now on entries below `index` have to be fetched first.
    void set_cold_below(Index index) { cold_below_ = index; }
    [[nodiscard]] const std::vector<Entry>& all() const { return entries_; }

    EntryBytes size_of = raft::entry_bytes;

private:
    Index base_;
    Term base_term_;
    std::vector<Entry> entries_;
    SnapshotRef snapshot_;
    Index cold_below_;
};

}  // namespace kvstore::raft::testing
