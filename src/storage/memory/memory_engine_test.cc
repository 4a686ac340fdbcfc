#include "storage/memory/memory_engine.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/planted_bug.h"
#include "base/random.h"
#include "sim/world.h"
#include "storage/snapshot/snapshot.h"

namespace kvstore::storage {
namespace {

constexpr ShardId kShard(3);
constexpr const char* kDirectory = "shards/3/memory";

using Model = std::map<Bytes, Bytes, std::less<>>;

Bytes key_of(std::uint64_t number) {
    return "key" + std::to_string(number);
}

class MemoryEngineTest : public ::testing::Test {
protected:
    ~MemoryEngineTest() override {
        if (engine_ != nullptr) {
            EXPECT_TRUE(run(engine_->close()).ok());
        }
    }

    template <typename T>
    T run(async::Task<T> task) {
        return world_.block_on(host_, std::move(task));
    }

    Status open() {
        MemoryEngineOptions options;
        options.shard = kShard;
        auto opened = run(open_memory_engine(&host_.env(), kDirectory, options));
        if (!opened.ok()) {
            return opened.status();
        }
        engine_ = std::move(opened).value();
        return {};
    }
    void reopen() {
        ASSERT_TRUE(run(engine_->close()).ok());
        engine_.reset();
        ASSERT_TRUE(open().ok());
    }
    void lose_power() {
        world_.crash(host_);
        sim::bury(std::move(engine_));
        world_.restart(host_);
    }

    void put(std::uint64_t number, const Bytes& value) {
        engine_->put(Table::kCurrent, key_of(number), value);
    }
    void commit(std::uint64_t applied) { ASSERT_TRUE(engine_->commit(Index(applied)).ok()); }
    void fill(std::uint64_t count, std::uint64_t applied) {
        for (std::uint64_t i = 0; i < count; ++i) {
            put(i, "value" + std::to_string(i));
        }
        commit(applied);
    }

    std::optional<Bytes> find(Table table, ByteView key) {
        ByteView value;
        return engine_->find(table, key, &value) == Lookup::kFound ? std::optional<Bytes>(value)
                                                                   : std::nullopt;
    }
    std::string snapshot_path() {
        auto found = run(find_snapshot(&host_.env(), kDirectory));
        return found.ok() ? found.value().value_or("") : "";
    }

