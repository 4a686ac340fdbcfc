#include "raft/progress.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "raft/internal/fingerprint.h"
#include "raft/internal/mutants.h"

namespace kvstore::raft {

void Inflight::add(Index last, std::size_t bytes) {
    KVSTORE_DEBUG_ASSERT(sent_.empty() || sent_.back().last <= last);
    sent_.push_back({last, bytes});
    bytes_ += bytes;
}

void Inflight::free_through(Index index) {
    while (!sent_.empty() && sent_.front().last <= index) {
        bytes_ -= sent_.front().bytes;
        sent_.pop_front();
    }
}

void Inflight::clear() {
    sent_.clear();
    bytes_ = 0;
}

std::uint64_t Inflight::fingerprint() const noexcept {
    Fingerprint print;
    for (const Sent& sent : sent_) {
        print.add(sent.last.value()).add(sent.bytes);
    }
    return print.value();
}

void Progress::reset(ProgressState state) {
    state_ = state;
    flow_paused_ = false;
    awaits_log = false;
    pending_snapshot_ = Index();
    inflight_.clear();
}

void Progress::become_probe() {
    // A snapshot that was sent is taken to have arrived until the probe says otherwise.
    const Index after_snapshot = pending_snapshot_.next();
    const bool from_snapshot = state_ == ProgressState::kSnapshot;
    reset(ProgressState::kProbe);
    next_ = match_.next();
    if (from_snapshot) {
        next_ = std::max(next_, after_snapshot);
    }
    sent_commit_ = std::min(sent_commit_, previous(next_));
}

void Progress::become_replicate() {
    reset(ProgressState::kReplicate);
    next_ = match_.next();
}

void Progress::become_snapshot(Index snapshot) {
    reset(ProgressState::kSnapshot);
    pending_snapshot_ = snapshot;
    next_ = snapshot.next();
    sent_commit_ = snapshot;
}

void Progress::sent_entries(std::uint64_t count, std::size_t bytes) {
    if (state_ == ProgressState::kReplicate) {
        if (count > 0) {
            next_ = next_.plus(count);
            inflight_.add(previous(next_), bytes);
        }
        // A full window still lets one empty append through after each heartbeat's
        // answer, or a peer whose appends were all lost would never be heard again.
        flow_paused_ = inflight_.full();
    } else if (count > 0) {
        flow_paused_ = true;
    }
}

bool Progress::can_raise_commit(Index commit) const noexcept {
    return commit > sent_commit_ && sent_commit_ < previous(next_);
}

bool Progress::acknowledged(Index index) {
    if (index <= match_) {
        return false;
    }
    match_ = index;
    next_ = std::max(next_, index.next());
    flow_paused_ = false;
    return true;
}

bool Progress::rejected(Index rejected, Index hint) {
    if (state_ == ProgressState::kReplicate) {
        if (rejected <= match_ && !KVSTORE_RAFT_MUTANT(kStaleRejectRegressesNext)) {
            return false;
        }
        next_ = KVSTORE_RAFT_MUTANT(kStaleRejectRegressesNext) ? hint.next() : match_.next();
        sent_commit_ = std::min(sent_commit_, previous(next_));
        return true;
    }
    // Only the probe that is under way can be refused; others are of an earlier one.
    if (previous(next_) != rejected) {
        return false;
    }
    // The floor at match + 1 is what etcd/raft issue 148 is about: a hint from a stale
    // answer must not make the leader resend what is known to be there.
    next_ = std::max(std::min(rejected, hint.next()), match_.next());
    if (KVSTORE_RAFT_MUTANT(kNextAtOrBelowMatch)) {
        next_ = std::max(std::min(rejected, hint.next()), Index(1));
    }
    sent_commit_ = std::min(sent_commit_, previous(next_));
    flow_paused_ = false;
    return true;
}

namespace {

bool id_below(const ProgressMap::Peer& peer, NodeId id) {
    return peer.id < id;
}

}  // namespace

Progress& ProgressMap::insert(NodeId id, Progress progress) {
    const auto place = std::lower_bound(peers_.begin(), peers_.end(), id, id_below);
    KVSTORE_ASSERT(place == peers_.end() || place->id != id);
    return peers_.insert(place, Peer{id, std::move(progress)})->progress;
}

void ProgressMap::erase(NodeId id) {
    const auto place = std::lower_bound(peers_.begin(), peers_.end(), id, id_below);
    if (place != peers_.end() && place->id == id) {
        peers_.erase(place);
    }
}

}  // namespace kvstore::raft
