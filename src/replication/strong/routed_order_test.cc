// In which order commands are sent, and when one is tried again: against answers that come in any
// order, from leaders that say what the test makes them say.
#include <deque>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "replication/strong/forward_codec.h"
#include "replication/strong/outcome_codec.h"
#include "replication/strong/routed_group.h"
#include "replication/testing/scripted_transport.h"
#include "replication/testing/told.h"
#include "sim/world.h"

namespace kvstore::replication {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::put_of;
using testing::ScriptedTransport;
using testing::Told;
using Call = ScriptedTransport::Call;

const Status kRefused(Code::kNotLeader, "another leads");
const Status kNotNow(Code::kUnavailable, "being transferred");
const Status kBroken(Code::kUnavailable, Effect::kUnknown, "the connection broke");

class RoutedOrder : public ::testing::Test {
protected:
    ~RoutedOrder() override {
        for (Call& call : transport_.calls) {
            if (call.sink != nullptr) {
                on_core([&call] { call.fail(kBroken); });
            }
        }
        on_core([this] {
            route_.refuse();
            EXPECT_TRUE(route_.is_idle());
            EXPECT_EQ(shared_.bytes, 0U);
        });
    }

    template <typename Work>
    void on_core(Work work) {
        Callback<void()> callback = [&work] {
            work();
        };
        world_.block_on(machine_, [](Callback<void()>* what) -> async::Task<bool> {
            (*what)();
            co_return true;
        }(&callback));
        world_.run_for(milliseconds(1));
    }
    // Puts of so many keys, "0" to "9", in one turn.
    void propose(int count) {
        on_core([this, count] {
            for (int i = 0; i < count; ++i) {
                Told& told = told_.emplace_back();
                const std::string key = std::to_string(told_.size() - 1);
                told.refusal = route_.propose(put_of(key, "v"), &told);
            }
        });
    }
    void tick() {
        on_core([this] { route_.tick(); });
    }
    // The last question who leads, to this node.
    Call& question_to(std::uint64_t node) {
        for (auto at = transport_.calls.rbegin(); at != transport_.calls.rend(); ++at) {
            if (at->to == NodeId(node) && at->sink != nullptr &&
                kind_of(*at) == ForwardKind::kWhoLeads) {
                return *at;
            }
        }
        ADD_FAILURE() << "nobody asked node " << node;
        std::abort();
    }
    void tell_leader(std::uint64_t by, std::uint64_t leader, std::uint64_t term) {
        Bytes answer;
        encode_leader_answer({.leader = NodeId(leader), .term = Term(term)}, answer);
        Call& question = question_to(by);
        on_core([&] { question.answer(answer); });
    }
    static ForwardKind kind_of(const Call& call) {
        return decode_forward_request(call.request)->kind;
    }
    // Of a command that was sent: "key>node@term".
    static std::string line_of(const Call& call) {
        const auto request = decode_forward_request(call.request);
        mvcc::Command command;
        EXPECT_TRUE(mvcc::decode_command(request->body, command).ok());
        return std::string(command.operations.at(0).key) + ">" + std::to_string(call.to.value()) +
               "@" + std::to_string(request->term.value());
    }
    // Commands sent since the last time.
    std::vector<std::string> sent() {
        std::vector<std::string> lines;
        for (; seen_ < transport_.calls.size(); ++seen_) {
            if (kind_of(transport_.calls[seen_]) == ForwardKind::kPropose) {
                lines.push_back(line_of(transport_.calls[seen_]));
            }
        }
        return lines;
    }
    Call& call_of(const std::string& line) {
        for (Call& call : transport_.calls) {
            if (kind_of(call) == ForwardKind::kPropose && call.sink != nullptr &&
                line_of(call) == line) {
                return call;
            }
        }
        ADD_FAILURE() << line << " is not under way";
        std::abort();
    }
    void fail(const std::string& line, const Status& why) {
        Call& call = call_of(line);
        on_core([&] { call.fail(why); });
    }
    void answer(const std::string& line) {
        OutcomeWriter writer;
        writer.on_operation(0, {});
        writer.on_command({});
        Call& call = call_of(line);
        on_core([&] { call.answer(writer.bytes()); });
    }
    // Three commands under way to node 1, which leads in term 5.
    void begin_with_three() {
        propose(3);
        tell_leader(2, 1, 5);
        ASSERT_EQ(sent(), (Lines{"0>1@5", "1>1@5", "2>1@5"}));
    }
    void expect_not_done(std::size_t at) {
        EXPECT_EQ(told_.at(at).failure.code(), Code::kUnavailable) << at;
        EXPECT_EQ(told_.at(at).failure.effect(), Effect::kNone) << at;
    }

