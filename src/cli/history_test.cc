// History files, and `kvstore verify` from its arguments to its exit code.
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "cli/history_file.h"
#include "cli/verify_history_command.h"

namespace kvstore::cli {
namespace {

using history::Operation;
using history::OperationKind;
using history::Outcome;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(HistoryLine, IsReadAsTheReferenceSays) {
    const auto read = parse_history_line(
        R"({"client":3,"operation":"compare-and-set","key":"a","expected":null,"value":"1",)"
        R"("outcome":"ok","matched":false,"observed_base64":"/w==","call":-5,"return":20,)"
        R"("node":2,"revision":17,"note":"anything"})");

    ASSERT_TRUE(read.ok()) << read.status().to_string();
    EXPECT_EQ(read->client, history::ClientId(3));
    EXPECT_EQ(read->kind, OperationKind::kCompareAndSet);
    EXPECT_EQ(read->outcome, Outcome::kOk);
    EXPECT_EQ(read->key, "a");
    EXPECT_EQ(read->expected, history::MaybeValue());
    EXPECT_EQ(read->argument, "1");
    EXPECT_FALSE(read->is_matched);
    EXPECT_EQ(*read->observed, "\xff");
    EXPECT_EQ(read->called.time_since_epoch().count(), -5);
    EXPECT_EQ(read->returned.time_since_epoch().count(), 20);
    EXPECT_EQ(read->node, NodeId(2));
    EXPECT_EQ(read->revision, Revision(17));
}

TEST(HistoryLine, OfUnknownOutcomeNeedsNoReturn) {
    const auto written = parse_history_line(
        R"({"client":1,"operation":"write","key":"a","value":"1","outcome":"unknown","call":5})");

    ASSERT_TRUE(written.ok()) << written.status().to_string();
    EXPECT_EQ(written->outcome, Outcome::kUnknown);
}

struct BadLine {
    std::string_view line;
    std::string_view complaint;
};

TEST(HistoryLine, SaysWhereAndWhatIsWrong) {
    const std::vector<BadLine> bad_lines{
        {"", "column 1: no JSON"},
        {"[]", "column 1: no JSON object"},
        {R"({"client":1,})", "column 13: no JSON"},
        {R"({} {})", "column 4: more than one"},
        {R"({"operation":"read"})", "'client' is missing"},
        {R"({"client":"x"})", "column 2: 'client' must be a whole number"},
        {R"({"client":-1})", "column 2: 'client' must be a whole number"},
        {R"({"client":1,"operation":"reed"})", "column 13: 'operation' cannot be 'reed'"},
        {R"({"client":1,"operation":"read"})", "'key' is missing"},
        {R"({"client":1,"operation":"read","key":null})", "'key' is missing"},
        {R"({"client":1,"operation":"read","key":"key","observd":1})",
         "column 44: 'observd' is unknown; is it 'observed'?"},
        {R"({"client":1,"operation":"read","key":"a","key_base64":"YQ=="})",
         "column 42: 'key_base64' and 'key' exclude"},
        {R"({"client":1,"operation":"read","key_base64":"?"})", "'key_base64' is no base64"},
        {R"({"client":1,"operation":"read","key":"a"})", "'outcome' is missing"},
        {R"({"client":1,"operation":"read","key":"a","outcome":"ok"})", "'call' is missing"},
        {R"({"client":1,"operation":"read","key":"a","outcome":"ok","call":1})",
         "'return' is missing"},
        {R"({"client":1,"operation":"read","key":"a","outcome":"ok","call":1,"return":2})",
         "column 13: a read needs what it observed"},
        {R"({"client":1,"operation":"read","key":"a","outcome":"ok","call":3,"return":2,)"
         R"("observed":null})",
         "returned before it was called"},
        {R"({"client":1,"operation":"read","key":"a","outcome":"ok","call":1.5})",
         "column 57: 'call' must be a whole number"},
        {R"({"client":1,"operation":"increment","key":"a"})", "'by' is missing"},
        {R"({"client":1,"operation":"compare-and-set","key":"a","value":"b"})",
         "needs 'expected' and 'value'"},
        {R"({"client":1,"operation":"compare-and-set","key":"a","value":"b","expected":null,)"
         R"("outcome":"ok"})",
         "'matched' is missing"},
        {R"({"client":1,"operation":"compare-and-set","key":"a","value":"b","expected":null,)"
         R"("outcome":"ok","matched":1})",
         "'matched' must be true or false"},
        {R"({"client":1,"operation":"read","key":"a","outcome":"ok","call":1,"return":2,)"
         R"("observed":null,"consistency":"strong"})",
         "'consistency' cannot be 'strong'"},
    };
    for (const BadLine& bad : bad_lines) {
        const auto read = parse_history_line(bad.line);
        ASSERT_FALSE(read.ok()) << bad.line;
        EXPECT_EQ(read.status().code(), Code::kInvalidArgument);
        EXPECT_THAT(std::string(read.status().message()), HasSubstr(bad.complaint)) << bad.line;
    }
}

TEST(HistoryLine, IsWrittenAsItIsRead) {
    for (const std::string_view line : {
             R"({"client":1,"operation":"read","key":"a","outcome":"ok","observed":null,)"
             R"("call":1,"return":2,"consistency":"causal","revision":7,"node":3})",
             R"({"client":1,"operation":"write","key":"a","value_base64":"/w==","outcome":"ok",)"
             R"("observed":"b","call":1,"return":2})",
             R"({"client":1,"operation":"delete","key_base64":"/w==","outcome":"ok","number":1,)"
             R"("call":1,"return":2})",
             R"({"client":1,"operation":"compare-and-set","key":"a","expected":"b","value":null,)"
             R"("outcome":"ok","matched":true,"call":1,"return":2})",
             R"({"client":1,"operation":"increment","key":"a","by":-2,"outcome":"unknown",)"
             R"("call":1})",
             R"({"client":1,"operation":"append","key":"a","value":"é","outcome":"failed",)"
             R"("call":1})",
         }) {
        const auto operation = parse_history_line(line);
        ASSERT_TRUE(operation.ok()) << line << ": " << operation.status().to_string();
        EXPECT_EQ(format_history_line(*operation), line);
    }
}

struct Ended {
    ExitCode code;
    std::string output;
    std::string errors;
};

class VerifyCommand : public ::testing::Test {
protected:
    ~VerifyCommand() override { std::filesystem::remove(path_); }

