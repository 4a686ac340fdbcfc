#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "cli/api_client.h"
#include "cli/arguments.h"
#include "cli/client_command.h"
#include "cli/import_line.h"
#include "cli/progress_bar.h"
#include "cli/shell.h"
#include "cli/stress.h"
#include "cli/stress_load.h"
#include "cli/text_table.h"

namespace kvstore::cli {
namespace {

constexpr std::array<FlagSpec, 2> kFlags{{
    {.name = "prefix", .value = "TEXT", .help = "which keys"},
    {.name = "e", .value = "", .help = "exit code"},
}};

TEST(Arguments, TakesFlagsAnywhereAndNegativeNumbersAsWords) {
    const auto parsed =
        parse_arguments(kFlags, {"incr", "-e", "-5", "--prefix=a", "--", "--prefix", "-"});
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->words(), (std::vector<std::string>{"incr", "-5", "--prefix", "-"}));
    EXPECT_TRUE(parsed->has("e"));
    EXPECT_EQ(parsed->value("prefix"), "a");
}

TEST(Arguments, NamesTheNearestFlagForAnUnknownOne) {
    const auto parsed = parse_arguments(kFlags, {"--prefx", "a"});
    ASSERT_FALSE(parsed.ok());
    EXPECT_NE(parsed.status().message().find("--prefix"), std::string_view::npos);
}

TEST(Arguments, RefusesAMissingValueAndOneTooMany) {
    EXPECT_FALSE(parse_arguments(kFlags, {"--prefix"}).ok());
    EXPECT_FALSE(parse_arguments(kFlags, {"-e=1"}).ok());
}

TEST(Endpoints, AreReadWithAndWithoutScheme) {
    const auto endpoints = parse_endpoints("a:1, http://b:2/");
    ASSERT_TRUE(endpoints.ok());
    ASSERT_EQ(endpoints->size(), 2);
    EXPECT_EQ((*endpoints)[1].to_string(), "b:2");
    EXPECT_FALSE(parse_endpoints("").ok());
    EXPECT_FALSE(parse_endpoints("nonsense").ok());
}

TEST(Endpoints, MayBeOneUrl) {
    for (const char* flag : {"--url=http://h:1", "-u=h:1", "--endpoints=h:1"}) {
        const auto parsed = parse_arguments(common_flags(), {flag});
        ASSERT_TRUE(parsed.ok()) << flag;
        EXPECT_EQ(read_api_options(*parsed)->endpoints.front().to_string(), "h:1") << flag;
    }
}

TEST(TextTable, AlignsColumnsAndEndsLinesWithoutBlanks) {
    TextTable table({"ID", "NAME", "ZONE"});
    table.add({"1", "a", ""});
    table.add({"10", "longer", "z"});

    EXPECT_EQ(table.text(), "ID  NAME    ZONE\n1   a\n10  longer  z\n");
}

TEST(Ttl, IsRoundedUpToWholeSeconds) {
    EXPECT_EQ(*parse_ttl("1h"), 3600);
    EXPECT_EQ(*parse_ttl("1500ms"), 2);
    EXPECT_EQ(*parse_ttl("7"), 7);
    EXPECT_FALSE(parse_ttl("0").ok());
    EXPECT_FALSE(parse_ttl("soon").ok());
}

TEST(ImportLine, TakesTextAndBase64) {
    const auto item =
        parse_import_line(R"({"key":"a","value_base64":"/w==","ttl_seconds":5,"mod_revision":9})");
    ASSERT_TRUE(item.ok());
    EXPECT_EQ(boost::json::serialize(*item),
              R"({"key":"a","value_base64":"/w==","ttl_seconds":5})");
}

TEST(ImportLine, RefusesWhatIsNoPair) {
    for (const char* line : {"",
                             "[]",
                             R"({"key":"a"})",
                             R"({"key":1,"value":"a"})",
                             R"({"key":"a","value":"b","value_base64":"YQ=="})",
                             R"({"key":"a","value_base64":"?"})",
                             R"({"key":"a","value":"b","ttl_seconds":0})"}) {
        EXPECT_FALSE(parse_import_line(line).ok()) << line;
    }
}

TEST(ShellWords, HoldQuotedBlanksTogether) {
    const auto words = split_words(R"(PUT  'a b' "c\"d" e\ f "")");
    ASSERT_TRUE(words.ok());
    EXPECT_EQ(*words, (std::vector<std::string>{"PUT", "a b", "c\"d", "e f", ""}));
    EXPECT_TRUE(split_words("  ")->empty());
    EXPECT_FALSE(split_words("PUT 'a").ok());
}

TEST(Progress, SaysHowFarAndHowFast) {
    const Progress half{.item_count = 5000,
                        .byte_count = 1024,
                        .bytes_total = 2048,
                        .elapsed = std::chrono::seconds(2)};
    EXPECT_EQ(progress_text(half), "[##########          ] 50%  5,000 keys  1 KiB  2,500 keys/s");
    EXPECT_EQ(with_thousands(1234567), "1,234,567");
    EXPECT_EQ(with_thousands(12), "12");
}

TEST(Stress, MakesKeysOfOneSizeAndCountsWhatHappened) {
    StressPlan plan;
    plan.operation_count = 2;
    plan.key_bytes = 8;
    StressRun run(plan, 7);
    EXPECT_EQ(run.key(42), "k0000042");
    run.start_measuring();
    StressRun::Operation operation;
    ASSERT_TRUE(run.begin(&operation));
    run.end(operation, stopwatch_nanoseconds());
    ASSERT_TRUE(run.begin(&operation));
    run.fail(operation, "refused");
    EXPECT_FALSE(run.begin(&operation));
    run.end_measuring();
    EXPECT_EQ(run.done_count(), 1);
    const std::string text = run.report_text();
    for (const char* part : {"response time", "throughput", "errors encountered", "refused"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part;
    }
}

TEST(Stress, PicksHotKeysMoreOften) {
    StressPlan plan;
    plan.distribution = Distribution::kHotCold;
    plan.key_count = 100;
    plan.operation_count = 1000;
    StressRun run(plan, 7);
    int hot = 0;
    StressRun::Operation operation;
    while (run.begin(&operation)) {
        hot += operation.key < 20 ? 1 : 0;
    }
    EXPECT_GT(hot, 750);
}

TEST(Stress, WritesSpansInTheUnitThatFits) {
    EXPECT_EQ(span_text(850), "850 ns");
    EXPECT_EQ(span_text(12'500), "12.5 us");
    EXPECT_EQ(span_text(3'200'000), "3.2 ms");
    EXPECT_EQ(span_text(1'400'000'000), "1.4 s");
}

TEST(RespReply, IsMeasuredWholeOrNotAtAll) {
    EXPECT_EQ(reply_size("+OK\r\n+OK\r\n"), 5);
    EXPECT_EQ(reply_size("-ERR no\r\n"), 9);
    EXPECT_EQ(reply_size("$-1\r\n"), 5);
    EXPECT_EQ(reply_size("$3\r\nabc\r\n"), 9);
    EXPECT_EQ(reply_size("$3\r\nabc\r"), 0);
    EXPECT_EQ(reply_size("$3"), 0);
}

}  // namespace
}  // namespace kvstore::cli
