#include "base/assert.h"

#include <gtest/gtest.h>

namespace kvstore {
namespace {

TEST(Assert, LetsTrueConditionsPass) {
    KVSTORE_ASSERT(1 + 1 == 2);
    KVSTORE_SOFT_ASSERT(true);
    KVSTORE_DEBUG_ASSERT(true);
}

TEST(AssertDeathTest, PrintsTheConditionAndItsPlaceAndAborts) {
    EXPECT_DEATH(KVSTORE_ASSERT(1 == 2), "1 == 2.*assert_test.cc");
}

#ifdef KVSTORE_DEBUG_ASSERTS
TEST(AssertDeathTest, ChecksDeeplyAndSoftlyInDebugBuilds) {
    EXPECT_DEATH(KVSTORE_DEBUG_ASSERT(false), "assertion failed");
    EXPECT_DEATH(KVSTORE_SOFT_ASSERT(false), "soft assertion failed");
}
#else
TEST(Assert, CountsSoftFailuresAndGoesOnElsewhere) {
    const std::uint64_t before = soft_assertion_count();
    KVSTORE_SOFT_ASSERT(false);
    EXPECT_EQ(soft_assertion_count(), before + 1);
}
#endif

}  // namespace
}  // namespace kvstore
