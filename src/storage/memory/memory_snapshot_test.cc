#include "storage/memory/memory_snapshot.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/planted_bug.h"
#include "base/random.h"

namespace kvstore::storage::memory {
namespace {

using Rows = std::vector<SnapshotSource::Row>;
using Model = std::map<Bytes, Bytes, std::less<>>;
using Models = std::array<Model, kTableCount>;

async::Task<void> store_next(SnapshotSource* source, std::size_t bytes_max, Result<Rows>* rows) {
    *rows = co_await source->next(bytes_max);
}

// The source never suspends, so the task is over when spawn() returns.
Result<Rows> next_rows(SnapshotSource& source, std::size_t bytes_max) {
    Result<Rows> rows = Status(Code::kInternal, "next() suspended");
    async::spawn(store_next(&source, bytes_max, &rows));
    return rows;
}

bool is_row(const SnapshotSource::Row& row, Table table, const Bytes& key) {
    return row.table == table && row.key == key;
}

// Tables with random rows, a model of them, and random writes to both.
class World {
public:
    explicit World(std::uint64_t seed) : random_(seed) {
        for (int i = 0; i < 400; ++i) {
            write();
        }
        commit();
    }

    void write() {
        const auto table = static_cast<Table>(random_.below(kTableCount));
        Model& model = models_[static_cast<std::size_t>(table)];
        const Bytes key = random_key();
        const std::uint64_t choice = random_.below(200);
        if (choice < 110) {
            const Bytes value(random_.below(60), static_cast<char>(random_.below(256)));
            tables_.put(table, key, value, {});
            model[key] = value;
        } else if (choice < 194) {
            tables_.erase(table, key);
            model.erase(key);
        } else if (choice < 198) {
            const Bytes to = random_key();
            tables_.erase_range(table, key, to);
            if (key < to) {
                model.erase(model.lower_bound(key), model.lower_bound(to));
            } else if (to.empty()) {
                model.erase(model.lower_bound(key), model.end());
            }
        } else {
            tables_.erase_range(table, {}, {});
            model.clear();
        }
    }
    void commit() { tables_.commit(Index(++applied_)); }

    [[nodiscard]] const Models& models() const { return models_; }
    TableSet& tables() { return tables_; }
    Random& random() { return random_; }
    [[nodiscard]] std::uint64_t applied() const { return applied_; }

private:
    Bytes random_key() {
        return random_.chance(1, 50) ? Bytes() : Bytes("k") + std::to_string(random_.below(150));
    }

    Random random_;
    TableSet tables_;
    Models models_;
    std::uint64_t applied_ = 0;
};

// Whether `rows` are the rows of `models`, in table order and key order.
::testing::AssertionResult are_rows_of(const Rows& rows, const Models& models) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < kTableCount; ++i) {
        for (const auto& [key, value] : models[i]) {
            if (at == rows.size() || !is_row(rows[at], static_cast<Table>(i), key)) {
                return ::testing::AssertionFailure() << "row " << at << " should be " << key;
            }
            if (rows[at].value != value) {
                return ::testing::AssertionFailure() << "the value of " << key << " is another";
            }
            ++at;
        }
    }
    if (at != rows.size()) {
        return ::testing::AssertionFailure() << rows.size() - at << " rows too many";
    }
    return ::testing::AssertionSuccess();
}

// Reads all of `source` with random writes and commits between the steps.
Rows read_while_writing(World& world, SnapshotSource& source) {
    Rows rows;
    for (;;) {
        Result<Rows> step = next_rows(source, world.random().between(1, 600));
        EXPECT_TRUE(step.ok());
        if (!step.ok() || step.value().empty()) {
            return rows;
        }
        for (auto& row : step.value()) {
            rows.push_back(std::move(row));
        }
        for (std::uint64_t i = world.random().below(30); i > 0; --i) {
            world.write();
            if (world.random().chance(1, 5)) {
                world.commit();
            }
        }
    }
}

