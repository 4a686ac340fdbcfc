// The places at which SCAN goes on. Clients carry a cursor as a number, and a key does not fit in
// one, so the core remembers which key a number stands for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/bytes.h"

namespace kvstore::resp {

// Keeps the newest; a cursor that was not used for so long that it went is told to be invalid.
class Cursors {
public:
    // Never 0.
    std::uint64_t add(Bytes key);
    // Nullopt: it is not known, or not any more.
    [[nodiscard]] std::optional<Bytes> find(std::uint64_t cursor) const;

private:
    static constexpr std::size_t kCountMax = 100'000;
    static constexpr std::size_t kBytesMax = 32U << 20U;

    std::deque<Bytes> places_;  // of the cursors from first_ on
    std::uint64_t first_ = 1;
    std::size_t byte_count_ = 0;
};

}  // namespace kvstore::resp
