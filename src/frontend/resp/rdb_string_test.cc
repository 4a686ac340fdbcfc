// DUMP and RESTORE speak Redis' format.
#include "frontend/resp/rdb_string.h"

#include <string>

#include <gtest/gtest.h>

namespace kvstore::resp {
namespace {

using std::string_literals::operator""s;

Bytes restored(ByteView dump) {
    EXPECT_TRUE(dump_is_sound(dump));
    auto value = restore_string(dump);
    EXPECT_TRUE(value.ok());
    return value.ok() ? *std::move(value) : Bytes();
}

TEST(RdbString, ComesBackAsItWas) {
    for (const std::size_t size : {0U, 1U, 63U, 64U, 16'383U, 16'384U, 100'000U}) {
        const Bytes value(size, 'v');
        EXPECT_EQ(restored(dump_string(value)), value) << size;
    }
}

// What redis-server 7.0.15 answers to DUMP of "foo", 123, -70000 and 100 times "a".
TEST(RdbString, ReadsWhatRedisDumps) {
    EXPECT_EQ(restored("\x00\x03"
                       "foo\x0a\x00sI9\xdbM\xc1\xba\x97"s),
              "foo");
    EXPECT_EQ(restored("\x00\xc0{\x0a\x00H\xe2S\xe1\x00zg\xb9"s), "123");
    EXPECT_EQ(restored("\x00\xc2\x90\xee\xfe\xff\x0a\x00(u\xde{\x13\xeb(\x00"s), "-70000");
    EXPECT_EQ(restored("\x00\xc3\x09@d\x01"
                       "aa\xe0W\x00\x01"
                       "aa\x0a\x00\xe8\xa3\xb5\x07\xb0m\xf2q"s),
              Bytes(100, 'a'));
}

// The checksum of Redis too, so that it can restore what is dumped here.
TEST(RdbString, DumpsShortTextAsRedisDoes) {
    EXPECT_EQ(dump_string("foo"),
              "\x00\x03"
              "foo\x0a\x00sI9\xdbM\xc1\xba\x97"s);
}

TEST(RdbString, RefusesDamage) {
    const Bytes dump = dump_string("value");
    for (std::size_t i = 0; i < dump.size(); ++i) {
        Bytes damaged = dump;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        EXPECT_FALSE(dump_is_sound(damaged)) << i;
    }
    EXPECT_FALSE(dump_is_sound(""));
    EXPECT_FALSE(dump_is_sound("123456789"));
}

}  // namespace
}  // namespace kvstore::resp
