#include "mvcc/internal/float_text.h"

#include <limits>

#include <gtest/gtest.h>

namespace kvstore::mvcc::internal {
namespace {

Bytes formatted(long double value) {
    FloatText room;
    return Bytes(format_float(value, room));
}

TEST(FloatText, PrintsAsRedisDoes) {
    EXPECT_EQ(formatted(0.0L), "0");
    EXPECT_EQ(formatted(-0.0L), "0");
    EXPECT_EQ(formatted(3.0L), "3");
    EXPECT_EQ(formatted(100.0L), "100");
    EXPECT_EQ(formatted(10.5L + 0.1L), "10.6");
    EXPECT_EQ(formatted(-1.25L), "-1.25");
    EXPECT_EQ(formatted(5.0e3L), "5000");
    EXPECT_EQ(formatted(1.0e20L), "100000000000000000000");
    EXPECT_EQ(formatted(1.0e-18L), "0");
    EXPECT_EQ(formatted(-1.0e-18L), "0");
    EXPECT_EQ(formatted(1.0e-17L), "0.00000000000000001");
}

TEST(FloatText, HasRoomForTheLargestNumber) {
    const Bytes text = formatted(-std::numeric_limits<long double>::max());
    EXPECT_EQ(text.size(), 4934U);
    EXPECT_EQ(parse_float(text), -std::numeric_limits<long double>::max());
}

TEST(FloatText, ReadsWhatRedisReads) {
    EXPECT_EQ(parse_float("3.0"), 3.0L);
    EXPECT_EQ(parse_float("-7"), -7.0L);
    EXPECT_EQ(parse_float("+7"), 7.0L);
    EXPECT_EQ(parse_float("5.0e3"), 5000.0L);
    EXPECT_EQ(parse_float("0x10"), 16.0L);
    EXPECT_EQ(parse_float("inf"), std::numeric_limits<long double>::infinity());
}

TEST(FloatText, RefusesWhatRedisRefuses) {
    for (const ByteView text : {ByteView(""),
                                ByteView(" 1"),
                                ByteView("1 "),
                                ByteView("1x"),
                                ByteView("x"),
                                ByteView("nan"),
                                ByteView("1e9999"),
                                ByteView("1e-9999"),
                                ByteView("1\0", 2),
                                ByteView("\0", 1)}) {
        EXPECT_FALSE(parse_float(text)) << text;
    }
    EXPECT_FALSE(parse_float(Bytes(kFloatTextMax, '1')));
    EXPECT_TRUE(parse_float(Bytes(kFloatTextMax - 1000, '1')));
}

}  // namespace
}  // namespace kvstore::mvcc::internal
