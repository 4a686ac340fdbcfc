#include "raft/log.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "raft/internal/fingerprint.h"
#include "raft/internal/mutants.h"

namespace kvstore::raft {

Log::Log(const LogView& view, const Config& config)
    : view_(&view),
      entry_bytes_(config.entry_bytes),
      apply_bytes_max_(config.apply_bytes_max),
      apply_with_persist_(config.apply == ApplyMode::kWithPersist),
      offset_(view.last_index().next()),
      handed_(offset_),
      last_index_(view.last_index()),
      committed_(previous(view.first_index())),
      applying_(committed_),
      applied_(committed_) {}

Index Log::first_index() const {
    return snapshot_ != nullptr ? snapshot_->index.next() : view_->first_index();
}

std::optional<Term> Log::term(Index index) const {
    if (index > last_index_ || index.next() < first_index()) {
        return std::nullopt;
    }
    if (index >= offset_) {
        return tail_at(index).term;
    }
    if (snapshot_ != nullptr && index == snapshot_->index) {
        return snapshot_->term;
    }
    return view_->term(index);
}

bool Log::matches(Index index, Term expected) const {
    const std::optional<Term> held = term(index);
    return held.has_value() && *held == expected;
}

bool Log::is_up_to_date(Index last, Term last_term) const {
    const Term own = this->last_term();
    if (KVSTORE_RAFT_MUTANT(kVoteIgnoresLastTerm)) {
        return last >= last_index_;
    }
    if (KVSTORE_RAFT_MUTANT(kVoteIgnoresLastIndex)) {
        return last_term >= own;
    }
    return last_term > own || (last_term == own && last >= last_index_);
}

Log::Place Log::last_not_above(Index from, Term limit) const {
    for (Index index = from; index > Index(); index = previous(index)) {
        const std::optional<Term> held = term(index);
        if (!held.has_value()) {
            return {index, Term()};
        }
        if (*held <= limit) {
            return {index, *held};
        }
    }
    return {Index(), Term()};
}

LogAnswer Log::entries(Index low, std::size_t bytes_max, std::vector<Entry>& out) const {
    return low > last_index_ ? LogAnswer::kOk : slice(low, last_index_.next(), bytes_max, out);
}

LogAnswer Log::slice(Index low, Index high, std::size_t bytes_max, std::vector<Entry>& out) const {
    KVSTORE_ASSERT(low <= high);
    KVSTORE_ASSERT(high <= last_index_.next());
    if (low < first_index()) {
        return LogAnswer::kCompacted;
    }
    std::size_t used = 0;
    if (low < offset_) {
        const Index durable_high = std::min(high, offset_);
        const std::size_t before = out.size();
        const LogAnswer answer = view_->entries(low, durable_high, bytes_max, out);
        if (answer != LogAnswer::kOk) {
            return answer;
        }
        // A view that stops early has met the limit, or has no more at hand: either way
        // the tail must not follow.
        if (out.size() - before < count_between(low, durable_high)) {
            return LogAnswer::kOk;
        }
        for (std::size_t i = before; i < out.size(); ++i) {
            used += entry_bytes_(out[i]);
        }
    }
    if (high > offset_ && out.empty()) {
        out.reserve(std::min<std::size_t>(count_between(std::max(low, offset_), high), 64));
    }
    for (Index index = std::max(low, offset_); index < high; index = index.next()) {
        const Entry& entry = tail_at(index);
        used += entry_bytes_(entry);
        if (used > bytes_max && !out.empty()) {
            break;
        }
        out.push_back(entry);
    }
    return LogAnswer::kOk;
}

void Log::append(std::vector<Entry> entries) {
    KVSTORE_ASSERT(!entries.empty());
    const Index from = entries.front().index;
    KVSTORE_ASSERT(from > committed_ || KVSTORE_RAFT_MUTANTS_ACTIVE);
    KVSTORE_ASSERT(from <= last_index_.next());
    if (from <= offset_ && from <= last_index_) {
        // What was durable is replaced: the tail now begins further down.
        tail_.clear();
        head_ = 0;
        offset_ = from;
    } else if (from <= last_index_) {
        tail_.resize(head_ + count_between(offset_, from));
    }
    if (from < handed_) {
        handed_ = from;
        truncate_writes(from);
    }
    last_index_ = entries.back().index;
    if (tail_.empty()) {
        tail_ = std::move(entries);
        return;
    }
    tail_.insert(tail_.end(),
                 std::make_move_iterator(entries.begin()),
                 std::make_move_iterator(entries.end()));
}

std::optional<std::size_t> Log::first_difference(const std::vector<Entry>& entries) const {
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (!matches(entries[i].index, entries[i].term)) {
            return i;
        }
    }
    return std::nullopt;
}

void Log::commit_to(Index index) {
    if (index <= committed_) {
        return;
    }
    KVSTORE_ASSERT(index <= last_index_ || KVSTORE_RAFT_MUTANTS_ACTIVE);
    committed_ = index;
}

void Log::set_applied(Index index) {
    KVSTORE_ASSERT(index <= committed_);
    applied_ = index;
    applying_ = std::max(applying_, index);
}

