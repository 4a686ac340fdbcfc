#include "storage/memory/bucket_array.h"

#include "base/assert.h"

namespace kvstore::storage::memory {

void BucketArray::resize(std::uint32_t size) {
    if (size > size_) {
        for (std::uint32_t number = size_; number < size; ++number) {
            grow_to(number);
        }
    } else {
        // A segment that is no longer used keeps its addresses, for late readers, and costs
        // nothing.
        for (unsigned i = 1; i < kSegmentCountMax; ++i) {
            if (first_of(i) >= size && first_of(i) < size_) {
                blocks_[i].drop_content(0, blocks_[i].size());
            }
        }
    }
    size_ = size;
    memory_bytes_ = used_bytes(size);
}

// The bucket `number` comes into use.
void BucketArray::grow_to(std::uint32_t number) {
    const auto segment = static_cast<unsigned>(std::bit_width(number / kFirstSize));
    KVSTORE_ASSERT(segment < kSegmentCountMax);
    const std::size_t offset = (number - first_of(segment)) * sizeof(Bucket);
    if (blocks_[segment].data() == nullptr) {
        const std::size_t count = segment == 0 ? kFirstSize : first_of(segment);
        blocks_[segment] = MappedBlock(count * sizeof(Bucket), MappedBlock::Huge::kLater);
        // Published by whatever leads readers to the bucket.
        bases_[segment].store(reinterpret_cast<Bucket*>(blocks_[segment].data()),
                              std::memory_order_relaxed);
    }
    // A huge page is made when it is full, so that a table never pays for one that it does not
    // fill.
    if (offset > 0 && offset % kHugePageSize == 0) {
        blocks_[segment].make_huge(offset - kHugePageSize);
    } else if (offset == 0 && segment > 0 && blocks_[segment - 1].size() >= kHugePageSize) {
        blocks_[segment - 1].make_huge(blocks_[segment - 1].size() - kHugePageSize);
    }
}

// What of the segments was touched, in the pages that the system gives.
std::uint64_t BucketArray::used_bytes(std::uint32_t size) {
    constexpr std::uint64_t kSystemPageSize = 4096;
    const std::uint64_t bytes = static_cast<std::uint64_t>(size) * sizeof(Bucket);
    return (bytes + kSystemPageSize - 1) / kSystemPageSize * kSystemPageSize;
}

}  // namespace kvstore::storage::memory