    // Runs over a file with this content.
    Ended run(std::string_view content, std::vector<std::string> flags = {}) {
        std::ofstream(path_) << content;
        flags.push_back(path_);
        return run_words(flags);
    }
    static Ended run_words(const std::vector<std::string>& words) {
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        const ExitCode code = run_verify_history(words);
        std::string output = ::testing::internal::GetCapturedStdout();
        return {.code = code,
                .output = std::move(output),
                .errors = ::testing::internal::GetCapturedStderr()};
    }

    std::string path_ = (std::filesystem::temp_directory_path() /
                         (std::string("kvstore-verify-") +
                          ::testing::UnitTest::GetInstance()->current_test_info()->name()))
                            .string();
};

constexpr std::string_view kWrite =
    R"({"client":1,"operation":"write","key":"a","value":"1","outcome":"ok","call":0,"return":9})"
    "\n";
constexpr std::string_view kGoodRead =
    R"({"client":2,"operation":"read","key":"a","observed":"1","outcome":"ok","call":10,"return":19})"
    "\n";
constexpr std::string_view kStaleRead =
    R"({"client":2,"operation":"read","key":"a","observed":null,"outcome":"ok","call":20,"return":29})"
    "\n";

TEST_F(VerifyCommand, SaysThatAllChecksHold) {
    const Ended good = run(std::string(kWrite) + "\n" + std::string(kGoodRead));

    EXPECT_EQ(good.code, ExitCode::kOk);
    EXPECT_THAT(good.output, HasSubstr("2 operations on 1 keys by 2 clients"));
    EXPECT_THAT(good.output, HasSubstr("all checks hold"));
    EXPECT_THAT(good.output, HasSubstr("nothing to check"));
    EXPECT_EQ(good.errors, "");
}

TEST_F(VerifyCommand, ShowsTheWindowOfAViolation) {
    const Ended bad = run(std::string(kWrite) + "\n" + std::string(kStaleRead));

    EXPECT_EQ(bad.code, ExitCode::kError);
    EXPECT_THAT(bad.output, HasSubstr("VIOLATED"));
    EXPECT_THAT(bad.output, HasSubstr("  > line 3"));
    EXPECT_THAT(bad.output, HasSubstr("20 .. 29"));
    EXPECT_THAT(bad.output, HasSubstr("read -> absent"));
}

TEST_F(VerifyCommand, PrintsTheSameAsJson) {
    const Ended bad = run(std::string(kWrite) + std::string(kStaleRead), {"-o", "json"});

    EXPECT_EQ(bad.code, ExitCode::kError);
    const boost::json::value body = boost::json::parse(bad.output);
    EXPECT_EQ(body.at("verdict").as_string(), "violated");
    const boost::json::value& check = body.at("checks").at(0);
    EXPECT_EQ(check.at("check").as_string(), "linearizability");
    EXPECT_EQ(check.at("violations").as_int64(), 1);
    const boost::json::value& culprit = check.at("explanations").at(0).at("operations").at(1);
    EXPECT_EQ(culprit.at("line").to_number<int>(), 2);
    EXPECT_FALSE(culprit.at("explained").as_bool());
    EXPECT_EQ(culprit.at("operation").at("operation").as_string(), "read");
}

TEST_F(VerifyCommand, TakesThePromiseOfReadsThatNameNone) {
    const std::string content = std::string(kWrite) + std::string(kStaleRead);

    EXPECT_EQ(run(content, {"--consistency", "eventual"}).code, ExitCode::kOk);
    EXPECT_EQ(run(content, {"--consistency", "bounded"}).code, ExitCode::kOk);
    EXPECT_EQ(run(content, {"--consistency", "bounded", "--staleness-max", "5ns"}).code,
              ExitCode::kError);
}

TEST_F(VerifyCommand, SaysWhenItCannotTell) {
    const std::string append =
        R"({"client":1,"operation":"append","key":"a","value":"x","outcome":"ok","call":0,"return":9})"
        "\n";
    const Ended poor = run(append + append, {"--budget", "0"});

    EXPECT_EQ(poor.code, ExitCode::kUndecided);
    EXPECT_THAT(poor.output, HasSubstr("UNDECIDED"));
    EXPECT_THAT(poor.output, HasSubstr("--budget"));
}

TEST_F(VerifyCommand, RefusesWhatIsNoHistory) {
    EXPECT_EQ(run("").code, ExitCode::kUsage) << "nothing recorded is not a proof";
    const Ended bad = run(std::string(kWrite) + "{\"client\":1}\n");
    EXPECT_EQ(bad.code, ExitCode::kUsage);
    EXPECT_THAT(bad.errors, HasSubstr("line 2: column 1: 'operation' is missing"));
    EXPECT_EQ(run_words({"/nonexistent"}).code, ExitCode::kUsage);
    EXPECT_THAT(run_words({std::filesystem::temp_directory_path().string()}).errors,
                HasSubstr("verify-data"));
}

TEST_F(VerifyCommand, RefusesWrongArguments) {
    EXPECT_EQ(run_words({}).code, ExitCode::kUsage);
    EXPECT_EQ(run_words({"a", "b"}).code, ExitCode::kUsage);
    EXPECT_EQ(run(kWrite, {"--consistency", "strong"}).code, ExitCode::kUsage);
    EXPECT_EQ(run(kWrite, {"--budget", "many"}).code, ExitCode::kUsage);
    EXPECT_EQ(run(kWrite, {"--staleness-max", "soon"}).code, ExitCode::kUsage);
    EXPECT_EQ(run(kWrite, {"-o", "plain"}).code, ExitCode::kUsage);
    const Ended help = run_words({"--help"});
    EXPECT_EQ(help.code, ExitCode::kOk);
    EXPECT_THAT(help.output, HasSubstr("7 undecided"));
    EXPECT_THAT(help.output, Not(HasSubstr("\t")));
}

}  // namespace
}  // namespace kvstore::cli
