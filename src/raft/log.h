// A member's log: the durable part behind a LogView, and the tail that is not known to
// be durable yet.
//
//     compacted | durable, in the LogView | being written | not handed out yet
//               first_index            offset          handed           last_index
//
// Each write has a number. An index is durable once the *last* write that carried it is
// durable: an entry that is overwritten while its first write is still in flight is not
// durable when that first write ends, whatever its term. Keeping the number of the last
// write settles this, where comparing terms cannot (the log may return to an earlier
// entry: A, then B, then A again).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "raft/log_view.h"
#include "raft/types.h"

namespace kvstore::raft {

// Invariants
//   applied <= applying <= committed <= last_index
//   offset <= handed <= last_index + 1
class Log {
public:
    Log(const LogView& view, const Config& config);

    void set_view(const LogView& view) { view_ = &view; }

    [[nodiscard]] Index first_index() const;
    [[nodiscard]] Index last_index() const noexcept { return last_index_; }
    [[nodiscard]] Term last_term() const { return term(last_index_).value_or(Term()); }
    [[nodiscard]] Index committed() const noexcept { return committed_; }
    [[nodiscard]] Index applying() const noexcept { return applying_; }
    [[nodiscard]] Index applied() const noexcept { return applied_; }
    // The highest index known to be durable.
    [[nodiscard]] Index durable() const noexcept { return previous(offset_); }

    // None below first_index() - 1 and above last_index().
    [[nodiscard]] std::optional<Term> term(Index index) const;
    [[nodiscard]] bool matches(Index index, Term term) const;
    // The election restriction (thesis 3.6.1).
    [[nodiscard]] bool is_up_to_date(Index last, Term last_term) const;
    // The highest index not above `from` whose term is not above `term`: where two logs
    // can agree at most (thesis 3.5, the optimization of nextIndex).
    struct Place {
        Index index;
        Term term;
    };
    [[nodiscard]] Place last_not_above(Index from, Term term) const;

    LogAnswer entries(Index low, std::size_t bytes_max, std::vector<Entry>& out) const;
    LogAnswer slice(Index low, Index high, std::size_t bytes_max, std::vector<Entry>& out) const;

    // Puts entries at the end, replacing what stands at and after the first of them.
    // Requires: the first follows committed() and is at most last_index() + 1.
    void append(std::vector<Entry> entries);
    // The first of `entries` that this log lacks or holds with another term; none when
    // it holds all.
    [[nodiscard]] std::optional<std::size_t> first_difference(
        const std::vector<Entry>& entries) const;

    // Requires: index <= last_index().
    void commit_to(Index index);
    void set_applied(Index index);

    // ---- towards the disk ----
    [[nodiscard]] bool has_entries_to_persist() const noexcept { return handed_ <= last_index_; }
    [[nodiscard]] bool has_snapshot_to_install() const noexcept {
        return snapshot_ != nullptr && snapshot_write_ == 0;
    }
    // A snapshot is known and not yet installed: nothing may be applied, and this member
    // has no state to lead with.
    [[nodiscard]] bool is_installing() const noexcept { return snapshot_ != nullptr; }
    // Whether some part of the tail is not known to be durable.
    [[nodiscard]] bool has_tail() const noexcept { return offset_ <= last_index_; }
    [[nodiscard]] std::vector<Entry> take_entries_to_persist(std::uint64_t write);
    [[nodiscard]] SnapshotRef take_snapshot_to_install(std::uint64_t write);
    // All writes up to this number are durable. Tells the snapshot that thereby is.
    SnapshotRef on_persisted(std::uint64_t write);

    // ---- towards the state machine ----
    [[nodiscard]] bool has_entries_to_apply() const;
    // May be fewer than are committed: bounded in bytes over all that is not yet applied.
    LogAnswer take_entries_to_apply(std::vector<Entry>& out);
    // Everything through `index` is applied. Tells the payload bytes of it.
    std::size_t on_applied(Index index);

    // The log becomes this snapshot alone.
    void restore(SnapshotRef snapshot);
    [[nodiscard]] SnapshotRef snapshot() const {
        return snapshot_ != nullptr ? snapshot_ : view_->snapshot();
    }

    [[nodiscard]] std::uint64_t fingerprint() const;

private:
    struct Write {
        Index last;
        std::uint64_t number;
    };
    struct Batch {
        Index last;
        std::size_t bytes;
        std::size_t payload_bytes;
    };

    [[nodiscard]] Index max_applicable() const;
    [[nodiscard]] const Entry& tail_at(Index index) const {
        return tail_[head_ + count_between(offset_, index)];
    }
    void drop_durable_head(Index durable);
    void truncate_writes(Index from);

    const LogView* view_;
    EntryBytes entry_bytes_;
    std::size_t apply_bytes_max_;
    bool apply_with_persist_;

    std::vector<Entry> tail_;  // from head_ on: [offset_, last_index_]
    std::size_t head_ = 0;
    Index offset_;
    Index handed_;
    Index last_index_;
    std::deque<Write> writes_;  // of the tail's handed part, upwards
    SnapshotRef snapshot_;
    std::uint64_t snapshot_write_ = 0;

    Index committed_;
    Index applying_;
    Index applied_;
    std::deque<Batch> batches_;  // handed over for applying, upwards
    std::size_t applying_bytes_ = 0;
    bool apply_paused_ = false;
};

}  // namespace kvstore::raft
