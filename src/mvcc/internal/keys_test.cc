#include "mvcc/internal/keys.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::mvcc::internal {
namespace {

Bytes index_key(ByteView key, std::uint64_t revision) {
    Bytes to = "left over";
    make_index_key(key, Revision(revision), to);
    return to;
}

Bytes random_key(Random& random) {
    Bytes key;
    for (std::uint64_t i = random.below(5); i > 0; --i) {
        constexpr std::string_view kBytes{"\x00\x01\x02\xfe\xff", 5};
        key.push_back(kBytes[random.below(kBytes.size())]);
    }
    return key;
}

TEST(IndexKey, StandsInTheOrderOfKeysAndThenNewestFirst) {
    Random random(1);
    for (int i = 0; i < 5000; ++i) {
        const Bytes a = random_key(random);
        const Bytes b = random_key(random);
        const std::uint64_t revision_a = random.below(3);
        const std::uint64_t revision_b = random.below(3);
        const bool before = a != b ? a < b : revision_a > revision_b;
        EXPECT_EQ(index_key(a, revision_a) < index_key(b, revision_b), before);
    }
}

TEST(IndexKey, IsSplitIntoWhatItWasMadeOf) {
    Random random(2);
    for (int i = 0; i < 1000; ++i) {
        const Bytes key = random_key(random);
        const std::uint64_t revision = random.next() >> random.below(64);
        Bytes parsed;
        Revision parsed_revision;
        ASSERT_TRUE(parse_index_key(index_key(key, revision), parsed, parsed_revision));
        EXPECT_EQ(parsed, key);
        EXPECT_EQ(parsed_revision, Revision(revision));
    }
}

TEST(IndexKey, LiesBetweenThePrefixAndTheEndOfItsKeyOnly) {
    Random random(3);
    for (int i = 0; i < 5000; ++i) {
        const Bytes key = random_key(random);
        const Bytes other = random_key(random);
        Bytes prefix;
        Bytes end;
        make_index_prefix(key, prefix);
        make_index_end(key, end);
        const Bytes entry = index_key(other, random.next());
        EXPECT_EQ(entry >= prefix && entry < end, key == other);
        EXPECT_EQ(is_index_key_of(entry, prefix), key == other);
        EXPECT_EQ(entry < prefix, other < key);
    }
}

TEST(IndexKey, IsRefusedWhenItIsNone) {
    Bytes key;
    Revision revision;
    const Bytes good = index_key({"a\0b", 3}, 7);
    ASSERT_TRUE(parse_index_key(good, key, revision));
    EXPECT_FALSE(parse_index_key("", key, revision));
    EXPECT_FALSE(parse_index_key("short", key, revision));
    EXPECT_FALSE(parse_index_key(ByteView(good).substr(0, good.size() - 1), key, revision));
    Bytes unescaped = good;
    unescaped[2] = 'x';  // what must follow the NUL within the key
    EXPECT_FALSE(parse_index_key(unescaped, key, revision));
}

TEST(LogKey, StandsInTheOrderOfChanges) {
    const std::vector<LogPosition> positions = {
        {.revision = Revision(0), .number = 0},
        {.revision = Revision(1), .number = 0},
        {.revision = Revision(1), .number = 255},
        {.revision = Revision(1), .number = 256},
        {.revision = Revision(256), .number = 0},
        {.revision = Revision(std::numeric_limits<std::uint64_t>::max()), .number = 1}};
    std::vector<Bytes> keys;
    for (const LogPosition position : positions) {
        make_log_key(position, keys.emplace_back());
        EXPECT_EQ(parse_log_key(keys.back()), position);
    }
    EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
    EXPECT_FALSE(parse_log_key("eleven byte"));
    EXPECT_FALSE(parse_log_key("thirteen byte"));
}

TEST(ExpiryKey, StandsInTheOrderOfTime) {
    Bytes early;
    Bytes late;
    make_expiry_key(255, "z", early);
    make_expiry_key(256, "a", late);
    EXPECT_LT(early, late);
    const auto entry = parse_expiry_key(late);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->expires_at_ms, 256U);
    EXPECT_EQ(entry->key, "a");
    EXPECT_FALSE(parse_expiry_key("7 bytes"));
}

}  // namespace
}  // namespace kvstore::mvcc::internal
