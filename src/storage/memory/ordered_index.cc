#include "storage/memory/ordered_index.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "storage/memory/entry.h"

namespace kvstore::storage::memory {
namespace {

// Keys are compared one by one from so few on: their entries were all prefetched.
constexpr unsigned kPrefetchedMax = 8;

// Where `ref` stands in the leaf. Looks at four refs in each step without branches between them;
// what stands behind the last is stale and found only where a ref is missing.
unsigned place_of(const Leaf& leaf, Ref ref) {
    static_assert(Leaf::kCapacity % 4 == 0);
    const Ref* refs = leaf.refs.data();
    unsigned at = 0;
    while (at < leaf.count && (refs[at] != ref) & (refs[at + 1] != ref) & (refs[at + 2] != ref) &
                                  (refs[at + 3] != ref)) {
        at += 4;
    }
    while (at < leaf.count && refs[at] != ref) {
        ++at;
    }
    KVSTORE_ASSERT(at < leaf.count);
    return at;
}

void insert_ref(Leaf& leaf, unsigned at, Ref ref) {
    std::memmove(&leaf.refs[at] + 1, &leaf.refs[at], (leaf.count - at) * sizeof(Ref));
    leaf.refs[at] = ref;
    ++leaf.count;
}

}  // namespace

OrderedIndex::OrderedIndex(Arena* arena) : arena_(arena), first_(new_leaf()), last_(first_) {
    root_ = first_->self;
}

ByteView OrderedIndex::key_of(Ref ref) const {
    return read_entry(arena_->address(ref)).key;
}

Leaf* OrderedIndex::new_leaf() {
    const Arena::Blob blob = arena_->allocate_node(Arena::kLeafSize);
    Leaf* leaf = reinterpret_cast<Leaf*>(blob.data);
    leaf->count = 0;
    leaf->self = blob.ref;
    leaf->previous = kNullRef;
    leaf->next = kNullRef;
    return leaf;
}

Inner* OrderedIndex::new_inner(std::uint32_t level) {
    const Arena::Blob blob = arena_->allocate_node(Arena::kInnerSize);
    Inner* node = reinterpret_cast<Inner*>(blob.data);
    node->count = 0;
    node->level = level;
    node->prefix_size = 0;
    node->self = blob.ref;
    return node;
}

// ---- finding ----

Leaf* OrderedIndex::find_leaf(ByteView key) const {
    Ref at = root_;
    for (unsigned depth = 0; depth < height_; ++depth) {
        const Inner* node = inner_at(at);
        at = node->children[child_of(*arena_, *node, key)];
    }
    return leaf_at(at);
}

void OrderedIndex::descend(ByteView key, Path& path) const {
    Ref at = root_;
    for (unsigned depth = 0; depth < height_; ++depth) {
        Inner* node = inner_at(at);
        path.steps[depth] = {.node = node, .child = child_of(*arena_, *node, key)};
        at = node->children[path.steps[depth].child];
    }
    path.leaf = leaf_at(at);
}

void OrderedIndex::descend_to_last(Path& path) const {
    Ref at = root_;
    for (unsigned depth = 0; depth < height_; ++depth) {
        Inner* node = inner_at(at);
        path.steps[depth] = {.node = node, .child = node->count};
        at = node->children[node->count];
    }
    path.leaf = leaf_at(at);
    KVSTORE_DEBUG_ASSERT(path.leaf == last_);
}

// Each key is in memory of its own, so a plain binary search waits for memory at each of its seven
// steps. Here seven keys that the next three steps may want are fetched at once.
unsigned OrderedIndex::lower_bound_in(const Leaf& leaf, ByteView key) const {
    unsigned from = 0;
    unsigned to = leaf.count;
    while (to - from > kPrefetchedMax) {
        const unsigned stride = (to - from) / 8;
        for (unsigned i = 1; i < 8; ++i) {
            arena_->prefetch(leaf.refs[from + i * stride]);
        }
        // Among from + stride, .., from + 7 * stride: how many are before the key?
        unsigned low = 0;
        unsigned high = 7;
        while (low < high) {
            const unsigned middle = (low + high) / 2;
            if (key_of(leaf.refs[from + (middle + 1) * stride]) < key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        to = low == 7 ? to : from + (low + 1) * stride;
        from = low == 0 ? from : from + low * stride + 1;
    }
    for (unsigned i = from; i < to; ++i) {
        arena_->prefetch(leaf.refs[i]);
    }
    while (from < to) {
        const unsigned middle = (from + to) / 2;
        if (key_of(leaf.refs[middle]) < key) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

OrderedIndex::Place OrderedIndex::lower_bound(ByteView key) const {
    const Leaf* leaf = key.empty() ? first_ : find_leaf(key);
    const unsigned at = key.empty() ? 0 : lower_bound_in(*leaf, key);
    if (at < leaf->count) {
        return {.leaf = leaf, .at = at};
    }
    return leaf->next == kNullRef ? Place{} : Place{.leaf = leaf_at(leaf->next), .at = 0};
}

OrderedIndex::Place OrderedIndex::before(ByteView key) const {
    const Leaf* leaf = find_leaf(key);
    return previous({.leaf = leaf, .at = lower_bound_in(*leaf, key)});
}

OrderedIndex::Place OrderedIndex::last() const {
    return last_->count == 0 ? Place{} : Place{.leaf = last_, .at = last_->count - 1};
}

OrderedIndex::Place OrderedIndex::next(Place place) const {
    if (place.at + 1 < place.leaf->count) {
        return {.leaf = place.leaf, .at = place.at + 1};
    }
    return place.leaf->next == kNullRef ? Place{}
                                        : Place{.leaf = leaf_at(place.leaf->next), .at = 0};
}

OrderedIndex::Place OrderedIndex::previous(Place place) const {
    if (place.at > 0) {
        return {.leaf = place.leaf, .at = place.at - 1};
    }
    if (place.leaf->previous == kNullRef) {
        return {};
    }
    const Leaf* leaf = leaf_at(place.leaf->previous);
    return {.leaf = leaf, .at = leaf->count - 1};
}

Ref OrderedIndex::find(ByteView key) const {
    const Leaf* leaf = find_leaf(key);
    const unsigned at = lower_bound_in(*leaf, key);
    return at < leaf->count && key_of(leaf->refs[at]) == key ? leaf->refs[at] : kNullRef;
}

// ---- inserting ----

bool OrderedIndex::is_after_all(ByteView key) const {
    return last_->count == 0 || key_of(last_->refs[last_->count - 1]) < key;
}

void OrderedIndex::approach(ByteView key, Approach& to) const {
    to.is_after_all = is_after_all(key);
    if (to.is_after_all) {
        to.leaf = last_;
        return;
    }
    descend(key, to);
    for (std::size_t line = 0; line < sizeof(Leaf); line += 64) {
        __builtin_prefetch(reinterpret_cast<const char*>(to.leaf) + line);
    }
}

void OrderedIndex::insert(Approach& to, ByteView key, Ref ref) {
    insert_at(to, to.is_after_all ? to.leaf->count : lower_bound_in(*to.leaf, key), key, ref);
}

void OrderedIndex::replace(const Approach& to, Ref old_ref, Ref new_ref) {
    to.leaf->refs[place_of(*to.leaf, old_ref)] = new_ref;
}

Ref OrderedIndex::insert_or_replace(ByteView key, Ref ref) {
    Path path;
    if (is_after_all(key)) {
        path.leaf = last_;
        insert_at(path, last_->count, key, ref);
        return kNullRef;
    }
    descend(key, path);
    const unsigned at = lower_bound_in(*path.leaf, key);
    if (at < path.leaf->count && key_of(path.leaf->refs[at]) == key) {
        return std::exchange(path.leaf->refs[at], ref);
    }
    insert_at(path, at, key, ref);
    return kNullRef;
}

// The steps of `path` need not be known while the leaf has room.
void OrderedIndex::insert_at(Path& path, unsigned at, ByteView key, Ref ref) {
    ++key_count_;
    if (path.leaf->count < Leaf::kCapacity) {
        insert_ref(*path.leaf, at, ref);
        return;
    }
    if (path.leaf == last_ && at == Leaf::kCapacity) {
        descend_to_last(path);
    }
    while (make_room(path, at, key, ref)) {
        descend(key, path);
        at = lower_bound_in(*path.leaf, key);
        if (path.leaf->count < Leaf::kCapacity) {
            insert_ref(*path.leaf, at, ref);
            return;
        }
        if (path.leaf == last_ && at == Leaf::kCapacity) {
            descend_to_last(path);
        }
    }
}

// One step towards room for `ref` at place `at` of a full leaf.
// Returns: whether the way down must be sought anew; else the ref is in.
bool OrderedIndex::make_room(Path& path, unsigned at, ByteView key, Ref ref) {
    const bool is_append = path.leaf == last_ && at == Leaf::kCapacity;
    if (!is_append && share_with_neighbour(path)) {
        return true;
    }
    if (split_parent_if_full(path)) {
        return true;
    }
    if (!is_append) {
        split_leaf(path);
        return true;
    }
    const Path::Step& parent = path.steps[height_ - 1];
    const ByteView left = key_of(path.leaf->refs[Leaf::kCapacity - 1]);
    const Ref separator = make_separator(arena_, shortest_separator(left, key));
    Leaf* added = new_leaf();
    insert_ref(*added, 0, ref);
    link_after(*path.leaf, *added);
    insert_child(*arena_, *parent.node, parent.child, separator, added->self);
    return false;
}

bool OrderedIndex::share_with_neighbour(Path& path) {
    if (height_ == 0) {
        return false;
    }
    Leaf& leaf = *path.leaf;
    const Path::Step& parent = path.steps[height_ - 1];
    if (parent.child > 0) {
        Leaf& left = *leaf_at(parent.node->children[parent.child - 1]);
        if (left.count + kShareMin <= Leaf::kCapacity) {
            const unsigned moved = (Leaf::kCapacity - left.count + 1) / 2;
            std::copy_n(leaf.refs.begin(), moved, left.refs.begin() + left.count);
            left.count += moved;
            leaf.count -= moved;
            std::memmove(leaf.refs.data(), leaf.refs.data() + moved, leaf.count * sizeof(Ref));
            set_separator(
                *parent.node,
                parent.child - 1,
                shortest_separator(key_of(left.refs[left.count - 1]), key_of(leaf.refs[0])));
            return true;
        }
    }
    if (parent.child < parent.node->count) {
        Leaf& right = *leaf_at(parent.node->children[parent.child + 1]);
        if (right.count + kShareMin <= Leaf::kCapacity) {
            const unsigned moved = (Leaf::kCapacity - right.count + 1) / 2;
            std::memmove(right.refs.data() + moved, right.refs.data(), right.count * sizeof(Ref));
            leaf.count -= moved;
            right.count += moved;
            std::copy_n(leaf.refs.begin() + leaf.count, moved, right.refs.begin());
            set_separator(
                *parent.node,
                parent.child,
                shortest_separator(key_of(leaf.refs[leaf.count - 1]), key_of(right.refs[0])));
            return true;
        }
    }
    return false;
}

// Requires: the parent has room.
void OrderedIndex::split_leaf(Path& path) {
    Leaf& leaf = *path.leaf;
    Leaf& right = *new_leaf();
    right.count = leaf.count / 2;
    leaf.count -= right.count;
    std::copy_n(leaf.refs.begin() + leaf.count, right.count, right.refs.begin());
    link_after(leaf, right);
    const ByteView bytes =
        shortest_separator(key_of(leaf.refs[leaf.count - 1]), key_of(right.refs[0]));
    const Path::Step& parent = path.steps[height_ - 1];
    insert_child(*arena_, *parent.node, parent.child, make_separator(arena_, bytes), right.self);
}

void OrderedIndex::link_after(Leaf& leaf, Leaf& added) {
    added.previous = leaf.self;
    added.next = leaf.next;
    if (leaf.next == kNullRef) {
        last_ = &added;
    } else {
        leaf_at(leaf.next)->previous = added.self;
    }
    leaf.next = added.self;
}

// Makes room for one more child above the leaf: splits the highest node of the full ones that end
// at its parent. Returns: whether anything changed.
bool OrderedIndex::split_parent_if_full(Path& path) {
    unsigned depth = height_;
    while (depth > 0 && path.steps[depth - 1].node->count == Inner::kCapacity) {
        --depth;
    }
    if (depth == height_ && height_ > 0) {
        return false;
    }
    if (depth > 0) {
        split_inner(path, depth);
        return true;
    }
    // Up to the root everything is full: a new root.
    KVSTORE_ASSERT(height_ + 1 < Path::kHeightMax);
    Inner* root = new_inner(height_ + 1);
    root->children[0] = root_;
    root_ = root->self;
    ++height_;
    return true;
}

// Requires: the node at depth - 1 has room.
void OrderedIndex::split_inner(Path& path, unsigned depth) {
    Inner& node = *path.steps[depth].node;
    const Path::Step& parent = path.steps[depth - 1];
    // A node that grows at its end, as under ascending keys, stays full.
    const bool is_at_end = path.steps[depth].child == node.count;
    const unsigned middle = is_at_end ? node.count - 2 : node.count / 2;
    const Ref separator = node.separators[middle];
    Inner& right = *new_inner(node.level);
    right.count = node.count - middle - 1;
    std::copy_n(node.separators.begin() + middle + 1, right.count, right.separators.begin());
    std::copy_n(node.children.begin() + middle + 1, right.count + 1, right.children.begin());
    node.count = middle;
    refresh_heads(*arena_, node);
    refresh_heads(*arena_, right);
    insert_child(*arena_, *parent.node, parent.child, separator, right.self);
}

void OrderedIndex::set_separator(Inner& node, unsigned at, ByteView bytes) {
    arena_->free(node.separators[at]);
    node.separators[at] = make_separator(arena_, bytes);
    refresh_heads(*arena_, node);
}

// ---- erasing ----

void OrderedIndex::erase(ByteView key, Ref ref) {
    Path path;
    descend(key, path);
    const unsigned at = place_of(*path.leaf, ref);
    erase_at(path, at, at + 1);
}

bool OrderedIndex::erase_some(ByteView from, ByteView to, std::vector<Ref>& erased) {
    Path path;
    descend(from, path);
    unsigned begin = lower_bound_in(*path.leaf, from);
    if (begin == path.leaf->count) {
        if (path.leaf->next == kNullRef) {
            return false;
        }
        descend(key_of(leaf_at(path.leaf->next)->refs[0]), path);
        begin = 0;
    }
    const Leaf& leaf = *path.leaf;
    const bool takes_all = to.empty() || key_of(leaf.refs[leaf.count - 1]) < to;
    const unsigned end = takes_all ? leaf.count : lower_bound_in(leaf, to);
    const bool is_last = leaf.next == kNullRef;
    if (begin < end) {
        erased.insert(erased.end(), leaf.refs.begin() + begin, leaf.refs.begin() + end);
        erase_at(path, begin, end);
    }
    return takes_all && !is_last;
}

void OrderedIndex::erase_at(Path& path, unsigned from, unsigned to) {
    Leaf& leaf = *path.leaf;
    std::memmove(leaf.refs.data() + from, leaf.refs.data() + to, (leaf.count - to) * sizeof(Ref));
    leaf.count -= to - from;
    key_count_ -= to - from;
    if (leaf.count < Leaf::kCapacity / 3 && height_ > 0) {
        shrink_leaf(path);
    }
}

void OrderedIndex::shrink_leaf(Path& path) {
    const Path::Step& parent = path.steps[height_ - 1];
    const unsigned count = path.leaf->count;
    if (parent.child > 0 &&
        leaf_at(parent.node->children[parent.child - 1])->count + count <= Leaf::kCapacity) {
        merge_leaves(path, parent.child - 1);
    } else if (parent.child < parent.node->count &&
               leaf_at(parent.node->children[parent.child + 1])->count + count <= Leaf::kCapacity) {
        merge_leaves(path, parent.child);
    } else if (count == 0) {
        remove_leaf(path);
    }
}

// Moves the refs of the child right of `left_child` into it.
void OrderedIndex::merge_leaves(Path& path, unsigned left_child) {
    Inner& parent = *path.steps[height_ - 1].node;
    Leaf& left = *leaf_at(parent.children[left_child]);
    Leaf& right = *leaf_at(parent.children[left_child + 1]);
    std::copy_n(right.refs.begin(), right.count, left.refs.begin() + left.count);
    left.count += right.count;
    arena_->free(parent.separators[left_child]);
    remove_child(parent, left_child, Side::kBehind);
    unlink(right);
    arena_->free(right.self);
    shrink_inner(path, height_ - 1);
}

// An empty leaf without a neighbour under its parent takes the parent with it, and so on upwards.
void OrderedIndex::remove_leaf(Path& path) {
    unsigned depth = height_ - 1;
    KVSTORE_ASSERT(path.steps[depth].node->count == 0);
    while (depth > 0 && path.steps[depth].node->count == 0) {
        --depth;
    }
    const Path::Step& kept = path.steps[depth];
    if (kept.node->count == 0) {
        // The whole tree hangs on this leaf: it becomes the root.
        for (unsigned i = 0; i < height_; ++i) {
            arena_->free(path.steps[i].node->self);
        }
        root_ = path.leaf->self;
        height_ = 0;
        return;
    }
    unlink(*path.leaf);
    arena_->free(path.leaf->self);
    for (unsigned i = depth + 1; i < height_; ++i) {
        arena_->free(path.steps[i].node->self);
    }
    const unsigned at = kept.child == 0 ? 0 : kept.child - 1;
    arena_->free(kept.node->separators[at]);
    remove_child(*kept.node, at, kept.child == 0 ? Side::kBefore : Side::kBehind);
    shrink_inner(path, depth);
}

void OrderedIndex::unlink(const Leaf& leaf) {
    if (leaf.previous == kNullRef) {
        first_ = leaf_at(leaf.next);
    } else {
        leaf_at(leaf.previous)->next = leaf.next;
    }
    if (leaf.next == kNullRef) {
        last_ = leaf_at(leaf.previous);
    } else {
        leaf_at(leaf.next)->previous = leaf.previous;
    }
}

// The node at `depth` has lost a child.
void OrderedIndex::shrink_inner(Path& path, unsigned depth) {
    Inner& node = *path.steps[depth].node;
    if (depth == 0) {
        collapse_root();
        return;
    }
    if (node.count >= Inner::kCapacity / 4) {
        return;
    }
    const Path::Step& parent = path.steps[depth - 1];
    const auto fits = [this, &parent, &node](unsigned child) {
        return inner_at(parent.node->children[child])->count + node.count + 1 <= Inner::kCapacity;
    };
    unsigned left_child = parent.child;
    if (parent.child > 0 && fits(parent.child - 1)) {
        left_child = parent.child - 1;
    } else if (parent.child >= parent.node->count || !fits(parent.child + 1)) {
        return;
    }
    Inner& left = *inner_at(parent.node->children[left_child]);
    Inner& right = *inner_at(parent.node->children[left_child + 1]);
    left.separators[left.count] = parent.node->separators[left_child];
    std::copy_n(right.separators.begin(), right.count, left.separators.begin() + left.count + 1);
    std::copy_n(right.children.begin(), right.count + 1, left.children.begin() + left.count + 1);
    left.count += right.count + 1;
    refresh_heads(*arena_, left);
    remove_child(*parent.node, left_child, Side::kBehind);
    arena_->free(right.self);
    shrink_inner(path, depth - 1);
}

void OrderedIndex::collapse_root() {
    while (height_ > 0 && inner_at(root_)->count == 0) {
        const Ref only_child = inner_at(root_)->children[0];
        arena_->free(root_);
        root_ = only_child;
        --height_;
    }
}

// ---- checking ----

void OrderedIndex::check() const {
    check_node(root_, 0, {}, /*high=*/nullptr);
    std::uint64_t count = 0;
    const Leaf* previous = nullptr;
    for (const Leaf* leaf = first_; leaf != nullptr;) {
        KVSTORE_ASSERT(leaf->previous == (previous == nullptr ? kNullRef : previous->self));
        if (previous != nullptr) {
            KVSTORE_ASSERT(key_of(previous->refs[previous->count - 1]) < key_of(leaf->refs[0]));
        }
        count += leaf->count;
        previous = leaf;
        leaf = leaf->next == kNullRef ? nullptr : leaf_at(leaf->next);
    }
    KVSTORE_ASSERT(previous == last_);
    KVSTORE_ASSERT(count == key_count_);
}

// The depth is bounded by kHeightMax. `high` null: no bound.
void OrderedIndex::check_node(Ref ref, unsigned depth, ByteView low, const ByteView* high) const {
    if (depth == height_) {
        check_leaf(*leaf_at(ref), low, high);
        return;
    }
    const Inner& node = *inner_at(ref);
    KVSTORE_ASSERT(node.self == ref);
    KVSTORE_ASSERT(node.level == height_ - depth);
    for (unsigned i = 0; i <= node.count; ++i) {
        ByteView child_low = low;
        if (i > 0) {
            child_low = read_separator(*arena_, node.separators[i - 1]);
            KVSTORE_ASSERT(low <= child_low);
        }
        ByteView separator;
        const ByteView* child_high = high;
        if (i < node.count) {
            separator = read_separator(*arena_, node.separators[i]);
            child_high = &separator;
        }
        check_node(node.children[i], depth + 1, child_low, child_high);
    }
}

void OrderedIndex::check_leaf(const Leaf& leaf, ByteView low, const ByteView* high) const {
    KVSTORE_ASSERT(leaf.count > 0 || height_ == 0);
    KVSTORE_ASSERT(leaf.count <= Leaf::kCapacity);
    for (unsigned i = 0; i < leaf.count; ++i) {
        const ByteView key = key_of(leaf.refs[i]);
        KVSTORE_ASSERT(low <= key);
        KVSTORE_ASSERT(high == nullptr || key < *high);
        if (i > 0) {
            KVSTORE_ASSERT(key_of(leaf.refs[i - 1]) < key);
        }
    }
}

}  // namespace kvstore::storage::memory
