// Ids and counters that do not mix: each is its own type over an unsigned integer.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace kvstore {

template <typename Tag, typename Integer = std::uint64_t>
class StrongId {
public:
    using value_type = Integer;

    constexpr StrongId() noexcept = default;
    constexpr explicit StrongId(Integer value) noexcept : value_(value) {}

    [[nodiscard]] constexpr Integer value() const noexcept { return value_; }
    [[nodiscard]] constexpr StrongId next() const noexcept { return StrongId(value_ + 1); }
    [[nodiscard]] constexpr StrongId plus(Integer count) const noexcept {
        return StrongId(value_ + count);
    }

    friend constexpr auto operator<=>(StrongId, StrongId) noexcept = default;

private:
    Integer value_ = 0;
};

using NodeId = StrongId<struct NodeIdTag>;
using ShardId = StrongId<struct ShardIdTag>;
// The Raft group of a strong shard. Group and shard ids are equal numbers of different types.
using GroupId = StrongId<struct GroupIdTag>;
// Raft's: an election's number, and a place in a group's log. The first index is 1.
using Term = StrongId<struct TermTag>;
using Index = StrongId<struct IndexTag>;
// A write-ahead log position: the number of a record, rising by one.
using Sequence = StrongId<struct SequenceTag>;
// The dense count of changes in a strong shard. The first change is 1.
using Revision = StrongId<struct RevisionTag>;

}  // namespace kvstore

template <typename Tag, typename Integer>
struct std::hash<kvstore::StrongId<Tag, Integer>> {
    std::size_t operator()(kvstore::StrongId<Tag, Integer> id) const noexcept {
        return std::hash<Integer>()(id.value());
    }
};
