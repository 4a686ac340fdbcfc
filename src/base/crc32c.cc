#include "base/crc32c.h"

#include <isa-l/crc.h>

namespace kvstore {

std::uint32_t crc32c(ByteView data, std::uint32_t seed) noexcept {
    // The library's function has neither the initial nor the final inversion, takes its buffer as
    // mutable though it only reads, and counts in int: large buffers go in pieces.
    constexpr std::size_t kPieceMax = 1U << 30U;
    std::uint32_t state = ~seed;
    while (!data.empty()) {
        const ByteView piece = data.substr(0, kPieceMax);
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): the library lacks the const
        auto* begin = reinterpret_cast<unsigned char*>(const_cast<char*>(piece.data()));
        state = ::crc32_iscsi(begin, static_cast<int>(piece.size()), state);
        data.remove_prefix(piece.size());
    }
    return ~state;
}

}  // namespace kvstore
