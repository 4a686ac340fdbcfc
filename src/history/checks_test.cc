// Durability, counters, sessions and weak reads, by hand.
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "history/counters.h"
#include "history/durability.h"
#include "history/sessions.h"
#include "history/testing/script.h"
#include "history/verify.h"
#include "history/weak_reads.h"

namespace kvstore::history {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::parse_script;

Verdict durability(std::string_view script) {
    return check_durability(parse_script(script)).verdict();
}
Verdict counters(std::string_view script) {
    return check_counters(parse_script(script)).verdict();
}
Verdict sessions(std::string_view script) {
    return check_sessions(parse_script(script)).verdict();
}
Verdict weak_reads(std::string_view script, const WeakReadOptions& options = {}) {
    return check_weak_reads(parse_script(script), options).verdict();
}

// ---- durability ----

TEST(Durability, WantsTheLastAcknowledgedWriteInTheEnd) {
    const std::string writes = "1 0 10 write a\n 1 20 30 write b\n";

    EXPECT_EQ(durability(writes + "2 40 50 read -> b"), Verdict::kHolds);
    EXPECT_EQ(durability(writes + "2 40 50 read -> a"), Verdict::kViolated);
    EXPECT_EQ(durability(writes + "2 40 50 read -> -"), Verdict::kViolated);
    EXPECT_EQ(durability(writes + "2 40 50 read -> c"), Verdict::kViolated);
}

TEST(Durability, TakesEitherOfTwoOverlappingWrites) {
    const std::string writes = "1 0 20 write a\n 2 10 30 write b\n";

    EXPECT_EQ(durability(writes + "3 40 50 read -> a"), Verdict::kHolds);
    EXPECT_EQ(durability(writes + "3 40 50 read -> b"), Verdict::kHolds);
}

TEST(Durability, TakesWhatAnUnknownWriteMayHaveLeft) {
    const std::string writes = "1 0 ? write a\n 2 10 30 write b\n";

    EXPECT_EQ(durability(writes + "3 40 50 read -> a"), Verdict::kHolds);
    EXPECT_EQ(durability(writes + "3 40 50 read -> b"), Verdict::kHolds);
    EXPECT_EQ(durability("2 10 30 write b\n 1 0 x write a\n 3 40 50 read -> a"),
              Verdict::kViolated);
}

TEST(Durability, LooksAtTheEndOnlyAndSaysWhatItDidNotSee) {
    const History weak = parse_script(R"(
        1  0 10 write a
        2 20 30 read -> -
        1 40 50 read -> a)");
    EXPECT_EQ(check_durability(weak).verdict(), Verdict::kHolds);

    const CheckReport unread = check_durability(parse_script(R"(
        1  0 10 write a
        2  5 30 read -> -
        2 40 50 read -> - level=eventual)"));
    EXPECT_EQ(unread.verdict(), Verdict::kHolds);
    EXPECT_EQ(unread.skipped_count, 1);
    EXPECT_EQ(unread.operation_count, 0);
}

TEST(Durability, SearchesWhereValuesAreAddedTo) {
    const std::string appends = "1 0 20 append a\n 2 10 30 append b\n 3 15 ? append c\n";

    EXPECT_EQ(durability(appends + "3 40 50 read -> ba"), Verdict::kHolds);
    EXPECT_EQ(durability(appends + "3 40 50 read -> acb"), Verdict::kHolds);
    EXPECT_EQ(durability(appends + "3 40 50 read -> ac"), Verdict::kViolated);
    const CheckReport poor =
        check_durability(parse_script(appends + "3 40 50 read -> ba"), {.budget = 0});
    EXPECT_EQ(poor.verdict(), Verdict::kUndecided);
}

TEST(Durability, NamesTheLostWrite) {
    const CheckReport report = check_durability(parse_script(R"(
        1  0 10 write a
        1 20 30 write b
        1 40 50 read -> a)"));

    ASSERT_EQ(report.violations.size(), 1);
    EXPECT_THAT(report.violations.front().reason,
                HasSubstr(R"(lost, though acknowledged: write "b")"));
    EXPECT_THAT(report.violations.front().window, ElementsAre(0, 1, 2));
    EXPECT_EQ(report.violations.front().culprit, 2);
}

// ---- counters ----

TEST(Counters, LoseAndDoubleNothing) {
    const std::string increments = "1 0 10 inc 1\n 2 0 10 inc 2\n 3 5 ? inc 4\n";

    EXPECT_EQ(counters(increments + "1 20 30 read -> 3"), Verdict::kHolds);
    EXPECT_EQ(counters(increments + "1 20 30 read -> 7"), Verdict::kHolds);
    EXPECT_EQ(counters(increments + "1 20 30 read -> 2"), Verdict::kViolated);
    EXPECT_EQ(counters(increments + "1 20 30 read -> 8"), Verdict::kViolated);
    EXPECT_EQ(counters(increments + "1 20 30 read -> 5"), Verdict::kViolated)
        << "no sum of what is unknown";
    EXPECT_EQ(counters(increments + "1 20 30 read -> x"), Verdict::kViolated);
    EXPECT_EQ(counters(increments + "1 20 30 read -> -"), Verdict::kViolated);
}

TEST(Counters, MayFall) {
    const std::string increments = "1 0 10 inc 5\n 2 0 10 inc -2\n 3 5 ? inc -4\n";

    EXPECT_EQ(counters(increments + "1 20 30 read -> 3"), Verdict::kHolds);
    EXPECT_EQ(counters(increments + "1 20 30 read -> -1"), Verdict::kHolds);
    EXPECT_EQ(counters(increments + "1 20 30 read -> 5"), Verdict::kViolated);
    EXPECT_EQ(counters("1 0 10 inc 5\n 1 20 30 inc -1 -> 4"), Verdict::kHolds);
    EXPECT_EQ(counters("1 0 10 inc 5\n 1 20 30 inc -1 -> 5"), Verdict::kViolated);
}

TEST(Counters, AreJudgedAtEachAnswer) {
    const std::string before = "1 0 10 inc 1\n";

    EXPECT_EQ(counters(before + "2 20 30 inc 1 -> 2"), Verdict::kHolds);
    EXPECT_EQ(counters(before + "2 20 30 inc 1 -> 1"), Verdict::kViolated);
    EXPECT_EQ(counters(before + "2 20 30 inc 1 -> 3"), Verdict::kViolated);
    EXPECT_EQ(counters(before + "2 5 30 inc 1 -> 1"), Verdict::kHolds) << "they overlap";
    EXPECT_EQ(counters(before + "2 20 30 read -> 2\n 1 40 50 inc 1"), Verdict::kViolated);
}

TEST(Counters, LeaveOtherKeysAlone) {
    const CheckReport report = check_counters(parse_script(R"(
        1  0 10 inc 1
        1 20 30 write 7
        1 40 50 read -> 1)"));

    EXPECT_EQ(report.key_count, 0);
    EXPECT_EQ(report.verdict(), Verdict::kHolds);
}

// ---- sessions ----

TEST(Sessions, ReadTheirOwnWrites) {
    constexpr std::string_view kScript = R"(
        2  0  5 write a
        1 10 20 write b
        1 30 40 read -> a level=causal)";

    EXPECT_EQ(sessions(kScript), Verdict::kViolated);
    EXPECT_EQ(sessions(R"(
        2  0  5 write a
        1 10 20 write b
        3 30 40 read -> a level=causal)"),
              Verdict::kHolds)
        << "another client may be behind";
    EXPECT_EQ(sessions(R"(
        2  0 15 write a
        1 10 20 write b
        1 30 40 read -> a level=causal)"),
              Verdict::kHolds)
        << "the other write may have come after";
    EXPECT_EQ(sessions("1 0 5 write a\n 1 10 20 read -> - level=causal"), Verdict::kViolated);
}

TEST(Sessions, NeverGoBackInValues) {
    EXPECT_EQ(sessions(R"(
        1  0  5 write a
        1 10 20 write b
        2 30 40 read -> b level=causal
        2 50 60 read -> a level=causal)"),
              Verdict::kViolated);
    EXPECT_EQ(sessions(R"(
        1  0  5 write a
        1 10 20 write b
        2 30 40 read -> b level=causal
        2 50 60 read -> a level=eventual)"),
              Verdict::kHolds)
        << "nothing was promised";
}

TEST(Sessions, NeverGoBackInRevisions) {
    EXPECT_EQ(sessions(R"(
        1  0  5 read -> a level=causal revision=7
        1 10 20 read -> a level=causal revision=6)"),
              Verdict::kViolated);
    EXPECT_EQ(sessions(R"(
        1  0 15 read -> a level=causal revision=7
        1 10 20 read -> a level=causal revision=6)"),
              Verdict::kHolds)
        << "they overlap";
    EXPECT_EQ(sessions(R"(
        1  0  5 write a revision=9
        1 10 20 read -> a level=causal revision=9
        1 30 40 inc 1 revision=8)"),
              Verdict::kViolated);
}

TEST(Sessions, ShowWhatWasKnownAndWhatCameAfter) {
    const CheckReport report = check_sessions(parse_script(R"(
        1  0  5 write a
        1 10 20 write b
        2 30 40 read -> b level=causal
        2 50 60 read -> a level=causal)"));

    ASSERT_EQ(report.violations.size(), 1);
    EXPECT_THAT(report.violations.front().window, ElementsAre(0, 1, 2, 3));
    EXPECT_EQ(report.violations.front().culprit, 3);
    EXPECT_THAT(report.violations.front().reason, HasSubstr("client 2"));
}

// ---- weak reads ----

TEST(WeakReads, GiveWhatSomebodyWrote) {
    const std::string writes =
        "1 0 5 write a\n 1 10 20 write b\n 2 10 x write c\n 2 10 ? write d\n";

    for (const std::string_view value : {"-", "a", "b", "d"}) {
        EXPECT_EQ(weak_reads(writes + "3 30 40 read level=eventual -> " + std::string(value)),
                  Verdict::kHolds)
            << value;
    }
    EXPECT_EQ(weak_reads(writes + "3 30 40 read -> c level=eventual"), Verdict::kViolated);
    EXPECT_EQ(weak_reads(writes + "3 30 40 read -> z level=bounded"), Verdict::kViolated);
    EXPECT_EQ(weak_reads(writes + "3 6 9 read -> b level=eventual"), Verdict::kViolated)
        << "from the future";
    EXPECT_EQ(weak_reads(writes + "3 6 9 read -> z"), Verdict::kHolds) << "linearizable: not here";
}

TEST(WeakReads, AreNotBehindTheirBound) {
    const std::string writes = "1 0 5 write a\n 1 10 20 write b\n 1 60 70 write c\n";
    const WeakReadOptions options{.staleness_max = Duration(30)};

    EXPECT_EQ(weak_reads(writes + "2 55 58 read -> a level=bounded", options), Verdict::kViolated);
    EXPECT_EQ(weak_reads(writes + "2 50 58 read -> a level=bounded", options), Verdict::kHolds);
    EXPECT_EQ(weak_reads(writes + "2 55 58 read -> b level=bounded", options), Verdict::kHolds);
    EXPECT_EQ(weak_reads(writes + "2 55 58 read -> - level=bounded", options), Verdict::kViolated);
    EXPECT_EQ(weak_reads(writes + "2 55 58 read -> a level=eventual", options), Verdict::kHolds);
    EXPECT_EQ(weak_reads(writes + "2 55 58 read -> a level=bounded"), Verdict::kHolds)
        << "no bound was given";
    EXPECT_EQ(weak_reads(writes + "3 5 ? write a\n 2 55 58 read -> a level=bounded", options),
              Verdict::kHolds)
        << "the other write of it may have come late";
    EXPECT_EQ(weak_reads("1 0 5 write a\n 1 10 90 write b\n 2 12 20 write c\n"
                         "3 55 58 read -> a level=bounded",
                         options),
              Verdict::kViolated)
        << "the second of two writes was the first to return";
}

TEST(WeakReads, OfCountersGivePossibleSums) {
    const std::string increments = "1 0 10 inc 2\n 2 5 ? inc 3\n 1 50 60 inc 4\n";

    EXPECT_EQ(weak_reads(increments + "3 20 30 read -> 5 level=eventual"), Verdict::kHolds);
    EXPECT_EQ(weak_reads(increments + "3 20 30 read -> 6 level=eventual"), Verdict::kViolated);
    EXPECT_EQ(weak_reads(increments + "3 20 30 read -> x level=eventual"), Verdict::kViolated);
}

TEST(WeakReads, OfAppendsAreSkippedAndCounted) {
    const CheckReport report =
        check_weak_reads(parse_script("1 0 10 append a\n 2 20 30 read -> zzz level=eventual"));

    EXPECT_EQ(report.verdict(), Verdict::kHolds);
    EXPECT_EQ(report.skipped_count, 1);
}

// ---- all of them ----

TEST(Verification, IsAsBadAsItsWorstCheck) {
    EXPECT_EQ(verify(parse_script("1 0 1 write a\n 1 2 3 read -> a")).verdict(), Verdict::kHolds);
    EXPECT_EQ(verify(parse_script("1 2 3 read -> a level=eventual")).verdict(), Verdict::kViolated);
    const History undecided = parse_script("1 0 9 append a\n 2 0 9 append b\n 1 20 30 read -> ba");
    EXPECT_EQ(verify(undecided, {.budget = 0}).verdict(), Verdict::kUndecided);
    History both = undecided;
    both.push_back(parse_script("1 2 3 read -> a level=eventual key=other").front());
    EXPECT_EQ(verify(both, {.budget = 0}).verdict(), Verdict::kViolated);
}

}  // namespace
}  // namespace kvstore::history
