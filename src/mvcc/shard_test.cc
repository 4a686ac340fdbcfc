#include "mvcc/shard.h"

#include <gtest/gtest.h>

#include "mvcc/testing/shard_fixture.h"

namespace kvstore::mvcc {
namespace {

using testing::Outcome;
using testing::ShardFixture;

TEST(Shard, ShowsAPutAtOnceWithItsRevisions) {
    ShardFixture fixture;
    EXPECT_TRUE(fixture.put("key", "one").result.changed);
    EXPECT_TRUE(fixture.put("key", "two").result.changed);
    const auto record = fixture.find("key");
    ASSERT_TRUE(record);
    EXPECT_EQ(record->value, "two");
    EXPECT_EQ(record->create_revision, Revision(1));
    EXPECT_EQ(record->mod_revision, Revision(2));
    EXPECT_EQ(record->version_count, 2U);
    EXPECT_EQ(fixture.value_at("key", Revision(1)), "one");
    EXPECT_TRUE(fixture.verify().ok());
}

}  // namespace
}  // namespace kvstore::mvcc
