#include "async/scheduler.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "async/mailbox.h"

namespace kvstore::async {
namespace {

using Phase = TurnEndHook::Phase;

// Calls `action` when it is run.
class Hook final : public TurnEndHook {
public:
    explicit Hook(Callback<void()> action) : action_(std::move(action)) {}
    void run_at_turn_end() override { action_(); }

private:
    Callback<void()> action_;
};

class SchedulerTurn : public testing::Test {
protected:
    // Work that writes down a mark when it runs.
    Callback<void()> mark(char c) {
        return [this, c] {
            order += c;
        };
    }

    Scheduler scheduler;
    std::string order;
};

TEST_F(SchedulerTurn, RunsNothingWithoutWork) {
    EXPECT_FALSE(scheduler.has_work());
    EXPECT_FALSE(scheduler.run_turn());
}

TEST_F(SchedulerTurn, RunsWorkInTheOrderInWhichItWasPosted) {
    scheduler.post(mark('a'));
    scheduler.post(mark('b'));
    scheduler.post(mark('c'));
    EXPECT_TRUE(scheduler.has_work());
    EXPECT_EQ(order, "");

    EXPECT_TRUE(scheduler.run_turn());

    EXPECT_EQ(order, "abc");
    EXPECT_FALSE(scheduler.has_work());
}

TEST_F(SchedulerTurn, RunsWhatItsWorkPostsInTheSameTurn) {
    scheduler.post([this] {
        order += 'a';
        scheduler.post(mark('c'));
    });
    scheduler.post(mark('b'));

    scheduler.run_turn();

    EXPECT_EQ(order, "abc");
}

TEST_F(SchedulerTurn, EndsAlthoughItsWorkAlwaysMakesMore) {
    struct Forever {
        void run() {
            ++count;
            scheduler.post([this] { run(); });
        }
        Scheduler& scheduler;
        std::size_t count = 0;
    };
    Forever forever{.scheduler = scheduler};
    forever.run();

    scheduler.run_turn();

    EXPECT_GE(forever.count, Scheduler::kTurnWorkMax);
    EXPECT_LE(forever.count, 2 * Scheduler::kTurnWorkMax + 1);
    EXPECT_TRUE(scheduler.has_work());
}

TEST_F(SchedulerTurn, KnowsItselfWhileItRuns) {
    Scheduler other;
    EXPECT_EQ(Scheduler::current(), nullptr);
    const Scheduler* outer = nullptr;
    const Scheduler* inner = nullptr;
    scheduler.post([&] {
        other.post([&] { inner = Scheduler::current(); });
        other.run_turn();
        outer = Scheduler::current();
    });

    scheduler.run_turn();

    EXPECT_EQ(outer, &scheduler);
    EXPECT_EQ(inner, &other);
    EXPECT_EQ(Scheduler::current(), nullptr);
}

TEST_F(SchedulerTurn, RunsHooksAfterTheWorkAndOnce) {
    Hook hook(mark('h'));
    scheduler.post([&] {
        scheduler.at_turn_end(hook, Phase::kSubmit);
        scheduler.at_turn_end(hook, Phase::kSubmit);
        order += 'a';
    });
    scheduler.post(mark('b'));

    scheduler.run_turn();
    scheduler.run_turn();

    EXPECT_EQ(order, "abh");
}

TEST_F(SchedulerTurn, RunsTheSubmitPhaseAndWhatItMakesReadyBeforeTheFlushPhase) {
    Hook flush(mark('f'));
    Hook submit([this] {
        order += 's';
        scheduler.post(mark('w'));
    });
    scheduler.at_turn_end(flush, Phase::kFlush);
    scheduler.at_turn_end(submit, Phase::kSubmit);

    EXPECT_TRUE(scheduler.run_turn());

    EXPECT_EQ(order, "swf");
}

TEST_F(SchedulerTurn, RunsHooksOfAPhaseInTheOrderInWhichTheyWereArmed) {
    Hook a(mark('a'));
    Hook b(mark('b'));
    Hook c(mark('c'));
    scheduler.at_turn_end(b, Phase::kFlush);
    scheduler.at_turn_end(c, Phase::kFlush);
    scheduler.at_turn_end(a, Phase::kFlush);

    scheduler.run_turn();

    EXPECT_EQ(order, "bca");
}

TEST_F(SchedulerTurn, RunsAHookThatArmsItselfInTheNextTurn) {
    Hook* self = nullptr;
    Hook hook([&] {
        order += 'h';
        scheduler.at_turn_end(*self, Phase::kSubmit);
    });
    self = &hook;
    scheduler.at_turn_end(hook, Phase::kSubmit);

    scheduler.run_turn();
    EXPECT_EQ(order, "h");
    EXPECT_TRUE(scheduler.has_work());
    scheduler.run_turn();
    EXPECT_EQ(order, "hh");
}

TEST_F(SchedulerTurn, RunsNoHookThatWasDestroyed) {
    auto hook = std::make_unique<Hook>(mark('x'));
    Hook kept(mark('k'));
    scheduler.at_turn_end(*hook, Phase::kSubmit);
    scheduler.at_turn_end(kept, Phase::kSubmit);
    hook.reset();

    scheduler.run_turn();

    EXPECT_EQ(order, "k");
}

// The first hook destroys the last one and arms itself again: the turn must still end.
TEST_F(SchedulerTurn, EndsWhenAHookDestroysAnotherAndArmsItself) {
    auto last = std::make_unique<Hook>(mark('x'));
    Hook* self = nullptr;
    Hook first([&] {
        order += 'h';
        last.reset();
        if (order.size() < 10) {
            scheduler.at_turn_end(*self, Phase::kSubmit);
        }
    });
    self = &first;
    scheduler.at_turn_end(first, Phase::kSubmit);
    scheduler.at_turn_end(*last, Phase::kSubmit);

    scheduler.run_turn();

    EXPECT_EQ(order, "h");
}

TEST_F(SchedulerTurn, LetsHooksOutliveTheirScheduler) {
    Hook hook(mark('h'));
    {
        Scheduler short_lived;
        short_lived.at_turn_end(hook, Phase::kFlush);
    }
    scheduler.at_turn_end(hook, Phase::kFlush);

    scheduler.run_turn();

    EXPECT_EQ(order, "h");
}

TEST_F(SchedulerTurn, DestroysWorkThatNeverRan) {
    auto witness = std::make_shared<int>(1);
    {
        Scheduler short_lived;
        short_lived.post([witness] {});
        short_lived.post_from_any_thread([witness] {});
    }
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(SchedulerRemote, WakesTheLoopOnceUntilItHasTakenWhatWasPosted) {
    int wakes = 0;
    Scheduler scheduler([&wakes] { ++wakes; });

    scheduler.post_from_any_thread([] {});
    scheduler.post_from_any_thread([] {});
    EXPECT_EQ(wakes, 1);
    EXPECT_TRUE(scheduler.has_work());

    scheduler.run_turn();
    scheduler.post_from_any_thread([] {});
    EXPECT_EQ(wakes, 2);
}

// Run under tsan.
TEST(SchedulerRemote, TakesWorkOfManyThreadsEachInItsOrder) {
    constexpr int kThreads = 3;
    constexpr int kEach = 3'000;
    Scheduler scheduler;
    std::vector<std::vector<int>> seen(kThreads);
    int total = 0;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&scheduler, &seen, &total, thread] {
            for (int i = 0; i < kEach; ++i) {
                scheduler.post_from_any_thread([&seen, &total, thread, i] {
                    seen[static_cast<std::size_t>(thread)].push_back(i);
                    ++total;
                });
            }
        });
    }
    while (total < kThreads * kEach) {
        scheduler.run_turn();
    }
    for (std::thread& thread : threads) {
        thread.join();
    }

