// The checksum and the hashes that formats and placements stand on: their values are fixed for
// ever.
#include <string>

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/id.h"

namespace kvstore {
namespace {

TEST(Crc32c, GivesTheVectorsOfRfc3720) {
    Bytes rising;
    Bytes falling;
    for (int i = 0; i < 32; ++i) {
        rising += static_cast<char>(i);
        falling += static_cast<char>(31 - i);
    }

    EXPECT_EQ(crc32c(Bytes(32, '\0')), 0x8a9136aaU);
    EXPECT_EQ(crc32c(Bytes(32, '\xff')), 0x62a8ab43U);
    EXPECT_EQ(crc32c(rising), 0x46dd794eU);
    EXPECT_EQ(crc32c(falling), 0x113fdb5cU);
    EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
    EXPECT_EQ(crc32c(""), 0U);
}

TEST(Crc32c, ContinuesWhereThePartBeforeEnded) {
    const Bytes whole = "The quick brown fox jumps over the lazy dog, twice and once more.";
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
        const ByteView view = whole;
        EXPECT_EQ(crc32c(view.substr(cut), crc32c(view.substr(0, cut))), crc32c(whole)) << cut;
    }
}

TEST(Crc32c, SeesEverySingleFlippedBit) {
    Bytes data(100, 'x');
    const std::uint32_t good = crc32c(data);
    for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
        char& byte = data[bit / 8];
        const char before = byte;
        byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << (bit % 8)));
        EXPECT_NE(crc32c(data), good) << bit;
        byte = before;
    }
}

TEST(Hash, IsStable) {
    // XXH3 of nothing with seed 0, as its authors publish it.
    EXPECT_EQ(hash64(""), 0x2d06800538d394c2U);
    EXPECT_EQ(hash64("a"), hash64("a", 0));
    EXPECT_NE(hash64("a"), hash64("a", 1));
}

TEST(Hash, MixesAsSplitmix64Does) {
    std::uint64_t state = 1'234'567;
    EXPECT_EQ(mix64(state += 0x9e3779b97f4a7c15U), 6'457'827'717'110'365'317U);
    EXPECT_EQ(mix64(state += 0x9e3779b97f4a7c15U), 3'203'168'211'198'807'973U);
    EXPECT_EQ(mix64(state += 0x9e3779b97f4a7c15U), 9'817'491'932'198'370'423U);
}

TEST(StrongId, CountsAndComparesWithinItsTypeOnly) {
    static_assert(!std::is_convertible_v<Term, Index>);
    static_assert(!std::is_convertible_v<std::uint64_t, Term>);

    EXPECT_EQ(Term(1).next(), Term(2));
    EXPECT_EQ(Index(1).plus(4).value(), 5U);
    EXPECT_LT(NodeId(1), NodeId(2));
    EXPECT_EQ(NodeId(), NodeId(0));
}

}  // namespace
}  // namespace kvstore
