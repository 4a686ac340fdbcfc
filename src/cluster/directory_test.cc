#include "cluster/directory.h"

#include <vector>

#include <gtest/gtest.h>

#include "cluster/testing/rows.h"

namespace kvstore::cluster {
namespace {

using testing::node_record;
using testing::rows_of;
using testing::shard_record;

SystemRows some_rows(std::uint64_t version) {
    return rows_of(version, {node_record(1)}, {shard_record(16, "default", {NodeId(1)})});
}

TEST(Directory, ViewIsEmptyBeforeTheFirstRows) {
    const Directory directory;

    EXPECT_EQ(directory.version(), MapVersion());
    EXPECT_FALSE(directory.view()->metadata.cluster.has_value());
    EXPECT_TRUE(directory.view()->map->shards().empty());
}

TEST(Directory, ViewHasRecordsAndMapOfItsRows) {
    Directory directory;

    ASSERT_TRUE(directory.update(some_rows(5)).ok());

    EXPECT_EQ(directory.view()->rows, some_rows(5));
    EXPECT_EQ(directory.view()->metadata.nodes.front(), node_record(1));
    EXPECT_EQ(directory.view()->map->version(), MapVersion(5));
    EXPECT_EQ(directory.view()->map->find("default", "k")->id, ShardId(16));
}

TEST(Directory, ListenersAreToldInOrderOfWhatIsNewer) {
    Directory directory;
    std::vector<std::pair<int, MapVersion>> told;
    directory.add_listener(
        [&](const ClusterView& view) { told.emplace_back(1, view.rows.version); });
    directory.add_listener(
        [&](const ClusterView& view) { told.emplace_back(2, view.rows.version); });

    ASSERT_TRUE(directory.update(some_rows(5)).ok());
    ASSERT_TRUE(directory.update(some_rows(5)).ok());
    ASSERT_TRUE(directory.update(some_rows(4)).ok());

    const std::vector<std::pair<int, MapVersion>> expected = {{1, MapVersion(5)},
                                                              {2, MapVersion(5)}};
    EXPECT_EQ(told, expected);
}

TEST(Directory, AListenerThatBringsNewerRowsDoesNotSetOthersBack) {
    Directory directory;
    std::vector<MapVersion> told;
    directory.add_listener([&](const ClusterView& view) {
        if (view.rows.version == MapVersion(5)) {
            EXPECT_TRUE(directory.update(some_rows(6)).ok());
        }
    });
    directory.add_listener([&](const ClusterView& view) { told.push_back(view.rows.version); });

    ASSERT_TRUE(directory.update(some_rows(5)).ok());

    EXPECT_EQ(told, std::vector<MapVersion>{MapVersion(6)});
}

TEST(Directory, RowsThatCannotBeReadLeaveTheViewAsItIs) {
    Directory directory;
    ASSERT_TRUE(directory.update(some_rows(5)).ok());
    SystemRows damaged = some_rows(6);
    damaged.rows.front().second = "?";
    SystemRows with_gap = rows_of(7, {}, {shard_record(16, "default", {NodeId(1)})});
    ShardRecord half = shard_record(16, "default", {NodeId(1)});
    half.range_end = "m";
    with_gap.rows.back().second = encode_shard(half);

    EXPECT_EQ(directory.update(damaged).code(), Code::kCorruption);
    EXPECT_EQ(directory.update(with_gap).code(), Code::kCorruption);
    EXPECT_EQ(directory.version(), MapVersion(5));
}

}  // namespace
}  // namespace kvstore::cluster
