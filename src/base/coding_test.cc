#include "base/coding.h"

#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

Bytes varint(std::uint64_t value) {
    Bytes bytes;
    put_varint(bytes, value);
    return bytes;
}

TEST(PrefixEnd, IsTheFirstKeyAfterAllThatBeginWithThePrefix) {
    EXPECT_EQ(prefix_end("a"), "b");
    EXPECT_EQ(prefix_end("a\xff"), "b");
    EXPECT_EQ(prefix_end(Bytes("a\0", 2)), "a\x01");
    EXPECT_EQ(prefix_end("\x7f"), "\x80");
}

TEST(PrefixEnd, IsEmptyWhereThereIsNone) {
    EXPECT_EQ(prefix_end(""), "");
    EXPECT_EQ(prefix_end("\xff\xff"), "");
}

TEST(Fixed, IsLittleEndian) {
    Bytes bytes;
    put_fixed<std::uint32_t>(bytes, 0x04030201);

    EXPECT_EQ(bytes, "\x01\x02\x03\x04");
    EXPECT_EQ(load_fixed<std::uint32_t>(bytes.data()), 0x04030201U);
}

TEST(BigEndian, OrdersAsItsNumbersDo) {
    Bytes small;
    Bytes large;
    put_big_endian64(small, 255);
    put_big_endian64(large, 256);

    EXPECT_LT(small, large);
    EXPECT_EQ(load_big_endian64(large.data()), 256U);

    Bytes word;
    put_big_endian32(word, 0x01020304);
    EXPECT_EQ(word, "\x01\x02\x03\x04");
    EXPECT_EQ(load_big_endian32(word.data()), 0x01020304U);
}

TEST(Varint, TakesTheBytesOfLeb128) {
    EXPECT_EQ(varint(0), Bytes(1, '\0'));
    EXPECT_EQ(varint(127), "\x7f");
    EXPECT_EQ(varint(128), "\x80\x01");
    EXPECT_EQ(varint(300), "\xac\x02");
    EXPECT_EQ(varint(kMax).size(), kVarintBytesMax);
}

TEST(Varint, ComesBackAsItWas) {
    Random random(1);
    for (int i = 0; i < 2'000; ++i) {
        const std::uint64_t value = random.next() >> random.below(64);
        const Bytes bytes = varint(value);
        Decoder decoder(bytes);
        ASSERT_EQ(decoder.varint(), value);
        ASSERT_TRUE(decoder.at_end());
    }
}

TEST(Varint, IsRefusedWhereItIsCutShort) {
    for (std::size_t size = 0; size < kVarintBytesMax; ++size) {
        const Bytes cut = varint(kMax).substr(0, size);
        Decoder decoder(cut);
        EXPECT_EQ(decoder.varint(), 0U);
        EXPECT_FALSE(decoder.ok()) << size;
    }
}

TEST(Varint, IsRefusedBeyond64Bits) {
    const Bytes tenth_too_large = Bytes(9, '\xff') + '\x02';
    const Bytes eleven_bytes = Bytes(10, '\x80') + '\x01';
    for (const Bytes& bytes : {tenth_too_large, eleven_bytes}) {
        Decoder decoder(bytes);
        (void)decoder.varint();
        EXPECT_FALSE(decoder.ok());
    }
}

TEST(ZigZag, KeepsSmallMagnitudesShort) {
    EXPECT_EQ(zigzag_encode(0), 0U);
    EXPECT_EQ(zigzag_encode(-1), 1U);
    EXPECT_EQ(zigzag_encode(1), 2U);
    for (const std::int64_t value : {std::int64_t{0},
                                     std::int64_t{-1},
                                     std::int64_t{77},
                                     std::numeric_limits<std::int64_t>::min(),
                                     std::numeric_limits<std::int64_t>::max()}) {
        EXPECT_EQ(zigzag_decode(zigzag_encode(value)), value);
    }
}

TEST(Decoder, ReadsFieldsFromFrontToBack) {
    Bytes bytes;
    put_fixed<std::uint16_t>(bytes, 7);
    put_length_prefixed(bytes, "key");
    put_big_endian64(bytes, 9);
    bytes += "rest";

    Decoder decoder(bytes);
    EXPECT_EQ(decoder.fixed<std::uint16_t>(), 7);
    EXPECT_EQ(decoder.length_prefixed(), "key");
    EXPECT_EQ(decoder.big_endian64(), 9U);
    EXPECT_EQ(decoder.rest(), "rest");
    EXPECT_EQ(decoder.bytes(4), "rest");
    EXPECT_TRUE(decoder.at_end());
}

TEST(Decoder, FailsForGoodAfterItsFirstFailure) {
    const Bytes bytes = "abc";
    Decoder decoder(bytes);
    (void)decoder.fixed<std::uint64_t>();

    EXPECT_FALSE(decoder.ok());
    EXPECT_EQ(decoder.bytes(1), "");
    EXPECT_EQ(decoder.fixed<std::uint8_t>(), 0);
    EXPECT_EQ(decoder.varint(), 0U);
    EXPECT_EQ(decoder.length_prefixed(), "");
    EXPECT_FALSE(decoder.at_end());
}

TEST(Decoder, RefusesALengthBeyondTheInput) {
    for (const std::uint64_t length : {std::uint64_t{4}, kMax}) {
        Bytes bytes = varint(length);
        bytes += "abc";
        Decoder decoder(bytes);
        EXPECT_EQ(decoder.length_prefixed(), "");
        EXPECT_FALSE(decoder.ok());
    }
}

TEST(Decoder, SurvivesAnyInput) {
    Random random(5);
    for (int i = 0; i < 2'000; ++i) {
        Bytes bytes(static_cast<std::size_t>(random.below(24)), '\0');
        for (char& byte : bytes) {
            byte = static_cast<char>(random.below(256));
        }
        Decoder decoder(bytes);
        while (decoder.ok() && !decoder.at_end()) {
            switch (random.below(4)) {
                case 0: (void)decoder.varint(); break;
                case 1: (void)decoder.length_prefixed(); break;
                case 2: (void)decoder.fixed<std::uint32_t>(); break;
                default: (void)decoder.bytes(static_cast<std::size_t>(random.below(4)) + 1); break;
            }
        }
        EXPECT_LE(decoder.rest().size(), bytes.size());
    }
}

}  // namespace
}  // namespace kvstore
