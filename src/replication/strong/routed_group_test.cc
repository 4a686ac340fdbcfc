// A shard from every node: where it is led, where it follows, and where there is nothing of it.
#include "replication/strong/routed_group.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "replication/strong/forward_codec.h"
#include "replication/strong/outcome_codec.h"
#include "replication/testing/host_cluster.h"
#include "wire/topics.h"

namespace kvstore::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::HostCluster;
using testing::increment_of;
using testing::put_of;
using testing::Told;

constexpr std::uint64_t kOutside = 4;  // the node without a replica

class Routing : public ::testing::Test {
protected:
    Routing() {
        set_log_level(LogLevel::kOff);
        leader_ = cluster_.wait_for_leader();
        cluster_.world().run_for(seconds(1));
    }
    ~Routing() override {
        cluster_.stop_all();
        set_log_level(LogLevel::kInfo);
    }

    // A member that does not lead.
    [[nodiscard]] std::uint64_t follower(std::uint64_t but = 0) const {
        for (std::uint64_t id = 1;; ++id) {
            if (id != leader_ && id != but) {
                return id;
            }
        }
    }
    Told& must_take(std::uint64_t node, const mvcc::Operation& operation) {
        Told& told = cluster_.propose(node, operation);
        EXPECT_TRUE(told.refusal.ok()) << told.refusal.to_string();
        return told;
    }
    Told& write(std::uint64_t node, const mvcc::Operation& operation) {
        Told& told = must_take(node, operation);
        EXPECT_TRUE(cluster_.wait(told));
        return told;
    }
    Result<Bytes> ask(std::uint64_t node,
                      std::string_view question,
                      AskWhom whom,
                      Duration patience = std::chrono::hours(1)) {
        const async::Deadline deadline = async::Deadline::after(cluster_.world().now(), patience);
        return cluster_.run(node, cluster_.route(node).ask(Bytes(question), whom, deadline));
    }
    // Calls another node as a facade does.
    Result<Bytes> call(std::uint64_t from, std::uint64_t to, Bytes request) {
        const auto answer = cluster_.run(
            from,
            cluster_.transport(from).call(
                NodeId(to), wire::kForwardTopic, std::move(request), async::Deadline::never()));
        return answer.ok() ? Result<Bytes>(Bytes(answer->bytes)) : answer.status();
    }
    Bytes proposal_in(Term term) {
        Bytes command;
        mvcc::encode_command(Version(), increment_of("n"), command);
        Bytes request;
        encode_forward_request({.kind = ForwardKind::kPropose,
                                .shard = HostCluster::kShard,
                                .term = term,
                                .body = command},
                               request);
        return request;
    }

    HostCluster cluster_{1, 4, 3};
    std::uint64_t leader_ = 0;
};

// ---- proposals ----

TEST_F(Routing, AFollowersProposalIsAppliedByTheLeader) {
    const Told& told = write(follower(), increment_of("n"));
    ASSERT_TRUE(told.is_done()) << told.failure.to_string();
    EXPECT_EQ(told.numbers, std::vector<std::int64_t>{1});
    EXPECT_EQ(cluster_.local_value(leader_, "n"), "1");
}

TEST_F(Routing, AProposalReachesTheLeaderFromANodeWithoutAReplica) {
    const Told& told = write(kOutside, increment_of("n"));
    ASSERT_TRUE(told.is_done()) << told.failure.to_string();
    EXPECT_EQ(cluster_.local_value(leader_, "n"), "1");
}

TEST_F(Routing, AProposalWithoutAnybodyWhoWaitsForItIsForwardedToo) {
    cluster_.on_core(kOutside, [&] {
        EXPECT_TRUE(cluster_.route(kOutside).propose(increment_of("n"), nullptr).ok());
    });
    EXPECT_TRUE(cluster_.world().run_until(
        [&] { return cluster_.local_value(leader_, "n") == Bytes("1"); }, seconds(5)));
}

