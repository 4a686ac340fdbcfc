#include "async/task.h"

#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "async/deadline.h"
#include "async/scheduler.h"
#include "async/sync.h"
#include "base/status.h"

namespace kvstore::async {
namespace {

Task<int> number(int value) {
    co_return value;
}

Task<int> sum(int depth) {
    if (depth == 0) {
        co_return 0;
    }
    const int below = co_await sum(depth - 1);
    co_return below + 1;
}

// Runs a task that needs no scheduler to its end.
template <typename T>
T run_now(Task<T> task) {
    std::optional<T> result;
    const auto keep = [](Task<T> inner, std::optional<T>* to) -> Task<void> {
        auto value = co_await std::move(inner);
        to->emplace(std::move(value));
    };
    spawn(keep(std::move(task), &result));
    EXPECT_TRUE(result.has_value());
    return *std::move(result);
}

TEST(Task, DoesNotStartUntilItIsAwaited) {
    bool has_started = false;
    const auto start = [](bool* started) -> Task<void> {
        *started = true;
        co_return;
    };

    Task<void> task = start(&has_started);
    EXPECT_FALSE(has_started);
    spawn(std::move(task));

    EXPECT_TRUE(has_started);
}

TEST(Task, IsDroppedUnstartedWithWhatItHolds) {
    auto witness = std::make_shared<int>(1);
    const auto hold = [](std::shared_ptr<int> held) -> Task<void> {
        co_await number(*held);
        co_return;
    };
    {
        const Task<void> task = hold(witness);
        EXPECT_EQ(witness.use_count(), 2);
    }
    EXPECT_EQ(witness.use_count(), 1);
}

TEST(Task, HandsItsValueToTheAwaitingCoroutine) {
    EXPECT_EQ(run_now(number(5)), 5);
    EXPECT_EQ(run_now(sum(10)), 10);
}

TEST(Task, MovesValuesThatCannotBeCopied) {
    const auto make = []() -> Task<std::unique_ptr<std::string>> {
        co_return std::make_unique<std::string>("value");
    };

    EXPECT_EQ(*run_now(make()), "value");
}

// Symmetric transfer: a long chain of tasks must not grow the stack.
TEST(Task, ChainsVeryDeeply) {
    EXPECT_EQ(run_now(sum(20'000)), 20'000);
}

TEST(Task, LoopsOverManyTasksThatEndAtOnce) {
    const auto loop = []() -> Task<int> {
        int total = 0;
        for (int i = 0; i < 200'000; ++i) {
            const int one = co_await number(1);
            total += one;
        }
        co_return total;
    };

    EXPECT_EQ(run_now(loop()), 200'000);
}

TEST(Task, DestroysItsLocalsBeforeTheAwaitingCoroutineGoesOn) {
    auto witness = std::make_shared<int>(1);
    const auto inner = [](std::shared_ptr<int> held) -> Task<int> {
        const std::shared_ptr<int> local = std::move(held);
        co_return *local;
    };
    const auto outer = [&inner](std::shared_ptr<int> held) {
        const auto await_it = [](Task<int> task, std::weak_ptr<int> watched) -> Task<std::int64_t> {
            co_await std::move(task);
            co_return watched.use_count();
        };
        const std::weak_ptr<int> watched = held;
        return await_it(inner(std::move(held)), watched);
    };
    Task<std::int64_t> task = outer(std::exchange(witness, nullptr));

    EXPECT_EQ(run_now(std::move(task)), 0);
}

TEST(Task, AssignedOverDropsWhatItWas) {
    auto witness = std::make_shared<int>(1);
    const auto hold = [](std::shared_ptr<int> held) -> Task<int> {
        co_return *held;
    };
    Task<int> task = hold(witness);

    task = number(7);

    EXPECT_EQ(witness.use_count(), 1);
    EXPECT_EQ(run_now(std::move(task)), 7);
}

TEST(Task, GoesOnAfterASuspension) {
    Scheduler scheduler;
    std::string order;
    const auto step = [](Scheduler* on, std::string* to) -> Task<void> {
        *to += 'a';
        co_await yield(*on);
        *to += 'c';
    };
    spawn(step(&scheduler, &order));
    order += 'b';
    EXPECT_EQ(order, "ab");

    scheduler.run_turn();

    EXPECT_EQ(order, "abc");
}

TEST(Task, ReturnsErrorsThroughTheMacros) {
    const auto fail = []() -> Task<Result<int>> {
        co_return Status(Code::kNotFound, "no");
    };
    const auto pass_on = [](Task<Result<int>> inner) -> Task<Result<int>> {
        auto awaited = co_await std::move(inner);
        KVSTORE_CO_TRY(const int value, std::move(awaited));
        co_return value + 1;
    };
    const auto check = [](bool is_good) -> Task<Status> {
        KVSTORE_CO_CHECK_OK(is_good ? Status() : Status(Code::kConflict, "bad"));
        co_return Status(Code::kInternal, "reached the end");
    };
    const auto three = []() -> Task<Result<int>> {
        co_return 3;
    };

    EXPECT_EQ(run_now(pass_on(fail())).status().code(), Code::kNotFound);
    EXPECT_EQ(*run_now(pass_on(three())), 4);
    EXPECT_EQ(run_now(check(false)).code(), Code::kConflict);
    EXPECT_EQ(run_now(check(true)).code(), Code::kInternal);
}

TEST(TaskDeathTest, EndsTheProcessWhenAnExceptionEscapes) {
    const auto throwing = []() -> Task<int> {
        // As a library does that was not wrapped.
        co_return std::stoi("no number");
    };

    EXPECT_DEATH((void)run_now(throwing()), "");
}

TEST(Deadline, PassesAtItsTime) {
    const MonotonicTime now{std::chrono::seconds(100)};
    const Deadline deadline = Deadline::after(now, std::chrono::seconds(1));

    EXPECT_FALSE(deadline.has_passed(now));
    EXPECT_TRUE(deadline.has_passed(now + std::chrono::seconds(1)));
    EXPECT_FALSE(Deadline::never().has_passed(now + std::chrono::hours(10'000)));
}

}  // namespace
}  // namespace kvstore::async
