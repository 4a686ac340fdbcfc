#include "storage/memory/hash_index.h"

#include <array>

#include "base/assert.h"
#include "storage/memory/entry.h"

namespace kvstore::storage::memory {
namespace {

constexpr std::uint64_t kEveryByte = 0x0101010101010101ULL;

template <typename Integer>
[[nodiscard]] Integer load_acquire(const Integer& from) noexcept {
    return __atomic_load_n(&from, __ATOMIC_ACQUIRE);
}

template <typename Integer>
void store_release(Integer& to, Integer value) noexcept {
    std::atomic_ref<Integer>(to).store(value, std::memory_order_release);
}

// Bit 7 of each byte of the result tells whether that byte of `word` is zero. Exact in every byte,
// unlike the shorter subtraction trick, whose borrows run upwards.
[[nodiscard]] constexpr std::uint64_t zero_bytes(std::uint64_t word) noexcept {
    constexpr std::uint64_t kLow = 0x7f * kEveryByte;
    return ~(((word & kLow) + kLow) | word | kLow);
}

// The slots of a bucket whose tag is `tag`, as a bit set.
class MatchingSlots {
public:
    MatchingSlots(std::uint64_t tags_low, std::uint32_t tags_high, std::uint8_t tag) noexcept
        : low_(zero_bytes(tags_low ^ (kEveryByte * tag))),
          high_(zero_bytes(tags_high ^ (kEveryByte * tag)) & UINT32_MAX) {}

