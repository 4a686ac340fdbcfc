#include "kv/session_token.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/parse.h"

namespace kvstore::kv {
namespace {

using ::testing::HasSubstr;

SessionToken token_of(std::uint64_t shards) {
    SessionToken token;
    for (std::uint64_t shard = 1; shard <= shards; ++shard) {
        token.note(ShardId(shard), Revision(shard * 100));
    }
    return token;
}

// Text of these bytes and a checksum that fits them.
std::string sealed(Bytes bytes) {
    put_fixed(bytes, crc32c(bytes));
    return base64_encode(bytes);
}

void expect_refused(std::string_view text) {
    const auto parsed = SessionToken::parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument);
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("session token"));
}

TEST(SessionToken, KeepsTheNewestRevisionOfEachShard) {
    SessionToken token;
    EXPECT_TRUE(token.empty());
    token.note(ShardId(1), Revision(5));
    token.note(ShardId(2), Revision(7));
    token.note(ShardId(1), Revision(3));
    token.note(ShardId(2), Revision(8));
    EXPECT_EQ(token.seen(ShardId(1)), Revision(5));
    EXPECT_EQ(token.seen(ShardId(2)), Revision(8));
    EXPECT_EQ(token.seen(ShardId(3)), Revision());
    EXPECT_FALSE(token.has_forgotten(ShardId(3)));
}

TEST(SessionToken, IsTheSameAfterItsText) {
    for (const std::uint64_t shards : {0U, 1U, 2U, 32U, 40U}) {
        const SessionToken token = token_of(shards);
        const auto parsed = SessionToken::parse(token.text());
        ASSERT_TRUE(parsed.ok()) << parsed.status().to_string();
        EXPECT_EQ(*parsed, token);
    }
}

TEST(SessionToken, HasAShortTextThatNeedsNoEscapes) {
    SessionToken token;
    for (std::uint64_t revision = 1; revision < 5'000; ++revision) {
        token.note(ShardId(1), Revision(revision * 7919));
        const std::string text = token.text();
        ASSERT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789-_"),
                  std::string::npos)
            << text;
        ASSERT_LE(text.size(), 16U);
    }
}

TEST(SessionToken, KeepsItsTextForEver) {
    // Clients hold tokens across upgrades: this text must be read by every later version.
    SessionToken token;
    token.note(ShardId(3), Revision(300));
    token.note(ShardId(1), Revision(1));
    EXPECT_EQ(token.text(), "AQADrAIBAYkwSz0");
}

TEST(SessionToken, ForgetsTheShardThatWasTouchedLeastRecentlyAndSaysSo) {
    SessionToken token = token_of(SessionToken::kMarksMax);
    token.note(ShardId(1), Revision(1));  // touched again: 2 is the oldest now
    EXPECT_FALSE(token.has_forgotten(ShardId(99)));

    token.note(ShardId(50), Revision(1));
    EXPECT_EQ(token.seen(ShardId(2)), Revision());
    EXPECT_TRUE(token.has_forgotten(ShardId(2)));
    EXPECT_TRUE(token.has_forgotten(ShardId(99))) << "nobody can tell";
    EXPECT_FALSE(token.has_forgotten(ShardId(1)));
    EXPECT_EQ(token.seen(ShardId(1)), Revision(100));
}

TEST(SessionToken, MergesIntoWhatBothHaveSeen) {
    SessionToken one = token_of(2);
    SessionToken other;
    other.note(ShardId(2), Revision(900));
    other.note(ShardId(3), Revision(1));
    one.merge(other);
    EXPECT_EQ(one.seen(ShardId(1)), Revision(100));
    EXPECT_EQ(one.seen(ShardId(2)), Revision(900));
    EXPECT_EQ(one.seen(ShardId(3)), Revision(1));
}

TEST(SessionToken, KnowsNothingOfAShardThatEitherPartHasForgotten) {
    const SessionToken forgetful = token_of(SessionToken::kMarksMax + 1);  // of shard 1
    SessionToken small;
    small.note(ShardId(1), Revision(5));

    SessionToken one = forgetful;
    one.merge(small);
    EXPECT_TRUE(one.has_forgotten(ShardId(1))) << "it may have seen more than 5";
    SessionToken other = small;
    other.merge(forgetful);
    EXPECT_TRUE(other.has_forgotten(ShardId(1)));
    EXPECT_EQ(other.seen(ShardId(33)), Revision(3300));
}

TEST(SessionToken, RefusesWhatNoAnswerGave) {
    const std::string good = token_of(2).text();
    expect_refused("");
    expect_refused("not a token!");
    expect_refused(std::string(5'000, 'A'));
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        expect_refused(bad);
        expect_refused(good.substr(0, i));
    }
    expect_refused(sealed(""));
    expect_refused(sealed(Bytes("\2\0", 2)));              // a later format
    expect_refused(sealed(Bytes("\1\2", 2)));              // no flag
    expect_refused(sealed(Bytes("\1\0\5", 3)));            // half a mark
    expect_refused(sealed(Bytes("\1\0\5\1\5\2", 6)));      // a shard twice
    expect_refused(sealed(Bytes("\1\0\xff\xff\xff", 5)));  // a number without end
    Bytes many("\1\0", 2);
    for (std::uint64_t shard = 1; shard <= SessionToken::kMarksMax + 1; ++shard) {
        put_varint(many, shard);
        put_varint(many, 1);
    }
    expect_refused(sealed(many));
}

}  // namespace
}  // namespace kvstore::kv
