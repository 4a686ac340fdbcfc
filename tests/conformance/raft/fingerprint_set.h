// Many 64-bit fingerprints at five bytes each, in a table of fixed size whose unused
// pages cost nothing.
//
// The upper bits of a fingerprint say where to look, and only the lower 40 are stored, so
// that two fingerprints are confused when those agree and their places are within one
// run of the table: for a set of 10^9 about as seldom as two 64-bit hashes collide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <sys/mman.h>

#include "base/assert.h"

namespace kvstore::raft::conformance {

class FingerprintSet {
public:
    enum class Insert : std::uint8_t { kNew, kKnown, kFull };

    explicit FingerprintSet(std::size_t size_max)
        : size_max_(size_max), places_(size_max + size_max / 8 + kRunMax) {
        void* memory = mmap(nullptr,
                            places_ * kWidth,
                            PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                            -1,
                            0);
        KVSTORE_ASSERT(memory != MAP_FAILED);
        table_ = static_cast<unsigned char*>(memory);
        madvise(memory, places_ * kWidth, MADV_HUGEPAGE);
    }
    ~FingerprintSet() { munmap(table_, places_ * kWidth); }
    FingerprintSet(const FingerprintSet&) = delete;
    FingerprintSet& operator=(const FingerprintSet&) = delete;
    FingerprintSet(FingerprintSet&&) = delete;
    FingerprintSet& operator=(FingerprintSet&&) = delete;

    Insert insert(std::uint64_t print) {
        constexpr std::uint64_t kStored = (1ULL << (8 * kWidth)) - 1;
        // 0 marks a free place.
        const std::uint64_t stored = (print & kStored) == 0 ? 1 : print & kStored;
        const std::size_t homes = places_ - kRunMax;
        auto place = static_cast<std::size_t>((static_cast<Wide>(print) * homes) >> 64U);
        for (const std::size_t end = place + kRunMax; place < end; ++place) {
            std::uint64_t found = 0;
            std::memcpy(&found, table_ + place * kWidth, kWidth);
            if (found == stored) {
                return Insert::kKnown;
            }
            if (found == 0) {
                if (size_ == size_max_) {
                    return Insert::kFull;
                }
                std::memcpy(table_ + place * kWidth, &stored, kWidth);
                ++size_;
                return Insert::kNew;
            }
        }
        return Insert::kFull;
    }

    [[nodiscard]] std::size_t size() const { return size_; }

private:
    __extension__ using Wide = unsigned __int128;
    static constexpr std::size_t kWidth = 5;
    // Eight ninths full, runs stay far shorter.
    static constexpr std::size_t kRunMax = 4096;

    std::size_t size_max_;
    std::size_t places_;
    std::size_t size_ = 0;
    unsigned char* table_ = nullptr;
};

}  // namespace kvstore::raft::conformance