TEST_F(Routing, ManyProposalsOfATurnAreAppliedInTheirOrder) {
    std::vector<Told> told(1'000);
    cluster_.on_core(kOutside, [&] {
        for (Told& each : told) {
            each.refusal = cluster_.route(kOutside).propose(increment_of("n"), &each);
        }
    });
    for (std::size_t i = 0; i < told.size(); ++i) {
        ASSERT_TRUE(cluster_.wait(told[i]));
        ASSERT_TRUE(told[i].is_done());
        EXPECT_EQ(told[i].numbers.at(0), static_cast<std::int64_t>(i + 1));
    }
}

TEST_F(Routing, ALeaderThatHandsOverFailsNoProposalAndChangesNoOrder) {
    for (const std::uint64_t from : {kOutside, follower(), leader_}) {
        std::vector<Told*> told;
        const std::string key = "n" + std::to_string(from);
        for (int i = 0; i < 300; ++i) {
            if (i % 60 == 30) {
                const std::uint64_t leader = cluster_.wait_for_leader();
                cluster_.on_core(leader, [&] {
                    const NodeId heir(leader % 3 + 1);
                    EXPECT_TRUE(cluster_.group(leader)->transfer_leader(heir).ok());
                });
            }
            told.push_back(&must_take(from, increment_of(key)));
            cluster_.world().run_for(std::chrono::microseconds(500));
        }
        for (std::size_t i = 0; i < told.size(); ++i) {
            ASSERT_TRUE(cluster_.wait(*told[i]));
            ASSERT_TRUE(told[i]->is_done()) << from << ": " << told[i]->failure.to_string();
            ASSERT_EQ(told[i]->numbers.at(0), static_cast<std::int64_t>(i + 1)) << from;
        }
    }
}

TEST_F(Routing, AKilledLeaderLeavesUnknownWhatItMayHaveTakenAndLaterProposalsSucceed) {
    ASSERT_TRUE(write(kOutside, increment_of("n")).is_done());
    Told& lost = must_take(kOutside, increment_of("n"));
    cluster_.crash(leader_, sim::CrashKind::kKill);
    ASSERT_TRUE(cluster_.wait(lost));
    EXPECT_EQ(lost.failure.code(), Code::kUnavailable);
    EXPECT_EQ(lost.failure.effect(), Effect::kUnknown);

    const Told& later = write(kOutside, increment_of("m"));
    EXPECT_TRUE(later.is_done()) << later.failure.to_string();
}

TEST_F(Routing, ALeaderThatHangsHoldsUpLaterProposalsForHalfASecondOnly) {
    ASSERT_TRUE(write(kOutside, increment_of("n")).is_done());
    cluster_.world().isolate(cluster_.machine(leader_));
    Told& lost = must_take(kOutside, increment_of("n"));
    const std::uint64_t next = cluster_.wait_for_leader(leader_);
    ASSERT_NE(next, 0U);
    // A follower learns of the new leader by itself, the node outside only by asking.
    const std::uint64_t other = follower(next);
    ASSERT_TRUE(cluster_.world().run_until(
        [&] { return cluster_.group(other)->leader() == NodeId(next); }, seconds(1)));
    Told& from_follower = must_take(other, increment_of("n"));
    ASSERT_TRUE(cluster_.wait(from_follower, seconds(1)));
    EXPECT_TRUE(from_follower.is_done());
    ASSERT_TRUE(cluster_.wait(lost));
    EXPECT_EQ(lost.failure.effect(), Effect::kUnknown);
    cluster_.world().heal_all();
}

// A client that sends its next write when it was told of the last, at each node but the one that
// was cut off.
TEST_F(Routing, WriteServiceIsBackWithinThreeSecondsWhereverAClientIsWhenALeaderIsCutOff) {
    for (const std::uint64_t from : {kOutside, follower()}) {
        leader_ = cluster_.wait_for_leader();
        const std::uint64_t client = from == leader_ ? follower(kOutside) : from;
        ASSERT_TRUE(write(client, increment_of("n")).is_done());
        cluster_.world().isolate(cluster_.machine(leader_));
        const MonotonicTime began = cluster_.world().now();
        Told* told = &must_take(client, increment_of("n"));
        ASSERT_TRUE(cluster_.wait(*told));
        EXPECT_EQ(told->failure.code(), Code::kUnavailable);
        EXPECT_EQ(told->failure.effect(), Effect::kUnknown);
        while (!told->is_done()) {
            told = &write(client, increment_of("n"));
        }
        EXPECT_LT(cluster_.world().now() - began, seconds(3)) << client;
        cluster_.world().heal_all();
        cluster_.world().run_for(seconds(5));
    }
}

TEST_F(Routing, WhatTheLastLeaderStillAnswersIsNotGivenUp) {
    // This one hears of the next leader long before the last one's answer.
    const std::uint64_t heir = follower();
    const std::uint64_t client = follower(heir);
    sim::World& world = cluster_.world();
    world.link(cluster_.machine(leader_), cluster_.machine(client)).latency = {milliseconds(200),
                                                                               milliseconds(200)};
    Told& told = must_take(client, increment_of("n"));
    world.run_for(milliseconds(5));
    ASSERT_TRUE(cluster_.transfer(heir));
    ASSERT_TRUE(cluster_.wait(told));
    EXPECT_TRUE(told.is_done()) << told.failure.to_string();
}

// As far as they have a leader to ask: whoever leads itself answers nobody.
TEST_F(Routing, AQuestionToALeaderThatWasCutOffGoesToTheNextOneAtOnce) {
    cluster_.world().isolate(cluster_.machine(leader_));
    std::map<std::uint64_t, Result<Bytes>> answers;
    const auto keep = [&answers](std::uint64_t from, Group* group) -> async::Task<void> {
        auto answer = co_await group->ask("it", AskWhom::kLeader, async::Deadline::never());
        answers.emplace(from, std::move(answer));
    };
    for (const std::uint64_t from : {follower(), follower(follower())}) {
        cluster_.on_core(from, [&] { async::spawn(keep(from, &cluster_.route(from))); });
    }
    const std::uint64_t next = cluster_.wait_for_leader(leader_);
    ASSERT_NE(next, 0U);
    const std::uint64_t other = follower(next);
    EXPECT_TRUE(
        cluster_.world().run_until([&] { return answers.contains(other); }, milliseconds(200)));
    cluster_.world().heal_all();
    ASSERT_TRUE(cluster_.world().run_until([&] { return answers.size() == 2; }, seconds(20)));
    ASSERT_TRUE(answers.at(other).ok()) << answers.at(other).status().to_string();
    EXPECT_EQ(*answers.at(other), std::to_string(next) + " has it");
}

TEST_F(Routing, AReadThatWaitsForALeaderThatWasCutOffAsksTheNextOneAtOnce) {
    const auto keep = [](RaftGroup* group, std::optional<Status>* told) -> async::Task<void> {
        *told = co_await group->read_barrier(async::Deadline::never());
    };
    for (int round = 0; round < 8; ++round) {
        leader_ = cluster_.wait_for_leader();
        cluster_.world().isolate(cluster_.machine(leader_));
        // Shortly before the others elect, so that it would be long before they ask again.
        cluster_.world().run_for(milliseconds(700));
        std::optional<Status> one;
        std::optional<Status> other;
        const std::uint64_t first = follower();
        const std::uint64_t second = follower(first);
        cluster_.on_core(first, [&] { async::spawn(keep(cluster_.group(first), &one)); });
        cluster_.on_core(second, [&] { async::spawn(keep(cluster_.group(second), &other)); });
        const auto are_told = [&] {
            return one.has_value() && other.has_value();
        };
        EXPECT_NE(cluster_.wait_for_leader(leader_), 0U);
        EXPECT_TRUE(cluster_.world().run_until(are_told, milliseconds(200))) << round;
        cluster_.world().heal_all();
        ASSERT_TRUE(cluster_.world().run_until(are_told, seconds(20)));
        EXPECT_TRUE(one->ok() && other->ok());
        cluster_.world().run_for(seconds(5));
    }
}

TEST_F(Routing, WithoutALeaderAProposalFailsWithoutEffectWhenItsPatienceEnds) {
    cluster_.crash(follower());
    cluster_.crash(leader_);
    cluster_.world().run_for(seconds(5));
    for (const std::uint64_t from : {kOutside, follower(follower())}) {
        const MonotonicTime began = cluster_.world().now();
        Told& told = must_take(from, increment_of("n"));
        ASSERT_TRUE(cluster_.wait(told));
        EXPECT_EQ(told.failure.code(), Code::kUnavailable);
        EXPECT_EQ(told.failure.effect(), Effect::kNone);
        EXPECT_GE(cluster_.world().now() - began, seconds(5));
        EXPECT_LT(cluster_.world().now() - began, milliseconds(5'300));
    }
}

TEST_F(Routing, WhatWaitsIsBoundedAndTheRoomComesBack) {
    cluster_.stop(kOutside);
    cluster_.settings.proposal_bytes_max = 20'000;
    cluster_.start(kOutside);
    cluster_.crash(follower());
    cluster_.crash(leader_);
    const Bytes value(1'000, 'x');
    for (int round = 0; round < 2; ++round) {
        std::vector<Told*> taken;
        Status refused;
        while (refused.ok()) {
            Told& told = cluster_.propose(kOutside, put_of("k", value));
            refused = told.refusal;
            taken.push_back(&told);
            ASSERT_LT(taken.size(), 20U);
        }
        EXPECT_EQ(refused.code(), Code::kOverloaded);
        EXPECT_EQ(refused.effect(), Effect::kNone);
        EXPECT_GT(taken.size(), 10U);
        EXPECT_EQ(ask(kOutside, value, AskWhom::kLeader).status().code(), Code::kOverloaded);
        taken.pop_back();
        for (Told* const told : taken) {
            ASSERT_TRUE(cluster_.wait(*told));
        }
    }
}

TEST_F(Routing, ACommandThatNoFrameHoldsIsTooLarge) {
    const Bytes value(22U << 20U, 'x');
    mvcc::Command command;
    command.operations.assign(3, put_of("k", value));
    Told told;
    cluster_.on_core(kOutside,
                     [&] { told.refusal = cluster_.route(kOutside).propose(command, &told); });
    ASSERT_TRUE(cluster_.wait(told));
    EXPECT_EQ(told.failure.code(), Code::kTooLarge);
    EXPECT_EQ(told.failure.effect(), Effect::kNone);
    EXPECT_TRUE(write(kOutside, increment_of("n")).is_done()) << "it holds nothing up";
}

TEST_F(Routing, ALeaderRefusesAProposalOfAnotherTerm) {
    const Term term = cluster_.group(leader_)->term();
    for (const Term wrong : {Term(term.value() - 1), term.next()}) {
        const auto refused = call(kOutside, leader_, proposal_in(wrong));
        EXPECT_EQ(refused.status().code(), Code::kNotLeader);
        EXPECT_EQ(refused.status().effect(), Effect::kNone);
    }
    EXPECT_EQ(call(kOutside, follower(), proposal_in(term)).status().code(), Code::kNotLeader);
    EXPECT_EQ(call(leader_, kOutside, proposal_in(term)).status().code(), Code::kNotLeader);
    EXPECT_EQ(cluster_.local_value(leader_, "n"), std::nullopt);
    EXPECT_TRUE(call(kOutside, leader_, proposal_in(term)).ok());
    EXPECT_EQ(cluster_.local_value(leader_, "n"), "1");
}

TEST_F(Routing, UnreadableRequestsAreRefusedAndHarmNobody) {
    EXPECT_EQ(call(kOutside, leader_, Bytes()).status().code(), Code::kCorruption);
    EXPECT_EQ(call(kOutside, leader_, Bytes("\x01\x09\x10")).status().code(), Code::kUnimplemented);
    Bytes damaged = proposal_in(cluster_.group(leader_)->term());
    damaged.resize(damaged.size() - 2);
    EXPECT_EQ(call(kOutside, leader_, damaged).status().code(), Code::kCorruption);
    EXPECT_TRUE(write(kOutside, increment_of("n")).is_done());
}

// ---- outcomes ----

// Writes down an outcome in full, with everything in it that a clock or a counter decides taken
// relative to the command.
class Recorder final : public Proposal {
public:
    virtual ~Recorder() = default;
    void on_operation(std::size_t /*at*/, const mvcc::OperationResult& result) override {
        std::string line = std::string(code_name(result.code)) +
                           (result.changed ? " changed" : "") +
                           (result.had_previous ? " had" : "") + " " +
                           std::to_string(result.number) + " '" + std::string(result.text) + "'";
        if (result.previous) {
            const mvcc::Record& previous = *result.previous;
            line +=
                " was '" + std::string(previous.value) + "' kind " +
                std::to_string(static_cast<int>(previous.kind)) + " count " +
                std::to_string(previous.version_count) + " lease " +
                std::to_string(previous.lease) + " until " +
                std::to_string(previous.expires_at_ms) + " age " +
                std::to_string(previous.mod_revision.value() - previous.create_revision.value());
            revisions.push_back(previous.mod_revision);
            EXPECT_GT(previous.version, Version());
        }
        lines.push_back(line);
    }
    void on_command(const mvcc::CommandResult& result) override {
        std::string line = std::string(result.conditions_held ? "held" : "failed") +
                           (result.changed ? " changed" : "");
        for (const Revision revision : revisions) {
            line += " " + std::to_string(result.revision.value() - revision.value());
        }
        lines.push_back(line);
        EXPECT_GT(result.stamp, Version());
        is_over = true;
    }
    void on_failed(const Status& why) override {
        lines.push_back(why.to_string());
        is_over = true;
    }

    std::vector<std::string> lines;
    std::vector<Revision> revisions;
    bool is_over = false;
};

// Commands whose outcomes have every field, under keys with this prefix.
std::vector<std::string> outcomes_from(HostCluster& cluster, std::uint64_t node, Bytes prefix) {
    const Bytes key = prefix + "k";
    const Bytes number = prefix + "n";
    const Bytes absent = prefix + "absent";
    std::vector<mvcc::Command> commands(7);
    mvcc::Operation put = put_of(key, "one");
    put.expiry_mode = mvcc::ExpiryMode::kAt;
    put.expires_at_ms = 9'000'000'000'000;
    put.lease = 77;
    commands[0].operations = {put, increment_of(number)};
    mvcc::Operation again = put_of(key, "two");
    again.wants_previous = true;
    commands[1].operations = {again};
    mvcc::Operation guarded = put_of(key, "three");
    guarded.condition = {.kind = mvcc::ConditionKind::kAbsent};
    mvcc::Operation get;
    get.key = key;
    commands[2].operations = {guarded, get};
    mvcc::Operation floating = increment_of(number);
    floating.kind = mvcc::OperationKind::kIncrementFloat;
    floating.argument = "1.5";
    commands[3].operations = {floating};
    commands[4].operations = {increment_of(key), increment_of(absent)};
    commands[4].operations[0].delta = -5;
    commands[4].operations[1].delta = INT64_MIN;
    commands[5].conditions = {{.key = key, .condition = {.kind = mvcc::ConditionKind::kAbsent}}};
    commands[5].operations = {put_of(key, "never")};
    commands[5].else_operations = {get};
    commands[6].conditions = commands[5].conditions;
    std::vector<std::string> lines;
    for (const mvcc::Command& command : commands) {
        Recorder recorder;
        cluster.on_core(node,
                        [&] { EXPECT_TRUE(cluster.route(node).propose(command, &recorder).ok()); });
        EXPECT_TRUE(cluster.world().run_until([&] { return recorder.is_over; }, seconds(20)));
        lines.insert(lines.end(), recorder.lines.begin(), recorder.lines.end());
    }
    return lines;
}

TEST_F(Routing, AForwardedOutcomeIsTheLocalOne) {
    const std::vector<std::string> local = outcomes_from(cluster_, leader_, "a");
    EXPECT_THAT(local, ::testing::Contains(HasSubstr("lease 77 until 9000000000000")));
    EXPECT_THAT(local, ::testing::Contains(HasSubstr("'2.5'")));
    EXPECT_THAT(local, ::testing::Contains(HasSubstr("failed")));
    EXPECT_EQ(outcomes_from(cluster_, follower(), "b"), local);
    EXPECT_EQ(outcomes_from(cluster_, kOutside, "c"), local);
}

// ---- the replica comes and goes ----

TEST_F(Routing, WithoutAReplicaNothingIsReadHere) {
    Group& route = cluster_.route(kOutside);
    EXPECT_FALSE(route.has_replica());
    EXPECT_FALSE(route.can_read_now());
    EXPECT_TRUE(route.health().ok());
    EXPECT_FALSE(route.gate().try_enter());
    const Status barrier = cluster_.run(kOutside, route.read_barrier(async::Deadline::never()));
    EXPECT_EQ(barrier.code(), Code::kUnavailable);
    EXPECT_EQ(barrier.effect(), Effect::kNone);
    EXPECT_EQ(cluster_.host(kOutside).find_group(HostCluster::kShard), nullptr);
}

TEST_F(Routing, AFollowerConfirmsReadsThroughItsRoute) {
    ASSERT_TRUE(write(kOutside, put_of("k", "v")).is_done());
    Group& route = cluster_.route(follower());
    EXPECT_TRUE(route.has_replica());
    EXPECT_EQ(cluster_.host(follower()).find_group(HostCluster::kShard), &route);
    EXPECT_TRUE(cluster_.run(follower(), route.read_barrier(async::Deadline::never())).ok());
    EXPECT_EQ(cluster_.local_value(follower(), "k"), "v");
}

TEST_F(Routing, ARouteStaysTheSameWhileAReplicaComesAndGoes) {
    Group* const outside = &cluster_.route(kOutside);
    ShardDescription newcomer = cluster_.description();
    newcomer.founders.clear();
    newcomer.is_newcomer = true;
    const auto created = cluster_.run(kOutside, cluster_.host(kOutside).create_shard(newcomer));
    ASSERT_TRUE(created.ok());
    EXPECT_EQ(*created, outside);
    EXPECT_TRUE(outside->has_replica());
    EXPECT_TRUE(write(kOutside, increment_of("n")).is_done()) << "nobody told it of a leader yet";
    ASSERT_TRUE(cluster_.change(leader_, raft::ConfOperation::kAddVoter, kOutside).ok());
    EXPECT_TRUE(write(kOutside, increment_of("n")).is_done());
    ASSERT_TRUE(cluster_.transfer(kOutside));
    EXPECT_TRUE(write(kOutside, increment_of("n")).is_done());

    ASSERT_TRUE(cluster_.transfer(leader_));
    ASSERT_TRUE(write(leader_, put_of("k", "v")).is_done());
    ASSERT_TRUE(cluster_.change(leader_, raft::ConfOperation::kRemove, kOutside).ok());
    ASSERT_TRUE(
        cluster_.run(kOutside, cluster_.host(kOutside).drop_shard(HostCluster::kShard)).ok());
    EXPECT_EQ(&cluster_.route(kOutside), outside);
    EXPECT_FALSE(outside->has_replica());
    EXPECT_EQ(write(kOutside, increment_of("n")).numbers, std::vector<std::int64_t>{4});
}

TEST_F(Routing, AReplicaThatIsDroppedUnderItsProposalsTellsThemAndLaterOnesGoElsewhere) {
    ASSERT_TRUE(write(leader_, increment_of("n")).is_done());
    cluster_.world().isolate(cluster_.machine(leader_));
    Told& local = must_take(leader_, increment_of("n"));
    ASSERT_TRUE(cluster_.run(leader_, cluster_.host(leader_).drop_shard(HostCluster::kShard)).ok());
    ASSERT_TRUE(cluster_.wait(local));
    EXPECT_EQ(local.failure.code(), Code::kUnavailable);
    EXPECT_EQ(local.failure.effect(), Effect::kUnknown);

    cluster_.world().heal_all();
    ASSERT_NE(cluster_.wait_for_leader(), 0U);
    cluster_.world().run_for(seconds(3));
    EXPECT_TRUE(write(leader_, increment_of("n")).is_done());
}

TEST_F(Routing, AForgottenRouteFailsWhatWaitsAndALaterOneIsAnother) {
    cluster_.crash(follower());
    cluster_.crash(leader_);
    Told& waits = must_take(kOutside, increment_of("n"));
    cluster_.on_core(kOutside, [&] { cluster_.host(kOutside).forget_route(HostCluster::kShard); });
    EXPECT_EQ(waits.failure.code(), Code::kUnavailable);
    EXPECT_EQ(waits.failure.effect(), Effect::kNone);
    EXPECT_EQ(cluster_.propose(kOutside, increment_of("n")).refusal.code(), Code::kOk);
}

TEST_F(Routing, AForgottenRouteIsKeptUntilWhatIsUnderWayHasBeenTold) {
    ASSERT_TRUE(write(kOutside, increment_of("n")).is_done());
    cluster_.world().isolate(cluster_.machine(leader_));
    Told& under_way = must_take(kOutside, increment_of("n"));
    cluster_.on_core(kOutside, [&] { cluster_.host(kOutside).forget_route(HostCluster::kShard); });
    cluster_.world().run_for(milliseconds(500));
    EXPECT_FALSE(under_way.is_over());
    cluster_.world().heal_all();
    ASSERT_TRUE(cluster_.wait(under_way));
    EXPECT_TRUE(under_way.is_done()) << under_way.failure.to_string();
    EXPECT_TRUE(write(kOutside, increment_of("n")).is_done());
}

TEST_F(Routing, AStopWaitsForOutcomesAndTellsTheRestTheyAreUnknown) {
    ASSERT_TRUE(write(kOutside, increment_of("n")).is_done());
    Told& quick = must_take(kOutside, increment_of("n"));
    ASSERT_TRUE(cluster_.run(kOutside, cluster_.host(kOutside).stop()).ok());
    EXPECT_TRUE(quick.is_done());
    EXPECT_EQ(cluster_.propose(kOutside, increment_of("n")).refusal.code(), Code::kUnavailable);
    cluster_.crash(kOutside);
    cluster_.start(kOutside);

    ASSERT_TRUE(write(kOutside, increment_of("n")).is_done());
    cluster_.world().isolate(cluster_.machine(leader_));
    Told& hangs = must_take(kOutside, increment_of("n"));
    const MonotonicTime began = cluster_.world().now();
    ASSERT_TRUE(cluster_.run(kOutside, cluster_.host(kOutside).stop()).ok());
    EXPECT_LT(cluster_.world().now() - began, seconds(2));
    EXPECT_EQ(hangs.failure.code(), Code::kUnavailable);
    EXPECT_EQ(hangs.failure.effect(), Effect::kUnknown);
    // The answer, when it comes, finds nobody.
    cluster_.world().heal_all();
    cluster_.world().run_for(seconds(20));
    cluster_.crash(kOutside);
}

// ---- questions ----

TEST_F(Routing, TheLeaderAnswersWhatTheLeaderIsAsked) {
    const std::string expected = std::to_string(leader_) + " has it";
    for (const std::uint64_t from : {kOutside, follower()}) {
        const auto answer = ask(from, "it", AskWhom::kLeader);
        ASSERT_TRUE(answer.ok()) << answer.status().to_string();
        EXPECT_EQ(*answer, expected);
    }
}

TEST_F(Routing, AnyReplicaIsNeverTheOneThatAsks) {
    for (int i = 0; i < 6; ++i) {
        const auto answer = ask(1, "it", AskWhom::kAnyReplica);
        ASSERT_TRUE(answer.ok()) << answer.status().to_string();
        EXPECT_THAT(*answer, ::testing::AnyOf("2 has it", "3 has it"));
    }
    EXPECT_EQ(ask(leader_, "it", AskWhom::kLeader).status().code(), Code::kUnavailable);
}

TEST_F(Routing, AQuestionGoesOnToAnotherReplicaWhenOneIsDeadOrHasNone) {
    cluster_.located = {NodeId(1), NodeId(kOutside), NodeId(2), NodeId(3)};
    cluster_.crash(2);
    for (int i = 0; i < 6; ++i) {
        const auto answer = ask(1, "it", AskWhom::kAnyReplica);
        ASSERT_TRUE(answer.ok()) << answer.status().to_string();
        EXPECT_EQ(*answer, "3 has it");
    }
}

TEST_F(Routing, AQuestionFindsTheNextLeader) {
    ASSERT_TRUE(ask(kOutside, "it", AskWhom::kLeader).ok());
    const std::uint64_t heir = follower();
    ASSERT_TRUE(cluster_.transfer(heir));
    EXPECT_EQ(*ask(kOutside, "it", AskWhom::kLeader), std::to_string(heir) + " has it");
    cluster_.crash(heir);
    const auto answer = ask(kOutside, "it", AskWhom::kLeader);
    EXPECT_TRUE(answer.ok()) << answer.status().to_string();
}

TEST_F(Routing, AnErrorOfTheOneWhoIsAskedIsTheAnswer) {
    const auto refused = ask(kOutside, "refuse", AskWhom::kLeader);
    EXPECT_EQ(refused.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(refused.status().effect(), Effect::kNone);
}

TEST_F(Routing, AQuestionEndsWithItsDeadlineOrItsPatience) {
    for (std::uint64_t id = 1; id <= 3; ++id) {
        cluster_.host(id).set_ask_server(nullptr);
    }
    for (const AskWhom whom : {AskWhom::kLeader, AskWhom::kAnyReplica}) {
        MonotonicTime began = cluster_.world().now();
        auto answer = ask(kOutside, "it", whom, seconds(1));
        EXPECT_EQ(answer.status().code(), Code::kDeadlineExceeded);
        EXPECT_LT(cluster_.world().now() - began, milliseconds(1'300));
        began = cluster_.world().now();
        answer = ask(kOutside, "it", whom);
        EXPECT_EQ(answer.status().code(), Code::kUnavailable);
        EXPECT_EQ(answer.status().effect(), Effect::kNone);
        EXPECT_GE(cluster_.world().now() - began, seconds(5));
        EXPECT_LT(cluster_.world().now() - began, milliseconds(5'500));
    }
}

TEST_F(Routing, ANodeThatGivesNoAnswerIsNotTheLastToBeAsked) {
    cluster_.located = {NodeId(2), NodeId(3)};
    cluster_.world().isolate(cluster_.machine(2));
    for (int i = 0; i < 2; ++i) {
        const auto answer = ask(kOutside, "it", AskWhom::kAnyReplica);
        ASSERT_TRUE(answer.ok()) << answer.status().to_string();
        EXPECT_EQ(*answer, "3 has it");
    }
    cluster_.world().heal_all();
}

// ---- storms ----

// What one node has sent, and what must be true of it: increments of a key of its own.
struct Sender {
    std::vector<const Told*> sent;  // of all its lives; those of a crashed one are never told

    [[nodiscard]] static bool is_certainly_not_done(const Told& told) {
        return !told.refusal.ok() || (!told.failure.ok() && told.failure.effect() == Effect::kNone);
    }

    // Sums of acknowledged increments rise in the order in which they were sent, and skip no more
    // than those in between whose effect is not known.
    void check(std::int64_t final_value, const std::string& where) const {
        std::int64_t last = 0;
        std::int64_t unknown = 0;
        for (const Told* const told : sent) {
            if (told->is_done()) {
                const std::int64_t number = told->numbers.at(0);
                ASSERT_GT(number, last) << where;
                ASSERT_LE(number, last + 1 + unknown) << where;
                last = number;
                unknown = 0;
            } else if (!is_certainly_not_done(*told)) {
                ++unknown;
            }
        }
        EXPECT_GE(final_value, last) << where;
        EXPECT_LE(final_value, last + unknown) << where;
    }
};

class RouteStorm {
public:
    explicit RouteStorm(std::uint64_t seed) : random_(seed), cluster_(seed, 5, 3), senders_(5) {
        cluster_.wait_for_leader();
    }

    void rage() {
        for (int step = 0; step < 200; ++step) {
            const std::uint64_t node = 1 + random_.below(cluster_.size());
            const std::uint64_t what = random_.below(40);
            if (what == 0 && cluster_.is_up(node)) {
                cluster_.crash(
                    node,
                    random_.below(2) == 0 ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss);
            } else if (what <= 2) {
                start_all();
            } else if (what == 3) {
                cluster_.world().isolate(cluster_.machine(node));
            } else if (what == 4) {
                const std::uint64_t other = 1 + random_.below(cluster_.size());
                if (other != node) {
                    cluster_.world().block(cluster_.machine(node), cluster_.machine(other));
                }
            } else if (what <= 6) {
                cluster_.world().heal_all();
            } else if (what == 7) {
                transfer(node);
            } else if (what == 8) {
                const std::uint64_t other = 1 + random_.below(cluster_.size());
                if (other != node) {
                    cluster_.world().reset_connections(cluster_.machine(node),
                                                       cluster_.machine(other));
                }
            } else if (cluster_.is_up(node)) {
                send(node);
            }
            cluster_.world().run_for(milliseconds(random_.below(random_.below(8) == 0 ? 700 : 40)));
        }
    }

    void check(const std::string& where) {
        cluster_.world().heal_all();
        start_all();
        cluster_.world().run_for(seconds(30));
        for (std::uint64_t node = 1; node <= cluster_.size(); ++node) {
            Told& last = cluster_.propose(node, increment_of(key_of(node)));
            senders_[node - 1].sent.push_back(&last);
            ASSERT_TRUE(cluster_.wait(last)) << where;
            ASSERT_TRUE(last.is_done()) << where << ": " << last.failure.to_string();
            senders_[node - 1].check(last.numbers.at(0), where + " node " + std::to_string(node));
        }
        for (const Sender& sender : senders_) {
            for (const Told* const told : sender.sent) {
                done_ += told->is_done() ? 1 : 0;
                not_done_ += Sender::is_certainly_not_done(*told) ? 1 : 0;
                unknown_ += !told->failure.ok() && told->failure.effect() == Effect::kUnknown;
            }
        }
        cluster_.stop_all();
    }

    int done_ = 0;
    int not_done_ = 0;
    int unknown_ = 0;

private:
    static std::string key_of(std::uint64_t node) { return "n" + std::to_string(node); }

    // Several in one turn.
    void send(std::uint64_t node) {
        for (std::uint64_t i = 0; i <= random_.below(6); ++i) {
            senders_[node - 1].sent.push_back(&cluster_.propose(node, increment_of(key_of(node))));
        }
    }
    void start_all() {
        for (std::uint64_t node = 1; node <= cluster_.size(); ++node) {
            if (!cluster_.is_up(node)) {
                cluster_.start(node);
            }
        }
    }
    void transfer(std::uint64_t heir) {
        for (std::uint64_t node = 1; node <= cluster_.size(); ++node) {
            RaftGroup* const group = cluster_.group(node);
            if (group != nullptr && group->is_leader()) {
                cluster_.on_core(node, [&] { (void)group->transfer_leader(NodeId(heir)); });
            }
        }
    }

    Random random_;
    HostCluster cluster_;
    std::vector<Sender> senders_;
};

TEST(RouteStorms, KeepEachSendersOrderAndCountNothingTwice) {
    set_log_level(LogLevel::kOff);
    int done = 0;
    int not_done = 0;
    int unknown = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        RouteStorm storm(seed);
        storm.rage();
        storm.check("seed " + std::to_string(seed));
        done += storm.done_;
        not_done += storm.not_done_;
        unknown += storm.unknown_;
        if (::testing::Test::HasFatalFailure()) {
            break;
        }
    }
    // It is a storm, and something comes through.
    EXPECT_GT(done, 10'000);
    EXPECT_GT(not_done, 100);
    EXPECT_GT(unknown, 100);
    set_log_level(LogLevel::kInfo);
}

}  // namespace
}  // namespace kvstore::replication
