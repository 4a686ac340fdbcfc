#include "base/json_escape.h"

#include <string>

#include <gtest/gtest.h>

namespace kvstore {
namespace {

std::string escaped(std::string_view text) {
    std::string to = "<";
    append_json_escaped(to, text);
    return to.substr(1);
}

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

TEST(JsonEscape, LeavesPlainTextAndUtf8Alone) {
    EXPECT_EQ(escaped("plain / text"), "plain / text");
    EXPECT_EQ(escaped("größer €\xf0\x9f\x98\x80"), "größer €\xf0\x9f\x98\x80");
}

TEST(JsonEscape, EscapesWhatMayNotStandInAString) {
    EXPECT_EQ(escaped("a\"b\\c"), "a\\\"b\\\\c");
    EXPECT_EQ(escaped("\n\r\t"), "\\n\\r\\t");
    EXPECT_EQ(escaped(std::string_view("\0\x1f\x7f", 3)), "\\u0000\\u001f\\u007f");
}

TEST(JsonEscape, ReplacesEachByteThatIsNoUtf8) {
    EXPECT_EQ(escaped("a\xff"
                      "b"),
              "a" + std::string(kReplacement) + "b");
    // A sequence that is cut short.
    EXPECT_EQ(escaped("\xe2\x82"), std::string(kReplacement) + std::string(kReplacement));
}

TEST(Utf8, KnowsWellFormedText) {
    for (const char* text : {"",
                             "a",
                             "\xc2\x80",
                             "\xdf\xbf",
                             "\xe0\xa0\x80",
                             "\xed\x9f\xbf",
                             "\xee\x80\x80",
                             "\xf0\x90\x80\x80",
                             "\xf4\x8f\xbf\xbf"}) {
        EXPECT_TRUE(is_utf8(text)) << text;
    }
}

TEST(Utf8, RefusesOverlongSurrogateTooLargeAndCutSequences) {
    for (const char* text : {"\x80",
                             "\xc0\x80",
                             "\xc1\xbf",
                             "\xe0\x9f\xbf",
                             "\xed\xa0\x80",
                             "\xed\xbf\xbf",
                             "\xf0\x8f\xbf\xbf",
                             "\xf4\x90\x80\x80",
                             "\xf5\x80\x80\x80",
                             "\xff",
                             "\xc2",
                             "\xe1\x80",
                             "\xf1\x80\x80",
                             "\xc2\x41"}) {
        EXPECT_FALSE(is_utf8(text)) << text;
    }
}

}  // namespace
}  // namespace kvstore
