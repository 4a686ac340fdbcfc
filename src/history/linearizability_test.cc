// Small histories by hand, with the answer that a person gives; and what is said of bad ones.
// property_test.cc judges thousands more against the definition.
#include "history/linearizability.h"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "history/testing/brute_force.h"
#include "history/testing/script.h"

namespace kvstore::history {
namespace {

using ::testing::HasSubstr;
using testing::parse_script;

struct Example {
    std::string_view name;
    bool is_linearizable;
    std::string_view script;
};

constexpr std::array kExamples{
    Example{"ReadsWhatWasWritten", true, R"(
        1  0 10 write a
        2 20 30 read -> a)"},
    Example{"ReadsAbsenceAtTheBeginning", true, "1 0 1 read -> -"},
    Example{"ReadsWhatNobodyWrote", false, "1 0 1 read -> a"},
    Example{"StaleRead", false, R"(
        1  0 10 write a
        1 20 30 write b
        2 40 50 read -> a)"},
    Example{"OldValueDuringAWrite", true, R"(
        1  0 10 write a
        1 20 50 write b
        2 30 40 read -> a)"},
    Example{"NewValueThenOldValueDuringAWrite", false, R"(
        1  0 10 write a
        1 20 90 write b
        2 30 40 read -> b
        3 50 60 read -> a)"},
    Example{"ReadFromTheFuture", false, R"(
        2  0 10 read -> a
        1 20 30 write a)"},
    Example{"LostWrite", false, R"(
        1  0 10 write a
        2 20 30 read -> -)"},
    Example{"ReadOfAFailedWrite", false, R"(
        1  0  x write a
        2 20 30 read -> a)"},
    Example{"FailedWriteIsNotSeen", true, R"(
        1  0  x write a
        2 20 30 read -> -)"},
    Example{"UnknownWriteIsSeenLate", true, R"(
        1  0  ? write a
        1 20 30 read -> -
        1 40 50 read -> a)"},
    Example{"UnknownWriteIsSeenThenUnseen", false, R"(
        1  0  ? write a
        1 20 30 read -> a
        1 40 50 read -> -)"},
    Example{"UnknownWriteIsSeenBeforeItsCall", false, R"(
        2  0 10 read -> a
        1 20  ? write a)"},
    Example{"UnknownWriteTakesEffectTwice", false, R"(
        1  0  5 write b
        1 10  ? write a
        2 20 30 read -> a
        2 40 50 write c
        2 60 70 read -> a)"},
    Example{"TwoUnknownWritesOfOneValueMay", true, R"(
        1 10  ? write a
        3 10  ? write a
        2 20 30 read -> a
        2 40 50 write c
        2 60 70 read -> a)"},
    Example{"UnknownDeleteExplainsAbsence", true, R"(
        1  0 10 write a
        1 20  ? delete
        2 30 40 read -> a
        2 50 60 read -> -)"},
    Example{"FlipFlopWithinOneWrite", false, R"(
        1  0 10 write a
        1 20 99 write b
        2 30 40 read -> b
        2 50 60 read -> a
        2 70 80 read -> b)"},
    Example{"FigureOfEight", false, R"(
        1  0 50 write a
        2  0 50 write b
        3 60 70 read -> a
        4 60 70 read -> b
        3 80 90 read -> b
        4 80 90 read -> a)"},
    Example{"OverlappingReadersAgreeOnAnOrder", true, R"(
        1  0 50 write a
        2  0 50 write b
        3 60 70 read -> b
        4 60 70 read -> b)"},
    Example{"ReadersDisagreeAboutTheLastWrite", false, R"(
        1  0 50 write a
        2  0 50 write b
        3 60 70 read -> a
        4 80 90 read -> b)"},
    Example{"ReturnAndCallAtOneMomentOverlap", true, R"(
        1  0 10 write a
        2 10 20 read -> -)"},
    Example{"OneCompareAndSetWins", true, R"(
        1  0  5 write a
        1 10 20 cas a b -> yes
        2 10 20 cas a c -> no)"},
    Example{"BothCompareAndSetsSucceed", false, R"(
        1  0  5 write a
        1 10 20 cas a b -> yes
        2 10 20 cas a c -> yes)"},
    Example{"CompareAndSetMustHaveMatched", false, R"(
        1  0  5 write a
        1 10 20 cas a b -> no)"},
    Example{"CompareAndSetFromAbsence", true, R"(
        1  0  5 cas - a -> yes
        2  0  5 cas - b -> no
        1 10 20 read -> a)"},
    Example{"UnknownCompareAndSetChain", true, R"(
        1  0  5 write a
        1 10  ? cas a b
        2 10  ? cas b c
        3 20 30 read -> c)"},
    Example{"UnknownCompareAndSetThatCannotMatch", false, R"(
        1  0  5 write a
        2 10  ? cas b c
        3 20 30 read -> c)"},
    Example{"CompareAndSetThatDeletes", true, R"(
        1  0  5 write a
        1 10 20 cas a - -> yes
        1 30 40 read -> -)"},
    Example{"WriteTellsWhatStoodThere", false, R"(
        1  0  5 write a
        1 10 20 write b -> -)"},
    Example{"DeleteTellsThatNothingWasThere", false, R"(
        1  0  5 write a
        1 10 20 delete -> 0)"},
    Example{"TwoDeletesOfOneKey", false, R"(
        1  0  5 write a
        1 10 20 delete -> 1
        2 10 20 delete -> 1)"},
    Example{"DeleteBeforeAWriteOfUnknownOutcome", true, R"(
        1  0  ? write a
        1 10 20 delete -> 1
        1 30 40 read -> -)"},
    Example{"Increments", true, R"(
        1  0 10 inc 1 -> 2
        2  0 10 inc 1 -> 1
        1 20 30 read -> 2)"},
    Example{"LostIncrement", false, R"(
        1  0 10 inc 1
        2  0 10 inc 1
        1 20 30 read -> 1)"},
    Example{"DoubledIncrement", false, R"(
        1  0 10 inc 1
        1 20 30 read -> 2)"},
    Example{"TwoIncrementsTellOneNumber", false, R"(
        1  0 10 inc 1 -> 1
        2  0 10 inc 1 -> 1)"},
    Example{"UnknownIncrementCountsOnce", true, R"(
        1  0 10 inc 5 -> 5
        1 20  ? inc 5
        2 30 40 read -> 5
        2 50 60 read -> 10)"},
    Example{"UnknownIncrementCountsTwice", false, R"(
        1  0 10 inc 5 -> 5
        1 20  ? inc 5
        2 30 40 read -> 15)"},
    Example{"IncrementOfWhatIsNoNumber", false, R"(
        1  0 10 write a
        1 20 30 inc 1)"},
    Example{"UnknownIncrementOfWhatIsNoNumber", true, R"(
        1  0 10 write a
        1 20  ? inc 1
        1 30 40 read -> a)"},
    Example{"Appends", true, R"(
        1  0 10 append a
        2  0 10 append b -> 1
        1 20 30 read -> ba)"},
    Example{"LostAppend", false, R"(
        1  0 10 append a
        2  0 10 append b
        1 20 30 read -> b)"},
    Example{"AppendTellsAnImpossibleSize", false, R"(
        1  0 10 append ab -> 3)"},
    Example{"UnknownAppendAndWrite", true, R"(
        1  0 10 append ab -> 2
        2 20  ? append c
        1 30 40 read -> abc
        1 50 60 write d
        1 70 80 read -> d)"},
    Example{"KeysAreIndependent", true, R"(
        1  0 10 write a key=x
        1 20 30 read -> - key=y)"},
};

class Examples : public ::testing::TestWithParam<Example> {};

TEST_P(Examples, AreJudgedAsAPersonWould) {
    const History history = parse_script(GetParam().script);

    const CheckReport report = check_linearizability(history);

    const bool expected = GetParam().is_linearizable;
    EXPECT_EQ(report.verdict(), expected ? Verdict::kHolds : Verdict::kViolated);
    EXPECT_EQ(report.violations.empty(), expected);
    if (GetParam().name != "KeysAreIndependent") {
        EXPECT_EQ(testing::is_linearizable_by_brute_force(history), expected);
    }
}

INSTANTIATE_TEST_SUITE_P(Linearizability,
                         Examples,
                         ::testing::ValuesIn(kExamples),
                         [](const ::testing::TestParamInfo<Example>& example) {
                             return std::string(example.param.name);
                         });

// The only violation of a history that has one.
Violation violation_of(std::string_view script) {
    const CheckReport report = check_linearizability(parse_script(script));
    EXPECT_EQ(report.violation_count, 1);
    return report.violations.empty() ? Violation() : report.violations.front();
}

TEST(Explanation, IsWhatProvesTheViolationAndNothingElse) {
    const Violation violation = violation_of(R"(
        1  0  1 write z
        1  2  3 read -> z
        1  4 10 write a          # 2
        4  5 15 read -> a
        1 20 30 write b          # 4
        2 32 38 read -> b
        3 33 39 write c
        2 42 44 write b2
        3 45 46 read -> b2
        2 48 50 read -> a        # 9
        2 60 70 read -> a
        2 80 90 write d)");

    EXPECT_EQ(violation.key, "k");
    EXPECT_EQ(violation.culprit, 9);
    ASSERT_EQ(violation.window.size(), 3) << "the write it read, one that came after, the read";
    EXPECT_EQ(violation.window.front(), 2);
    EXPECT_EQ(violation.window.back(), 9);
    EXPECT_EQ(violation.reason, R"(no order of these operations explains: read -> "a")");
}

TEST(Explanation, SaysWhereAnImpossibleValueMayComeFrom) {
    EXPECT_THAT(violation_of("1 0 1 read -> a").reason, HasSubstr("nothing ever wrote"));
    EXPECT_THAT(violation_of("1 0 x write a\n 1 2 3 read -> a").reason, HasSubstr("that failed"));
    EXPECT_THAT(violation_of("1 2 3 read -> a\n 1 5 6 write a").reason, HasSubstr("only later"));
}

TEST(Explanation, LeavesOutWhatHadNotBegunYet) {
    const Violation violation = violation_of(R"(
        1  0 10 cas - a -> yes
        2  0 12 cas - b -> yes
        1 20 30 inc 1
        1 40 50 read -> zzz)");

    EXPECT_EQ(violation.culprit, 1);
    EXPECT_EQ(violation.window, (std::vector<std::size_t>{0, 1}));
}

TEST(Linearizability, JudgesOnlyReadsThatWerePromisedIt) {
    const History history = parse_script(R"(
        1  0 10 write a
        1 20 30 read -> - level=eventual
        1 40 50 read -> -)");

    EXPECT_EQ(check_linearizability(history).verdict(), Verdict::kViolated);
    EXPECT_EQ(check_linearizability(history, {.consistency = Consistency::kEventual}).verdict(),
              Verdict::kHolds);
}

TEST(Linearizability, IsUndecidedWhenTheBudgetIsSpent) {
    // The order of six letters has to be found, and whether the delete came before them.
    History history = parse_script("1 0 100 delete");
    for (const char c : std::string_view("abcdef")) {
        history.push_back(parse_script("1 0 100 append " + std::string(1, c)).front());
    }
    history.push_back(parse_script("1 200 300 read -> fedcba").front());

    const CheckReport poor = check_linearizability(history, {.budget = 20});
    EXPECT_EQ(poor.verdict(), Verdict::kUndecided);
    EXPECT_EQ(poor.undecided, std::vector<Bytes>{"k"});
    EXPECT_EQ(check_linearizability(history, {.budget = 0}).verdict(), Verdict::kUndecided);
    EXPECT_EQ(check_linearizability(history, {.budget = 100'000}).verdict(), Verdict::kHolds);
}

TEST(Linearizability, OfAppendsFollowsWhatWasReadInTheEnd) {
    History history;
    for (char c = 'a'; c <= 'z'; ++c) {
        history.push_back(parse_script("1 0 100 append " + std::string(1, c)).front());
    }
    history.push_back(parse_script("1 200 300 read -> zyxwvutsrqponmlkjihgfedcba").front());

    EXPECT_EQ(check_linearizability(history, {.budget = 1000}).verdict(), Verdict::kHolds);
    history.back().observed = "zyxwvutsrqponmlkjihgfedcb";
    EXPECT_EQ(check_linearizability(history, {.budget = 1000}).verdict(), Verdict::kViolated);
}

TEST(Linearizability, CountsViolationsBeyondThoseItExplains) {
    History history;
    for (int i = 0; i < 25; ++i) {
        Operation operation = parse_script("1 0 1 read -> a").front();
        operation.key += std::to_string(i);
        history.push_back(operation);
    }

    const CheckReport report = check_linearizability(history);

    EXPECT_EQ(report.violation_count, 25);
    EXPECT_EQ(report.violations.size(), CheckReport::kViolationsMax);
}

}  // namespace
}  // namespace kvstore::history
