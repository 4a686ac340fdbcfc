// A B+-tree of refs in key order.
//
// A leaf holds refs of four bytes and nothing else: the keys are read from the entries, and a leaf
// of 124 keys is the price of one lookup's binary search, whose steps are prefetched several at a
// time. Inner nodes are small and stay in the cache. A key's ref is found again without looking at
// keys at all, by scanning one leaf for the old ref.
//
// Memory per key is what matters: a full leaf first gives to its neighbours before it splits, and
// keys that arrive in ascending order fill every leaf to the brim.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "storage/memory/arena.h"
#include "storage/memory/ordered_node.h"

namespace kvstore::storage::memory {

// Lifetime    Owned by its table; the arena outlives it and frees all nodes at once with itself.
// Runs on     One core.
// Invariants  refs of all leaves, from first to last, are in strictly rising key order
//             no leaf is empty but the only one of an empty tree
class OrderedIndex {
public:
    // A place among the refs; ended by any change.
    struct Place {
        const Leaf* leaf = nullptr;  // null: nowhere
        unsigned at = 0;
        [[nodiscard]] Ref ref() const { return leaf->refs[at]; }
    };

    explicit OrderedIndex(Arena* arena);
    OrderedIndex(const OrderedIndex&) = delete;
    OrderedIndex& operator=(const OrderedIndex&) = delete;
    ~OrderedIndex() = default;

    // The first place at or after `key`; nowhere when there is none.
    [[nodiscard]] Place lower_bound(ByteView key) const;
    // The last place before `key`.
    [[nodiscard]] Place before(ByteView key) const;
    [[nodiscard]] Place last() const;
    [[nodiscard]] Place next(Place place) const;
    [[nodiscard]] Place previous(Place place) const;
    // Returns: kNullRef when the key is not there.
    [[nodiscard]] Ref find(ByteView key) const;

    // The way to the leaf of one key; ended by any change.
    struct Approach;
    // Goes to the leaf where `key` belongs and has it fetched, so that something else can be done
    // before insert() or replace().
    void approach(ByteView key, Approach& to) const;
    // Requires: `to` was approached by `key`, which is not there and is the key of `ref`.
    void insert(Approach& to, ByteView key, Ref ref);
    // Requires: `to` was approached by the key of `old_ref`, which is there.
    static void replace(const Approach& to, Ref old_ref, Ref new_ref);

    // Puts `ref` in its place, or in that of the ref with the same key.
    // Returns: the ref that was there, or kNullRef.
    [[nodiscard]] Ref insert_or_replace(ByteView key, Ref ref);
    void erase(ByteView key, Ref ref);

    // Takes out the keys of one leaf from the first at or after `from` on, up to `to` (exclusive;
    // empty: to the end), and appends their refs to `erased`.
    // Returns: whether there may be more.
    [[nodiscard]] bool erase_some(ByteView from, ByteView to, std::vector<Ref>& erased);

    [[nodiscard]] std::uint64_t key_count() const { return key_count_; }
    // Whether `key` is after every key here.
    [[nodiscard]] bool is_after_all(ByteView key) const;

    // Aborts where an invariant does not hold.
    void check() const;

private:
    // A neighbour must have so much room before a full leaf gives to it: one move makes room for
    // many inserts.
    static constexpr unsigned kShareMin = 8;

    using Path = Approach;

    [[nodiscard]] Leaf* leaf_at(Ref ref) const {
        return reinterpret_cast<Leaf*>(arena_->address(ref));
    }
    [[nodiscard]] Inner* inner_at(Ref ref) const {
        return reinterpret_cast<Inner*>(arena_->address(ref));
    }
    [[nodiscard]] ByteView key_of(Ref ref) const;
    [[nodiscard]] Leaf* new_leaf();
    [[nodiscard]] Inner* new_inner(std::uint32_t level);

    [[nodiscard]] Leaf* find_leaf(ByteView key) const;
    void descend(ByteView key, Path& path) const;
    void descend_to_last(Path& path) const;
    [[nodiscard]] unsigned lower_bound_in(const Leaf& leaf, ByteView key) const;
    void insert_at(Path& path, unsigned at, ByteView key, Ref ref);
    bool make_room(Path& path, unsigned at, ByteView key, Ref ref);
    bool share_with_neighbour(Path& path);
    void split_leaf(Path& path);
    void link_after(Leaf& leaf, Leaf& added);
    bool split_parent_if_full(Path& path);
    void split_inner(Path& path, unsigned depth);
    void set_separator(Inner& node, unsigned at, ByteView bytes);

    void erase_at(Path& path, unsigned from, unsigned to);
    void shrink_leaf(Path& path);
    void merge_leaves(Path& path, unsigned left_child);
    void remove_leaf(Path& path);
    void unlink(const Leaf& leaf);
    void shrink_inner(Path& path, unsigned depth);
    void collapse_root();

    void check_node(Ref ref, unsigned depth, ByteView low, const ByteView* high) const;
    void check_leaf(const Leaf& leaf, ByteView low, const ByteView* high) const;

    Arena* arena_;
    Ref root_ = kNullRef;
    unsigned height_ = 0;  // inner levels above the leaves
    Leaf* first_ = nullptr;
    Leaf* last_ = nullptr;
    std::uint64_t key_count_ = 0;
};

struct OrderedIndex::Approach {
    static constexpr std::size_t kHeightMax = 12;
    struct Step {
        Inner* node;
        unsigned child;
    };

    std::array<Step, kHeightMax>
        steps;  // NOLINT(cppcoreguidelines-pro-type-member-init): on the hot path; from the root
                // down; those above the leaf are set
    Leaf* leaf = nullptr;
    bool is_after_all = false;  // the steps are not set then
};

}  // namespace kvstore::storage::memory
