// Disks that fail or are full, engines that are behind, and durable indexes in between.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/random.h"
#include "storage/lsm/testing/lsm_fixture.h"

namespace kvstore::storage::lsm {
namespace {

class LsmFailureTest : public LsmFixture {
protected:
    ~LsmFailureTest() override {
        if (is_mounted_) {
            if (engine_ != nullptr) {
                close();
            }
            EXPECT_TRUE(call("umount " + directory().string()));
        }
    }

    static bool call(const std::string& command) {
        return std::system((command + " 2>/dev/null").c_str()) == 0;
    }

    // Puts the engine on a file system of two megabytes. False where that needs rights we lack.
    bool mount_small_disk() {
        std::filesystem::create_directory(directory());
        is_mounted_ = call("mount -t tmpfs -o size=8m none " + directory().string());
        return is_mounted_;
    }

    void fill_disk() {
        std::ofstream balloon(directory() / "balloon", std::ios::binary);
        const Bytes block(4096, 'b');
        while (balloon.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
        }
    }

    // More than the few pages that RocksDB may give back after the disk was filled.
    static Bytes incompressible() {
        Random random(1);
        Bytes bytes;
        while (bytes.size() < (256U << 10U)) {
            put_fixed(bytes, random.next());
        }
        return bytes;
    }

    void free_disk() { std::filesystem::remove(directory() / "balloon"); }

