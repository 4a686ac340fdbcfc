// What a leader knows of each peer, and how fast it may send (thesis 3.5, 10.2.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "raft/types.h"

namespace kvstore::raft {

// The appends that are under way to one peer: bounded in number and in bytes, so that
// neither a slow peer nor a lost connection can fill memory.
//
// Invariants: ends rise; bytes() is the sum over all.
class Inflight {
public:
    Inflight(std::uint32_t messages_max, std::size_t bytes_max)
        : messages_max_(messages_max), bytes_max_(bytes_max) {}

    void add(Index last, std::size_t bytes);
    // Everything up to `index` has arrived.
    void free_through(Index index);
    void clear();

    [[nodiscard]] bool full() const noexcept {
        return sent_.size() >= messages_max_ || (bytes_max_ != 0 && bytes_ >= bytes_max_);
    }
    [[nodiscard]] std::size_t count() const noexcept { return sent_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint64_t fingerprint() const noexcept;

private:
    struct Sent {
        Index last;
        std::size_t bytes;
    };

    std::uint32_t messages_max_;
    std::size_t bytes_max_;
    std::size_t bytes_ = 0;
    std::deque<Sent> sent_;
};

enum class ProgressState : std::uint8_t {
    kProbe,      // where the logs agree is unknown: one append at a time
    kReplicate,  // known: appends are sent ahead of their acknowledgements
    kSnapshot,   // what the peer needs is compacted away: nothing until it has a snapshot
};

// Invariants
//   match < next
//   kReplicate: everything in [match + 1, next) is under way
//   kSnapshot: next == pending_snapshot + 1 until the peer is heard again
class Progress {
public:
    Progress(Index next, std::uint32_t messages_max, std::size_t bytes_max)
        : next_(next), inflight_(messages_max, bytes_max) {}

    [[nodiscard]] ProgressState state() const noexcept { return state_; }
    // The highest index known to be durable on the peer.
    [[nodiscard]] Index match() const noexcept { return match_; }
    // The next index to send.
    [[nodiscard]] Index next() const noexcept { return next_; }
    [[nodiscard]] Index pending_snapshot() const noexcept { return pending_snapshot_; }
    [[nodiscard]] const Inflight& inflight() const noexcept { return inflight_; }
    [[nodiscard]] Index sent_commit() const noexcept { return sent_commit_; }
    // Whether nothing may be sent now, but for heartbeats.
    [[nodiscard]] bool is_paused() const noexcept {
        return state_ == ProgressState::kSnapshot || flow_paused_;
    }
    [[nodiscard]] bool may_carry_entries() const noexcept {
        return state_ != ProgressState::kReplicate || !inflight_.full();
    }

    void become_probe();
    void become_replicate();
    void become_snapshot(Index snapshot);
    // The snapshot did not arrive: it is not counted on when probing again.
    void forget_snapshot() { pending_snapshot_ = Index(); }

    // An append of `count` entries left, from next() on.
    void sent_entries(std::uint64_t count, std::size_t bytes);
    void sent_commit_index(Index commit) { sent_commit_ = commit; }
    // Whether an append with `commit` may tell the peer of commits it has not been told.
    [[nodiscard]] bool can_raise_commit(Index commit) const noexcept;

    // The peer holds everything up to `index`. False when that is no news.
    bool acknowledged(Index index);
    // The peer refused an append after `rejected`; the logs may agree at `hint`. False
    // for an answer that later ones have overtaken.
    bool rejected(Index rejected, Index hint);

    void pause() { flow_paused_ = true; }
    void resume() { flow_paused_ = false; }
    void free_inflight_through(Index index) { inflight_.free_through(index); }
    // For the leader itself and for a member that starts with a snapshot.
    void set_match(Index match) { match_ = match; }

    // Heard from since the last check-quorum.
    bool recently_active = false;
    bool learner = false;
    // An append waits for entries that the log view is fetching.
    bool awaits_log = false;
    // The last read or lease round this peer has confirmed.
    std::uint64_t confirmed_round = 0;

private:
    void reset(ProgressState state);

    ProgressState state_ = ProgressState::kProbe;
    Index match_;
    Index next_;
    Index pending_snapshot_;
    Index sent_commit_;
    bool flow_paused_ = false;
    Inflight inflight_;
};

// The peers of a leader in the order of their ids.
class ProgressMap {
public:
    struct Peer {
        NodeId id;
        Progress progress;
    };

    // Groups are small: looking through them is quicker than searching.
    [[nodiscard]] Progress* find(NodeId id) noexcept { return find_in<Progress>(peers_, id); }
    [[nodiscard]] const Progress* find(NodeId id) const noexcept {
        return find_in<const Progress>(peers_, id);
    }
    // Requires: `id` is not there yet.
    Progress& insert(NodeId id, Progress progress);
    void erase(NodeId id);

    [[nodiscard]] auto begin() noexcept { return peers_.begin(); }
    [[nodiscard]] auto end() noexcept { return peers_.end(); }
    [[nodiscard]] auto begin() const noexcept { return peers_.begin(); }
    [[nodiscard]] auto end() const noexcept { return peers_.end(); }
    [[nodiscard]] std::size_t size() const noexcept { return peers_.size(); }

private:
    template <typename Found, typename Peers>
    [[nodiscard]] static Found* find_in(Peers& peers, NodeId id) noexcept {
        for (auto& peer : peers) {
            if (peer.id == id) {
                return &peer.progress;
            }
        }
        return nullptr;
    }

    std::vector<Peer> peers_;  // sorted by id
};

}  // namespace kvstore::raft