    [[nodiscard]] bool empty() const noexcept { return (low_ | high_) == 0; }
    unsigned take_first() noexcept {
        if (low_ != 0) {
            const auto slot = static_cast<unsigned>(std::countr_zero(low_)) / 8;
            low_ &= low_ - 1;
            return slot;
        }
        const auto slot = static_cast<unsigned>(std::countr_zero(high_)) / 8 + 8;
        high_ &= high_ - 1;
        return slot;
    }

private:
    std::uint64_t low_;
    std::uint64_t high_;
};

[[nodiscard]] std::uint8_t tag_at(const Bucket& bucket, unsigned slot) noexcept {
    return slot < 8 ? static_cast<std::uint8_t>(bucket.tags_low >> (slot * 8))
                    : static_cast<std::uint8_t>(bucket.tags_high >> ((slot - 8) * 8));
}

void set_tag(Bucket& bucket, unsigned slot, std::uint8_t tag) noexcept {
    if (slot < 8) {
        const std::uint64_t others = bucket.tags_low & ~(std::uint64_t{0xff} << (slot * 8));
        store_release(bucket.tags_low, others | (std::uint64_t{tag} << (slot * 8)));
    } else {
        const std::uint32_t others = bucket.tags_high & ~(std::uint32_t{0xff} << ((slot - 8) * 8));
        store_release(bucket.tags_high, others | (std::uint32_t{tag} << ((slot - 8) * 8)));
    }
}

// The ref before the tag: a reader looks at the tag first.
void fill_slot(Bucket& bucket, unsigned slot, std::uint8_t tag, Ref ref) noexcept {
    store_release(bucket.refs[slot], ref);
    set_tag(bucket, slot, tag);
}

void clear_slot(Bucket& bucket, unsigned slot) noexcept {
    set_tag(bucket, slot, 0);
    store_release(bucket.refs[slot], kNullRef);
}

[[nodiscard]] bool is_empty(const Bucket& bucket) noexcept {
    return (bucket.tags_low | bucket.tags_high) == 0;
}

}  // namespace

HashIndex::HashIndex(const Arena* arena, std::uint64_t seed) : arena_(arena), seed_(seed) {
    buckets_.resize(1);
}

std::uint64_t HashIndex::hash_of(Ref ref) const {
    return hash(read_entry(arena_->address(ref)).key);
}

bool HashIndex::holds(Ref ref, ByteView key) const {
    return read_entry(arena_->address(ref)).key == key;
}

HashIndex::Place HashIndex::find(std::uint64_t hash, ByteView key) const {
    Place place{.bucket = buckets_.at(bucket_of(hash, bucket_count_))};
    const std::uint8_t tag = tag_of(hash);
    for (;;) {
        MatchingSlots slots(place.bucket->tags_low, place.bucket->tags_high, tag);
        while (!slots.empty()) {
            place.slot = slots.take_first();
            if (holds(place.bucket->refs[place.slot], key)) {
                return place;
            }
        }
        place.overflow_number = place.bucket->overflow;
        if (place.overflow_number == 0) {
            return {};
        }
        place.bucket = overflow_.at(place.overflow_number - 1);
    }
}

void HashIndex::prefetch_entries(std::uint64_t hash) const {
    const Bucket* bucket = buckets_.at(bucket_of(hash, bucket_count_));
    MatchingSlots slots(bucket->tags_low, bucket->tags_high, tag_of(hash));
    while (!slots.empty()) {
        arena_->prefetch(bucket->refs[slots.take_first()]);
    }
    if (bucket->overflow != 0) {
        __builtin_prefetch(overflow_.at(bucket->overflow - 1));
    }
}

Ref HashIndex::find_from_any_core(std::uint64_t hash, ByteView key) const {
    const std::uint8_t tag = tag_of(hash);
    for (;;) {
        const std::uint64_t version = version_.load(std::memory_order_acquire);
        const std::uint32_t count = published_count_.load(std::memory_order_acquire);
        const Bucket* bucket = buckets_.at(bucket_of(hash, count));
        while (bucket != nullptr) {
            MatchingSlots slots(
                load_acquire(bucket->tags_low), load_acquire(bucket->tags_high), tag);
            while (!slots.empty()) {
                const Ref ref = load_acquire(bucket->refs[slots.take_first()]);
                if (ref != kNullRef && holds(ref, key)) {
                    return ref;
                }
            }
            const std::uint32_t next = load_acquire(bucket->overflow);
            bucket = next == 0 ? nullptr : overflow_.at(next - 1);
        }
        // Every load above was an acquire, so one that saw part of a move sees its odd version
        // here.
        if (version % 2 == 0 && version_.load(std::memory_order_acquire) == version) {
            return kNullRef;
        }
    }
}

void HashIndex::insert(std::uint64_t hash, Ref ref) {
    add_to_chain(buckets_.at(bucket_of(hash, bucket_count_)), tag_of(hash), ref);
    ++key_count_;
    if (key_count_ > bucket_count_ * kKeysPerBucketMax) {
        split();
    }
}

void HashIndex::add_to_chain(Bucket* home, std::uint8_t tag, Ref ref) {
    Bucket* bucket = home;
    for (;;) {
        MatchingSlots empty(bucket->tags_low, bucket->tags_high, 0);
        if (!empty.empty()) {
            fill_slot(*bucket, empty.take_first(), tag, ref);
            return;
        }
        if (bucket->overflow == 0) {
            break;
        }
        bucket = overflow_.at(bucket->overflow - 1);
    }
    const std::uint32_t number = take_overflow();
    fill_slot(*overflow_.at(number - 1), 0, tag, ref);
    store_release(bucket->overflow, number);
}

void HashIndex::replace(const Place& place, Ref ref) {
    store_release(place.bucket->refs[place.slot], ref);
}

void HashIndex::erase(std::uint64_t hash, const Place& place) {
    clear_slot(*place.bucket, place.slot);
    --key_count_;
    if (place.overflow_number != 0 && is_empty(*place.bucket)) {
        begin_move();
        unlink_overflow(buckets_.at(bucket_of(hash, bucket_count_)), place.overflow_number);
        end_move();
    }
    if (bucket_count_ > 1 && key_count_ < bucket_count_ * kKeysPerBucketMin) {
        merge();
    }
}

// A reader inside the bucket would follow its link into another chain once it is used again, and
// miss the rest of its own: so this counts as a move.
void HashIndex::unlink_overflow(Bucket* home, std::uint32_t number) {
    Bucket* before = home;
    while (before->overflow != number) {
        KVSTORE_ASSERT(before->overflow != 0);
        before = overflow_.at(before->overflow - 1);
    }
    Bucket* unlinked = overflow_.at(number - 1);
    store_release(before->overflow, unlinked->overflow);
    store_release(unlinked->overflow, overflow_free_);
    overflow_free_ = number;
}

std::uint32_t HashIndex::take_overflow() {
    if (overflow_free_ != 0) {
        const std::uint32_t number = overflow_free_;
        Bucket* bucket = overflow_.at(number - 1);
        overflow_free_ = bucket->overflow;
        store_release(bucket->overflow, std::uint32_t{0});
        return number;
    }
    ++overflow_count_;
    overflow_.resize(overflow_count_);
    return overflow_count_;
}

void HashIndex::begin_move() {
    const std::uint64_t version = version_.load(std::memory_order_relaxed);
    KVSTORE_DEBUG_ASSERT(version % 2 == 0);
    version_.store(version + 1, std::memory_order_release);
}

void HashIndex::end_move() {
    version_.store(version_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

// One more bucket: it takes its share of the one bucket whose hashes it divides.
void HashIndex::split() {
    const std::uint32_t added = bucket_count_;
    const std::uint32_t divided = bucket_of(added, bucket_count_);
    buckets_.resize(bucket_count_ + 1);
    begin_move();
    ++bucket_count_;
    published_count_.store(bucket_count_, std::memory_order_release);
    move_chain(divided, added);
    end_move();
    // The next one to be divided needs the hashes of its keys: their entries may come meanwhile.
    const Bucket* next = buckets_.at(bucket_of(bucket_count_, bucket_count_));
    for (unsigned slot = 0; slot < Bucket::kSlotCount; ++slot) {
        if (tag_at(*next, slot) != 0) {
            arena_->prefetch(next->refs[slot]);
        }
    }
}

// The last bucket's entries go back to the bucket that they came from.
void HashIndex::merge() {
    const std::uint32_t removed = bucket_count_ - 1;
    begin_move();
    --bucket_count_;
    published_count_.store(bucket_count_, std::memory_order_release);
    move_chain(removed, bucket_of(removed, bucket_count_));
    end_move();
    KVSTORE_DEBUG_ASSERT(is_empty(*buckets_.at(removed)));
    KVSTORE_DEBUG_ASSERT(buckets_.at(removed)->overflow == 0);
    buckets_.resize(bucket_count_);
}

// Moves what belongs to bucket `to` now out of the chain of `from`.
void HashIndex::move_chain(std::uint32_t from, std::uint32_t to) {
    Bucket* home = buckets_.at(from);
    Bucket* target = buckets_.at(to);
    Bucket* bucket = home;
    std::uint32_t number = 0;
    for (;;) {
        const std::uint32_t next = bucket->overflow;
        for (unsigned slot = 0; slot < Bucket::kSlotCount; ++slot) {
            const std::uint8_t tag = tag_at(*bucket, slot);
            if (tag == 0) {
                continue;
            }
            const Ref ref = bucket->refs[slot];
            if (bucket_of(hash_of(ref), bucket_count_) == to) {
                add_to_chain(target, tag, ref);
                clear_slot(*bucket, slot);
            } else if (number != 0) {
                // Overflow flows back into what has become free before it.
                clear_slot(*bucket, slot);
                add_to_chain(home, tag, ref);
            }
        }
        if (number != 0 && is_empty(*bucket)) {
            unlink_overflow(home, number);
        }
        if (next == 0) {
            return;
        }
        number = next;
        bucket = overflow_.at(number - 1);
    }
}

void HashIndex::check() const {
    std::uint64_t count = 0;
    for (std::uint32_t i = 0; i < bucket_count_; ++i) {
        for (const Bucket* bucket = buckets_.at(i); bucket != nullptr;) {
            KVSTORE_ASSERT(bucket == buckets_.at(i) || !is_empty(*bucket));
            for (unsigned slot = 0; slot < Bucket::kSlotCount; ++slot) {
                const std::uint8_t tag = tag_at(*bucket, slot);
                if (tag == 0) {
                    continue;
                }
                const std::uint64_t hash = hash_of(bucket->refs[slot]);
                KVSTORE_ASSERT(tag == tag_of(hash));
                KVSTORE_ASSERT(bucket_of(hash, bucket_count_) == i);
                ++count;
            }
            bucket = bucket->overflow == 0 ? nullptr : overflow_.at(bucket->overflow - 1);
        }
    }
    KVSTORE_ASSERT(count == key_count_);
}

}  // namespace kvstore::storage::memory
