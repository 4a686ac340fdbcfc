// A growing array of hash buckets whose addresses never change.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "storage/memory/arena.h"
#include "storage/memory/mapped_block.h"

namespace kvstore::storage::memory {

// One cache line. Plain integers, used through std::atomic_ref where another core may look.
struct alignas(64) Bucket {
    static constexpr unsigned kSlotCount = 12;

    std::uint64_t tags_low;   // of refs 0 to 7, a byte each; 0: empty
    std::uint32_t tags_high;  // of refs 8 to 11
    std::uint32_t overflow;   // number of an overflow bucket plus one; 0: none
    std::array<Ref, kSlotCount> refs;
};
static_assert(sizeof(Bucket) == 64);

// Segments double in size, so that a place is found by counting bits and growing copies nothing.
//
// Lifetime  Owned by its index.
// Runs on   One core, but for at() of buckets that another core learnt of by an acquire load.
class BucketArray {
public:
    BucketArray() = default;
    BucketArray(const BucketArray&) = delete;
    BucketArray& operator=(const BucketArray&) = delete;
    ~BucketArray() = default;

    // Requires: number < the largest size ever. A bucket above size() reads as empty.
    [[nodiscard]] Bucket* at(std::uint32_t number) const noexcept {
        const auto segment = static_cast<unsigned>(std::bit_width(number / kFirstSize));
        return bases_[segment].load(std::memory_order_relaxed) + (number - first_of(segment));
    }

    // New buckets are empty. Buckets that are cut off must be empty, for readers may still look.
    void resize(std::uint32_t size);

    [[nodiscard]] std::uint32_t size() const { return size_; }
    [[nodiscard]] std::uint64_t memory_bytes() const { return memory_bytes_; }

private:
    static constexpr std::uint32_t kFirstSize = 64;
    static constexpr std::size_t kSegmentCountMax = 26;

    // The first bucket of a segment.
    static std::uint32_t first_of(unsigned segment) noexcept {
        return segment == 0 ? 0 : kFirstSize << (segment - 1);
    }
    static std::uint64_t used_bytes(std::uint32_t size);
    void grow_to(std::uint32_t number);

    std::array<std::atomic<Bucket*>, kSegmentCountMax> bases_{};
    std::array<MappedBlock, kSegmentCountMax> blocks_;
    std::uint32_t size_ = 0;
    std::uint64_t memory_bytes_ = 0;
};

}  // namespace kvstore::storage::memory
