// Values that run out, by hand.
#include "history/expiry.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "history/testing/script.h"
#include "history/verify.h"

namespace kvstore::history {
namespace {

using testing::parse_script;

Verdict judged(std::string_view script, Clocks clocks = Clocks::kAgree) {
    return verify(with_expiries(parse_script(script), clocks)).verdict();
}

const std::string kWrite = "1 0 10 write a expires=100..110\n";

TEST(Expiry, AValueIsSeenUntilItsTimeIsUp) {
    EXPECT_EQ(judged(kWrite + "2 20 30 read -> a\n 2 120 130 read -> -"), Verdict::kHolds);
    EXPECT_EQ(judged(kWrite + "2 20 30 read -> -"), Verdict::kViolated) << "gone before";
    EXPECT_EQ(judged(kWrite + "2 111 120 read -> a"), Verdict::kViolated) << "seen afterwards";
}

TEST(Expiry, WithinTheSpanItMayBeSeenOrNot) {
    EXPECT_EQ(judged(kWrite + "2 101 109 read -> a"), Verdict::kHolds);
    EXPECT_EQ(judged(kWrite + "2 101 109 read -> -"), Verdict::kHolds);
    EXPECT_EQ(judged(kWrite + "2 90 100 read -> -"), Verdict::kHolds) << "at its first moment";
    EXPECT_EQ(judged(kWrite + "2 110 120 read -> a"), Verdict::kHolds) << "at its last moment";
}

TEST(Expiry, WhatIsGoneDoesNotComeBack) {
    const std::string reads = "2 101 103 read -> -\n 3 105 107 read -> a";

    EXPECT_EQ(judged(kWrite + reads), Verdict::kViolated);
    EXPECT_EQ(judged(kWrite + reads, Clocks::kDiffer), Verdict::kHolds) << "another node's clock";
}

TEST(Expiry, AValueThatNobodyAcknowledgedMayBeSeenAtAnyTime) {
    const std::string write = "1 0 ? write a expires=100..\n";

    EXPECT_EQ(judged(write + "2 500 510 read -> a"), Verdict::kHolds);
    EXPECT_EQ(judged(write + "2 20 30 read -> a\n 2 40 50 read -> -"), Verdict::kViolated);
}

TEST(Expiry, ALaterWriteStays) {
    const std::string again = kWrite + "1 20 30 write b\n";

    EXPECT_EQ(judged(again + "2 120 130 read -> b"), Verdict::kHolds);
    EXPECT_EQ(judged(again + "2 120 130 read -> -"), Verdict::kViolated)
        << "the end of the value before it";
    EXPECT_EQ(judged(again + "2 120 130 read -> a"), Verdict::kViolated);
}

TEST(Expiry, WhereClocksDifferOnlyReadsWithinASpanAreLeftOut) {
    EXPECT_EQ(judged(kWrite + "2 20 30 read -> -", Clocks::kDiffer), Verdict::kViolated);
    EXPECT_EQ(judged(kWrite + "2 111 120 read -> a", Clocks::kDiffer), Verdict::kViolated);
    EXPECT_EQ(judged(kWrite + "2 90 104 read -> -", Clocks::kDiffer), Verdict::kHolds);
}

TEST(Expiry, OnlyAWriteRunsOutAndNotBeforeItMay) {
    Operation write = parse_script(kWrite).front();
    write.expiry->latest = write.expiry->earliest - Duration(1);
    EXPECT_EQ(check_operation(write).code(), Code::kInvalidArgument);

    Operation read = parse_script("1 0 10 read -> a").front();
    read.expiry.emplace();
    EXPECT_EQ(check_operation(read).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace kvstore::history