    sim::World world_{1};
    sim::Host& host_ = world_.add_host("n1");
    std::unique_ptr<Engine> engine_;
};

TEST_F(MemoryEngineTest, OpensEmptyInAFolderThatIsNotThere) {
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(engine_->applied_index(), Index(0));
    EXPECT_EQ(engine_->durable_index(), Index(0));
    EXPECT_EQ(engine_->statistics().key_count, 0U);
    EXPECT_TRUE(engine_->is_resident());
    EXPECT_FALSE(engine_->view_blocks());
    EXPECT_TRUE(run(engine_->persist()).ok());
    EXPECT_EQ(snapshot_path(), "");
}

TEST_F(MemoryEngineTest, ShowsWritesAtOnceByEveryWayOfReading) {
    ASSERT_TRUE(open().ok());
    engine_->put(Table::kCurrent, "key", "head-", "tail");
    engine_->put(Table::kLog, "key", "other");
    engine_->hint(Table::kCurrent, "key");

    EXPECT_EQ(find(Table::kCurrent, "key"), "head-tail");
    EXPECT_EQ(find(Table::kLog, "key"), "other");
    EXPECT_EQ(find(Table::kIndex, "key"), std::nullopt);
    EXPECT_EQ(run(engine_->load(Table::kCurrent, "key")).value(), "head-tail");
    EXPECT_EQ(run(engine_->load(Table::kCurrent, "none")).value(), std::nullopt);
    EXPECT_TRUE(run(engine_->prefetch({"key", "none"})).ok());
    ByteView value;
    EXPECT_TRUE(engine_->find_blocking(Table::kCurrent, "key", &value).value());
    EXPECT_FALSE(engine_->find_blocking(Table::kCurrent, "none", &value).value());
    const auto view = engine_->view();
    EXPECT_TRUE(view->find(Table::kCurrent, "key", &value).value());
    EXPECT_EQ(value, "head-tail");
    const auto cursor = view->cursor(Table::kCurrent);
    cursor->seek("a");
    ASSERT_TRUE(cursor->valid());
    EXPECT_EQ(cursor->key(), "key");
    cursor->seek_before("key");
    EXPECT_FALSE(cursor->valid());
    EXPECT_TRUE(cursor->status().ok());
    commit(1);
}

TEST_F(MemoryEngineTest, ReopensAtThePersistedState) {
    ASSERT_TRUE(open().ok());
    fill(5'000, 7);
    engine_->put(Table::kMeta, "", "empty key");
    engine_->put(Table::kLog, Bytes("\0\xff", 2), Bytes("\0", 1));
    engine_->put(Table::kExpiry, Bytes(64U << 10U, 'k'), "");
    commit(8);

    ASSERT_TRUE(run(engine_->persist()).ok());
    EXPECT_EQ(engine_->durable_index(), Index(8));
    put(1, "after the snapshot");
    commit(9);
    reopen();

    EXPECT_EQ(engine_->applied_index(), Index(8));
    EXPECT_EQ(engine_->durable_index(), Index(8));
    EXPECT_EQ(engine_->statistics().key_count, 5'000U);
    EXPECT_GT(engine_->statistics().disk_bytes, 0U);
    for (std::uint64_t i = 0; i < 5'000; ++i) {
        ASSERT_EQ(find(Table::kCurrent, key_of(i)), "value" + std::to_string(i));
    }
    EXPECT_EQ(find(Table::kMeta, ""), "empty key");
    EXPECT_EQ(find(Table::kLog, Bytes("\0\xff", 2)), Bytes("\0", 1));
    EXPECT_EQ(find(Table::kExpiry, Bytes(64U << 10U, 'k')), "");
    EXPECT_TRUE(run(engine_->verify()).ok());
}

TEST_F(MemoryEngineTest, IsCaughtWhenItForgetsTheAppliedIndex) {
    ASSERT_TRUE(open().ok());
    fill(10, 7);
    ASSERT_TRUE(run(engine_->persist()).ok());
    const ScopedPlantedBug bug(PlantedBug::kMemoryForgetsAppliedIndex);
    reopen();
    EXPECT_NE(engine_->applied_index(), Index(7));
}

TEST_F(MemoryEngineTest, PersistsWhatWasAppliedAtTheCallWhileWritesGoOn) {
    ASSERT_TRUE(open().ok());
    fill(20'000, 1);
    std::optional<Status> persisted;
    const auto persist = [](Engine* engine, std::optional<Status>* out) -> async::Task<void> {
        *out = co_await engine->persist();
    };
    host_.spawn(persist(engine_.get(), &persisted));
    std::uint64_t applied = 1;
    Random random(4);
    world_.run_until([&] {
        if (!persisted.has_value() && applied < 5'000) {
            put(random.below(20'000), "written meanwhile");
            engine_->erase(Table::kCurrent, key_of(random.below(20'000)));
            commit(++applied);
        }
        return persisted.has_value();
    });
    ASSERT_TRUE(persisted->ok());
    EXPECT_GT(applied, 10U);

    reopen();
    const std::uint64_t at = engine_->applied_index().value();
    EXPECT_GE(at, 1U);
    EXPECT_LT(at, applied);
    // The same writes again, from the beginning up to that index, give the same state.
    Model model;
    for (std::uint64_t i = 0; i < 20'000; ++i) {
        model[key_of(i)] = "value" + std::to_string(i);
    }
    Random again(4);
    for (std::uint64_t i = 1; i < at; ++i) {
        model[key_of(again.below(20'000))] = "written meanwhile";
        model.erase(key_of(again.below(20'000)));
    }
    const auto view = engine_->view();
    const auto cursor = view->cursor(Table::kCurrent);
    cursor->seek("");
    for (const auto& [key, value] : model) {
        ASSERT_TRUE(cursor->valid());
        ASSERT_EQ(cursor->key(), key);
        ASSERT_EQ(cursor->value(), value);
        cursor->next();
    }
    EXPECT_FALSE(cursor->valid());
}

// Power is cut at each change that the disk sees while a second snapshot is written.
TEST_F(MemoryEngineTest, OpensAtOneOfTwoSnapshotsWhereverThePowerFails) {
    for (std::uint64_t cut = 1; cut < 40; ++cut) {
        sim::World world(cut);
        sim::Host& host = world.add_host("n1");
        auto opened = world.block_on(host, open_memory_engine(&host.env(), kDirectory, {kShard}));
        std::unique_ptr<Engine> engine = std::move(opened).value();
        engine->put(Table::kCurrent, "key", "one");
        ASSERT_TRUE(engine->commit(Index(1)).ok());
        ASSERT_TRUE(world.block_on(host, engine->persist()).ok());
        engine->put(Table::kCurrent, "key", "two");
        ASSERT_TRUE(engine->commit(Index(2)).ok());
        host.crash_at_change(cut);
        const std::optional<Status> persisted = world.try_block_on(host, engine->persist());
        const bool was_told = persisted.has_value() && persisted->ok();
        host.crash_at_change(0);
        if (host.is_up()) {
            world.crash(host);
        }
        sim::bury(std::move(engine));
        world.restart(host);

        auto reopened = world.block_on(host, open_memory_engine(&host.env(), kDirectory, {kShard}));
        ASSERT_TRUE(reopened.ok()) << reopened.status().to_string();
        engine = std::move(reopened).value();
        ByteView value;
        ASSERT_EQ(engine->find(Table::kCurrent, "key", &value), Lookup::kFound);
        EXPECT_EQ(value, engine->applied_index() == Index(2) ? "two" : "one");
        EXPECT_GE(engine->applied_index(), Index(was_told ? 2 : 1));
        ASSERT_TRUE(world.block_on(host, engine->close()).ok());
        if (was_told) {
            return;
        }
    }
    FAIL() << "persisting never came to its end";
}

TEST_F(MemoryEngineTest, RefusesADamagedSnapshotAndDoesNotTakeAnOlderOne) {
    ASSERT_TRUE(open().ok());
    fill(100, 1);
    ASSERT_TRUE(run(engine_->persist()).ok());
    fill(200, 2);
    ASSERT_TRUE(run(engine_->persist()).ok());
    const std::string path = snapshot_path();
    ASSERT_TRUE(host_.flip_bit(path, 200, 3).ok());

    const Status verified = run(engine_->verify());
    EXPECT_EQ(verified.code(), Code::kCorruption);
    EXPECT_NE(verified.message().find(path), std::string_view::npos);

    ASSERT_TRUE(run(engine_->close()).ok());
    engine_.reset();
    const Status opened = open();
    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_NE(opened.message().find(path), std::string_view::npos);
}

TEST_F(MemoryEngineTest, KeepsServingWhenTheDiskIsFullOrFails) {
    ASSERT_TRUE(open().ok());
    fill(1'000, 1);
    ASSERT_TRUE(run(engine_->persist()).ok());
    fill(2'000, 2);
    const std::uint64_t before = engine_->statistics().memory_bytes;

    host_.disk_faults().capacity = 1'000;
    EXPECT_EQ(run(engine_->persist()).code(), Code::kDiskFull);
    EXPECT_EQ(engine_->durable_index(), Index(1));
    host_.disk_faults().capacity = sim::DiskFaults().capacity;
    host_.disk_faults().on(sim::DiskCall::kSync).nth = 1;
    EXPECT_EQ(run(engine_->persist()).code(), Code::kIoError);
    EXPECT_EQ(engine_->durable_index(), Index(1));
    EXPECT_EQ(engine_->statistics().memory_bytes, before);

    EXPECT_EQ(find(Table::kCurrent, key_of(1'999)), "value1999");
    EXPECT_TRUE(run(engine_->persist()).ok());
    EXPECT_EQ(engine_->durable_index(), Index(2));
}

TEST_F(MemoryEngineTest, ClosesInTheMiddleOfASnapshot) {
    ASSERT_TRUE(open().ok());
    fill(20'000, 1);
    std::optional<Status> persisted;
    const auto persist = [](Engine* engine, std::optional<Status>* out) -> async::Task<void> {
        *out = co_await engine->persist();
    };
    host_.spawn(persist(engine_.get(), &persisted));
    world_.run_for(std::chrono::microseconds(300));
    ASSERT_FALSE(persisted.has_value());

    EXPECT_TRUE(run(engine_->close()).ok());
    ASSERT_TRUE(persisted.has_value());
    EXPECT_EQ(persisted->code(), Code::kUnavailable);
    EXPECT_EQ(run(engine_->persist()).code(), Code::kUnavailable);
    EXPECT_EQ(run(engine_->verify()).code(), Code::kUnavailable);
    EXPECT_EQ(run(engine_->compact()).code(), Code::kUnavailable);
    engine_.reset();
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(engine_->applied_index(), Index(0));
}

TEST_F(MemoryEngineTest, LosesOnlyWhatWasNotPersistedWhenThePowerFails) {
    ASSERT_TRUE(open().ok());
    fill(100, 4);
    ASSERT_TRUE(run(engine_->persist()).ok());
    put(1, "lost");
    commit(5);
    lose_power();
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(engine_->applied_index(), Index(4));
    EXPECT_EQ(find(Table::kCurrent, key_of(1)), "value1");
}

TEST_F(MemoryEngineTest, GivesAPeerASnapshotWhileItPersistsItsOwn) {
    ASSERT_TRUE(open().ok());
    fill(300, 1);
    const std::unique_ptr<SnapshotSource> source = engine_->snapshot_source();
    put(0, "later");
    commit(2);
    ASSERT_TRUE(run(engine_->persist()).ok());
    EXPECT_GT(engine_->statistics().memory_bytes, 0U);

    EXPECT_EQ(source->applied_index(), Index(1));
    const auto rows = run(source->next(1U << 20U));
    ASSERT_TRUE(rows.ok());
    ASSERT_EQ(rows.value().size(), 300U);
    EXPECT_EQ(rows.value().front().value, "value0");
}

TEST_F(MemoryEngineTest, LetsAClearedTableGoWithoutFurtherWrites) {
    ASSERT_TRUE(open().ok());
    const std::uint64_t empty = engine_->statistics().memory_bytes;
    for (std::uint64_t i = 0; i < 50'000; ++i) {
        put(i, Bytes(400, 'v'));
    }
    commit(1);
    EXPECT_GT(engine_->statistics().memory_bytes, 20U << 20U);
    engine_->erase_range(Table::kCurrent, {}, {});
    commit(2);
    EXPECT_EQ(engine_->statistics().key_count, 0U);
    world_.run_for(std::chrono::milliseconds(100));
    EXPECT_LE(engine_->statistics().memory_bytes, empty + (1U << 20U));
}

TEST_F(MemoryEngineTest, CompactingGivesBackWhatErasedKeysHeld) {
    ASSERT_TRUE(open().ok());
    for (std::uint64_t i = 0; i < 50'000; ++i) {
        put(i, Bytes(400, 'v'));
    }
    commit(1);
    for (std::uint64_t i = 0; i < 50'000; ++i) {
        if (i % 20 != 0) {
            engine_->erase(Table::kCurrent, key_of(i));
        }
    }
    commit(2);
    const std::uint64_t before = engine_->statistics().memory_bytes;
    ASSERT_TRUE(run(engine_->compact()).ok());
    EXPECT_LT(engine_->statistics().memory_bytes, before / 4);
    EXPECT_EQ(find(Table::kCurrent, key_of(40)), Bytes(400, 'v'));
    EXPECT_TRUE(run(engine_->verify()).ok());
}

TEST_F(MemoryEngineTest, CountsItsMemory) {
    ASSERT_TRUE(open().ok());
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        std::string digits = std::to_string(i);
        engine_->put(Table::kCurrent,
                     "key:" + std::string(12 - digits.size(), '0') + digits,
                     Bytes(114, 'v'));
        if (i % 64 == 0) {
            commit(i);
        }
    }
    commit(100'000);
    const std::uint64_t bytes = engine_->statistics().memory_bytes;
    EXPECT_GT(bytes, 100'000U * (16 + 114));
    EXPECT_LT(bytes, 100'000U * 160 + (2U << 20U));
}

using MemoryEngineDeathTest = MemoryEngineTest;

TEST_F(MemoryEngineDeathTest, AViewEndsWithTheNextWrite) {
    ASSERT_TRUE(open().ok());
    fill(3, 1);
    const auto view = engine_->view();
    const auto cursor = view->cursor(Table::kCurrent);
    cursor->seek("");
    put(1, "x");
    EXPECT_DEATH(static_cast<void>(cursor->key()), "generation");
    ByteView value;
    EXPECT_DEATH(static_cast<void>(view->find(Table::kCurrent, "a", &value)), "generation");
    commit(2);
}

TEST_F(MemoryEngineDeathTest, TheAppliedIndexNeverFalls) {
    ASSERT_TRUE(open().ok());
    fill(3, 5);
    EXPECT_DEATH(static_cast<void>(engine_->commit(Index(4))), "applied");
}

}  // namespace
}  // namespace kvstore::storage
