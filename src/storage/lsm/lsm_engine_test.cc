// The contract of Engine, kept by the LSM engine on real files.
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "storage/lsm/testing/lsm_fixture.h"

namespace kvstore::storage::lsm {
namespace {

using LsmEngineTest = LsmFixture;

Bytes key_of(std::uint64_t number) {
    Bytes key = std::to_string(number);
    return "key" + Bytes(6 - key.size(), '0') + key;
}

TEST_F(LsmEngineTest, ShowsWhatWasPutBeforeItIsCommitted) {
    open();

    engine().put(Table::kCurrent, "a", "head", "tail");
    engine().put(Table::kCurrent, "b", "gone");
    engine().erase(Table::kCurrent, "b");

    EXPECT_EQ(find(Table::kCurrent, "a"), "headtail");
    EXPECT_EQ(find(Table::kCurrent, "b"), std::nullopt);
    EXPECT_EQ(find(Table::kLog, "a"), std::nullopt);
}

TEST_F(LsmEngineTest, KeepsACommitThatWasPersisted) {
    open();
    engine().put(Table::kCurrent, "a", "1");
    commit(7);
    EXPECT_EQ(engine().durable_index(), Index(0));
    persist();
    EXPECT_EQ(engine().durable_index(), Index(7));

    reopen();

    EXPECT_EQ(engine().applied_index(), Index(7));
    EXPECT_EQ(engine().durable_index(), Index(7));
    EXPECT_EQ(find(Table::kCurrent, "a"), "1");
}

// A replica whose state is replaced by a received one is still asked for its figures.
TEST_F(LsmEngineTest, TellsNothingOnceItIsClosed) {
    open();
    engine().put(Table::kCurrent, "a", "1");
    commit(1);
    persist();
    EXPECT_GT(engine().statistics().disk_bytes, 0U);

    ASSERT_TRUE(run(engine().close()).ok());

    EXPECT_EQ(engine().statistics().disk_bytes, 0U);
    EXPECT_EQ(engine().statistics().key_count, 0U);
    engine_.reset();
}

TEST_F(LsmEngineTest, FallsBackToTheDurableIndexAfterACrash) {
    open();
    engine().put(Table::kCurrent, "a", "1");
    commit(1);
    persist();
    engine().put(Table::kCurrent, "a", "2");
    engine().put(Table::kMeta, "m", "2");
    commit(2);
    EXPECT_EQ(engine().applied_index(), Index(2));
    EXPECT_EQ(engine().durable_index(), Index(1));

    reopen();

    EXPECT_EQ(engine().applied_index(), Index(1));
    EXPECT_EQ(find(Table::kCurrent, "a"), "1");
    EXPECT_EQ(find(Table::kMeta, "m"), std::nullopt);
}

// A model of ordered maps is driven with the same random calls; every read must agree, before and
// after each commit. A crash brings the model back to the state at the engine's applied index.
TEST_F(LsmEngineTest, AgreesWithAModelThroughWritesCrashesAndFlushes) {
    constexpr std::uint64_t kSeed = 20240601;
    Random random(kSeed);
    open();
    Rows model;
    std::map<std::uint64_t, Rows> states{{0, model}};
    std::uint64_t applied = 0;
    const auto any_table = [&] {
        return static_cast<Table>(random.below(kTableCount));
    };

    for (int step = 0; step < 3000; ++step) {
        const Table table = any_table();
        const Bytes key = key_of(random.below(200));
        switch (random.below(20)) {
            case 0: {
                Bytes to = key_of(random.below(200));
                if (to < key) {
                    to.clear();
                }
                engine().erase_range(table, key, to);
                std::erase_if(model, [&](const auto& row) {
                    return row.first.first == table && row.first.second >= key &&
                           (to.empty() || row.first.second < to);
                });
                break;
            }
            case 1:
                if (random.below(10) == 0) {
                    engine().erase_range(table, {}, {});
                    std::erase_if(model, [&](const auto& row) { return row.first.first == table; });
                }
                break;
            case 2:
            case 3:
                engine().erase(table, key);
                model.erase(std::pair(table, key));
                break;
            case 4:
            case 5:
                commit(++applied);
                states[applied] = model;
                break;
            case 6:
                if (random.below(8) == 0) {
                    persist();
                }
                break;
            case 7:
                if (random.below(8) == 0) {
                    reopen();
                    applied = engine().applied_index().value();
                    ASSERT_TRUE(states.contains(applied));
                    model = states[applied];
                    ASSERT_EQ(rows_by_view(), model) << "step " << step;
                }
                break;
            case 8: ASSERT_EQ(rows_by_view(), model) << "step " << step; break;
            case 9: ASSERT_EQ(rows_by_snapshot(), states[applied]) << "step " << step; break;
            default: {
                const Bytes value(random.below(2000), static_cast<char>('a' + step % 26));
                engine().put(table,
                             key,
                             ByteView(value).substr(0, value.size() / 2),
                             ByteView(value).substr(value.size() / 2));
                model[std::pair(table, key)] = value;
            }
        }
        const Bytes probe = key_of(random.below(200));
        const auto expected = model.find(std::pair(table, probe));
        const std::optional<Bytes> found = find(table, probe);
        ASSERT_EQ(found.has_value(), expected != model.end()) << "step " << step;
        if (found.has_value()) {
            ASSERT_EQ(*found, expected->second) << "step " << step;
        }
    }
}

}  // namespace
}  // namespace kvstore::storage::lsm
