#include "storage/wal/wal.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "storage/wal/testing/wal_fixture.h"

namespace kvstore::storage {
namespace {

using testing::LogModel;
using testing::RecordingClient;
using testing::WalFixture;

constexpr GroupId kOne(1);
constexpr GroupId kTwo(2);

TEST(Wal, ShowsAfterAPowerCutWhatItAcknowledged) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());

    ASSERT_TRUE(log.driver->append_next(kOne, "first").ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "second").ok());
    ASSERT_TRUE(log.driver->append_next(kTwo, "other").ok());
    log.settle();

    EXPECT_EQ(log.driver->client(kOne).durable, std::vector<Index>{Index(2)});
    EXPECT_EQ(log.driver->client(kTwo).durable, std::vector<Index>{Index(1)});
    const LogModel before = log.driver->model();
    log.crash();
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(to_string(log.recovered), to_string(before));
    EXPECT_TRUE(log.recovered == before);
}

}  // namespace
}  // namespace kvstore::storage
