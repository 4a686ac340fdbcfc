#include "async/sync.h"

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace kvstore::async {
namespace {

class Sync : public testing::Test {
protected:
    void run() {
        while (scheduler.run_turn()) {
        }
    }

    Scheduler scheduler;
    std::string order;
};

using SyncYield = Sync;
using SyncOneShot = Sync;
using SyncEvent = Sync;
using SyncGate = Sync;
using SyncSemaphore = Sync;
using SyncChannel = Sync;

Task<void> take_turns(Scheduler* scheduler, std::string* order, char mark) {
    for (int i = 0; i < 3; ++i) {
        *order += mark;
        co_await yield(*scheduler);
    }
}

TEST_F(SyncYield, LetsOthersRunFirst) {
    spawn(take_turns(&scheduler, &order, 'a'));
    spawn(take_turns(&scheduler, &order, 'b'));

    run();

    EXPECT_EQ(order, "ababab");
}

Task<void> await_shot(OneShot<std::unique_ptr<int>>* shot, std::string* order) {
    const std::unique_ptr<int> value = co_await *shot;
    *order += std::to_string(*value);
}

TEST_F(SyncOneShot, HandsOverAValueThatCameFirst) {
    OneShot<std::unique_ptr<int>> shot(scheduler);
    shot.set(std::make_unique<int>(7));
    EXPECT_TRUE(shot.is_set());

    spawn(await_shot(&shot, &order));

    EXPECT_EQ(order, "7");
}

TEST_F(SyncOneShot, ResumesItsWaiterThroughTheRunQueueAndNotWithinSet) {
    OneShot<std::unique_ptr<int>> shot(scheduler);
    spawn(await_shot(&shot, &order));

    shot.set(std::make_unique<int>(7));
    EXPECT_EQ(order, "");
    run();

    EXPECT_EQ(order, "7");
}

TEST(SyncOneShotDeathTest, TakesOneValueOnly) {
    Scheduler scheduler;
    OneShot<int> shot(scheduler);
    shot.set(1);

    EXPECT_DEATH(shot.set(2), "assertion failed");
}

Task<void> await_event(Event* event, std::string* order, char mark) {
    co_await *event;
    *order += mark;
}

TEST_F(SyncEvent, ResumesAllWaitersInTheirOrder) {
    Event event(scheduler);
    spawn(await_event(&event, &order, 'a'));
    spawn(await_event(&event, &order, 'b'));
    run();
    EXPECT_EQ(order, "");

    event.set();
    EXPECT_EQ(order, "");
    run();

    EXPECT_EQ(order, "ab");
}

TEST_F(SyncEvent, StaysSetUntilItIsReset) {
    Event event(scheduler);
    event.set();
    spawn(await_event(&event, &order, 'a'));
    EXPECT_EQ(order, "a");

    event.reset();
    EXPECT_FALSE(event.is_set());
    spawn(await_event(&event, &order, 'b'));
    run();
    EXPECT_EQ(order, "a");

    event.set();
    run();
    EXPECT_EQ(order, "ab");
}

TEST_F(SyncEvent, ResumesWaitersThoughItWasResetMeanwhile) {
    Event event(scheduler);
    spawn(await_event(&event, &order, 'a'));

    event.set();
    event.reset();
    run();

    EXPECT_EQ(order, "a");
}

Task<void> wait_inside(Event* event, std::string* order) {
    co_await *event;
    *order += 'w';
}

Task<void> close_gate(Gate* gate, std::string* order) {
    co_await gate->close();
    *order += 'c';
}

TEST_F(SyncGate, ClosesOnlyWhenEverybodyHasLeft) {
    Gate gate(scheduler);
    Event event(scheduler);
    EXPECT_TRUE(gate.spawn(wait_inside(&event, &order)));
    EXPECT_TRUE(gate.spawn(wait_inside(&event, &order)));
    EXPECT_EQ(gate.count(), 2U);

    spawn(close_gate(&gate, &order));
    run();
    EXPECT_EQ(order, "");

    event.set();
    run();
    EXPECT_EQ(order, "wwc");
    EXPECT_EQ(gate.count(), 0U);
}

TEST_F(SyncGate, RefusesNewcomersOnceItCloses) {
    Gate gate(scheduler);
    Event event(scheduler);
    auto witness = std::make_shared<int>(1);
    const auto hold = [](std::shared_ptr<int> /*held*/, std::string* to) -> Task<void> {
        *to += 'x';
        co_return;
    };
    ASSERT_TRUE(gate.spawn(wait_inside(&event, &order)));
    spawn(close_gate(&gate, &order));

    EXPECT_TRUE(gate.is_closing());
    EXPECT_FALSE(gate.try_enter());
    EXPECT_FALSE(gate.spawn(hold(witness, &order)));

    // Dropped unstarted.
    EXPECT_EQ(witness.use_count(), 1);
    event.set();
    run();
    EXPECT_EQ(order, "wc");
}

TEST_F(SyncGate, ClosesAtOnceWhenNobodyIsInside) {
    Gate gate(scheduler);
    ASSERT_TRUE(gate.try_enter());
    gate.leave();

    spawn(close_gate(&gate, &order));

    EXPECT_EQ(order, "c");
}

TEST_F(SyncGate, MayBeClosedTwiceAndDestroyedThen) {
    Event event(scheduler);
    {
        auto gate = std::make_unique<Gate>(scheduler);
        ASSERT_TRUE(gate->spawn(wait_inside(&event, &order)));
        spawn(close_gate(gate.get(), &order));
        spawn(close_gate(gate.get(), &order));
        event.set();
        run();
        EXPECT_EQ(order, "wcc");
    }
}

TEST(SyncGateDeathTest, MayNotBeDestroyedWhileSomebodyIsInside) {
    Scheduler scheduler;
    const auto destroy_entered = [&scheduler] {
        Gate gate(scheduler);
        KVSTORE_ASSERT(gate.try_enter());
    };

    EXPECT_DEATH(destroy_entered(), "count_ == 0");
}

Task<void> hold_unit(Semaphore* semaphore, std::string* order, char mark) {
    co_await semaphore->acquire();
    *order += mark;
}

TEST_F(SyncSemaphore, LetsOnlySoManyIn) {
    Semaphore semaphore(scheduler, 2);
    for (const char mark : {'a', 'b', 'c'}) {
        spawn(hold_unit(&semaphore, &order, mark));
    }
    run();
    EXPECT_EQ(order, "ab");
    EXPECT_EQ(semaphore.available(), 0U);
    EXPECT_FALSE(semaphore.try_acquire());

    semaphore.release();
    run();
    EXPECT_EQ(order, "abc");

    semaphore.release();
    EXPECT_EQ(semaphore.available(), 1U);
}

TEST_F(SyncSemaphore, LetsNoNewcomerOvertakeAWaiter) {
    Semaphore semaphore(scheduler, 1);
    ASSERT_TRUE(semaphore.try_acquire());
    spawn(hold_unit(&semaphore, &order, 'a'));

    semaphore.release();
    // The waiter has not run yet, and the unit is its own already.
    EXPECT_FALSE(semaphore.try_acquire());
    spawn(hold_unit(&semaphore, &order, 'b'));
    run();
    EXPECT_EQ(order, "a");

    semaphore.release();
    run();
    EXPECT_EQ(order, "ab");
}

TEST_F(SyncSemaphore, ServesWaitersInTheirOrder) {
    Semaphore semaphore(scheduler, 0);
    for (const char mark : {'a', 'b', 'c', 'd'}) {
        spawn(hold_unit(&semaphore, &order, mark));
    }
    for (int i = 0; i < 4; ++i) {
        semaphore.release();
    }
    run();

    EXPECT_EQ(order, "abcd");
}

Task<void> read_all(Channel<int>* channel, std::string* order) {
    while (true) {
        const std::optional<int> item = co_await channel->pop();
        if (!item.has_value()) {
            *order += '.';
            co_return;
        }
        *order += std::to_string(*item);
    }
}

TEST_F(SyncChannel, HandsItemsOverInTheirOrder) {
    Channel<int> channel(scheduler, 10);
    spawn(read_all(&channel, &order));

    for (int i = 1; i <= 3; ++i) {
        EXPECT_TRUE(channel.try_push(i));
    }
    run();
    EXPECT_EQ(order, "123");

    channel.close();
    run();
    EXPECT_EQ(order, "123.");
}

TEST_F(SyncChannel, RefusesWhatExceedsItsCapacity) {
    Channel<int> channel(scheduler, 2);

    EXPECT_TRUE(channel.try_push(1));
    EXPECT_TRUE(channel.try_push(2));
    EXPECT_FALSE(channel.try_push(3));
    EXPECT_EQ(channel.size(), 2U);
}

TEST_F(SyncChannel, GivesWhatIsLeftAfterItWasClosed) {
    Channel<int> channel(scheduler, 10);
    ASSERT_TRUE(channel.try_push(1));
    channel.close();

    EXPECT_FALSE(channel.try_push(2));
    spawn(read_all(&channel, &order));
    run();

    EXPECT_EQ(order, "1.");
}

TEST_F(SyncChannel, WakesEveryReaderWhenItIsClosed) {
    Channel<int> channel(scheduler, 10);
    spawn(read_all(&channel, &order));
    spawn(read_all(&channel, &order));

    channel.close();
    run();

    EXPECT_EQ(order, "..");
}

TEST_F(SyncChannel, LosesNoItemBetweenAWokenReaderAndAQuickerOne) {
    Channel<int> channel(scheduler, 10);
    spawn(read_all(&channel, &order));
    ASSERT_TRUE(channel.try_push(1));
    // Takes the item before the reader that was woken for it has run.
    spawn(read_all(&channel, &order));
    EXPECT_EQ(order, "1");

    ASSERT_TRUE(channel.try_push(2));
    ASSERT_TRUE(channel.try_push(3));
    run();
    EXPECT_EQ(order, "123");

    channel.close();
    run();
    EXPECT_EQ(order, "123..");
}

}  // namespace
}  // namespace kvstore::async