    for (const std::vector<int>& numbers : seen) {
        for (int i = 0; i < kEach; ++i) {
            ASSERT_EQ(numbers[static_cast<std::size_t>(i)], i);
        }
    }
}

TEST(Mailbox, RefusesMoreThanItsCapacityUntilSomeHaveRun) {
    Scheduler scheduler;
    Mailbox mailbox(scheduler, 2);
    int received = 0;
    const auto send = [&] {
        return mailbox.try_send([&received] { ++received; });
    };

    EXPECT_TRUE(send());
    EXPECT_TRUE(send());
    EXPECT_FALSE(send());
    EXPECT_EQ(received, 0);

    scheduler.run_turn();
    EXPECT_EQ(received, 2);
    EXPECT_TRUE(send());
    scheduler.run_turn();
    EXPECT_EQ(received, 3);
}

TEST(Mailbox, LetsAMessageSendTheNext) {
    Scheduler scheduler;
    Mailbox mailbox(scheduler, 1);
    bool was_sent = false;

    ASSERT_TRUE(mailbox.try_send([&] { was_sent = mailbox.try_send([] {}); }));
    scheduler.run_turn();

    EXPECT_TRUE(was_sent);
}

// Run under tsan.
TEST(Mailbox, NeverHoldsMoreThanItsCapacity) {
    constexpr std::size_t kCapacity = 16;
    Scheduler scheduler;
    Mailbox mailbox(scheduler, kCapacity);
    std::atomic<int> sent{0};
    std::atomic<int> finished{0};
    int received = 0;
    std::vector<std::thread> senders;
    for (int i = 0; i < 3; ++i) {
        senders.emplace_back([&] {
            for (int n = 0; n < 2'000; ++n) {
                sent += mailbox.try_send([&received] { ++received; }) ? 1 : 0;
            }
            ++finished;
        });
    }
    while (finished < 3 || scheduler.has_work()) {
        const int before = received;
        scheduler.run_turn();
        EXPECT_LE(received - before, static_cast<int>(2 * kCapacity));
    }
    for (std::thread& sender : senders) {
        sender.join();
    }
    scheduler.run_turn();

    EXPECT_EQ(received, sent);
}

}  // namespace
}  // namespace kvstore::async
