// One group over three members: who is told what, whatever happens to leaders, messages and
// machines.
#include "replication/testing/group_cluster.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"

namespace kvstore::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::GroupCluster;
using ::testing::HasSubstr;
using testing::increment_of;
using testing::put_of;
using testing::Told;

class GroupOfThree : public ::testing::Test {
protected:
    GroupOfThree() {
        set_log_level(LogLevel::kOff);
        cluster_.start_all();
        leader_ = cluster_.wait_for_leader();
    }
    ~GroupOfThree() override { set_log_level(LogLevel::kInfo); }

    // Another member than these.
    [[nodiscard]] static std::uint64_t other_than(std::uint64_t one, std::uint64_t two = 0) {
        for (std::uint64_t id = 1;; ++id) {
            if (id != one && id != two) {
                return id;
            }
        }
    }

    GroupCluster cluster_{1, 3};
    std::uint64_t leader_ = 0;
};

TEST_F(GroupOfThree, ElectsALeaderThatTakesWritesForAll) {
    ASSERT_NE(leader_, 0U);
    EXPECT_TRUE(cluster_.put(leader_, "k", "v").is_done());
    EXPECT_TRUE(cluster_.agree());
    for (std::uint64_t member = 1; member <= 3; ++member) {
        EXPECT_EQ(cluster_.local_value(member, "k"), "v") << member;
    }
}

TEST_F(GroupOfThree, AFollowerRefusesWritesAndSaysWhoLeads) {
    ASSERT_TRUE(cluster_.put(leader_, "k", "v").is_done());
    cluster_.world().run_for(seconds(1));
    const Told& told = cluster_.propose(other_than(leader_), put_of("k", "w"));
    EXPECT_EQ(told.refusal.code(), Code::kNotLeader);
    EXPECT_EQ(told.refusal.effect(), Effect::kNone);
    EXPECT_THAT(told.refusal.message(), HasSubstr("node " + std::to_string(leader_) + " leads"));
}

TEST_F(GroupOfThree, EveryMemberReadsWhatWasAcknowledged) {
    for (int i = 0; i < 20; ++i) {
        const std::string value = std::to_string(i);
        ASSERT_TRUE(cluster_.put(leader_, "k", value).is_done());
        const std::uint64_t member = 1 + static_cast<std::uint64_t>(i) % 3;
        const auto read = cluster_.read(member, "k");
        ASSERT_TRUE(read.ok()) << read.status().to_string();
        EXPECT_EQ(*read, value);
    }
}

TEST_F(GroupOfThree, KeepsWhatWasAcknowledgedWhenTheLeaderDies) {
    ASSERT_TRUE(cluster_.put(leader_, "k", "v").is_done());
    const MonotonicTime died = cluster_.world().now();
    cluster_.crash(leader_);
    const std::uint64_t next = cluster_.wait_for_leader();
    ASSERT_NE(next, 0U);
    EXPECT_NE(next, leader_);
    EXPECT_EQ(*cluster_.read(next, "k"), "v");
    EXPECT_TRUE(cluster_.put(next, "k", "w").is_done());
    EXPECT_LT(cluster_.world().now() - died, seconds(4));

    cluster_.start(leader_);
    EXPECT_TRUE(cluster_.agree());
    EXPECT_EQ(cluster_.local_value(leader_, "k"), "w");
}

TEST_F(GroupOfThree, KeepsWhatWasAcknowledgedWhenAllLoseThePower) {
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(cluster_.put(leader_, "k" + std::to_string(i), "v").is_done());
    }
    for (std::uint64_t member = 1; member <= 3; ++member) {
        cluster_.crash(member);
    }
    cluster_.start_all();
    const std::uint64_t next = cluster_.wait_for_leader();
    ASSERT_NE(next, 0U);
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(*cluster_.read(next, "k" + std::to_string(i)), "v") << i;
    }
    EXPECT_TRUE(cluster_.agree());
}

