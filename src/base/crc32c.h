// CRC-32C (Castagnoli), the checksum of every stored and sent block.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace kvstore {

// Continues `seed`, the checksum of what came before; 0 begins. The standard value:
// crc32c("123456789") == 0xe3069283.
[[nodiscard]] std::uint32_t crc32c(ByteView data, std::uint32_t seed = 0) noexcept;

}  // namespace kvstore
