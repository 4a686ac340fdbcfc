#include "replication/strong/hand_over.h"

#include <algorithm>
#include <vector>

namespace kvstore::replication {

void HandOver::on_append(Index last, MonotonicTime now) {
    if (!sample_) {
        sample_ = Sample{.last = last, .began = now, .committed = std::nullopt};
    }
}

void HandOver::on_committed(Index commit, MonotonicTime now) {
    if (sample_ && !sample_->committed && commit >= sample_->last) {
        sample_->committed = now;
    }
}

void HandOver::on_durable(Index durable, MonotonicTime now) {
    if (!sample_ || durable < sample_->last) {
        return;
    }
    if (was_slow(*sample_, now)) {
        ++slow_samples_;
        slow_since_ = slow_since_.value_or(sample_->began);
    } else {
        slow_samples_ = 0;
        slow_since_.reset();
    }
    sample_.reset();
}

void HandOver::forget() {
    sample_.reset();
    slow_since_.reset();
    slow_samples_ = 0;
    last_heir_ = NodeId();
}

bool HandOver::was_slow(const Sample& sample, MonotonicTime now) {
    if (!sample.committed) {
        return false;  // a majority was no faster
    }
    const Duration own = now - sample.began;
    const Duration others = *sample.committed - sample.began;
    return own > kSlowTimes * others && own > others + kSlowBy;
}

bool HandOver::is_slow(MonotonicTime now) const {
    const bool is_stuck = sample_ && was_slow(*sample_, now) && now - sample_->began >= kSlowFor;
    return is_stuck ||
           (slow_samples_ >= kSlowSamples && slow_since_ && now - *slow_since_ >= kSlowFor);
}

std::optional<std::string_view> HandOver::reason(bool is_disk_full, MonotonicTime now) {
    if (now < next_attempt_) {
        return std::nullopt;
    }
    if (is_disk_full) {
        return "the disk has no room";
    }
    if (is_slow(now)) {
        return "the log is much slower than those of the other members";
    }
    return std::nullopt;
}

NodeId HandOver::choose_heir(const raft::NodeStatus& leader, MonotonicTime now) {
    // In the order of their numbers, so that each is tried once before a rest.
    std::vector<NodeId> heirs;
    for (const raft::PeerStatus& peer : leader.peers) {
        const bool is_fit = peer.id != leader.id && !peer.learner && peer.recently_active &&
                            peer.state == raft::ProgressState::kReplicate;
        if (is_fit) {
            heirs.push_back(peer.id);
        }
    }
    std::ranges::sort(heirs);
    const auto next = std::ranges::upper_bound(heirs, last_heir_);
    is_resting_ = next == heirs.end();
    if (is_resting_) {
        last_heir_ = NodeId();
        next_attempt_ = now + kRest;
        return {};
    }
    last_heir_ = *next;
    next_attempt_ = now + kAttempt;
    if (is_slow(now)) {
        gave_up_slow_at_ = now;
    }
    return last_heir_;
}

bool HandOver::refuses(bool is_disk_full, MonotonicTime now) const {
    return is_disk_full || gave_up_slow(now);
}

}  // namespace kvstore::replication
