#include "base/parse.h"

#include <array>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvstore {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

TEST(ParseInteger, TakesWhatRedisTakes) {
    EXPECT_EQ(parse_int64("0"), 0);
    EXPECT_EQ(parse_int64("-1"), -1);
    EXPECT_EQ(parse_int64("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
    EXPECT_EQ(parse_int64("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(parse_uint64("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
}

TEST(ParseInteger, RefusesWhatRedisRefuses) {
    for (const char* text : {"",
                             "-",
                             "+1",
                             " 1",
                             "1 ",
                             "01",
                             "-0",
                             "-01",
                             "1.0",
                             "1e3",
                             "0x1",
                             "a",
                             "9223372036854775808",
                             "-9223372036854775809"}) {
        EXPECT_FALSE(parse_int64(text).has_value()) << text;
    }
    for (const char* text : {"-1", "18446744073709551616", "00"}) {
        EXPECT_FALSE(parse_uint64(text).has_value()) << text;
    }
    EXPECT_FALSE(parse_int64(std::string_view("1\0", 2)).has_value());
}

TEST(ParseDuration, TakesUnitsAndTheirSums) {
    EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
    EXPECT_EQ(parse_duration("1h30m"), hours(1) + minutes(30));
    EXPECT_EQ(parse_duration("7d"), hours(7 * 24));
    EXPECT_EQ(parse_duration("5us3ns"), Duration(5'003));
    EXPECT_EQ(parse_duration("0"), Duration(0));
}

TEST(ParseDuration, RefusesWhatIsNotClear) {
    for (const char* text : {"",
                             "5",
                             "ms",
                             "1x",
                             "-1s",
                             "1.5s",
                             "1 s",
                             "s1",
                             "1s2",
                             "300000d",
                             "9223372036854775807s",
                             "1S"}) {
        EXPECT_FALSE(parse_duration(text).has_value()) << text;
    }
}

TEST(FormatDuration, WritesWhatParsesBack) {
    EXPECT_EQ(format_duration(hours(25) + milliseconds(1)), "1d1h1ms");
    EXPECT_EQ(format_duration(Duration(0)), "0s");
    EXPECT_EQ(format_duration(-minutes(1)), "-1m");
    EXPECT_EQ(format_duration(Duration::min()).substr(0, 7), "-106751");
    for (const Duration span : {Duration(1), Duration(123'456'789'012'345), Duration::max()}) {
        EXPECT_EQ(parse_duration(format_duration(span)), span);
    }
}

TEST(ParseSize, KnowsBinaryAndDecimalUnits) {
    EXPECT_EQ(parse_size("512"), 512U);
    EXPECT_EQ(parse_size("64MiB"), 64U << 20U);
    EXPECT_EQ(parse_size("1GB"), 1'000'000'000U);
    EXPECT_EQ(parse_size("16k"), 16'384U);
    EXPECT_EQ(parse_size("2 tib"), 2ULL << 40U);
    EXPECT_EQ(parse_size("10kB"), 10'000U);
    EXPECT_EQ(parse_size("7b"), 7U);
}

TEST(ParseSize, RefusesWhatIsNotClear) {
    for (const char* text :
         {"", "k", "-1", "1.5G", "1xb", "16777216T", "1  k", "18446744073709551616"}) {
        EXPECT_FALSE(parse_size(text).has_value()) << text;
    }
}

TEST(FormatSize, TakesTheLargestUnit) {
    EXPECT_EQ(format_size(0), "0 B");
    EXPECT_EQ(format_size(1'023), "1023 B");
    EXPECT_EQ(format_size(64U << 20U), "64 MiB");
    EXPECT_EQ(format_size(1'536), "1.5 KiB");
    EXPECT_EQ(format_size(std::numeric_limits<std::uint64_t>::max()), "16777215.9 TiB");
}

TEST(Base64, GivesTheVectorsOfRfc4648) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kVectors{{
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    }};
    for (const auto& [data, text] : kVectors) {
        EXPECT_EQ(base64_encode(data), text);
        EXPECT_EQ(base64_decode(text), Bytes(data));
    }
}

TEST(Base64, TakesBothAlphabetsAndNoPadding) {
    EXPECT_EQ(base64_decode("+/+/"), base64_decode("-_-_"));
    EXPECT_EQ(base64_decode("Zg"), "f");
}

TEST(Base64, RefusesWhatIsMalformed) {
    // A stray sign, a blank, a lone sign, wrong padding, bits that mean nothing.
    for (const char* text : {"Zm9*",
                             "Zm 9v",
                             "Z",
                             "Zm9vY",
                             "Zg=",
                             "Zg===",
                             "Zm9v=",
                             "Zm9v====",
                             "=",
                             "====",
                             "Z=g=",
                             "Zh=="}) {
        EXPECT_FALSE(base64_decode(text).has_value()) << text;
    }
}

TEST(Base64, BringsBackAnyBytes) {
    Random random(2);
    for (std::size_t size = 0; size < 100; ++size) {
        Bytes data(size, '\0');
        for (char& byte : data) {
            byte = static_cast<char>(random.below(256));
        }
        EXPECT_EQ(base64_decode(base64_encode(data)), data);
    }
}

TEST(NearestSpelling, FindsWhatWasMostLikelyMeant) {
    constexpr std::array<std::string_view, 3> kWords{"durability", "data_dir", "id"};

    EXPECT_EQ(nearest_spelling("durabilty", kWords), "durability");
    EXPECT_EQ(nearest_spelling("data-dir", kWords), "data_dir");
    EXPECT_EQ(nearest_spelling("ie", kWords), "id");
    EXPECT_EQ(nearest_spelling("something", kWords), "");
    EXPECT_EQ(nearest_spelling("xyz", {}), "");
}

}  // namespace
}  // namespace kvstore
