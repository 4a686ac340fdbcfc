// Majorities, single and joint (thesis 4.3). Pure counting over sorted lists of ids.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "raft/types.h"

namespace kvstore::raft {

// Of nothing to decide: an index that every majority of nobody has reached.
inline constexpr Index kNoLimit{UINT64_MAX};

enum class VoteResult : std::uint8_t { kPending, kLost, kWon };
enum class Vote : std::uint8_t { kMissing, kNo, kYes };

// A set of members, any majority of which decides.
//
// Invariants: sorted, each id once.
class Majority {
public:
    Majority() = default;
    explicit Majority(std::vector<NodeId> ids);

    [[nodiscard]] bool contains(NodeId id) const noexcept;
    [[nodiscard]] bool empty() const noexcept { return ids_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }
    [[nodiscard]] const std::vector<NodeId>& ids() const noexcept { return ids_; }
    void insert(NodeId id);
    void erase(NodeId id);
    void clear() { ids_.clear(); }

    // The highest index that a majority has reached, where `reached(id)` tells how far
    // each is. Nobody's majority is unlimited, so that a joint rule reduces to one.
    template <typename Reached>
    [[nodiscard]] Index committed(Reached&& reached) const;

    // The election's state, where `vote(id)` tells each voice. Nobody's vote is won.
    template <typename VoteOf>
    [[nodiscard]] VoteResult result(VoteOf&& vote) const;

    friend bool operator==(const Majority&, const Majority&) = default;

private:
    std::vector<NodeId> ids_;
};

// The rule in force: one majority, or two that must agree while a change is under way.
struct Voters {
    Majority incoming;
    Majority outgoing;

    [[nodiscard]] bool joint() const noexcept { return !outgoing.empty(); }
    [[nodiscard]] bool contains(NodeId id) const noexcept {
        return incoming.contains(id) || outgoing.contains(id);
    }
    // Every voter once, sorted.
    [[nodiscard]] std::vector<NodeId> ids() const;
    [[nodiscard]] bool is_singleton() const noexcept {
        return incoming.size() == 1 && outgoing.empty();
    }

    template <typename Reached>
    [[nodiscard]] Index committed(Reached&& reached) const {
        return std::min(incoming.committed(reached), outgoing.committed(reached));
    }

    template <typename VoteOf>
    [[nodiscard]] VoteResult result(VoteOf&& vote) const {
        const VoteResult one = incoming.result(vote);
        const VoteResult other = outgoing.result(vote);
        if (one == VoteResult::kLost || other == VoteResult::kLost) {
            return VoteResult::kLost;
        }
        return one == other ? one : VoteResult::kPending;
    }

    friend bool operator==(const Voters&, const Voters&) = default;
};

template <typename Reached>
Index Majority::committed(Reached&& reached) const {
    if (ids_.empty()) {
        return kNoLimit;
    }
    // Groups are small; insertion into a sorted array beats a heap and allocates for
    // no realistic group.
    constexpr std::size_t kUsualGroup = 9;
    std::array<Index, kUsualGroup> few{};
    std::vector<Index> many(ids_.size() > kUsualGroup ? ids_.size() : 0);
    Index* sorted = many.empty() ? few.data() : many.data();
    std::size_t count = 0;
    for (const NodeId id : ids_) {
        const Index value = reached(id);
        std::size_t slot = count++;
        while (slot > 0 && sorted[slot - 1] > value) {
            sorted[slot] = sorted[slot - 1];
            --slot;
        }
        sorted[slot] = value;
    }
    // With n members sorted upwards, all from this position on reached that index, and
    // they are n/2 + 1.
    return sorted[count - (count / 2 + 1)];
}

template <typename VoteOf>
VoteResult Majority::result(VoteOf&& vote) const {
    if (ids_.empty()) {
        return VoteResult::kWon;
    }
    std::size_t yes = 0;
    std::size_t missing = 0;
    for (const NodeId id : ids_) {
        switch (vote(id)) {
            case Vote::kYes: ++yes; break;
            case Vote::kMissing: ++missing; break;
            case Vote::kNo: break;
        }
    }
    const std::size_t needed = ids_.size() / 2 + 1;
    if (yes >= needed) {
        return VoteResult::kWon;
    }
    return yes + missing >= needed ? VoteResult::kPending : VoteResult::kLost;
}

// The votes of one election.
class Tally {
public:
    void clear() { votes_.clear(); }
    // Only the first answer of a member counts.
    void record(NodeId id, Vote vote);
    [[nodiscard]] Vote of(NodeId id) const noexcept;
    [[nodiscard]] const std::vector<std::pair<NodeId, Vote>>& all() const noexcept {
        return votes_;
    }

private:
    std::vector<std::pair<NodeId, Vote>> votes_;  // sorted by id
};

}  // namespace kvstore::raft
