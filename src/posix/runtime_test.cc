#include "posix/runtime.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "async/mailbox.h"
#include "async/sync.h"
#include "posix/testing/socket_client.h"

namespace kvstore::posix {
namespace {

using std::chrono::milliseconds;

async::Task<int> answer_after(env::Clock* clock, Duration span) {
    co_await clock->sleep(span);
    co_return 42;
}

async::Task<void> count_up(int* count) {
    ++*count;
    co_return;
}

TEST(PosixRuntime, BlockOnRunsATaskToItsEnd) {
    Runtime runtime(RuntimeOptions{});
    int count = 0;

    runtime.block_on(count_up(&count));

    EXPECT_EQ(runtime.block_on(answer_after(&runtime.env().clock, milliseconds(1))), 42);
    EXPECT_EQ(count, 1);
}

TEST(PosixRuntime, RunEndsAfterTheTurnThatStopsItAndCanBeRepeated) {
    Runtime runtime(RuntimeOptions{});
    int count = 0;
    for (int round = 1; round <= 3; ++round) {
        runtime.env().scheduler.post([&] {
            runtime.stop();
            runtime.env().scheduler.post([&] { ++count; });
        });

        runtime.run();

        EXPECT_EQ(count, round);
    }
}

TEST(PosixRuntime, EverythingRunsInsideATurn) {
    Runtime runtime(RuntimeOptions{});
    async::Scheduler* const own = &runtime.env().scheduler;
    async::Scheduler* in_timer = nullptr;
    async::Scheduler* in_input = nullptr;
    Record record;
    record.on_input = [&](env::Connection&) {
        in_input = async::Scheduler::current();
    };
    {
        const auto listener = listen_recording(runtime, record);
        runtime.env().clock.start_timer(runtime.env().clock.now(),
                                        [&] { in_timer = async::Scheduler::current(); });
        SocketClient client(listener->local().port);
        client.send("x");

        EXPECT_TRUE(run_until(runtime, [&] { return in_timer != nullptr && in_input != nullptr; }));
        client.close();
        EXPECT_TRUE(run_until(runtime, [&] { return record.closed == 1; }));
    }

    EXPECT_EQ(in_timer, own);
    EXPECT_EQ(in_input, own);
    EXPECT_EQ(async::Scheduler::current(), nullptr);
}

TEST(PosixRuntime, AnotherThreadWakesASleepingLoop) {
    Runtime runtime(RuntimeOptions{});
    async::Scheduler& scheduler = runtime.env().scheduler;
    constexpr int kPosts = 2000;
    int received = 0;
    std::atomic<int> seen{0};

    // Each post waits for the one before, so that the loop falls asleep between them as often as
    // not; one lost wake-up would hang the test.
    std::thread poster([&] {
        for (int i = 0; i < kPosts; ++i) {
            scheduler.post_from_any_thread([&] {
                ++received;
                seen.store(received, std::memory_order_release);
                if (received == kPosts) {
                    runtime.stop();
                }
            });
            while (seen.load(std::memory_order_acquire) <= i) {
                std::this_thread::yield();
            }
        }
    });
    runtime.run();
    poster.join();

    EXPECT_EQ(received, kPosts);
}

TEST(PosixRuntime, CoresExchangeMessagesThroughMailboxes) {
    // A ball goes to and fro between two cores.
    Runtime here(RuntimeOptions{});
    async::Mailbox to_here(here.env().scheduler, 16);
    std::atomic<async::Mailbox*> to_there{nullptr};
    std::atomic<Runtime*> there{nullptr};
    std::thread other([&] {
        Runtime runtime(RuntimeOptions{});
        async::Mailbox mailbox(runtime.env().scheduler, 16);
        there = &runtime;
        to_there = &mailbox;
        runtime.run();
    });
    while (to_there == nullptr) {
        std::this_thread::yield();
    }
    int returns = 0;
    constexpr int kReturns = 500;
    struct Ball {
        async::Mailbox& near;
        async::Mailbox& far;
        int& returns;
        Runtime& here;
        Runtime& there;
        void hit() {
            ASSERT_TRUE(
                far.try_send([this] { ASSERT_TRUE(near.try_send([this] { come_back(); })); }));
        }
        void come_back() {
            if (++returns < kReturns) {
                hit();
                return;
            }
            ASSERT_TRUE(far.try_send([this] { there.stop(); }));
            here.stop();
        }
    };
    Ball ball{to_here, *to_there, returns, here, *there};

    here.env().scheduler.post([&] { ball.hit(); });
    here.run();
    other.join();

    EXPECT_EQ(returns, kReturns);
}

TEST(PosixRuntime, TakesSignalsOnTheCore) {
    Runtime runtime(RuntimeOptions{});
    std::vector<int> taken;
    ASSERT_TRUE(runtime.on_signal(SIGUSR1, [&] { taken.push_back(SIGUSR1); }).ok());
    ASSERT_TRUE(runtime.on_signal(SIGUSR2, [&] { taken.push_back(SIGUSR2); }).ok());

    ::raise(SIGUSR2);
    EXPECT_TRUE(run_until(runtime, [&] { return taken.size() == 1; }));
    ::raise(SIGUSR1);
    EXPECT_TRUE(run_until(runtime, [&] { return taken.size() == 2; }));

    EXPECT_EQ(taken, (std::vector<int>{SIGUSR2, SIGUSR1}));
}

TEST(PosixRuntime, SecondActionForASignalReplacesTheFirst) {
    Runtime runtime(RuntimeOptions{});
    int first = 0;
    int second = 0;
    ASSERT_TRUE(runtime.on_signal(SIGUSR1, [&] { ++first; }).ok());
    ASSERT_TRUE(runtime.on_signal(SIGUSR1, [&] { ++second; }).ok());

    ::raise(SIGUSR1);

    EXPECT_TRUE(run_until(runtime, [&] { return second == 1; }));
    EXPECT_EQ(first, 0);
}

TEST(PosixRuntime, RefusesASignalThatCannotBeCaught) {
    Runtime runtime(RuntimeOptions{});

    const Status refused = runtime.on_signal(SIGKILL, [] {});

    EXPECT_EQ(refused.code(), Code::kInvalidArgument);
}

TEST(PosixRuntime, DestroyingItFinishesWhatOnClosedMakesReady) {
    int finished = 0;
    Record record;
    {
        Runtime runtime(RuntimeOptions{});
        async::Event closed(runtime.env().scheduler);
        struct Waiter {
            static async::Task<void> run(async::Event* event, int* count) {
                co_await *event;
                ++*count;
            }
        };
        async::spawn(Waiter::run(&closed, &finished));
        record.on_closed = [&](env::Connection&) {
            closed.set();
        };
        const auto listener = listen_recording(runtime, record);
        const SocketClient client(listener->local().port);
        EXPECT_TRUE(run_until(runtime, [&] { return record.connection != nullptr; }));
        record.connection->close(env::Connection::CloseMode::kNow);
        EXPECT_TRUE(run_until(runtime, [&] { return finished == 1; }));
    }

    EXPECT_EQ(record.closed, 1);
}

TEST(PosixEntropy, NumbersDiffer) {
    Runtime runtime(RuntimeOptions{});
    std::array<std::uint64_t, 100> numbers = {};

    for (std::uint64_t& number : numbers) {
        number = runtime.env().entropy.next();
    }

    std::ranges::sort(numbers);
    EXPECT_EQ(std::ranges::adjacent_find(numbers), numbers.end());
}

}  // namespace
}  // namespace kvstore::posix
