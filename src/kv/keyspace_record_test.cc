// A keyspace's record in the catalogue, and the names that keyspaces may have.
#include "kv/keyspace_record.h"

#include <string>

#include <gtest/gtest.h>

#include "base/coding.h"

namespace kvstore::kv {
namespace {

KeyspaceInfo example() {
    KeyspaceInfo info;
    info.name = "redis/1";
    info.shard = ShardId(300);
    info.options.replication_factor = 5;
    info.options.engine = replication::EngineKind::kMemory;
    info.options.history = std::chrono::hours(24 * 365);
    return info;
}

TEST(KeyspaceRecord, SaysWhatItWasTold) {
    const auto decoded = decode_keyspace("redis/1", encode_keyspace(example()));

    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->name, "redis/1");
    EXPECT_EQ(decoded->shard, ShardId(300));
    EXPECT_EQ(decoded->options.replication, Replication::kStrong);
    EXPECT_EQ(decoded->options.replication_factor, 5U);
    EXPECT_EQ(decoded->options.engine, replication::EngineKind::kMemory);
    EXPECT_EQ(decoded->options.history, std::chrono::hours(24 * 365));
}

// Fields are only ever added at the end.
TEST(KeyspaceRecord, ReadsWhatANewerVersionWrote) {
    Bytes newer = encode_keyspace(example());
    newer += "more fields";

    EXPECT_TRUE(decode_keyspace("k", newer).ok());
}

TEST(KeyspaceRecord, RefusesWhatIsCutShortOrUnknown) {
    const Bytes stored = encode_keyspace(example());
    for (std::size_t size = 0; size < stored.size(); ++size) {
        const auto refused = decode_keyspace("k", stored.substr(0, size));
        EXPECT_EQ(refused.status().code(), Code::kCorruption) << size;
    }
    const auto with = [](std::uint64_t format,
                         std::uint64_t shard,
                         std::uint64_t replication,
                         std::uint64_t factor,
                         std::uint64_t engine,
                         std::uint64_t history) {
        Bytes bytes;
        for (const std::uint64_t field : {format, shard, replication, factor, engine, history}) {
            put_varint(bytes, field);
        }
        return decode_keyspace("k", bytes).status().code();
    };

    EXPECT_EQ(with(1, 16, 1, 3, 2, 0), Code::kOk);
    EXPECT_EQ(with(0, 16, 1, 3, 2, 0), Code::kCorruption);
    EXPECT_EQ(with(1, 16, 9, 3, 2, 0), Code::kCorruption) << "replication";
    EXPECT_EQ(with(1, 16, 1, 3, 9, 0), Code::kCorruption) << "engine";
    EXPECT_EQ(with(1, 16, 1, 3, 2, ~0ULL), Code::kCorruption) << "a history beyond all time";
    EXPECT_EQ(with(1, 16, 1, 1ULL << 40U, 2, 0), Code::kCorruption) << "replication factor";
}

}  // namespace
}  // namespace kvstore::kv
