#include "posix/machine.h"

#include <gtest/gtest.h>

namespace kvstore::posix {
namespace {

TEST(Machine, HasMemory) {
    const std::uint64_t bytes = usable_memory_bytes();
    EXPECT_GT(bytes, 1U << 20U);
    EXPECT_LT(bytes, 1ULL << 50U);
}

}  // namespace
}  // namespace kvstore::posix
