// Reads that the core does not wait for: cache tier, load, prefetch, views and snapshots.
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "async/sync.h"
#include "async/task.h"
#include "base/random.h"
#include "storage/lsm/testing/lsm_fixture.h"

namespace kvstore::storage::lsm {
namespace {

Bytes key_of(std::uint64_t number) {
    Bytes key = std::to_string(number);
    return Bytes(8 - key.size(), '0') + key;
}

class LsmReadTest : public LsmFixture {
protected:
    // Everything on disk, nothing in any cache.
    void open_cold(std::uint64_t keys) {
        open(tiny_options());
        for (std::uint64_t number = 0; number < keys; ++number) {
            engine().put(Table::kCurrent, key_of(number), "value " + std::to_string(number));
        }
        commit(1);
        persist();
        reopen(tiny_options());
    }

    static LsmEngineOptions tiny_options() {
        LsmSharedOptions shared;
        shared.cache_bytes = 64U << 10U;
        LsmEngineOptions options = small_options();
        options.shared = make_lsm_shared(shared);
        return options;
    }

    Lookup look(ByteView key) {
        ByteView ignored;
        return engine().find(Table::kCurrent, key, &ignored);
    }

    Bytes found(ByteView key) {
        ByteView value;
        EXPECT_EQ(engine().find(Table::kCurrent, key, &value), Lookup::kFound);
        return Bytes(value);
    }
};

TEST_F(LsmReadTest, FindDoesNotGoToTheDisk) {
    open_cold(2000);

    EXPECT_FALSE(engine().is_resident());
    EXPECT_EQ(look(key_of(1500)), Lookup::kMustLoad);
    EXPECT_EQ(engine().statistics().blocking_read_count, 0U);
}

TEST_F(LsmReadTest, IsResidentUntilTheFirstFlush) {
    open();
    engine().put(Table::kCurrent, "a", "1");
    commit(1);
    EXPECT_TRUE(engine().is_resident());

    persist();

    EXPECT_FALSE(engine().is_resident());
}

TEST_F(LsmReadTest, LoadReadsFromTheDiskAndWarmsTheCache) {
    open_cold(2000);

    const auto loaded = run(engine().load(Table::kCurrent, key_of(7)));

    ASSERT_TRUE(loaded.ok());
    EXPECT_EQ(loaded.value(), "value 7");
    EXPECT_EQ(found(key_of(7)), "value 7");
    EXPECT_EQ(engine().statistics().load_count, 1U);
}

TEST_F(LsmReadTest, LoadTellsAbsence) {
    open_cold(100);

    const auto loaded = run(engine().load(Table::kCurrent, "nothing"));

    ASSERT_TRUE(loaded.ok());
    EXPECT_EQ(loaded.value(), std::nullopt);
}

TEST_F(LsmReadTest, FindBlockingIsCounted) {
    open_cold(2000);

    ByteView value;
    const auto found = engine().find_blocking(Table::kCurrent, key_of(1500), &value);

    ASSERT_TRUE(found.ok());
    EXPECT_TRUE(*found);
    EXPECT_EQ(value, "value 1500");
    EXPECT_EQ(engine().statistics().blocking_read_count, 1U);
}

// Far more than the caches hold, asked for twice and out of order, with keys that do not exist.
TEST_F(LsmReadTest, PrefetchBringsRecordsAndAbsenceUntilTheCommit) {
    open_cold(20000);
    std::vector<Bytes> keys;
    for (std::uint64_t number = 20000; number > 0; number -= 10) {
        keys.push_back(key_of(number - 1));
        keys.push_back(key_of(number - 1) + "?");
    }
    std::vector<Bytes> twice = keys;
    twice.insert(twice.end(), keys.begin(), keys.end());

    ASSERT_TRUE(run(engine().prefetch(std::move(twice))).ok());

    for (const Bytes& key : keys) {
        if (key.ends_with('?')) {
            ASSERT_EQ(look(key), Lookup::kAbsent);
        } else {
            ASSERT_EQ(found(key), "value " + std::to_string(std::stoull(key)));
        }
    }
    commit(2);
    std::uint64_t dropped = 0;
    for (const Bytes& key : keys) {
        dropped += look(key) == Lookup::kMustLoad ? 1 : 0;
    }
    EXPECT_GT(dropped, 0U);
}

TEST_F(LsmReadTest, WhatIsPutHidesWhatWasPrefetched) {
    open_cold(2000);
    ASSERT_TRUE(run(engine().prefetch({key_of(1), key_of(2), "new"})).ok());

    engine().put(Table::kCurrent, key_of(1), "newer");
    engine().erase(Table::kCurrent, key_of(2));
    engine().put(Table::kCurrent, "new", "there");

    EXPECT_EQ(found(key_of(1)), "newer");
    EXPECT_EQ(look(key_of(2)), Lookup::kAbsent);
    EXPECT_EQ(found("new"), "there");
    commit(2);
    EXPECT_EQ(found(key_of(1)), "newer");
    EXPECT_EQ(look(key_of(2)), Lookup::kAbsent);
    EXPECT_EQ(found("new"), "there");
}

async::Task<void> prefetch_into(Engine* engine, std::vector<Bytes> keys, Status* result) {
    *result = co_await engine->prefetch(std::move(keys));
}

async::Task<void> load_into(Engine* engine, Bytes key, Result<std::optional<Bytes>>* result) {
    *result = co_await engine->load(Table::kCurrent, std::move(key));
}

// Until the pool has read the block that `neighbour` stands in.
void spin_until_read(Engine* engine, ByteView neighbour) {
    ByteView ignored;
    while (engine->find(Table::kCurrent, neighbour, &ignored) == Lookup::kMustLoad) {
    }
}

// Sends reads to the pool, and commits other values after they were read and before they are taken
// in: the core does not go back to its queue in between.
async::Task<void> commit_while_reading(Engine* engine,
                                       Status* prefetched,
                                       Result<std::optional<Bytes>>* loaded) {
    std::vector<Bytes> keys{key_of(1001), key_of(1002), key_of(1003)};
    async::spawn(prefetch_into(engine, std::move(keys), prefetched));
    async::spawn(load_into(engine, key_of(1801), loaded));
    spin_until_read(engine, key_of(1004));
    spin_until_read(engine, key_of(1802));
    engine->put(Table::kCurrent, key_of(1001), "newer");
    engine->erase(Table::kCurrent, key_of(1002));
    engine->put(Table::kCurrent, key_of(1801), "newer");
    EXPECT_TRUE(engine->commit(Index(2)).ok());
    co_return;
}

TEST_F(LsmReadTest, AReadOnItsWayDuringACommitDoesNotBringTheOldRecord) {
    open_cold(2000);
    ASSERT_EQ(look(key_of(1001)), Lookup::kMustLoad);
    ASSERT_EQ(look(key_of(1801)), Lookup::kMustLoad);
    Status prefetched(Code::kInternal, "under way");
    Result<std::optional<Bytes>> loaded = Status(Code::kInternal, "under way");

    run(commit_while_reading(&engine(), &prefetched, &loaded));
    while (prefetched.code() == Code::kInternal || !loaded.ok()) {
        static_cast<void>(run(engine().load(Table::kCurrent, "unrelated")));
    }

    EXPECT_TRUE(prefetched.ok());
    EXPECT_EQ(found(key_of(1001)), "newer");
    EXPECT_EQ(look(key_of(1002)), Lookup::kAbsent);
    EXPECT_EQ(found(key_of(1003)), "value 1003");
    EXPECT_EQ(found(key_of(1801)), "newer");
}

// ---- views ----

TEST_F(LsmReadTest, AViewStandsStillWhileWritesGoOn) {
    open();
    engine().put(Table::kCurrent, "a", "1");
    engine().put(Table::kCurrent, "b", "1");
    commit(1);
    engine().put(Table::kCurrent, "b", "uncommitted");
    const Rows before = rows_by_view();
    const std::unique_ptr<View> view = engine().view();

    engine().put(Table::kCurrent, "a", "2");
    engine().erase(Table::kCurrent, "b");
    engine().put(Table::kCurrent, "c", "2");
    commit(2);
    engine().erase_range(Table::kCurrent, {}, {});
    commit(3);
    persist();

    Rows seen;
    const std::unique_ptr<Cursor> cursor = view->cursor(Table::kCurrent);
    for (cursor->seek({}); cursor->valid(); cursor->next()) {
        seen.emplace(std::pair(Table::kCurrent, Bytes(cursor->key())), Bytes(cursor->value()));
    }
    EXPECT_EQ(seen, before);
    ByteView value;
    EXPECT_TRUE(view->find(Table::kCurrent, "b", &value).value());
    EXPECT_EQ(value, "uncommitted");
    EXPECT_TRUE(rows_by_view().empty());
}

async::Task<void> read_on_pool(env::Env* env, View* view, std::uint64_t* count) {
    Callback<void()> work([view, count] {
        const std::unique_ptr<Cursor> cursor = view->cursor(Table::kCurrent);
        for (int pass = 0; pass < 20; ++pass) {
            for (cursor->seek({}); cursor->valid(); cursor->next()) {
                *count += cursor->value() == "old" ? 1 : 0;
            }
        }
    });
    co_await env->disk.run_blocking(std::move(work));
}

// Reads a view on the pool while the core goes on writing to the batch that the view shows.
async::Task<void> write_while_reading(env::Env* env, Engine* engine, std::uint64_t* count) {
    std::unique_ptr<View> view = engine->view();
    async::Gate gate(env->scheduler);
    gate.spawn(read_on_pool(env, view.get(), count));
    for (std::uint64_t number = 0; number < 3000; ++number) {
        engine->put(Table::kCurrent, key_of(number), "new");
        if (number % 100 == 0) {
            EXPECT_TRUE(engine->commit(Index(number + 2)).ok());
            co_await async::yield(env->scheduler);
        }
    }
    co_await gate.close();
    view.reset();
}

TEST_F(LsmReadTest, AViewIsReadOnAnotherThreadWhileTheCoreWrites) {
    open();
    for (std::uint64_t number = 0; number < 300; ++number) {
        engine().put(Table::kCurrent, key_of(number), "old");
        if (number == 150) {
            commit(1);
        }
    }

    std::uint64_t count = 0;
    run(write_while_reading(&runtime_->env(), &engine(), &count));

    EXPECT_EQ(count, 20U * 300U);
}

// Every way of moving agrees with an ordered map, over rows that are committed, overwritten in the
// open batch, erased in it, and new in it.
TEST_F(LsmReadTest, CursorsMoveBothWaysOverCommittedAndOpenRows) {
    open();
    Random random(5);
    std::map<Bytes, Bytes> model;
    for (int step = 0; step < 400; ++step) {
        const Bytes key = key_of(random.below(300));
        if (step == 200) {
            commit(1);
        }
        if (random.chance(1, 4)) {
            engine().erase(Table::kIndex, key);
            model.erase(key);
        } else {
            engine().put(Table::kIndex, key, std::to_string(step));
            model[key] = std::to_string(step);
        }
        engine().put(Table::kLog, key, "neighbour");
        engine().put(Table::kExpiry, key, "neighbour");
    }
    const std::unique_ptr<View> view = engine().view();
    const std::unique_ptr<Cursor> cursor = view->cursor(Table::kIndex);
    auto place = model.end();

    for (int step = 0; step < 20000; ++step) {
        const Bytes key = key_of(random.below(310));
        switch (random.below(8)) {
            case 0:
                cursor->seek(key);
                place = model.lower_bound(key);
                break;
            case 1:
                cursor->seek_before(key);
                place = model.lower_bound(key);
                place = place == model.begin() ? model.end() : std::prev(place);
                break;
            case 2:
                cursor->seek_to_last();
                place = std::prev(model.end());
                break;
            case 3:
            case 4:
            case 5:
                if (place != model.end()) {
                    cursor->next();
                    ++place;
                }
                break;
            default:
                if (place != model.end()) {
                    cursor->previous();
                    place = place == model.begin() ? model.end() : std::prev(place);
                }
        }
        ASSERT_EQ(cursor->valid(), place != model.end()) << "step " << step;
        ASSERT_TRUE(cursor->status().ok());
        if (cursor->valid()) {
            ASSERT_EQ(cursor->key(), place->first) << "step " << step;
            ASSERT_EQ(cursor->value(), place->second) << "step " << step;
        }
    }
}

TEST_F(LsmReadTest, CursorsOverAnEmptyTableAreAtTheirEnd) {
    open();
    engine().put(Table::kCurrent, "a", "1");
    engine().put(Table::kIndex, "a", "1");
    const std::unique_ptr<View> view = engine().view();
    const std::unique_ptr<Cursor> cursor = view->cursor(Table::kLog);

    cursor->seek({});
    EXPECT_FALSE(cursor->valid());
    cursor->seek_to_last();
    EXPECT_FALSE(cursor->valid());
    cursor->seek_before("zzz");
    EXPECT_FALSE(cursor->valid());
    EXPECT_TRUE(cursor->status().ok());
}

// ---- snapshots ----

TEST_F(LsmReadTest, ASnapshotShowsOneStateWhileWritesGoOn) {
    open();
    for (std::uint64_t number = 0; number < 1000; ++number) {
        engine().put(Table::kCurrent, key_of(number), "old");
        engine().put(Table::kLog, key_of(number), "log");
    }
    engine().put(Table::kMeta, "m", "1");
    commit(5);
    engine().put(Table::kCurrent, "uncommitted", "x");
    const std::unique_ptr<SnapshotSource> source = engine().snapshot_source();
    EXPECT_EQ(source->applied_index(), Index(5));

    std::uint64_t count = 0;
    Table last = Table::kMeta;
    Bytes last_key;
    while (true) {
        const auto rows = run(source->next(5000));
        ASSERT_TRUE(rows.ok());
        if (rows->empty()) {
            break;
        }
        EXPECT_LT(rows->size(), 1000U);
        for (const SnapshotSource::Row& row : *rows) {
            ASSERT_TRUE(row.table > last || (row.table == last && row.key > last_key));
            ASSERT_NE(row.value, "new");
            last = row.table;
            last_key = row.key;
            ++count;
        }
        engine().put(Table::kCurrent, key_of(count), "new");
        engine().erase_range(Table::kLog, {}, {});
        commit(5 + count);
    }
    EXPECT_EQ(count, 2001U);
}

}  // namespace
}  // namespace kvstore::storage::lsm
