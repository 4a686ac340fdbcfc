#include "storage/memory/bucket_array.h"

#include <algorithm>

#include "base/assert.h"

namespace kvstore::storage::memory {

void BucketArray::resize(std::uint32_t size) {
    if (size > size_) {
        const auto segment = static_cast<unsigned>(std::bit_width((size - 1) / kFirstSize));
        KVSTORE_ASSERT(segment < kSegmentCountMax);
        for (unsigned i = 0; i <= segment; ++i) {
            if (blocks_[i].data() == nullptr) {
                const std::size_t count = i == 0 ? kFirstSize : kFirstSize << (i - 1);
                blocks_[i] = MappedBlock(count * sizeof(Bucket));
                // Published by whatever leads readers to the bucket.
                bases_[i].store(reinterpret_cast<Bucket*>(blocks_[i].data()),
                                std::memory_order_relaxed);
            }
        }
    } else {
        // A segment that is no longer used keeps its addresses, for late readers, and costs
        // nothing.
        for (unsigned i = 1; i < kSegmentCountMax; ++i) {
            const std::uint32_t first = kFirstSize << (i - 1);
            if (first >= size && first < size_ && blocks_[i].data() != nullptr) {
                blocks_[i].drop_content(0, blocks_[i].size());
            }
        }
    }
    size_ = size;
    memory_bytes_ = used_bytes(size);
}

// What of the segments was touched, in the pages that the system gives.
std::uint64_t BucketArray::used_bytes(std::uint32_t size) const {
    constexpr std::uint64_t kSmallPageSize = 4096;
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < kSegmentCountMax; ++i) {
        const std::uint32_t first = i == 0 ? 0 : kFirstSize << (i - 1);
        if (first >= size && i > 0) {
            break;
        }
        const std::uint64_t used = std::min<std::uint64_t>(
            blocks_[i].size(), static_cast<std::uint64_t>(size - first) * sizeof(Bucket));
        const std::uint64_t page =
            blocks_[i].size() >= kHugePageSize ? kHugePageSize : kSmallPageSize;
        bytes += (used + page - 1) / page * page;
    }
    return bytes;
}

}  // namespace kvstore::storage::memory
