#include "storage/memory/table.h"

#include <utility>

#include "base/assert.h"

namespace kvstore::storage::memory {
namespace {

// A cursor fetches the entries so far ahead of it.
constexpr unsigned kPrefetchDistance = 8;

// So many appended entries wait for their bucket to come.
constexpr std::size_t kAppendedMax = 16;

}  // namespace

// ---- cursor ----

void MemoryTable::Cursor::arrive(OrderedIndex::Place place, Way way) {
    place_ = place;
    if (!valid()) {
        return;
    }
    const Leaf& leaf = *place.leaf;
    for (unsigned i = 1; i <= kPrefetchDistance; ++i) {
        if (way == Way::kForward ? place.at + i < leaf.count : place.at >= i) {
            table_->arena_.prefetch(leaf.refs[way == Way::kForward ? place.at + i : place.at - i]);
        }
    }
    entry_ = read_entry(table_->arena_.address(place.ref()));
}

void MemoryTable::Cursor::next() {
    KVSTORE_ASSERT(valid());
    const Leaf* leaf = place_.leaf;
    place_ = table_->tree_.next(place_);
    if (place_.leaf != leaf) {
        arrive(place_, Way::kForward);
        return;
    }
    if (place_.at + kPrefetchDistance < leaf->count) {
        table_->arena_.prefetch(leaf->refs[place_.at + kPrefetchDistance]);
    }
    entry_ = read_entry(table_->arena_.address(place_.ref()));
}

void MemoryTable::Cursor::previous() {
    KVSTORE_ASSERT(valid());
    const Leaf* leaf = place_.leaf;
    place_ = table_->tree_.previous(place_);
    if (place_.leaf != leaf) {
        arrive(place_, Way::kBackward);
        return;
    }
    if (place_.at >= kPrefetchDistance) {
        table_->arena_.prefetch(leaf->refs[place_.at - kPrefetchDistance]);
    }
    entry_ = read_entry(table_->arena_.address(place_.ref()));
}

ByteView MemoryTable::Cursor::key() const {
    KVSTORE_ASSERT(valid());
    return entry_.key;
}

ByteView MemoryTable::Cursor::value() const {
    KVSTORE_ASSERT(valid());
    return entry_.value;
}

// ---- table ----

MemoryTable::MemoryTable(EpochDomain* epochs, Access access, std::uint64_t hash_seed)
    : epochs_(epochs), tree_(&arena_) {
    if (access == Access::kHashedAndOrdered) {
        hash_.emplace(&arena_, hash_seed);
    }
}

MemoryTable::~MemoryTable() = default;

bool MemoryTable::find(ByteView key, ByteView* value) {
    if (!hinted_.empty()) {
        hash_->prefetch_entries(hinted_.take());
    }
    return std::as_const(*this).find(key, value);
}

bool MemoryTable::find(ByteView key, ByteView* value) const {
    Ref ref = kNullRef;
    if (hash_.has_value()) {
        const HashIndex::Place place = hash_->find(hash_->hash(key), key);
        if (place.bucket == nullptr) {
            return false;
        }
        ref = HashIndex::ref_at(place);
    } else {
        ref = tree_.find(key);
        if (ref == kNullRef) {
            return false;
        }
    }
    *value = read_entry(arena_.address(ref)).value;
    return true;
}

bool MemoryTable::find_from_any_core(ByteView key, Bytes* value) const {
    KVSTORE_ASSERT(hash_.has_value());
    const Ref ref = hash_->find_from_any_core(hash_->hash(key), key);
    if (ref == kNullRef) {
        return false;
    }
    value->assign(read_entry(arena_.address(ref)).value);
    return true;
}

void MemoryTable::hint(ByteView key) {
    if (!hash_.has_value()) {
        return;
    }
    const std::uint64_t hash = hash_->hash(key);
    hash_->prefetch(hash);
    hinted_.push(hash);
    if (hinted_.full()) {
        hash_->prefetch_entries(hinted_.take());
    }
}

Arena::Blob MemoryTable::new_entry(ByteView key, ByteView head, ByteView tail) {
    const Arena::Blob blob = arena_.allocate(entry_bytes(key.size(), head.size() + tail.size()));
    write_entry(blob.data, key, head, tail);
    return blob;
}

bool MemoryTable::put(ByteView key, ByteView head, ByteView tail) {
    if (hash_.has_value()) {
        return put_hashed(key, head, tail);
    }
    const Arena::Blob entry = new_entry(key, head, tail);
    // The caller's key may lie in the entry that is replaced; ours stays.
    const Ref old = tree_.insert_or_replace(read_entry(entry.data).key, entry.ref);
    if (old != kNullRef) {
        retire(old);
    }
    return old == kNullRef;
}

// Waits for memory once rather than four times: the bucket comes while the tree is descended, leaf
// and old entry come while the new entry is written.
bool MemoryTable::put_hashed(ByteView key, ByteView head, ByteView tail) {
    if (!hinted_.empty()) {
        hash_->prefetch_entries(hinted_.take());
    }
    const std::uint64_t hash = hash_->hash(key);
    hash_->prefetch(hash);
    OrderedIndex::Approach approach;
    tree_.approach(key, approach);
    hash_->prefetch_entries(hash);
    const Arena::Blob entry = new_entry(key, head, tail);
    const HashIndex::Place place = hash_->find(hash, key);
    if (place.bucket == nullptr) {
        hash_->insert(hash, entry.ref);
        tree_.insert(approach, key, entry.ref);
        return true;
    }
    const Ref old = HashIndex::ref_at(place);
    HashIndex::replace(place, entry.ref);
    OrderedIndex::replace(approach, old, entry.ref);
    retire(old);
    return false;
}

void MemoryTable::append(ByteView key, ByteView value) {
    const Arena::Blob entry = new_entry(key, value, {});
    OrderedIndex::Approach approach;
    tree_.approach(key, approach);
    tree_.insert(approach, key, entry.ref);
    if (!hash_.has_value()) {
        return;
    }
    const std::uint64_t hash = hash_->hash(key);
    hash_->prefetch(hash);
    appended_.push_back({.hash = hash, .ref = entry.ref});
    if (appended_.size() > kAppendedMax) {
        hash_->insert(appended_.front().hash, appended_.front().ref);
        appended_.pop_front();
    }
}

void MemoryTable::end_append() {
    for (const Appended& appended : appended_) {
        hash_->insert(appended.hash, appended.ref);
    }
    appended_.clear();
}

bool MemoryTable::erase(ByteView key) {
    Ref ref = kNullRef;
    if (hash_.has_value()) {
        const std::uint64_t hash = hash_->hash(key);
        const HashIndex::Place place = hash_->find(hash, key);
        if (place.bucket != nullptr) {
            ref = HashIndex::ref_at(place);
            hash_->erase(hash, place);
        }
    } else {
        ref = tree_.find(key);
    }
    if (ref == kNullRef) {
        return false;
    }
    tree_.erase(key, ref);
    retire(ref);
    return true;
}

void MemoryTable::erase_range(ByteView from, ByteView to) {
    std::vector<Ref> erased;
    bool has_more = true;
    while (has_more) {
        erased.clear();
        has_more = tree_.erase_some(from, to, erased);
        for (const Ref ref : erased) {
            if (hash_.has_value()) {
                const ByteView key = read_entry(arena_.address(ref)).key;
                const std::uint64_t hash = hash_->hash(key);
                hash_->erase(hash, hash_->find(hash, key));
            }
            retire(ref);
        }
    }
}

void MemoryTable::retire(Ref ref) {
    const Entry entry = read_entry(arena_.address(ref));
    const std::size_t bytes = entry.key.size() + entry.value.size();
    retired_bytes_ += bytes;
    retired_.push_back(
        {.epoch = epochs_->current(), .ref = ref, .bytes = static_cast<std::uint32_t>(bytes)});
}

void MemoryTable::reclaim(std::uint64_t safe_epoch) {
    while (!retired_.empty() && retired_.front().epoch < safe_epoch) {
        retired_bytes_ -= retired_.front().bytes;
        arena_.free(retired_.front().ref);
        retired_.pop_front();
    }
}

std::optional<Bytes> MemoryTable::move_entries(ByteView from, std::size_t count_max) {
    OrderedIndex::Place place = tree_.lower_bound(from);
    for (std::size_t i = 0; i < count_max; ++i) {
        if (place.leaf == nullptr) {
            return std::nullopt;
        }
        const Ref ref = place.ref();
        if (arena_.must_move(ref)) {
            const Entry entry = read_entry(arena_.address(ref));
            const Arena::Blob moved = new_entry(entry.key, entry.value, {});
            if (hash_.has_value()) {
                HashIndex::replace(hash_->find(hash_->hash(entry.key), entry.key), moved.ref);
            }
            OrderedIndex::Approach approach;
            tree_.approach(entry.key, approach);
            OrderedIndex::replace(approach, ref, moved.ref);
            retire(ref);
        }
        place = tree_.next(place);
    }
    if (place.leaf == nullptr) {
        return std::nullopt;
    }
    return Bytes(read_entry(arena_.address(place.ref())).key);
}

std::uint64_t MemoryTable::memory_bytes() const {
    return arena_.memory_bytes() + retired_.size() * sizeof(Retired) +
           (hash_.has_value() ? hash_->memory_bytes() : 0);
}

Result<std::optional<Bytes>> MemoryTable::verify_some(ByteView from, std::size_t count_max) const {
    OrderedIndex::Place place = tree_.lower_bound(from);
    ByteView previous;
    for (std::size_t i = 0; i < count_max && place.leaf != nullptr; ++i) {
        const ByteView key = read_entry(arena_.address(place.ref())).key;
        if (i > 0 && key <= previous) {
            return Status(Code::kCorruption, "the tree in memory is out of order");
        }
        if (hash_.has_value()) {
            const HashIndex::Place found = hash_->find(hash_->hash(key), key);
            if (found.bucket == nullptr || HashIndex::ref_at(found) != place.ref()) {
                return Status(Code::kCorruption, "hash and tree in memory disagree");
            }
        }
        previous = key;
        place = tree_.next(place);
    }
    if (place.leaf == nullptr) {
        return std::optional<Bytes>();
    }
    return std::optional<Bytes>(read_entry(arena_.address(place.ref())).key);
}

void MemoryTable::check() const {
    arena_.check();
    tree_.check();
    if (!hash_.has_value()) {
        return;
    }
    hash_->check();
    KVSTORE_ASSERT(hash_->key_count() == tree_.key_count());
    for (OrderedIndex::Place place = tree_.lower_bound({}); place.leaf != nullptr;
         place = tree_.next(place)) {
        const ByteView key = read_entry(arena_.address(place.ref())).key;
        const HashIndex::Place found = hash_->find(hash_->hash(key), key);
        KVSTORE_ASSERT(found.bucket != nullptr);
        KVSTORE_ASSERT(HashIndex::ref_at(found) == place.ref());
    }
}

}  // namespace kvstore::storage::memory