TEST_F(GroupOfThree, ALeaderThatIsCutOffAcknowledgesNothingAndServesNoRead) {
    ASSERT_TRUE(cluster_.put(leader_, "k", "old").is_done());
    cluster_.isolate(leader_);
    Told& lost = cluster_.propose(leader_, put_of("k", "lost"));
    const std::uint64_t next = cluster_.wait_for_leader();
    ASSERT_NE(next, 0U);
    ASSERT_TRUE(cluster_.put(next, "k", "new").is_done());

    const auto stale = cluster_.read(leader_, "k");
    EXPECT_FALSE(stale.ok());
    cluster_.wait(lost);
    EXPECT_EQ(lost.failure.code(), Code::kUnavailable);
    EXPECT_EQ(lost.failure.effect(), Effect::kUnknown);

    cluster_.heal();
    EXPECT_TRUE(cluster_.agree());
    EXPECT_EQ(cluster_.local_value(leader_, "k"), "new");
}

TEST_F(GroupOfThree, ACommandInWhosePlaceAnotherWasCommittedIsToldAsNotDone) {
    cluster_.isolate(leader_);
    Told& lost = cluster_.propose(leader_, put_of("k", "lost"));
    const std::uint64_t next = cluster_.wait_for_leader();
    ASSERT_NE(next, 0U);
    ASSERT_TRUE(cluster_.put(next, "k", "new").is_done());
    cluster_.heal();
    cluster_.wait(lost);
    EXPECT_EQ(lost.failure.code(), Code::kUnavailable);
    EXPECT_EQ(lost.failure.effect(), Effect::kNone);
}

TEST_F(GroupOfThree, AMinorityRefusesReadsWithinItsPatienceAndSaysWhy) {
    cluster_.crash(other_than(leader_));
    cluster_.crash(other_than(leader_, other_than(leader_)));
    const MonotonicTime began = cluster_.world().now();
    const Status refused = cluster_.read_barrier(leader_, seconds(60));
    EXPECT_EQ(refused.code(), Code::kUnavailable);
    EXPECT_THAT(refused.message(), HasSubstr("no majority"));
    EXPECT_LT(cluster_.world().now() - began, seconds(5));
    EXPECT_EQ(cluster_.read_barrier(leader_, milliseconds(300)).code(), Code::kDeadlineExceeded);
}

TEST_F(GroupOfThree, AMemberThatWasAwayCatchesUpFromTheLog) {
    const std::uint64_t away = other_than(leader_);
    cluster_.crash(away);
    for (int i = 0; i < 200; ++i) {
        ASSERT_TRUE(
            cluster_.put(leader_, "k" + std::to_string(i), std::string(100, 'x')).is_done());
    }
    cluster_.start(away);
    EXPECT_TRUE(cluster_.agree());
    EXPECT_EQ(cluster_.local_value(away, "k199"), std::string(100, 'x'));
}

