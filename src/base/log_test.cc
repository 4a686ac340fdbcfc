#include "base/log.h"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace kvstore {
namespace {

std::vector<std::string>& lines() {
    static std::vector<std::string> kept;
    return kept;
}

class Log : public testing::Test {
protected:
    void SetUp() override {
        lines().clear();
        set_log_sink([](LogLevel, std::string_view line) { lines().emplace_back(line); });
    }
    void TearDown() override {
        set_log_sink(nullptr);
        set_log_level(LogLevel::kInfo);
        set_log_format(LogFormat::kJson);
    }
    // The one line that was logged, without its time.
    static std::string line() {
        EXPECT_EQ(lines().size(), 1U);
        const std::string whole = lines().empty() ? "" : lines().front();
        const std::size_t end_of_time = whole.find("Z");
        return end_of_time == std::string::npos ? whole : whole.substr(end_of_time + 1);
    }
};

TEST_F(Log, WritesJsonWithNumbersAndTexts) {
    log_info("segment recycled",
             {{"segment", 3}, {"path", "a\"b"}, {"ratio", -0.5}, {"full", true}});

    EXPECT_EQ(line(),
              R"(","level":"info","msg":"segment recycled","segment":3,"path":"a\"b",)"
              R"("ratio":-0.500000,"full":"true"})");
    EXPECT_TRUE(lines().front().starts_with(R"({"ts":"20)"));
}

TEST_F(Log, QuotesNumbersThatJsonDoesNotKnow) {
    log_info("x",
             {{"n", std::numeric_limits<double>::quiet_NaN()},
              {"i", std::numeric_limits<double>::infinity()}});

    EXPECT_EQ(line(), R"(","level":"info","msg":"x","n":"nan","i":"inf"})");
}

TEST_F(Log, KeepsALineOneLineWhateverIsInIt) {
    log_warning("x", {{"text", "two\nlines\xff"}});

    EXPECT_EQ(line().find('\n'), std::string::npos);
    EXPECT_NE(line().find(R"(two\nlines)"), std::string::npos);
}

TEST_F(Log, WritesTextForPeople) {
    set_log_format(LogFormat::kText);
    log_error("disk full", {{"path", "a b"}, {"bytes", 7U}});

    EXPECT_EQ(line(), " error  disk full path=a b bytes=7");
}

TEST_F(Log, WritesNothingBelowItsLevel) {
    log_debug("hidden");
    EXPECT_TRUE(lines().empty());

    set_log_level(LogLevel::kDebug);
    log_debug("shown");
    EXPECT_EQ(lines().size(), 1U);

    set_log_level(LogLevel::kOff);
    log_error("hidden");
    EXPECT_EQ(lines().size(), 1U);
    EXPECT_EQ(log_level(), LogLevel::kOff);
}

}  // namespace
}  // namespace kvstore
