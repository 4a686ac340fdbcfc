// The nodes of the ordered index, as they lie in the arena.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/bytes.h"
#include "storage/memory/arena.h"

namespace kvstore::storage::memory {

// Refs to entries in key order. The keys are in the entries alone.
struct Leaf {
    static constexpr unsigned kCapacity = 124;

    std::uint32_t count;
    Ref self;
    Ref previous;
    Ref next;
    std::array<Ref, kCapacity> refs;
};
static_assert(sizeof(Leaf) == Arena::kLeafSize);
static_assert(std::is_trivial_v<Leaf>);

// Children with the separators between them: every key below children[i] is at or after
// separators[i - 1] and before separators[i].
//
// A separator is a blob, no longer than it must be to tell its neighbours apart. The first
// `prefix_size` bytes are the same in all separators of the node; the eight bytes after them stand
// in `heads`, most significant first and padded with zeros, so that a search compares integers in
// one or two cache lines and looks at a blob only where heads are equal.
struct Inner {
    static constexpr unsigned kCapacity = 62;  // separators

    std::uint32_t count;  // of separators; there is one child more
    std::uint32_t level;  // 1 above leaves
    std::uint32_t prefix_size;
    Ref self;
    std::array<std::uint64_t, kCapacity> heads;
    std::array<Ref, kCapacity> separators;
    std::array<Ref, kCapacity + 1> children;
};
static_assert(sizeof(Inner) <= Arena::kInnerSize);
static_assert(std::is_trivial_v<Inner>);

// A separator's blob: its size in four bytes, then its bytes.
[[nodiscard]] Ref make_separator(Arena* arena, ByteView bytes);
[[nodiscard]] ByteView read_separator(const Arena& arena, Ref separator);

// The shortest bytes that are after `left` and not after `right`: a prefix of `right`.
// Requires: left < right.
[[nodiscard]] ByteView shortest_separator(ByteView left, ByteView right);

// The child below which `key` belongs.
[[nodiscard]] unsigned child_of(const Arena& arena, const Inner& node, ByteView key);

// Puts a separator at place `at` and the child behind it. Takes over both.
// Requires: count < kCapacity.
void insert_child(const Arena& arena, Inner& node, unsigned at, Ref separator, Ref child);
// Takes out the separator at place `at` and the child behind it, or, with `before`, the one before
// it. Frees neither.
enum class Side : std::uint8_t { kBefore, kBehind };
void remove_child(Inner& node, unsigned at, Side side);
// Brings prefix and heads up to date with the separators.
void refresh_heads(const Arena& arena, Inner& node);

}  // namespace kvstore::storage::memory