TEST_F(GroupOfThree, GoesOnWhileAFifthOfTheMessagesIsLost) {
    cluster_.lose(200'000);
    for (int i = 0; i < 30; ++i) {
        const std::uint64_t leader = cluster_.wait_for_leader();
        ASSERT_NE(leader, 0U);
        cluster_.put(leader, "k", std::to_string(i));
    }
    cluster_.lose(0);
    EXPECT_TRUE(cluster_.agree());
}

TEST_F(GroupOfThree, HandsLeadershipOverWithoutLosingAWrite) {
    const std::uint64_t heir = other_than(leader_);
    std::vector<Told*> told;
    for (int i = 0; i < 20; ++i) {
        told.push_back(&cluster_.propose(leader_, increment_of("n")));
    }
    ASSERT_TRUE(cluster_.group(leader_).transfer_leader(NodeId(heir)).ok());
    ASSERT_TRUE(
        cluster_.world().run_until([&] { return cluster_.group(heir).is_leader(); }, seconds(5)));
    for (Told* const each : told) {
        cluster_.wait(*each);
        EXPECT_TRUE(each->is_done()) << each->failure.to_string();
    }
    ASSERT_TRUE(cluster_.put(heir, "k", "v").is_done());
    EXPECT_EQ(*cluster_.read(leader_, "n"), "20");
}

// Three members; the leader's disk takes nothing more, and then has room again.
TEST_F(GroupOfThree, ALeaderWithAFullDiskHandsOverAndCatchesUpOnceThereIsRoom) {
    const Bytes large(20'000, 'x');
    cluster_.machine(leader_).disk_faults().capacity = 1;
    Told* last = nullptr;
    for (int i = 0; i < 400; ++i) {
        last = &cluster_.propose(leader_, put_of("k" + std::to_string(i), large));
        cluster_.world().run_for(milliseconds(20));
        if (!last->refusal.ok()) {
            break;
        }
    }
    ASSERT_FALSE(last->refusal.ok());
    EXPECT_EQ(last->refusal.effect(), Effect::kNone);

    ASSERT_TRUE(cluster_.world().run_until(
        [&] { return cluster_.leader() != leader_ && cluster_.leader() != 0; }, seconds(3)));
    const std::uint64_t heir = cluster_.leader();
    for (int i = 0; i < 300; ++i) {
        ASSERT_TRUE(cluster_.put(heir, "after", large).is_done());
    }
    EXPECT_EQ(cluster_.group(heir).transfer_leader(NodeId(leader_)).code(), Code::kUnavailable)
        << "it lags behind, and nobody would take writes meanwhile";

    cluster_.machine(leader_).disk_faults().capacity = sim::DiskFaults().capacity;
    EXPECT_TRUE(cluster_.agree());
    EXPECT_EQ(cluster_.local_value(leader_, "after"), large);
}

TEST_F(GroupOfThree, LetsAMemberGo) {
    ASSERT_TRUE(cluster_.put(leader_, "k", "u").is_done());
    const std::uint64_t gone = other_than(leader_);
    raft::ConfChange change;
    change.steps.push_back({.operation = raft::ConfOperation::kRemove, .node = NodeId(gone)});
    ASSERT_TRUE(cluster_.run(leader_, cluster_.group(leader_).change_membership(change)).ok());
    EXPECT_EQ(cluster_.group(leader_).configuration().voters.size(), 2U);
    cluster_.crash(gone);
    EXPECT_TRUE(cluster_.put(leader_, "k", "v").is_done());
}

// Increments with unknown outcomes may count once or not at all; those acknowledged, exactly once.
TEST(GroupStorm, NoIncrementIsLostOrCountedTwice) {
    set_log_level(LogLevel::kOff);
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        GroupCluster cluster(seed, 3);
        cluster.start_all();
        Random random(seed);
        std::int64_t done = 0;
        std::int64_t unknown = 0;
        std::deque<Told*> open;
        const auto settle = [&](bool all) {
            while (!open.empty() && (all || open.size() > 8)) {
                Told& told = *open.front();
                open.pop_front();
                cluster.wait(told);
                done += told.is_done() ? 1 : 0;
                const bool is_none = !told.refusal.ok() ||
                                     (!told.failure.ok() && told.failure.effect() == Effect::kNone);
                unknown += told.is_done() || is_none ? 0 : 1;
            }
        };
        for (int step = 0; step < 150; ++step) {
            const std::uint64_t member = 1 + random.below(3);
            const std::uint64_t what = random.below(20);
            if (what == 0 && cluster.is_up(member)) {
                settle(/*all=*/false);
                cluster.crash(
                    member,
                    random.below(2) == 0 ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss);
            } else if (what == 1 && !cluster.is_up(member)) {
                cluster.start(member);
            } else if (what == 2) {
                cluster.isolate(member);
            } else if (what == 3) {
                cluster.heal();
            } else if (cluster.is_up(member) && cluster.group(member).is_leader()) {
                open.push_back(&cluster.propose(member, increment_of("n")));
            }
            cluster.world().run_for(milliseconds(random.below(150)));
        }
        cluster.heal();
        for (std::uint64_t member = 1; member <= 3; ++member) {
            if (!cluster.is_up(member)) {
                cluster.start(member);
            }
        }
        const std::uint64_t leader = cluster.wait_for_leader();
        ASSERT_NE(leader, 0U) << "seed " << seed;
        settle(/*all=*/true);
        ASSERT_TRUE(cluster.agree()) << "seed " << seed;
        const auto read = cluster.read(leader, "n");
        ASSERT_TRUE(read.ok()) << "seed " << seed;
        const std::int64_t value = read->has_value() ? std::stoll(**read) : 0;
        EXPECT_GE(value, done) << "seed " << seed;
        EXPECT_LE(value, done + unknown) << "seed " << seed;
    }
    set_log_level(LogLevel::kInfo);
}

// ---- reads of a replica that may be behind ----

TEST_F(GroupOfThree, AReplicaIsAsOldAsItsLastConfirmedReadWhateverItsLeaderSays) {
    const std::uint64_t follower = other_than(leader_);
    cluster_.world().run_for(seconds(2));
    EXPECT_EQ(cluster_.group(follower).staleness(), Duration::max())
        << "heartbeats confirm nothing";

    const MonotonicTime asked = cluster_.world().now();
    ASSERT_TRUE(cluster_.read_barrier(follower).ok());
    EXPECT_LE(cluster_.group(follower).staleness(), cluster_.world().now() - asked);
    EXPECT_GT(cluster_.group(follower).staleness(), Duration(0)) << "counted from the question";

    const Duration before = cluster_.group(follower).staleness();
    cluster_.world().run_for(seconds(7));
    EXPECT_EQ(cluster_.group(follower).staleness(), before + seconds(7));
}

TEST_F(GroupOfThree, AReplicaThatIsCutOffGrowsOldAndSoDoesItsLeader) {
    for (const std::uint64_t member : {leader_, other_than(leader_)}) {
        ASSERT_TRUE(cluster_.read_barrier(member).ok());
        cluster_.isolate(member);
        cluster_.world().run_for(seconds(20));
        EXPECT_FALSE(cluster_.read_barrier(member).ok());
        EXPECT_GE(cluster_.group(member).staleness(), seconds(20)) << member;
        cluster_.heal();
    }
}

TEST_F(GroupOfThree, AReadWaitsUntilItsReplicaHasAppliedWhatTheSessionHasSeen) {
    const std::uint64_t follower = other_than(leader_);
    cluster_.isolate(follower);
    const Told& told = cluster_.put(leader_, "k", "v");
    ASSERT_TRUE(told.is_done());
    const Revision seen = told.command->revision;
    EXPECT_LT(cluster_.group(follower).shard().state().revision, seen);
    const auto in = [this](Duration span) {
        return async::Deadline::after(cluster_.world().now(), span);
    };

    EXPECT_EQ(
        cluster_.run(follower, cluster_.group(follower).wait_applied(seen, in(seconds(1)))).code(),
        Code::kDeadlineExceeded);
    const Status given_up = cluster_.run(
        follower, cluster_.group(follower).wait_applied(seen, async::Deadline::never()));
    EXPECT_EQ(given_up.code(), Code::kUnavailable) << "patience without a deadline ends too";
    EXPECT_EQ(given_up.effect(), Effect::kNone);

    cluster_.heal();
    const Status caught_up =
        cluster_.run(follower, cluster_.group(follower).wait_applied(seen, in(seconds(3))));
    EXPECT_TRUE(caught_up.ok()) << caught_up.to_string();
    EXPECT_EQ(cluster_.local_value(follower, "k"), "v");
}

TEST_F(GroupOfThree, AReadThatWaitsIsToldWhenTheGroupGoes) {
    const std::uint64_t follower = other_than(leader_);
    std::optional<Status> told;
    async::spawn([](RaftGroup* group, std::optional<Status>* to) -> async::Task<void> {
        *to = co_await group->wait_applied(Revision(1'000), async::Deadline::never());
    }(&cluster_.group(follower), &told));
    EXPECT_FALSE(told.has_value());
    cluster_.stop(follower);
    ASSERT_TRUE(told.has_value());
    EXPECT_EQ(told->code(), Code::kUnavailable);
}

}  // namespace
}  // namespace kvstore::replication
