// A hash from keys to refs that grows and shrinks one bucket at a time (linear hashing, Litwin
// 1980), so no write ever waits for a whole table to be rehashed, and no second table is held
// meanwhile.
//
// A bucket is one cache line: twelve refs, each with eight bits of its hash, and the number of an
// overflow bucket. The bits keep a lookup from touching the entries of other keys, so it costs one
// miss for the bucket and one for the entry. With n buckets a hash belongs to bucket
// hash mod 2^k, or, where that is >= n, to hash mod 2^(k-1), with 2^(k-1) < n <= 2^k.
//
// Readers on other cores take no lock. A ref is published by a release store and replaced in place.
// Whatever moves entries between buckets makes the version odd meanwhile; a reader that found its
// key may believe it in any case, one that did not tries again when the version was odd or has
// changed.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/hash.h"
#include "storage/memory/arena.h"
#include "storage/memory/bucket_array.h"

namespace kvstore::storage::memory {

// Lifetime    Owned by its table; the arena holds the entries that the refs name.
// Runs on     The writer's core, but for find_from_any_core().
// Invariants  a key is in the chain of its bucket, once
//             a chain has no empty overflow bucket
class HashIndex {
public:
    // A `seed` that nobody outside knows keeps clients from choosing keys that all share a bucket.
    HashIndex(const Arena* arena, std::uint64_t seed);
    HashIndex(const HashIndex&) = delete;
    HashIndex& operator=(const HashIndex&) = delete;
    ~HashIndex() = default;

    // The hash that the other calls want. Any core.
    [[nodiscard]] std::uint64_t hash(ByteView key) const { return hash64(key, seed_); }

    // Where the ref of one key stands. Lasts until the next insert or erase.
    struct Place {
        Bucket* bucket = nullptr;  // null: the key is not there
        unsigned slot = 0;
        std::uint32_t overflow_number = 0;  // 0: a home bucket, else its number plus one
    };

    [[nodiscard]] Place find(std::uint64_t hash, ByteView key) const;
    [[nodiscard]] static Ref ref_at(const Place& place) { return place.bucket->refs[place.slot]; }

    // Returns: kNullRef when the key is not there.
    [[nodiscard]] Ref find_from_any_core(std::uint64_t hash, ByteView key) const;

    // Requires: the key of `ref` is not there; `hash` is its hash.
    void insert(std::uint64_t hash, Ref ref);
    // The entry with the same key that `place` names is `ref` from now on.
    static void replace(const Place& place, Ref ref);
    void erase(std::uint64_t hash, const Place& place);

    void prefetch(std::uint64_t hash) const {
        __builtin_prefetch(buckets_.at(bucket_of(hash, bucket_count_)));
    }
    // Fetches the entries that a lookup of `hash` would compare with; after prefetch().
    void prefetch_entries(std::uint64_t hash) const;

    [[nodiscard]] std::uint64_t key_count() const { return key_count_; }
    [[nodiscard]] std::uint64_t memory_bytes() const {
        return buckets_.memory_bytes() + overflow_.memory_bytes();
    }

    // Aborts where an invariant does not hold.
    void check() const;

private:
    // Between these many keys a bucket the table neither grows nor shrinks. More keys a bucket mean
    // less memory and more overflow.
    static constexpr std::uint64_t kKeysPerBucketMax = 10;
    static constexpr std::uint64_t kKeysPerBucketMin = 5;

    static std::uint32_t bucket_of(std::uint64_t hash, std::uint32_t count) noexcept {
        const std::uint32_t wide = static_cast<std::uint32_t>(hash) & (std::bit_ceil(count) - 1);
        return wide < count ? wide : wide & (std::bit_ceil(count) / 2 - 1);
    }
    static std::uint8_t tag_of(std::uint64_t hash) noexcept {
        const auto tag = static_cast<std::uint8_t>(hash >> 56U);
        return tag == 0 ? 1 : tag;
    }
    [[nodiscard]] std::uint64_t hash_of(Ref ref) const;
    [[nodiscard]] bool holds(Ref ref, ByteView key) const;

    void add_to_chain(Bucket* home, std::uint8_t tag, Ref ref);
    void split();
    void merge();
    void move_chain(std::uint32_t from, std::uint32_t to);
    void unlink_overflow(Bucket* home, std::uint32_t number);
    [[nodiscard]] std::uint32_t take_overflow();
    void begin_move();
    void end_move();

    const Arena* arena_;
    const std::uint64_t seed_;
    BucketArray buckets_;
    BucketArray overflow_;
    std::uint32_t bucket_count_ = 1;
    std::uint32_t overflow_count_ = 0;  // ever taken
    std::uint32_t overflow_free_ = 0;   // number plus one; linked through `overflow`
    std::uint64_t key_count_ = 0;
    // What readers go by.
    std::atomic<std::uint32_t> published_count_{1};
    std::atomic<std::uint64_t> version_{0};
};

}  // namespace kvstore::storage::memory
