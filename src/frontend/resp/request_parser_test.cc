// Requests from bytes, whole and in pieces.
#include "frontend/resp/request_parser.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace kvstore::resp {
namespace {

using Outcome = RequestParser::Outcome;
using Words = std::vector<std::string>;

Words words_of(const RequestParser& parser) {
    Words words;
    for (const ByteView argument : parser.arguments()) {
        words.emplace_back(argument);
    }
    return words;
}

Words parse_whole(std::string_view input) {
    RequestParser parser;
    EXPECT_EQ(parser.parse(input), Outcome::kRequest);
    Words words = words_of(parser);
    EXPECT_EQ(parser.advance(), input.size());
    return words;
}

std::string error_of(std::string_view input) {
    RequestParser parser;
    EXPECT_EQ(parser.parse(input), Outcome::kError);
    return std::string(parser.error());
}

TEST(RequestParser, TakesAnArrayOfBulkStrings) {
    EXPECT_EQ(parse_whole("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n"),
              (Words{"SET", "k", "a\r\nb"}));
}

TEST(RequestParser, TakesSizesOfAnyLength) {
    for (const std::size_t size : {0U, 9U, 10U, 99U, 100U, 999U, 1000U, 12345U}) {
        const std::string word(size, 'v');
        const std::string text =
            "*2\r\n$1\r\nk\r\n$" + std::to_string(size) + "\r\n" + word + "\r\n";
        EXPECT_EQ(parse_whole(text), (Words{"k", word})) << size;
    }
    EXPECT_EQ(error_of("*1\r\n$01\r\nk\r\n"), "invalid bulk length");
}

TEST(RequestParser, ShowsArgumentsWhereTheyCameIn) {
    const std::string input = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    RequestParser parser;
    ASSERT_EQ(parser.parse(input), Outcome::kRequest);

    EXPECT_EQ(parser.arguments()[1].data(), input.data() + input.find('k'));
}

TEST(RequestParser, TakesOneByteAtATimeFromAMovingBuffer) {
    const std::string input = "*2\r\n$12\r\nabcdefghijkl\r\n$0\r\n\r\n";
    RequestParser parser;
    for (std::size_t size = 1; size < input.size(); ++size) {
        const std::string part = input.substr(0, size);
        ASSERT_EQ(parser.parse(part), Outcome::kIncomplete) << size;
    }
    ASSERT_EQ(parser.parse(input), Outcome::kRequest);

    EXPECT_EQ(words_of(parser), (Words{"abcdefghijkl", ""}));
}

TEST(RequestParser, LeavesWhatIsBehindTheRequest) {
    const std::string input = "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n";
    RequestParser parser;
    ASSERT_EQ(parser.parse(input), Outcome::kRequest);
    const std::size_t size = parser.advance();
    ASSERT_EQ(size, input.size() / 2);
    ASSERT_EQ(parser.parse(std::string_view(input).substr(size)), Outcome::kRequest);

    EXPECT_EQ(words_of(parser), Words{"QUIT"});
}

TEST(RequestParser, GivesTheSameRequestAgainAfterRewind) {
    const std::string input = "*1\r\n$4\r\nPING\r\n";
    RequestParser parser;
    ASSERT_EQ(parser.parse(input), Outcome::kRequest);
    parser.rewind();
    ASSERT_EQ(parser.parse(input), Outcome::kRequest);

    EXPECT_EQ(words_of(parser), Words{"PING"});
}

TEST(RequestParser, TakesNothingFromAnEmptyOrNegativeArray) {
    EXPECT_EQ(parse_whole("*0\r\n"), Words{});
    EXPECT_EQ(parse_whole("*-10\r\n"), Words{});
}

TEST(RequestParser, SaysHowMuchALargeArgumentNeeds) {
    const std::string input = "*2\r\n$3\r\nSET\r\n$100000\r\nabc";
    RequestParser parser;
    ASSERT_EQ(parser.parse(input), Outcome::kIncomplete);

    EXPECT_EQ(parser.wanted(), input.size() - 3 + 100'000 + 2);
}

TEST(RequestParser, RefusesWhatRedisRefusesInItsWords) {
    EXPECT_EQ(error_of("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n"), "expected '$', got 'f'");
    EXPECT_EQ(error_of("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n"), "invalid bulk length");
    EXPECT_EQ(error_of("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$2000000000\r\n"), "invalid bulk length");
    EXPECT_EQ(error_of("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$blabla\r\n"), "invalid bulk length");
    EXPECT_EQ(error_of("*20000000\r\n"), "invalid multibulk length");
    EXPECT_EQ(error_of("*+1\r\n"), "invalid multibulk length");
    EXPECT_EQ(error_of("*01\r\n"), "invalid multibulk length");
    EXPECT_EQ(error_of("set \"\"\"test-key\"\"\" test-value\r\n"), "unbalanced quotes in request");
}

TEST(RequestParser, RefusesLinesThatDoNotEnd) {
    const std::string digits(70'000, '1');
    EXPECT_EQ(error_of("*" + digits), "too big mbulk count string");
    EXPECT_EQ(error_of("*1\r\n$" + digits), "too big bulk count string");
    EXPECT_EQ(error_of("A" + digits), "too big inline request");
}

TEST(RequestParser, StaysFailed) {
    RequestParser parser;
    ASSERT_EQ(parser.parse("*x\r\n"), Outcome::kError);

    EXPECT_EQ(parser.parse("*1\r\n$4\r\nPING\r\n"), Outcome::kError);
}

TEST(RequestParser, TakesInlineCommands) {
    EXPECT_EQ(parse_whole("PING\r\n"), Words{"PING"});
    EXPECT_EQ(parse_whole("  SET  a b \n"), (Words{"SET", "a", "b"}));
    EXPECT_EQ(parse_whole("\r\n"), Words{});
}

TEST(RequestParser, ReadsQuotesOfInlineCommands) {
    EXPECT_EQ(parse_whole("SET \"a b\" 'c d'\n"), (Words{"SET", "a b", "c d"}));
    EXPECT_EQ(parse_whole("SET \"\\x41\\n\\q\" 'it\\'s'\n"), (Words{"SET", "A\nq", "it's"}));
    EXPECT_EQ(parse_whole("SET \"\" ''\n"), (Words{"SET", "", ""}));
    EXPECT_EQ(error_of("SET \"a\n"), "unbalanced quotes in request");
    EXPECT_EQ(error_of("SET 'a'b\n"), "unbalanced quotes in request");
}

// Each byte must be looked at a bounded number of times, also when a large request trickles in.
TEST(RequestParser, RemembersHowFarItIs) {
    constexpr int kArguments = 100'000;
    std::string input = "*" + std::to_string(kArguments) + "\r\n";
    for (int i = 0; i < kArguments; ++i) {
        input += "$2\r\nab\r\n";
    }
    RequestParser parser;
    for (std::size_t size = 0; size < input.size(); size += 100) {
        ASSERT_EQ(parser.parse(std::string_view(input).substr(0, size)), Outcome::kIncomplete);
    }
    ASSERT_EQ(parser.parse(input), Outcome::kRequest);

    EXPECT_EQ(parser.arguments().size(), kArguments);
}

}  // namespace
}  // namespace kvstore::resp
