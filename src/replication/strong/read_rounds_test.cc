#include "replication/strong/read_rounds.h"

#include <optional>

#include <gtest/gtest.h>

namespace kvstore::replication {
namespace {

using std::chrono::seconds;

class Rounds : public ::testing::Test {
protected:
    // Starts a reader and gives the place where it is told.
    std::optional<Status>& reader(Duration patience = seconds(100)) {
        auto& told = told_.emplace_back();
        async::spawn([](ReadRounds* rounds,
                        async::Deadline deadline,
                        std::optional<Status>* to) -> async::Task<void> {
            *to = co_await rounds->wait(deadline);
        }(&rounds_, async::Deadline::after(now_, patience), &told));
        return told;
    }
    void turn() {
        while (scheduler_.run_turn()) {
        }
    }
    static raft::ReadToken token(std::uint64_t number) {
        return {.term = Term(1), .sequence = number};
    }

    MonotonicTime now_{};
    async::Scheduler scheduler_;
    std::deque<std::optional<Status>> told_;
    ReadRounds rounds_{scheduler_};
};

TEST_F(Rounds, TellSinceWhenTheReplicaIsKnownToBeFresh) {
    static_cast<void>(reader());
    rounds_.begin(token(1), now_ + seconds(1));
    static_cast<void>(reader());
    rounds_.begin(token(2), now_ + seconds(2));
    EXPECT_EQ(rounds_.fresh_as_of(), std::nullopt);

    rounds_.confirm(token(2), Index(5));
    rounds_.on_applied(Index(4));
    EXPECT_EQ(rounds_.fresh_as_of(), std::nullopt) << "confirmed, and not applied";
    rounds_.on_applied(Index(5));
    EXPECT_EQ(rounds_.fresh_as_of(), now_ + seconds(2)) << "from its beginning, not its answer";

    rounds_.confirm(token(1), Index(5));
    rounds_.on_applied(Index(5));
    EXPECT_EQ(rounds_.fresh_as_of(), now_ + seconds(2)) << "an older round takes nothing back";
    turn();
}

TEST_F(Rounds, OneConfirmationServesAllReadsOfATurnOnceTheIndexIsApplied) {
    auto& one = reader();
    auto& two = reader();
    rounds_.begin(token(1), now_);
    auto& later = reader();
    rounds_.confirm(token(1), Index(5));
    rounds_.on_applied(Index(4));
    turn();
    EXPECT_FALSE(one.has_value());
    rounds_.on_applied(Index(5));
    turn();
    EXPECT_TRUE(one.has_value() && one->ok());
    EXPECT_TRUE(two.has_value() && two->ok());
    EXPECT_FALSE(later.has_value()) << "it came after the question";
    rounds_.fail_all({Code::kUnavailable, "the end"});
    turn();
}

TEST_F(Rounds, AConfirmationOfAnotherTokenServesNobody) {
    auto& one = reader();
    rounds_.begin(token(2), now_);
    rounds_.confirm(token(1), Index(1));
    rounds_.on_applied(Index(9));
    turn();
    EXPECT_FALSE(one.has_value());
    rounds_.fail_all({Code::kUnavailable, "the end"});
    turn();
    EXPECT_EQ(one->code(), Code::kUnavailable);
}

TEST_F(Rounds, AQuestionThatWasLostIsAskedAgain) {
    auto& one = reader();
    rounds_.begin(token(1), now_);
    EXPECT_FALSE(rounds_.retry(now_ + seconds(1), now_));
    EXPECT_TRUE(rounds_.retry(now_ + seconds(2), now_ + seconds(1)));
    rounds_.begin(token(2), now_ + seconds(2));
    rounds_.confirm(token(1), Index(1));
    rounds_.on_applied(Index(9));
    turn();
    EXPECT_FALSE(one.has_value()) << "an answer to the first question is not one to the second";
    rounds_.confirm(token(2), Index(2));
    rounds_.on_applied(Index(9));
    turn();
    EXPECT_TRUE(one.has_value() && one->ok());
}

TEST_F(Rounds, WhoeverIsLateIsToldWhereverItWaits) {
    auto& confirmed = reader(seconds(1));
    rounds_.begin(token(1), now_);
    rounds_.confirm(token(1), Index(5));
    auto& asked = reader(seconds(1));
    rounds_.begin(token(2), now_);
    auto& gathered = reader(seconds(1));
    auto& patient = reader(seconds(9));
    EXPECT_TRUE(rounds_.retry(now_ + seconds(2), now_));
    turn();
    for (const auto* told : {&confirmed, &asked, &gathered}) {
        ASSERT_TRUE(told->has_value());
        EXPECT_EQ((*told)->code(), Code::kDeadlineExceeded);
    }
    EXPECT_FALSE(patient.has_value());
    rounds_.fail_gathered({Code::kUnavailable, "the end"});
    turn();
    EXPECT_TRUE(rounds_.empty());
}

}  // namespace
}  // namespace kvstore::replication
