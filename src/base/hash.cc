#include "base/hash.h"

#include <xxhash.h>

namespace kvstore {

std::uint64_t hash64(ByteView data) noexcept {
    return XXH3_64bits(data.data(), data.size());
}

std::uint64_t hash64(ByteView data, std::uint64_t seed) noexcept {
    return XXH3_64bits_withSeed(data.data(), data.size(), seed);
}

}  // namespace kvstore
