// Hashes that were hinted at and whose first cache line is on its way. A lookup touches two places
// one after the other, a bucket and a record; the second can be fetched only when the first has
// come, so each hint waits here for a few others.
#pragma once

#include <array>
#include <cstdint>

namespace kvstore::storage {

class HintRing {
public:
    [[nodiscard]] bool empty() const { return begin_ == end_; }
    [[nodiscard]] bool full() const { return end_ - begin_ == kSize; }

    // Requires: not full().
    void push(std::uint64_t hash) { hashes_[end_++ % kSize] = hash; }
    // The oldest. Requires: not empty().
    std::uint64_t take() { return hashes_[begin_++ % kSize]; }

private:
    static constexpr unsigned kSize = 8;

    std::array<std::uint64_t, kSize> hashes_{};
    unsigned begin_ = 0;
    unsigned end_ = 0;
};

}  // namespace kvstore::storage
