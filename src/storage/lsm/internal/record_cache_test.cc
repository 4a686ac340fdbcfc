#include "storage/lsm/internal/record_cache.h"

#include <cstdint>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/random.h"

namespace kvstore::storage::lsm {
namespace {

class Cache : public testing::Test {
protected:
    bool has(const Bytes& key) {
        ByteView value;
        return cache_.find(hash64(key), key, &value);
    }
    Bytes value_of(const Bytes& key) {
        ByteView value;
        EXPECT_TRUE(cache_.find(hash64(key), key, &value));
        return Bytes(value);
    }
    void offer(const Bytes& key, const Bytes& value) { cache_.offer(hash64(key), key, value); }
    void update(const Bytes& key, const Bytes& value) { cache_.update(hash64(key), key, value); }

    RecordCache cache_{64U << 10U};
};

using RecordCacheTest = Cache;

TEST_F(RecordCacheTest, AnswersWithWhatWasOffered) {
    offer("a", "1");
    offer("", "empty key");
    offer("b", "");

    EXPECT_EQ(value_of("a"), "1");
    EXPECT_EQ(value_of(""), "empty key");
    EXPECT_EQ(value_of("b"), "");
    EXPECT_FALSE(has("c"));
}

TEST_F(RecordCacheTest, UpdatesOnlyWhatItHolds) {
    offer("a", "1");

    update("a", "longer");
    update("b", "2");

    EXPECT_EQ(value_of("a"), "longer");
    EXPECT_FALSE(has("b"));
}

TEST_F(RecordCacheTest, DropsARecordThatGrewTooLarge) {
    offer("a", "1");

    update("a", Bytes(60U << 10U, 'x'));

    EXPECT_FALSE(has("a"));
    EXPECT_EQ(cache_.size_bytes(), 0U);
}

TEST_F(RecordCacheTest, NeverHoldsMoreThanItsCapacity) {
    for (int i = 0; i < 20000; ++i) {
        offer("key" + std::to_string(i % 3000), Bytes(static_cast<std::size_t>(i % 300), 'v'));
        ASSERT_LE(cache_.size_bytes(), cache_.capacity_bytes());
    }
    EXPECT_GT(cache_.size_bytes(), cache_.capacity_bytes() / 2);

    cache_.set_capacity(8U << 10U);

    EXPECT_LE(cache_.size_bytes(), 8U << 10U);
}

TEST_F(RecordCacheTest, KeepsHotRecordsThroughAPassOverColdOnes) {
    for (int i = 0; i < 100; ++i) {
        offer("hot" + std::to_string(i), Bytes(100, 'h'));
    }
    for (int i = 0; i < 10000; ++i) {
        offer("cold" + std::to_string(i), Bytes(100, 'c'));
        static_cast<void>(has("hot" + std::to_string(i % 100)));
    }

    int kept = 0;
    for (int i = 0; i < 100; ++i) {
        kept += has("hot" + std::to_string(i)) ? 1 : 0;
    }
    EXPECT_EQ(kept, 100);
}

TEST_F(RecordCacheTest, IsEmptyAfterClear) {
    offer("a", "1");

    cache_.clear();

    EXPECT_FALSE(has("a"));
    EXPECT_EQ(cache_.size_bytes(), 0U);
    EXPECT_EQ(cache_.record_count(), 0U);
}

// It may forget, but what it says is what was last offered or updated.
TEST_F(RecordCacheTest, AgreesWithAModel) {
    Random random(77);
    std::map<Bytes, Bytes> model;
    for (int step = 0; step < 50000; ++step) {
        const Bytes key = "k" + std::to_string(random.below(1500));
        const Bytes value(random.below(200), static_cast<char>('a' + step % 26));
        switch (random.below(4)) {
            case 0:
                if (!has(key)) {
                    offer(key, value);
                    model[key] = value;
                }
                break;
            case 1:
                update(key, value);
                model[key] = value;
                break;
            case 2:
                cache_.erase(hash64(key), key);
                ASSERT_FALSE(has(key));
                model.erase(key);
                break;
            default:
                if (has(key)) {
                    ASSERT_EQ(value_of(key), model.at(key)) << "step " << step;
                }
        }
    }
    EXPECT_GT(cache_.record_count(), 100U);
}

}  // namespace
}  // namespace kvstore::storage::lsm
