// A shard's folder: what it says, and what is made of one that is damaged or half done.
#include "replication/shard_folder.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/world.h"

namespace kvstore::replication {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ShardDescription describe(std::uint64_t id) {
    return {.id = ShardId(id),
            .engine = EngineKind::kMemory,
            .history_ms = 600'000,
            .keyspace = "redis/1"};
}

class ShardFolder : public ::testing::Test {
protected:
    template <typename T>
    T run(async::Task<T> task) {
        return world_.block_on(machine_, std::move(task));
    }
    env::Disk* disk() { return &machine_.env().disk; }
    void put_file(std::string path, Bytes content) {
        ASSERT_TRUE(
            run(env::write_file_atomically(disk(), std::move(path), std::move(content))).ok());
    }
    std::vector<std::uint64_t> listed() {
        std::vector<std::uint64_t> ids;
        const auto shards = run(list_shard_folders(disk()));
        EXPECT_TRUE(shards.ok()) << shards.status().to_string();
        if (shards.ok()) {
            for (const ShardDescription& shard : *shards) {
                ids.push_back(shard.id.value());
            }
        }
        return ids;
    }
    bool exists(std::string path) { return *run(disk()->exists(std::move(path))); }

    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n1");
};

TEST(ShardFile, SaysWhatItWasTold) {
    const auto decoded = decode_shard_file(encode_shard_file(describe(7)));

    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->id, ShardId(7));
    EXPECT_EQ(decoded->engine, EngineKind::kMemory);
    EXPECT_EQ(decoded->history_ms, 600'000U);
    EXPECT_EQ(decoded->keyspace, "redis/1");
    ShardDescription lsm = describe(8);
    lsm.engine = EngineKind::kLsm;
    EXPECT_EQ(decode_shard_file(encode_shard_file(lsm))->engine, EngineKind::kLsm);
}

TEST(ShardFile, EveryFlippedBitAndEveryMissingEndIsFound) {
    const std::string content = encode_shard_file(describe(7));
    for (std::size_t at = 0; at < content.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            std::string damaged = content;
            damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
            EXPECT_EQ(decode_shard_file(damaged).status().code(), Code::kCorruption) << at;
        }
        EXPECT_EQ(decode_shard_file(content.substr(0, at)).status().code(), Code::kCorruption);
    }
}

TEST_F(ShardFolder, ListsWhatWasCreatedByIdAndNothingBefore) {
    EXPECT_THAT(listed(), IsEmpty());
    for (const std::uint64_t id : {100U, 9U, 16U}) {
        ASSERT_TRUE(run(create_shard_folder(disk(), describe(id))).ok());
    }

    EXPECT_THAT(listed(), ElementsAre(9, 16, 100));
    EXPECT_EQ(run(create_shard_folder(disk(), describe(9))).code(), Code::kAlreadyExists);
}

TEST_F(ShardFolder, IsDurableWhenItsCreationReturns) {
    ASSERT_TRUE(run(create_shard_folder(disk(), describe(9))).ok());
    world_.crash(machine_);
    world_.restart(machine_);

    EXPECT_THAT(listed(), ElementsAre(9));
}

TEST_F(ShardFolder, ListingChangesNothing) {
    ASSERT_TRUE(run(create_shard_folder(disk(), describe(9))).ok());
    ASSERT_TRUE(run(disk()->create_directories("shards/10/engine")).ok());
    const std::uint64_t changes = machine_.disk_changes();

    EXPECT_THAT(listed(), ElementsAre(9));

    EXPECT_EQ(machine_.disk_changes(), changes);
    EXPECT_TRUE(exists("shards/10"));
}

TEST_F(ShardFolder, WhatACreationLeftIsRemovedAndOtherFilesStay) {
    ASSERT_TRUE(run(create_shard_folder(disk(), describe(9))).ok());
    ASSERT_TRUE(run(disk()->create_directories("shards/10/engine")).ok());
    ASSERT_TRUE(run(disk()->create_directories("shards/11")).ok());
    put_file("shards/notes.txt", "by the operator");

    ASSERT_TRUE(run(remove_unfinished_shard_folders(disk())).ok());

    EXPECT_FALSE(exists("shards/10"));
    EXPECT_FALSE(exists("shards/11"));
    EXPECT_TRUE(exists("shards/notes.txt"));
    EXPECT_THAT(listed(), ElementsAre(9));
}

TEST_F(ShardFolder, DataWithoutItsFileIsNamedAndKept) {
    ASSERT_TRUE(run(create_shard_folder(disk(), describe(9))).ok());
    put_file("shards/9/engine/snapshot-1", "data");
    ASSERT_TRUE(run(disk()->remove("shards/9/shard")).ok());

    EXPECT_THAT(run(list_shard_folders(disk())).status().to_string(), HasSubstr("shards/9/shard"));
    EXPECT_EQ(run(remove_unfinished_shard_folders(disk())).code(), Code::kCorruption);
    EXPECT_TRUE(exists("shards/9/engine/snapshot-1"));
}

TEST_F(ShardFolder, NamesAFileThatIsTooLongOrOfAnotherVersion) {
    ASSERT_TRUE(run(create_shard_folder(disk(), describe(9))).ok());
    put_file("shards/9/shard", Bytes(100'000, 'x'));
    EXPECT_THAT(run(list_shard_folders(disk())).status().to_string(), HasSubstr("shards/9/shard"));
}

// Wherever a drop is cut short, what is left is either a whole folder or one that the next start
// removes; never one that looks as if it had lost its file.
TEST_F(ShardFolder, ARemovalMayBeCutShortAnywhere) {
    for (std::uint64_t at = 1; at <= 12; ++at) {
        ASSERT_TRUE(run(remove_shard_folder(disk(), ShardId(9))).ok() || at == 1);
        ASSERT_TRUE(run(create_shard_folder(disk(), describe(9))).ok());
        put_file("shards/9/engine/snapshot-1", "data");
        put_file("shards/9/engine/snapshot-2", "data");
        machine_.crash_at_change(at);
        (void)world_.try_block_on(
            machine_, remove_shard_folder(disk(), ShardId(9)), std::chrono::seconds(1));
        machine_.crash_at_change(0);
        if (machine_.is_up()) {
            world_.crash(machine_);
        }
        world_.restart(machine_);

        const Status removed = run(remove_unfinished_shard_folders(disk()));
        ASSERT_TRUE(removed.ok()) << "at change " << at << ": " << removed.to_string();
        if (!listed().empty()) {
            EXPECT_TRUE(exists("shards/9/engine/snapshot-1"));
            EXPECT_TRUE(exists("shards/9/engine/snapshot-2"));
        } else {
            EXPECT_FALSE(exists("shards/9"));
        }
    }
}

TEST_F(ShardFolder, RemovingWhatIsNotThereIsDone) {
    ASSERT_TRUE(run(disk()->create_directories("shards")).ok());

    EXPECT_TRUE(run(mark_shard_folder_dropped(disk(), ShardId(9))).ok());
    EXPECT_TRUE(run(remove_shard_folder(disk(), ShardId(9))).ok());
}

}  // namespace
}  // namespace kvstore::replication
