#include "storage/lsm/internal/durability.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::storage::lsm {
namespace {

TEST(Durability, BeginsAtTheStateThatWasOpened) {
    EXPECT_EQ(Durability(Index(7)).durable(), Index(7));
}

TEST(Durability, CountsACommitOnlyWhenItsLastWriteIsFlushed) {
    Durability durability(Index(0));
    durability.note_commit(10, Index(1));
    durability.note_commit(20, Index(2));

    durability.note_flushed(9);
    EXPECT_EQ(durability.durable(), Index(0));
    durability.note_flushed(19);
    EXPECT_EQ(durability.durable(), Index(1));
    durability.note_flushed(20);
    EXPECT_EQ(durability.durable(), Index(2));
}

// However many commits wait, it forgets some and never says too much.
TEST(Durability, NeverSaysTooMuchWithManyCommitsWaiting) {
    Durability durability(Index(0));
    Random random(3);
    std::uint64_t flushed = 0;
    for (std::uint64_t commit = 1; commit < 100'000; ++commit) {
        durability.note_commit(commit * 3, Index(commit));
        if (random.chance(1, 10'000)) {
            flushed = random.between(flushed, commit * 3);
            durability.note_flushed(flushed);
            ASSERT_LE(durability.durable(), Index(flushed / 3));
        }
    }

    durability.note_flushed(99'999 * 3);
    EXPECT_EQ(durability.durable(), Index(99'999));
}

}  // namespace
}  // namespace kvstore::storage::lsm
