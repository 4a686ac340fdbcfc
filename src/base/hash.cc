#include "base/hash.h"

// Short keys are hashed several times an operation: without a jump through the library's table.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvstore {

std::uint64_t hash64(ByteView data) noexcept {
    return XXH3_64bits(data.data(), data.size());
}

std::uint64_t hash64(ByteView data, std::uint64_t seed) noexcept {
    return XXH3_64bits_withSeed(data.data(), data.size(), seed);
}

}  // namespace kvstore
