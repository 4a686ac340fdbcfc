// What the machine has.
#pragma once

#include <cstdint>

namespace kvstore::posix {

// Bytes of memory that this process may use: what the machine has, or less where the container that
// it runs in is held to less. 0: not known.
[[nodiscard]] std::uint64_t usable_memory_bytes();

}  // namespace kvstore::posix