    bool is_mounted_ = false;
};

TEST_F(LsmFailureTest, AFailedFlushClosesTheEngineToReadsAndWrites) {
    open();
    engine().put(Table::kCurrent, "a", "1");
    commit(1);
    std::filesystem::rename(directory(), root_ / "elsewhere");

    EXPECT_EQ(run(engine().persist()).code(), Code::kIoError);

    EXPECT_EQ(engine().durable_index(), Index(0));
    ByteView value;
    EXPECT_EQ(engine().find(Table::kCurrent, "a", &value), Lookup::kMustLoad);
    const auto found = engine().find_blocking(Table::kCurrent, "a", &value);
    EXPECT_EQ(found.status().code(), Code::kIoError);
    EXPECT_NE(found.status().message().find(directory().string()), std::string::npos);
    engine().put(Table::kCurrent, "a", "2");
    EXPECT_EQ(engine().commit(Index(2)).code(), Code::kIoError);
    static_cast<void>(run(engine().close()));
    engine_.reset();
}

TEST_F(LsmFailureTest, AFullDiskIsToldAndLosesNothing) {
    if (!mount_small_disk()) {
        GTEST_SKIP() << "may not mount a small file system here";
    }
    open();
    engine().put(Table::kCurrent, "a", "1");
    engine().put(Table::kCurrent, "filler", incompressible());
    commit(1);
    fill_disk();

    const Status persisted = run(engine().persist());

    EXPECT_EQ(persisted.code(), Code::kDiskFull) << persisted.to_string();
    EXPECT_EQ(engine().durable_index(), Index(0));
    EXPECT_EQ(find(Table::kCurrent, "a"), "1");
}

TEST_F(LsmFailureTest, GoesOnWhenThereIsSpaceAgain) {
    if (!mount_small_disk()) {
        GTEST_SKIP() << "may not mount a small file system here";
    }
    open();
    engine().put(Table::kCurrent, "a", "1");
    engine().put(Table::kCurrent, "filler", incompressible());
    commit(1);
    fill_disk();
    EXPECT_EQ(run(engine().persist()).code(), Code::kDiskFull);
    engine().put(Table::kCurrent, "b", "2");
    const Status refused = engine().commit(Index(2));
    EXPECT_EQ(refused.code(), Code::kDiskFull) << refused.to_string();
    EXPECT_EQ(refused.effect(), Effect::kNone);
    EXPECT_EQ(engine().applied_index(), Index(1));
    EXPECT_EQ(run(engine().commit_when_ready(Index(2))).code(), Code::kDiskFull);

    free_disk();
    persist();

    EXPECT_EQ(engine().durable_index(), Index(1));
    EXPECT_EQ(find(Table::kCurrent, "b"), "2");
    commit(2);
    EXPECT_EQ(find(Table::kCurrent, "b"), "2");
    persist();
    EXPECT_EQ(find(Table::kCurrent, "b"), "2");
    EXPECT_EQ(engine().durable_index(), Index(2));
    reopen();
    EXPECT_EQ(find(Table::kCurrent, "a"), "1");
    EXPECT_EQ(find(Table::kCurrent, "b"), "2");
}

TEST_F(LsmFailureTest, ABatchWaitsForSpaceInsteadOfARestart) {
    if (!mount_small_disk()) {
        GTEST_SKIP() << "may not mount a small file system here";
    }
    open();
    engine().put(Table::kCurrent, "a", "1");
    engine().put(Table::kCurrent, "filler", incompressible());
    commit(1);
    fill_disk();
    EXPECT_EQ(run(engine().persist()).code(), Code::kDiskFull);
    engine().put(Table::kCurrent, "b", "2");
    EXPECT_EQ(engine().commit(Index(2)).code(), Code::kDiskFull);

    free_disk();

    EXPECT_TRUE(run(engine().commit_when_ready(Index(2))).ok());
    persist();
    EXPECT_EQ(engine().durable_index(), Index(2));
}

TEST_F(LsmFailureTest, ADirectoryThatIsAFileIsToldAtOpen) {
    std::filesystem::copy_file("/proc/self/comm", root_ / "shard");

    EXPECT_FALSE(try_open(small_options()).ok());
}

TEST_F(LsmFailureTest, TwoEnginesInOneDirectoryAreRefused) {
    open();

    const auto second = run(open_lsm_engine(&runtime_->env(), "shard", small_options()));

    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.status().code(), Code::kIoError);
}

// Flushes run by themselves while the core writes; the durable index follows them, and a crash at
// any point leaves exactly the state of the index that it finds.
TEST_F(LsmFailureTest, TheDurableIndexFollowsBackgroundFlushes) {
    open();
    std::uint64_t applied = 0;
    while (engine().durable_index() < Index(50)) {
        ++applied;
        engine().put(Table::kCurrent, "counter", std::to_string(applied));
        engine().put(Table::kLog, std::to_string(applied), Bytes(8000, 'x'));
        commit(applied);
        ASSERT_LT(applied, 100000U);
    }
    const Index durable = engine().durable_index();
    EXPECT_LT(durable, engine().applied_index());

    reopen();

    EXPECT_GE(engine().applied_index(), durable);
    EXPECT_EQ(engine().applied_index(), engine().durable_index());
    EXPECT_EQ(find(Table::kCurrent, "counter"), std::to_string(engine().applied_index().value()));
}

// Writes faster than one thread flushes, until the engine refuses to wait on the core.
TEST_F(LsmFailureTest, ABatchThatWouldBlockStaysOpenUntilItIsWaitedFor) {
    open();
    const Bytes value(64U << 10U, 'x');
    std::uint64_t applied = 0;
    Status status;
    while (status.ok() && applied < 4000) {
        ++applied;
        for (int i = 0; i < 8; ++i) {
            engine().put(Table::kCurrent, "key" + std::to_string(applied * 8), value);
        }
        status = engine().commit(Index(applied));
    }
    if (status.ok()) {
        GTEST_SKIP() << "the disk is faster than this test";
    }
    EXPECT_EQ(status.code(), Code::kUnavailable) << status.to_string();
    EXPECT_EQ(status.effect(), Effect::kNone);
    EXPECT_EQ(engine().applied_index(), Index(applied - 1));
    EXPECT_TRUE(find(Table::kCurrent, "key" + std::to_string(applied * 8)).has_value());

    EXPECT_TRUE(run(engine().commit_when_ready(Index(applied))).ok());

    EXPECT_EQ(engine().applied_index(), Index(applied));
    EXPECT_TRUE(find(Table::kCurrent, "key" + std::to_string(applied * 8)).has_value());
}

TEST_F(LsmFailureTest, ATableErasedAsAWholeIsPurgedAndItsDataGivenBack) {
    open();
    for (int number = 0; number < 3000; ++number) {
        engine().put(Table::kLog, std::to_string(number), Bytes(500, static_cast<char>(number)));
    }
    engine().put(Table::kCurrent, "kept", "1");
    commit(1);
    persist();
    const std::uint64_t before = engine().statistics().disk_bytes;

    engine().erase_range(Table::kLog, {}, {});
    engine().put(Table::kLog, "after", "1");
    commit(2);
    const Rows expected = {{{Table::kCurrent, "kept"}, "1"}, {{Table::kLog, "after"}, "1"}};
    EXPECT_EQ(rows_by_view(), expected);
    persist();
    reopen();  // the purge goes on after a crash
    EXPECT_EQ(rows_by_view(), expected);
    for (int i = 0; i < 200 && engine().statistics().disk_bytes >= before / 10; ++i) {
        persist();
        ASSERT_TRUE(run(engine().compact()).ok());
    }

    EXPECT_LT(engine().statistics().disk_bytes, before / 10);
    EXPECT_EQ(rows_by_view(), expected);
}

TEST_F(LsmFailureTest, KeepsValuesOfEverySize) {
    open();
    std::uint64_t applied = 0;
    for (std::size_t size = 0; size <= (16U << 20U); size = size == 0 ? 1 : size * 16) {
        engine().put(Table::kCurrent,
                     "size" + std::to_string(size),
                     Bytes(size, static_cast<char>('a' + applied)));
        commit(++applied);
    }
    engine().put(Table::kCurrent, Bytes(64U << 10U, 'k'), "long key");
    engine().put(Table::kCurrent, "", "empty key");
    engine().put(Table::kCurrent, Bytes("\0\0", 2), Bytes("\0", 1));
    commit(++applied);
    persist();
    reopen();

    char letter = 'a';
    for (std::size_t size = 0; size <= (16U << 20U); size = size == 0 ? 1 : size * 16) {
        const auto value = find(Table::kCurrent, "size" + std::to_string(size));
        ASSERT_TRUE(value.has_value()) << size;
        EXPECT_TRUE(*value == Bytes(size, letter++)) << size;
    }
    EXPECT_EQ(find(Table::kCurrent, Bytes(64U << 10U, 'k')), "long key");
    EXPECT_EQ(find(Table::kCurrent, ""), "empty key");
    EXPECT_EQ(find(Table::kCurrent, Bytes("\0\0", 2)), Bytes("\0", 1));
}

TEST_F(LsmFailureTest, StatisticsTellSizesAndCompactions) {
    open();
    for (int round = 0; round < 5; ++round) {
        for (int number = 0; number < 1000; ++number) {
            engine().put(Table::kCurrent, std::to_string(number), Bytes(100, 'x'));
        }
        commit(static_cast<std::uint64_t>(round) + 1);
        EXPECT_GT(engine().statistics().memory_bytes, 100'000U);
        persist();
    }

    ASSERT_TRUE(run(engine().compact()).ok());

    const EngineStatistics statistics = engine().statistics();
    EXPECT_GT(statistics.compaction_count, 0U);
    EXPECT_GT(statistics.compaction_nanoseconds, 0U);
    EXPECT_GT(statistics.disk_bytes, 1000U);
    EXPECT_NEAR(static_cast<double>(statistics.key_count), 1000, 100);
}

}  // namespace
}  // namespace kvstore::storage::lsm