    using Lines = std::vector<std::string>;
    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n9");
    ScriptedTransport transport_;
    RouteShared shared_{
        .env = machine_.env(),
        .transport = &transport_,
        .self = NodeId(9),
        .locate = [](ShardId /*shard*/) { return std::vector{NodeId(1), NodeId(2), NodeId(9)}; },
        .bytes_max = 1U << 20U};
    std::deque<Told> told_;
    std::size_t seen_ = 0;
    RoutedGroup route_{shared_, ShardId(16)};
};

TEST_F(RoutedOrder, ThoseThatOneLeaderRefusesGoToTheNextInTheirOrder) {
    begin_with_three();
    // In whatever order it is told.
    fail("2>1@5", kRefused);
    fail("0>1@5", kRefused);
    tell_leader(1, 2, 6);
    EXPECT_EQ(sent(), Lines()) << "the second may have been taken";
    fail("1>1@5", kRefused);
    EXPECT_EQ(sent(), (Lines{"0>2@6", "1>2@6", "2>2@6"}));
    answer("0>2@6");
    answer("1>2@6");
    answer("2>2@6");
    EXPECT_TRUE(told_[2].is_done());
}

TEST_F(RoutedOrder, OneThatWasRefusedIsNotTriedAgainBehindALaterOneThatWasDone) {
    begin_with_three();
    fail("0>1@5", kNotNow);
    world_.run_for(milliseconds(200));
    tick();
    tell_leader(2, 1, 5);
    EXPECT_EQ(sent(), Lines()) << "those behind it are under way";
    answer("1>1@5");
    expect_not_done(0);
    answer("2>1@5");
    tick();
    EXPECT_EQ(sent(), Lines());
}

TEST_F(RoutedOrder, OneThatWasRefusedIsNotTriedAgainBehindALaterOneThatMayBeDone) {
    begin_with_three();
    fail("0>1@5", kNotNow);
    fail("1>1@5", kBroken);
    expect_not_done(0);
    EXPECT_EQ(told_[1].failure.effect(), Effect::kUnknown);
    // The one behind may.
    fail("2>1@5", kNotNow);
    world_.run_for(milliseconds(200));
    tick();
    tell_leader(2, 1, 5);
    EXPECT_EQ(sent(), Lines{"2>1@5"});
}

TEST_F(RoutedOrder, AllThatWereRefusedForAMomentAreTriedAgainInTheirOrder) {
    begin_with_three();
    fail("0>1@5", kNotNow);
    fail("1>1@5", kNotNow);
    fail("2>1@5", kNotNow);
    EXPECT_EQ(sent(), Lines()) << "not before the next tick";
    world_.run_for(milliseconds(200));
    tick();
    tell_leader(2, 1, 5);
    EXPECT_EQ(sent(), (Lines{"0>1@5", "1>1@5", "2>1@5"}));
}

TEST_F(RoutedOrder, ALeaderThatIsSilentIsGivenUpAfterHalfASecondAndWhatItRefusesLaterIsNotDone) {
    begin_with_three();
    fail("1>1@5", kRefused);
    fail("2>1@5", kRefused);
    tell_leader(1, 2, 6);
    propose(1);
    EXPECT_EQ(sent(), Lines()) << "the first may yet be refused";
    world_.run_for(milliseconds(400));
    tick();
    EXPECT_EQ(sent(), Lines());
    world_.run_for(milliseconds(100));
    tick();
    EXPECT_EQ(sent(), (Lines{"1>2@6", "2>2@6", "3>2@6"}));
    fail("0>1@5", kRefused);
    expect_not_done(0);
    answer("1>2@6");
    tick();
    EXPECT_EQ(sent(), Lines());
}

TEST_F(RoutedOrder, ALeaderInANewTermIsAnotherLeader) {
    begin_with_three();
    fail("2>1@5", kRefused);
    tell_leader(1, 1, 7);
    EXPECT_EQ(sent(), Lines()) << "two are under way in the term before";
    fail("0>1@5", kRefused);
    fail("1>1@5", kRefused);
    EXPECT_EQ(sent(), (Lines{"0>1@7", "1>1@7", "2>1@7"}));
}

TEST_F(RoutedOrder, ARefusalForAnotherReasonIsToldAndHoldsUpNobody) {
    begin_with_three();
    fail("0>1@5", {Code::kOverloaded, "too much"});
    EXPECT_EQ(told_[0].failure.code(), Code::kOverloaded);
    propose(1);
    EXPECT_EQ(sent(), Lines{"3>1@5"});
}

TEST_F(RoutedOrder, AnUnreadableOutcomeIsUnknown) {
    begin_with_three();
    Call& call = call_of("0>1@5");
    on_core([&] { call.answer("rubbish"); });
    EXPECT_EQ(told_[0].failure.code(), Code::kCorruption);
    EXPECT_EQ(told_[0].failure.effect(), Effect::kUnknown);
}

TEST_F(RoutedOrder, PatienceEndsAlsoForOneThatWaitsForThoseBehindIt) {
    begin_with_three();
    fail("0>1@5", kNotNow);
    world_.run_for(seconds(5));
    tick();
    expect_not_done(0);
}

TEST_F(RoutedOrder, TheLeaderOfTheHighestTermIsBelievedAndOneThatRefusedIsNot) {
    propose(1);
    Call& late = question_to(1);
    tell_leader(2, 2, 6);
    EXPECT_EQ(sent(), Lines{"0>2@6"});
    Bytes stale;
    encode_leader_answer({.leader = NodeId(1), .term = Term(5)}, stale);
    on_core([&] { late.answer(stale); });
    propose(1);
    EXPECT_EQ(sent(), Lines{"1>2@6"});

    world_.run_for(milliseconds(200));
    fail("0>2@6", kRefused);
    fail("1>2@6", kRefused);
    tell_leader(1, 2, 6);
    EXPECT_EQ(sent(), Lines()) << "it said itself that it does not lead in that term";
    tell_leader(2, 9, 8);
    EXPECT_EQ(sent(), Lines()) << "this node has no replica";
    world_.run_for(milliseconds(200));
    tick();
    tell_leader(1, 1, 8);
    EXPECT_EQ(sent(), (Lines{"0>1@8", "1>1@8"}));
}

TEST_F(RoutedOrder, ALeaderThatCannotBeReachedIsLookedUpAgainButNotAllTheTime) {
    transport_.unreachable = {NodeId(1)};
    propose(1);
    tell_leader(2, 1, 5);
    const std::size_t asked = transport_.calls.size();
    for (int i = 0; i < 10; ++i) {
        tick();
    }
    EXPECT_EQ(transport_.calls.size(), asked);
    world_.run_for(milliseconds(200));
    tick();
    tell_leader(2, 2, 6);
    EXPECT_EQ(sent(), Lines{"0>2@6"});
}

}  // namespace
}  // namespace kvstore::replication
