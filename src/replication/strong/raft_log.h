// A group's log in memory, as the consensus core reads it: what the write-ahead log holds and peers
// or the apply loop may still ask for.
//
// Entries that are applied stay for peers that are a little behind, up to a bound in bytes; whoever
// is further behind is sent a snapshot. The write-ahead log keeps its own, by other rules.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "raft/log_view.h"
#include "raft/types.h"

namespace kvstore::replication {

// Lifetime    Outlives the raft::Node that reads it.
// Runs on     The core of its group.
// Invariants  indexes rise by one; the entry before the first is start_index() of start_term()
class RaftLog final : public raft::LogView {
public:
    // Forgets everything: the log begins after `index`.
    void restart(Index index, Term term);

    // Puts an entry behind the others, or in the place of one, which ends what follows it.
    // Returns: false when there would be a gap, or it stands below the first.
    [[nodiscard]] bool append(raft::Entry entry);
    // Drops everything from `index` on.
    void truncate(Index index);

    // Forgets entries up to `applied` from the front while more than `bytes_max` are held.
    // Requires: `applied` is within the log.
    void trim(Index applied, std::size_t bytes_max);

    // What a peer is sent whose next entry is gone.
    void set_snapshot(raft::SnapshotRef snapshot) { snapshot_ = std::move(snapshot); }

    [[nodiscard]] Index start_index() const noexcept { return start_; }
    [[nodiscard]] Term start_term() const noexcept { return start_term_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    // Null outside the log.
    [[nodiscard]] const raft::Entry* find(Index index) const;

    // ---- for the core ----
    [[nodiscard]] Index first_index() const override { return start_.next(); }
    [[nodiscard]] Index last_index() const override { return start_.plus(entries_.size()); }
    [[nodiscard]] std::optional<Term> term(Index index) const override;
    raft::LogAnswer entries(Index low,
                            Index high,
                            std::size_t bytes_max,
                            std::vector<raft::Entry>& out) const override;
    [[nodiscard]] raft::SnapshotRef snapshot() const override { return snapshot_; }

private:
    std::deque<raft::Entry> entries_;
    Index start_;
    Term start_term_;
    std::size_t bytes_ = 0;
    raft::SnapshotRef snapshot_;
};

}  // namespace kvstore::replication
