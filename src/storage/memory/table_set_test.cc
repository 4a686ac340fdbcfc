#include "storage/memory/table_set.h"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::storage::memory {
namespace {

using Model = std::map<Bytes, Bytes, std::less<>>;

constexpr std::array<Table, 2> kTables = {Table::kCurrent, Table::kLog};

Bytes random_bytes(Random& random, std::size_t size) {
    Bytes bytes;
    for (std::size_t i = 0; i < size; ++i) {
        bytes.push_back(static_cast<char>(random.next()));
    }
    return bytes;
}

// Few distinct bytes and lengths from nothing to long: prefixes of one another, equal first bytes,
// the empty key and NUL bytes all come up.
Bytes random_key(Random& random) {
    constexpr std::array<char, 4> kLetters = {'\0', 'a', 'b', '\xff'};
    Bytes key(random.chance(1, 4) ? 20 : 0, 'p');
    const std::size_t size = random.below(6);
    for (std::size_t i = 0; i < size; ++i) {
        key.push_back(kLetters[random.below(kLetters.size())]);
    }
    return key;
}

void expect_same_rows(const MemoryTable& table, const Model& model) {
    ASSERT_EQ(table.key_count(), model.size());
    MemoryTable::Cursor cursor(&table);
    cursor.seek({});
    for (const auto& [key, value] : model) {
        ASSERT_TRUE(cursor.valid());
        ASSERT_EQ(cursor.key(), key);
        ASSERT_EQ(cursor.value(), value);
        cursor.next();
    }
    ASSERT_FALSE(cursor.valid());
    cursor.seek_to_last();
    for (auto at = model.rbegin(); at != model.rend(); ++at) {
        ASSERT_TRUE(cursor.valid());
        ASSERT_EQ(cursor.key(), at->first);
        cursor.previous();
    }
    ASSERT_FALSE(cursor.valid());
}

void expect_same_place(const MemoryTable::Cursor& cursor,
                       const Model& model,
                       Model::const_iterator at) {
    ASSERT_EQ(cursor.valid(), at != model.end());
    if (cursor.valid()) {
        ASSERT_EQ(cursor.key(), at->first);
        ASSERT_EQ(cursor.value(), at->second);
    }
}

void expect_same_answers(const MemoryTable& table, const Model& model, const Bytes& key) {
    ByteView value;
    const auto at = model.find(key);
    ASSERT_EQ(table.find(key, &value), at != model.end());
    if (at != model.end()) {
        ASSERT_EQ(value, at->second);
    }
    MemoryTable::Cursor cursor(&table);
    const auto not_before = model.lower_bound(key);
    cursor.seek(key);
    expect_same_place(cursor, model, not_before);
    cursor.seek_before(key);
    expect_same_place(
        cursor, model, not_before == model.begin() ? model.end() : std::prev(not_before));
}

// Random operations on the tables and on std::map, compared at every step at the key touched and
// now and then as a whole.
class TableSetModel : public ::testing::TestWithParam<std::uint64_t> {
protected:
    void step() {
        const Table table = kTables[random_.below(kTables.size())];
        Model& model = models_[static_cast<std::size_t>(table)];
        Bytes key = random_key(random_);
        const std::uint64_t choice = random_.below(100);
        if (choice < 60) {
            Bytes head = random_bytes(random_, random_.below(20));
            const Bytes tail =
                random_bytes(random_, random_.below(random_.chance(1, 20) ? 5000 : 90));
            tables_.put(table, key, head, tail);
            model[key] = head + tail;
        } else if (choice < 97) {
            tables_.erase(table, key);
            model.erase(key);
        } else {
            erase_range(
                table, std::move(key), random_.chance(1, 6) ? Bytes() : random_key(random_));
        }
        expect_same_answers(tables_.rows(table), model, random_key(random_));
    }

    void erase_range(Table table, const Bytes& from, const Bytes& to) {
        Model& model = models_[static_cast<std::size_t>(table)];
        tables_.erase_range(table, from, to);
        for (auto at = model.lower_bound(from);
             at != model.end() && (to.empty() || at->first < to);) {
            at = model.erase(at);
        }
    }

    void expect_same() {
        for (const Table table : kTables) {
            expect_same_rows(tables_.rows(table), models_[static_cast<std::size_t>(table)]);
        }
    }

    Random random_{GetParam()};
    TableSet tables_;
    std::array<Model, kTableCount> models_;
};

TEST_P(TableSetModel, AgreesWithAnOrderedMap) {
    for (int round = 0; round < 40; ++round) {
        for (int i = 0; i < 50; ++i) {
            ASSERT_NO_FATAL_FAILURE(step());
        }
        ASSERT_NO_FATAL_FAILURE(expect_same());
        tables_.commit(Index(static_cast<std::uint64_t>(round)));
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TableSetModel, ::testing::Range<std::uint64_t>(1, 13));

}  // namespace
}  // namespace kvstore::storage::memory