class MemorySnapshotProperty : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(MemorySnapshotProperty, ShowsTheStateAtItsCreationWhateverIsWrittenMeanwhile) {
    World world(GetParam());
    std::uint64_t side_bytes = 0;
    for (int round = 0; round < 20; ++round) {
        const Models at_creation = world.models();
        MemorySnapshotSource source(&world.tables(), &side_bytes);
        EXPECT_EQ(source.applied_index(), Index(world.applied()));

        const Rows rows = read_while_writing(world, source);

        ASSERT_TRUE(are_rows_of(rows, at_creation));
        world.commit();
    }
    EXPECT_EQ(side_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, MemorySnapshotProperty, ::testing::Range<std::uint64_t>(1, 41));

TEST(MemorySnapshot, FailsThePropertyWhenPreimagesAreMissed) {
    int wrong = 0;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        World world(seed);
        std::uint64_t side_bytes = 0;
        const Models at_creation = world.models();
        MemorySnapshotSource source(&world.tables(), &side_bytes);
        const ScopedPlantedBug bug(PlantedBug::kMemorySnapshotMissesPreimage);
        wrong += are_rows_of(read_while_writing(world, source), at_creation) ? 0 : 1;
    }
    EXPECT_EQ(wrong, 5);
}

TEST(MemorySnapshot, SeveralStandSideBySide) {
    World world(9);
    std::uint64_t side_bytes = 0;
    const Models first_models = world.models();
    MemorySnapshotSource first(&world.tables(), &side_bytes);
    for (int i = 0; i < 100; ++i) {
        world.write();
    }
    world.commit();
    const Models second_models = world.models();
    MemorySnapshotSource second(&world.tables(), &side_bytes);

    const Rows second_rows = read_while_writing(world, second);
    const Rows first_rows = read_while_writing(world, first);

    EXPECT_TRUE(are_rows_of(first_rows, first_models));
    EXPECT_TRUE(are_rows_of(second_rows, second_models));
    EXPECT_EQ(side_bytes, 0U);
}

TEST(MemorySnapshot, CountsWhatItKeepsOnTheSideAndLetsItGo) {
    World world(5);
    std::uint64_t side_bytes = 0;
    {
        MemorySnapshotSource source(&world.tables(), &side_bytes);
        const Bytes large(100'000, 'x');
        world.tables().put(Table::kCurrent, "new", large, {});
        EXPECT_GT(side_bytes, 0U);
        EXPECT_LT(side_bytes, 1'000U);
        const std::uint64_t with_new = side_bytes;
        world.tables().erase(Table::kCurrent, "new");
        world.tables().put(Table::kCurrent, "new", large, {});
        EXPECT_EQ(side_bytes, with_new);
    }
    EXPECT_EQ(side_bytes, 0U);
    world.commit();
    {
        MemorySnapshotSource source(&world.tables(), &side_bytes);
        world.tables().put(Table::kCurrent, "new", "small", {});
        EXPECT_GT(side_bytes, 100'000U);
    }
    EXPECT_EQ(side_bytes, 0U);
}

TEST(MemorySnapshot, KeepsAClearedTableUntilItWasRead) {
    TableSet tables;
    const Bytes value(1'000, 'v');
    for (int i = 0; i < 20'000; ++i) {
        tables.put(Table::kCurrent, std::to_string(i), value, {});
    }
    tables.commit(Index(1));
    const std::uint64_t full = tables.memory_bytes();
    std::uint64_t side_bytes = 0;
    auto source = std::make_unique<MemorySnapshotSource>(&tables, &side_bytes);

    tables.erase_range(Table::kCurrent, {}, {});
    for (std::uint64_t i = 2; i < 100; ++i) {
        tables.commit(Index(i));
    }
    EXPECT_GE(tables.memory_bytes(), full);
    std::size_t count = 0;
    for (;;) {
        const Result<Rows> rows = next_rows(*source, 1U << 20U);
        ASSERT_TRUE(rows.ok());
        if (rows.value().empty()) {
            break;
        }
        count += rows.value().size();
    }
    EXPECT_EQ(count, 20'000U);
    source.reset();
    for (std::uint64_t i = 100; i < 200; ++i) {
        tables.commit(Index(i));
    }
    EXPECT_LT(tables.memory_bytes(), full / 10);
}

TEST(MemorySnapshot, EndsWithUnavailableOnceCancelled) {
    World world(2);
    std::uint64_t side_bytes = 0;
    MemorySnapshotSource source(&world.tables(), &side_bytes);
    ASSERT_TRUE(next_rows(source, 10).ok());
    source.cancel();
    EXPECT_EQ(next_rows(source, 10).status().code(), Code::kUnavailable);
}

TEST(MemorySnapshotDeathTest, RefusesToBeginInsideABatch) {
    World world(2);
    world.tables().put(Table::kMeta, "half", "done", {});
    std::uint64_t side_bytes = 0;
    EXPECT_DEATH(MemorySnapshotSource(&world.tables(), &side_bytes), "batch_is_open");
    world.commit();
}

}  // namespace
}  // namespace kvstore::storage::memory