std::vector<Entry> Log::take_entries_to_persist(std::uint64_t write) {
    std::vector<Entry> out;
    if (!has_entries_to_persist()) {
        return out;
    }
    const auto from =
        tail_.begin() + static_cast<std::ptrdiff_t>(head_ + count_between(offset_, handed_));
    out.assign(from, tail_.end());
    handed_ = last_index_.next();
    writes_.push_back({last_index_, write});
    return out;
}

SnapshotRef Log::take_snapshot_to_install(std::uint64_t write) {
    if (!has_snapshot_to_install()) {
        return nullptr;
    }
    snapshot_write_ = write;
    return snapshot_;
}

SnapshotRef Log::on_persisted(std::uint64_t write) {
    SnapshotRef installed;
    if (snapshot_ != nullptr && snapshot_write_ != 0 && snapshot_write_ <= write) {
        installed = std::exchange(snapshot_, nullptr);
        snapshot_write_ = 0;
    }
    Index durable;
    while (!writes_.empty() && writes_.front().number <= write) {
        durable = writes_.front().last;
        writes_.pop_front();
    }
    if (durable >= offset_) {
        drop_durable_head(durable);
    }
    return installed;
}

void Log::drop_durable_head(Index durable) {
    KVSTORE_ASSERT(durable < handed_);
    const Index new_offset = durable.next();
    head_ += count_between(offset_, new_offset);
    offset_ = new_offset;
    if (head_ == tail_.size()) {
        tail_.clear();
        head_ = 0;
        return;
    }
    // Dropping one at a time would be quadratic; half at a time is not.
    if (head_ * 2 > tail_.size()) {
        tail_.erase(tail_.begin(), tail_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
    }
}

void Log::truncate_writes(Index from) {
    if (KVSTORE_RAFT_MUTANT(kOverwrittenWriteCountsAsDurable)) {
        return;
    }
    while (!writes_.empty()) {
        Write& newest = writes_.back();
        if (newest.last < from) {
            return;
        }
        const bool has_rest = from > offset_ && (writes_.size() == 1 ||
                                                 writes_[writes_.size() - 2].last < previous(from));
        if (has_rest) {
            newest.last = previous(from);
            return;
        }
        writes_.pop_back();
    }
}

Index Log::max_applicable() const {
    return apply_with_persist_ || KVSTORE_RAFT_MUTANT(kAppliesBeforePersist)
               ? committed_
               : std::min(committed_, durable());
}

bool Log::has_entries_to_apply() const {
    return !apply_paused_ && !is_installing() && applying_ < max_applicable();
}

LogAnswer Log::take_entries_to_apply(std::vector<Entry>& out) {
    if (!has_entries_to_apply()) {
        return LogAnswer::kOk;
    }
    KVSTORE_ASSERT(applying_bytes_ < apply_bytes_max_);
    const Index limit = max_applicable();
    const LogAnswer answer =
        slice(applying_.next(), limit.next(), apply_bytes_max_ - applying_bytes_, out);
    if (answer != LogAnswer::kOk || out.empty()) {
        return answer;
    }
    Batch batch{out.back().index, 0, 0};
    for (const Entry& entry : out) {
        batch.bytes += entry_bytes_(entry);
        batch.payload_bytes += entry.data.size();
    }
    batches_.push_back(batch);
    applying_ = batch.last;
    applying_bytes_ += batch.bytes;
    // A batch that stopped short met the limit: the next entry would not fit either.
    apply_paused_ = applying_bytes_ >= apply_bytes_max_ || batch.last < limit;
    return LogAnswer::kOk;
}

std::size_t Log::on_applied(Index index) {
    std::size_t payload_bytes = 0;
    set_applied(std::max(index, applied_));
    bool freed = false;
    while (!batches_.empty() && batches_.front().last <= applied_) {
        applying_bytes_ -= batches_.front().bytes;
        payload_bytes += batches_.front().payload_bytes;
        batches_.pop_front();
        freed = true;
    }
    if (freed) {
        apply_paused_ = applying_bytes_ >= apply_bytes_max_;
    }
    return payload_bytes;
}

void Log::restore(SnapshotRef snapshot) {
    tail_.clear();
    head_ = 0;
    writes_.clear();
    committed_ = snapshot->index;
    last_index_ = snapshot->index;
    offset_ = snapshot->index.next();
    handed_ = offset_;
    snapshot_ = std::move(snapshot);
    snapshot_write_ = 0;
}

std::uint64_t Log::fingerprint() const {
    Fingerprint print;
    print.add(offset_.value()).add(handed_.value()).add(last_index_.value());
    print.add(committed_.value()).add(applying_.value()).add(applied_.value());
    for (Index index = offset_; index <= last_index_; index = index.next()) {
        print.add(tail_at(index));
    }
    for (const Write& write : writes_) {
        print.add(write.last.value()).add(write.number);
    }
    print.add(snapshot_ != nullptr ? snapshot_->index.value() : 0).add(snapshot_write_);
    print.add(applying_bytes_).add(apply_paused_ ? 1 : 0);
    return print.value();
}

}  // namespace kvstore::raft
