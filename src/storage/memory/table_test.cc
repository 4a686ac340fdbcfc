#include "storage/memory/table.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/hash.h"
#include "base/random.h"

namespace kvstore::storage::memory {
namespace {

using Access = MemoryTable::Access;

constexpr std::uint64_t kHashSeed = 5;

Bytes numbered_key(std::uint64_t number) {
    std::string digits = std::to_string(number);
    return "key:" + std::string(12 - digits.size(), '0') + digits;
}

// A table alone, with the epochs that its engine would raise.
class MemoryTableTest : public ::testing::TestWithParam<Access> {
protected:
    void collect() { table_.reclaim(epochs_.advance()); }

    Bytes value_of(ByteView key) {
        ByteView value = "(absent)";
        static_cast<void>(table_.find(key, &value));
        return Bytes(value);
    }

    void check() {
        collect();
        table_.check();
    }

    EpochDomain epochs_;
    MemoryTable table_{&epochs_, GetParam(), kHashSeed};
};

INSTANTIATE_TEST_SUITE_P(Access,
                         MemoryTableTest,
                         ::testing::Values(Access::kOrdered, Access::kHashedAndOrdered));

TEST_P(MemoryTableTest, KeepsTheEmptyKeyAndTheEmptyValue) {
    EXPECT_TRUE(table_.put("", "", ""));
    EXPECT_EQ(value_of(""), "");
    EXPECT_FALSE(table_.put("", "x", "y"));
    EXPECT_EQ(value_of(""), "xy");
    EXPECT_TRUE(table_.erase(""));
    EXPECT_EQ(value_of(""), "(absent)");
    EXPECT_FALSE(table_.erase(""));
}

TEST_P(MemoryTableTest, KeepsTheLargestKeysAndValues) {
    const Bytes long_key(64U << 10U, 'k');
    const Bytes longer_key = long_key + "k";
    const Bytes large(16U << 20U, 'v');
    for (std::size_t size : {8191U, 8192U, 8193U, 65536U}) {
        table_.put(numbered_key(size), Bytes(size, 's'), "");
    }
    table_.put(long_key, "head", large);
    table_.put(longer_key, "other", "");

    EXPECT_EQ(value_of(long_key), "head" + large);
    EXPECT_EQ(value_of(longer_key), "other");
    EXPECT_EQ(value_of(numbered_key(8193)).size(), 8193U);
    check();
    table_.erase(long_key);
    check();
    EXPECT_LT(table_.memory_bytes(), 8U << 20U);
}

TEST_P(MemoryTableTest, TellsKeysApartWhateverTheirBytes) {
    const std::vector<Bytes> keys = {Bytes("\0", 1),
                                     Bytes("\0\0", 2),
                                     "a",
                                     Bytes("a\0", 2),
                                     "ab",
                                     "\x7f",
                                     "\x80",
                                     "\xff",
                                     "\xff\xff"};
    for (const Bytes& key : keys) {
        table_.put(key, key, "!");
    }

    MemoryTable::Cursor cursor(&table_);
    cursor.seek("");
    for (const Bytes& key : keys) {
        ASSERT_TRUE(cursor.valid());
        EXPECT_EQ(cursor.key(), key);
        EXPECT_EQ(cursor.value(), key + "!");
        cursor.next();
    }
    EXPECT_FALSE(cursor.valid());
}

TEST_P(MemoryTableTest, TakesKeyAndValueOutOfTheEntryThatIsReplaced) {
    table_.put("key", "value", "");
    MemoryTable::Cursor cursor(&table_);
    cursor.seek("key");
    const ByteView key = cursor.key();
    const ByteView value = cursor.value();

    table_.put(key, value, value);

    collect();
    EXPECT_EQ(value_of("key"), "valuevalue");
}

TEST_P(MemoryTableTest, StaysInOrderUnderAscendingDescendingAndRandomInserts) {
    constexpr std::uint64_t kCount = 20'000;
    Random random(7);
    for (std::uint64_t i = 0; i < kCount; ++i) {
        table_.put(numbered_key(1'000'000 + i), "up", "");
        table_.put(numbered_key(999'999 - i), "down", "");
        table_.put(numbered_key(2'000'000 + random.below(1'000'000'000)), "random", "");
    }
    check();
    EXPECT_EQ(value_of(numbered_key(1'000'000)), "up");
    EXPECT_EQ(value_of(numbered_key(999'999)), "down");
}

// Many more keys than a leaf or a bucket holds, so that the tree has three levels and the hash many
// splits; then all of them go again in random order.
TEST_P(MemoryTableTest, GrowsAndShrinksAndKeepsItsInvariants) {
    constexpr std::uint64_t kCount = 30'000;
    const std::uint64_t at_start = table_.memory_bytes();
    Random random(3);
    std::vector<std::uint64_t> numbers(kCount);
    for (std::uint64_t i = 0; i < kCount; ++i) {
        numbers[i] = i * 7919 % 1'000'003;
    }
    for (std::uint64_t i = 0; i < kCount; ++i) {
        ASSERT_TRUE(table_.put(numbered_key(numbers[i]), "v", std::to_string(i)));
    }
    check();
    ASSERT_EQ(table_.key_count(), kCount);
    for (std::uint64_t i = kCount - 1; i > 0; --i) {
        std::swap(numbers[i], numbers[random.below(i + 1)]);
    }
    for (std::uint64_t i = 0; i < kCount; ++i) {
        ASSERT_TRUE(table_.erase(numbered_key(numbers[i])));
        if (i % 4096 == 0) {
            check();
        }
    }
    check();
    EXPECT_EQ(table_.key_count(), 0U);
    // What stays: the small blocks, one unused huge block, and what the hash ever touched.
    EXPECT_LT(table_.memory_bytes(), at_start + (5U << 20U));
}

// A model test at a size where nodes split, share and merge.
TEST_P(MemoryTableTest, AgreesWithAnOrderedMapThroughWavesOfInsertsAndErases) {
    Random random(11);
    std::map<Bytes, Bytes, std::less<>> model;
    for (int wave = 0; wave < 8; ++wave) {
        const std::uint64_t puts_of_ten = wave % 2 == 0 ? 8 : 2;
        for (int i = 0; i < 6'000; ++i) {
            const Bytes key = numbered_key(random.below(9'000));
            if (random.below(10) < puts_of_ten) {
                const Bytes value(random.below(150), static_cast<char>('a' + i % 26));
                ASSERT_EQ(table_.put(key, value, ""), model.insert_or_assign(key, value).second);
            } else {
                ASSERT_EQ(table_.erase(key), model.erase(key) == 1);
            }
        }
        const Bytes from = numbered_key(random.below(9'000));
        const Bytes to = numbered_key(random.below(9'000));
        table_.erase_range(from, to);
        if (from < to) {
            model.erase(model.lower_bound(from), model.lower_bound(to));
        }
        check();
        MemoryTable::Cursor cursor(&table_);
        cursor.seek("");
        for (const auto& [key, value] : model) {
            ASSERT_TRUE(cursor.valid());
            ASSERT_EQ(cursor.key(), key);
            ASSERT_EQ(cursor.value(), value);
            ASSERT_EQ(value_of(key), value);
            cursor.next();
        }
        ASSERT_FALSE(cursor.valid());
    }
}

TEST_P(MemoryTableTest, HoldsItsMemoryUnderChurn) {
    constexpr std::uint64_t kLive = 5'000;
    const Bytes value(100, 'v');
    for (std::uint64_t i = 0; i < kLive; ++i) {
        table_.put(numbered_key(i), value, "");
    }
    collect();
    const std::uint64_t filled = table_.memory_bytes();
    for (std::uint64_t i = kLive; i < kLive * 12; ++i) {
        table_.put(numbered_key(i), value, "");
        table_.erase(numbered_key(i - kLive));
        if (i % 64 == 0) {
            collect();
        }
    }
    check();
    EXPECT_EQ(table_.key_count(), kLive);
    EXPECT_LT(table_.memory_bytes(), filled + filled / 2);
}

// A queue: appended at one end, trimmed at the other, as the log and the expiry table are.
TEST_P(MemoryTableTest, ServesAsAQueueInConstantMemory) {
    for (std::uint64_t i = 0; i < 40'000; ++i) {
        table_.put(numbered_key(i), "an entry of the log", "");
        if (i % 1'000 == 999) {
            table_.erase_range("", numbered_key(i - 500));
            collect();
        }
    }
    check();
    EXPECT_EQ(table_.key_count(), 501U);
    EXPECT_LT(table_.memory_bytes(), 3U << 20U);
}

TEST_P(MemoryTableTest, GivesMemoryOfOneSizeToAnother) {
    for (std::uint64_t i = 0; i < 20'000; ++i) {
        table_.put(numbered_key(i), Bytes(100, 'a'), "");
    }
    table_.erase_range("", numbered_key(19'999));
    collect();
    const std::uint64_t before = table_.memory_bytes();
    for (std::uint64_t i = 0; i < 3'000; ++i) {
        table_.put(numbered_key(i), Bytes(500, 'b'), "");
    }
    EXPECT_LE(table_.memory_bytes(), before + (2U << 20U));
    check();
}

TEST_P(MemoryTableTest, MovesTheLastEntriesOfSparsePagesTogether) {
    constexpr std::uint64_t kCount = 100'000;
    for (std::uint64_t i = 0; i < kCount; ++i) {
        table_.put(numbered_key(i), Bytes(150, 'a'), "");
    }
    for (std::uint64_t i = 0; i < kCount; ++i) {
        if (i % 10 != 0) {
            table_.erase(numbered_key(i));
        }
    }
    collect();
    const std::uint64_t sparse = table_.memory_bytes();

    EXPECT_GT(table_.arena().begin_evacuation(), 0U);
    std::optional<Bytes> from = Bytes();
    while (from.has_value()) {
        from = table_.move_entries(*from, 100);
        collect();
    }
    table_.arena().end_evacuation();

    check();
    EXPECT_LT(table_.memory_bytes(), sparse / 4);
    for (std::uint64_t i = 0; i < kCount; i += 10) {
        ASSERT_EQ(value_of(numbered_key(i)), Bytes(150, 'a'));
    }
}

TEST_P(MemoryTableTest, DoesNotFreeWhatAReaderMayStillSee) {
    table_.put("key", "old", "");
    ByteView seen;
    ASSERT_TRUE(table_.find("key", &seen));
    EpochDomain::Reader* reader = epochs_.add_reader();
    reader->enter();

    table_.put("key", "new", "");
    collect();
    collect();
    EXPECT_TRUE(table_.has_retired());
    EXPECT_EQ(seen, "old");

    reader->leave();
    collect();
    EXPECT_FALSE(table_.has_retired());
    reader->retire();
}

TEST_P(MemoryTableTest, LetsGoOfItsMemoryBlockByBlock) {
    for (std::uint64_t i = 0; i < 60'000; ++i) {
        table_.put(numbered_key(i), Bytes(i % 1'000 == 0 ? 20'000 : 100, 'v'), "");
    }
    std::uint64_t before = table_.memory_bytes();
    while (table_.dismantle_step()) {
        EXPECT_LT(table_.memory_bytes(), before);
        before = table_.memory_bytes();
    }
}

// Keys chosen so that bucket and tag of all of them are the same, as an attacker might.
TEST(HashIndex, KeepsKeysApartThatShareBucketAndTag) {
    EpochDomain epochs;
    MemoryTable table(&epochs, Access::kHashedAndOrdered, kHashSeed);
    std::vector<Bytes> keys;
    for (std::uint64_t i = 0; keys.size() < 30; ++i) {
        Bytes key = std::to_string(i);
        const std::uint64_t hash = hash64(key, kHashSeed);
        if (hash % 4 == 3 && (hash >> 56U) == 0x5a) {
            keys.push_back(std::move(key));
        }
    }
    for (const Bytes& key : keys) {
        table.put(key, "value of ", key);
    }
    table.check();
    for (const Bytes& key : keys) {
        ByteView value;
        ASSERT_TRUE(table.find(key, &value));
        EXPECT_EQ(value, "value of " + key);
    }
    for (const Bytes& key : keys) {
        ASSERT_TRUE(table.erase(key));
        table.check();
    }
}

}  // namespace
}  // namespace kvstore::storage::memory
