#include "mvcc/record.h"

#include <limits>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore::mvcc {
namespace {

Bytes stored(const Record& record) {
    return Bytes(RecordHead(record).bytes()) + Bytes(record.value);
}

Record sample() {
    Record record;
    record.value = "value";
    record.version = Version(0x0123456789ab, 0xcdef);
    record.create_revision = Revision(7);
    record.mod_revision = Revision(300);
    record.version_count = 4;
    return record;
}

void expect_same(const Record& a, const Record& b) {
    EXPECT_EQ(a.value, b.value);
    EXPECT_EQ(a.kind, b.kind);
    EXPECT_EQ(a.version, b.version);
    EXPECT_EQ(a.create_revision, b.create_revision);
    EXPECT_EQ(a.mod_revision, b.mod_revision);
    EXPECT_EQ(a.version_count, b.version_count);
    EXPECT_EQ(a.lease, b.lease);
    EXPECT_EQ(a.expires_at_ms, b.expires_at_ms);
}

TEST(Record, HasTheLayoutOfItsSpecification) {
    const Bytes expected{
        "\x00"                              // a string, nothing optional
        "\xef\xcd\xab\x89\x67\x45\x23\x01"  // version
        "\xac\x02"                          // mod_revision 300
        "\xa5\x02"                          // 293 before it
        "\x04"                              // version_count
        "value",
        19};
    EXPECT_EQ(stored(sample()), expected);
}

TEST(Record, HasTheLayoutOfItsSpecificationWithExpiryAndLease) {
    Record record = sample();
    record.expires_at_ms = 1;
    record.lease = 2;
    const Bytes expected{"\x30\xef\xcd\xab\x89\x67\x45\x23\x01\xac\x02\xa5\x02\x04\x01\x02value",
                         21};
    EXPECT_EQ(stored(record), expected);
}

TEST(Record, ComesBackAsItWas) {
    Random random(1);
    for (int i = 0; i < 1000; ++i) {
        Record record;
        const Bytes value(random.below(50), static_cast<char>(random.below(256)));
        record.value = value;
        record.version = Version(random.next());
        record.mod_revision = Revision(random.next() >> random.below(64));
        record.create_revision = Revision(random.below(record.mod_revision.value() | 1U));
        record.version_count = random.next() >> random.below(64);
        record.lease = random.chance(1, 2) ? random.next() : 0;
        record.expires_at_ms = random.chance(1, 2) ? random.next() : 0;
        const Bytes bytes = stored(record);
        const auto decoded = decode_record(bytes);
        ASSERT_TRUE(decoded);
        expect_same(*decoded, record);
    }
}

TEST(Record, KeepsTheLargestNumbers) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    Record record;
    record.version = Version(kMax);
    record.mod_revision = Revision(kMax);
    record.version_count = kMax;
    record.lease = kMax;
    record.expires_at_ms = kMax;
    const Bytes bytes = stored(record);
    const auto decoded = decode_record(bytes);
    ASSERT_TRUE(decoded);
    expect_same(*decoded, record);
}

TEST(Record, IsRefusedWhereItIsCutShort) {
    Record record = sample();
    record.value = {};
    record.expires_at_ms = 5;
    record.lease = 300;
    const Bytes bytes = stored(record);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(decode_record(ByteView(bytes).substr(0, size))) << size;
    }
    EXPECT_TRUE(decode_record(bytes));
}

TEST(Record, IsRefusedWithAKindOrFlagThatIsNotKnown) {
    Bytes bytes = stored(sample());
    for (const int first : {0x01, 0x0f, 0x40, 0x80}) {
        bytes[0] = static_cast<char>(first);
        EXPECT_FALSE(decode_record(bytes)) << first;
    }
}

TEST(Record, IsRefusedWhenCreatedBeforeTheFirstRevision) {
    const Bytes bytes{"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x06\x01", 12};
    EXPECT_FALSE(decode_record(bytes));
}

TEST(Record, IsRefusedWithAFlagWhoseFieldIsZero) {
    EXPECT_FALSE(decode_record({"\x10\x00\x00\x00\x00\x00\x00\x00\x00\x05\x01\x01\x00", 13}));
    EXPECT_FALSE(decode_record({"\x20\x00\x00\x00\x00\x00\x00\x00\x00\x05\x01\x01\x00", 13}));
}

TEST(Record, HasExpiredFromItsTimeOn) {
    Record record = sample();
    EXPECT_FALSE(record.has_expired(std::numeric_limits<std::uint64_t>::max()));
    record.expires_at_ms = 100;
    EXPECT_FALSE(record.has_expired(99));
    EXPECT_TRUE(record.has_expired(100));
}

}  // namespace
}  // namespace kvstore::mvcc
