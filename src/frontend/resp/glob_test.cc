// Patterns match as in Redis.
#include "frontend/resp/glob.h"

#include <string>

#include <gtest/gtest.h>

namespace kvstore::resp {
namespace {

TEST(Glob, MatchesLiteralsAndWildcards) {
    EXPECT_TRUE(glob_matches("", ""));
    EXPECT_FALSE(glob_matches("", "a"));
    EXPECT_TRUE(glob_matches("*", ""));
    EXPECT_TRUE(glob_matches("foo*", "foobar"));
    EXPECT_TRUE(glob_matches("*bar", "foobar"));
    EXPECT_TRUE(glob_matches("f?o", "foo"));
    EXPECT_FALSE(glob_matches("f?o", "fo"));
    EXPECT_TRUE(glob_matches("a*b*c", "aXXbYYbc"));
    EXPECT_FALSE(glob_matches("a*b*c", "aXXbYYb"));
    EXPECT_TRUE(glob_matches("**a**", "xax"));
}

TEST(Glob, MatchesClasses) {
    EXPECT_TRUE(glob_matches("h[ae]llo", "hallo"));
    EXPECT_FALSE(glob_matches("h[ae]llo", "hillo"));
    EXPECT_TRUE(glob_matches("h[^e]llo", "hallo"));
    EXPECT_FALSE(glob_matches("h[^e]llo", "hello"));
    EXPECT_TRUE(glob_matches("h[a-c]llo", "hbllo"));
    EXPECT_TRUE(glob_matches("h[c-a]llo", "hbllo"));
    EXPECT_TRUE(glob_matches("[\\]]", "]"));
    EXPECT_FALSE(glob_matches("[]", "a"));
    EXPECT_TRUE(glob_matches("[ab", "b"));
}

TEST(Glob, TakesEscapedBytesAsThemselves) {
    EXPECT_TRUE(glob_matches("\\*", "*"));
    EXPECT_FALSE(glob_matches("\\*", "a"));
    EXPECT_TRUE(glob_matches("a\\?b", "a?b"));
    EXPECT_TRUE(glob_matches("\\", "\\"));
}

// A naive matcher needs exponential time for this.
TEST(Glob, IsNotSlowedDownByManyStars) {
    std::string pattern;
    for (int i = 0; i < 30; ++i) {
        pattern += "a*";
    }
    pattern += "b";

    EXPECT_FALSE(glob_matches(pattern, std::string(10'000, 'a')));
}

TEST(Glob, KnowsWhatEveryMatchBeginsWith) {
    EXPECT_EQ(glob_prefix("user:*"), "user:");
    EXPECT_EQ(glob_prefix("a\\*b?"), "a*b");
    EXPECT_EQ(glob_prefix("[ab]c"), "");
    EXPECT_EQ(glob_prefix("exact"), "exact");
}

}  // namespace
}  // namespace kvstore::resp
