#include "replication/strong/revision_waiters.h"

#include <deque>
#include <optional>

#include <gtest/gtest.h>

#include "sim/world.h"

namespace kvstore::replication {
namespace {

using std::chrono::seconds;

class Waiters : public ::testing::Test {
protected:
    // Starts a reader and gives the place where it is told.
    std::optional<Status>& reader(std::uint64_t revision,
                                  async::Deadline deadline = async::Deadline::never()) {
        auto& told = told_.emplace_back();
        async::spawn([](RevisionWaiters* waiters,
                        Revision wanted,
                        async::Deadline until,
                        std::optional<Status>* to) -> async::Task<void> {
            *to = co_await waiters->wait(wanted, until);
        }(&waiters_, Revision(revision), deadline, &told));
        return told;
    }
    async::Deadline in(Duration span) { return async::Deadline::after(world_.now(), span); }
    void rest() { world_.run_for(std::chrono::milliseconds(1)); }

    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n1");
    std::deque<std::optional<Status>> told_;
    RevisionWaiters waiters_{machine_.env()};
};

TEST_F(Waiters, AreLetGoOnceTheirRevisionIsApplied) {
    auto& third = reader(3);
    auto& second = reader(2);
    auto& also_third = reader(3);

    waiters_.on_applied(Revision(2));
    rest();
    EXPECT_TRUE(second.has_value() && second->ok());
    EXPECT_FALSE(third.has_value() || also_third.has_value());

    waiters_.on_applied(Revision(9));
    rest();
    EXPECT_TRUE(third.has_value() && third->ok());
    EXPECT_TRUE(also_third.has_value() && also_third->ok());
    EXPECT_EQ(waiters_.count(), 0U);
}

TEST_F(Waiters, AreToldWhenTheirDeadlinePassesAndNotAgainAfterIt) {
    auto& late = reader(3, in(seconds(1)));
    auto& patient = reader(3, in(seconds(3)));

    world_.run_for(seconds(2));
    ASSERT_TRUE(late.has_value());
    EXPECT_EQ(late->code(), Code::kDeadlineExceeded);
    EXPECT_EQ(late->effect(), Effect::kNone);
    EXPECT_FALSE(patient.has_value());

    waiters_.on_applied(Revision(3));
    world_.run_for(seconds(5));
    EXPECT_TRUE(patient.has_value() && patient->ok());
}

TEST_F(Waiters, AreAllToldWhyTheGroupGivesUp) {
    auto& one = reader(1, in(seconds(9)));
    auto& two = reader(2);
    waiters_.fail_all(Status(Code::kCorruption, "a bad block"));
    rest();
    EXPECT_EQ(one->code(), Code::kCorruption);
    EXPECT_EQ(two->code(), Code::kCorruption);
}

TEST_F(Waiters, AreRefusedWhereTooManyWait) {
    for (std::size_t i = 0; i < RevisionWaiters::kCountMax; ++i) {
        reader(1);
    }
    auto& refused = reader(1);
    EXPECT_EQ(refused->code(), Code::kOverloaded);
    waiters_.on_applied(Revision(1));
    rest();
    EXPECT_TRUE(told_.front()->ok());
}

}  // namespace
}  // namespace kvstore::replication
