// Where coroutines of one core wait for one another: OneShot, Event, Gate, Semaphore, Channel, and
// yield(). Nobody is resumed inside the call that makes it ready: resumption goes through the
// core's run queue, so a setter never finds its own state changed under it.
//
// Runs on   One core each. Waiters are resumed in the order in which they began to wait.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "async/scheduler.h"
#include "async/task.h"
#include "base/assert.h"

namespace kvstore::async {

// Lets everything else that is ready run first. For loops over user data.
struct YieldAwaiter {
    Scheduler& scheduler;
    [[nodiscard]] static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) const {
        scheduler.post([awaiting] { awaiting.resume(); });
    }
    static void await_resume() noexcept {}
};
[[nodiscard]] inline YieldAwaiter yield(Scheduler& scheduler) {
    return YieldAwaiter{scheduler};
}

namespace internal {

class WaiterList {
public:
    explicit WaiterList(Scheduler& scheduler) : scheduler_(scheduler) {}
    WaiterList(const WaiterList&) = delete;
    WaiterList& operator=(const WaiterList&) = delete;
    ~WaiterList() { KVSTORE_ASSERT(waiters_.empty()); }

    void add(std::coroutine_handle<> waiter) { waiters_.push_back(waiter); }
    [[nodiscard]] bool empty() const { return waiters_.empty(); }
    bool wake_one() {
        if (waiters_.empty()) {
            return false;
        }
        scheduler_.post([waiter = waiters_.front()] { waiter.resume(); });
        waiters_.pop_front();
        return true;
    }
    void wake_all() {
        while (wake_one()) {
        }
    }

private:
    Scheduler& scheduler_;
    std::deque<std::coroutine_handle<>> waiters_;
};

}  // namespace internal

// One value on its way from a callback to one coroutine.
//
// Lifetime  In the frame of the awaiting coroutine, which awaits it before it ends.
template <typename T>
class OneShot {
public:
    explicit OneShot(Scheduler& scheduler) : scheduler_(scheduler) {}
    OneShot(const OneShot&) = delete;
    OneShot& operator=(const OneShot&) = delete;

    // Requires: not set before.
    void set(T value) {
        KVSTORE_ASSERT(!value_.has_value());
        value_.emplace(std::move(value));
        if (waiter_) {
            scheduler_.post([waiter = waiter_] { waiter.resume(); });
        }
    }

    [[nodiscard]] bool is_set() const { return value_.has_value(); }

    auto operator co_await() {
        struct Awaiter {
            OneShot& shot;
            [[nodiscard]] bool await_ready() const { return shot.value_.has_value(); }
            void await_suspend(std::coroutine_handle<> awaiting) {
                KVSTORE_ASSERT(!shot.waiter_);
                shot.waiter_ = awaiting;
            }
            T await_resume() { return *std::move(shot.value_); }
        };
        return Awaiter{*this};
    }

private:
    Scheduler& scheduler_;
    std::optional<T> value_;
    std::coroutine_handle<> waiter_;
};

// A flag that coroutines wait for. Stays set until reset().
class Event {
public:
    explicit Event(Scheduler& scheduler) : waiters_(scheduler) {}

    void set() {
        is_set_ = true;
        waiters_.wake_all();
    }
    void reset() { is_set_ = false; }
    [[nodiscard]] bool is_set() const { return is_set_; }

    // Suspends: until set() is called. It may have been reset again meanwhile.
    auto operator co_await() {
        struct Awaiter {
            Event& event;
            [[nodiscard]] bool await_ready() const { return event.is_set_; }
            void await_suspend(std::coroutine_handle<> awaiting) { event.waiters_.add(awaiting); }
            static void await_resume() {}
        };
        return Awaiter{*this};
    }

private:
    internal::WaiterList waiters_;
    bool is_set_ = false;
};

// Counts the work that runs inside a component, and lets stop() wait for its end.
//
// Invariants  after close() has returned, nothing is inside and nothing enters again.
class Gate {
public:
    explicit Gate(Scheduler& scheduler) : empty_(scheduler) {}
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() { KVSTORE_ASSERT(count_ == 0); }

    // False when the gate is closed: the caller must not begin.
    [[nodiscard]] bool try_enter() {
        if (is_closing_) {
            return false;
        }
        ++count_;
        return true;
    }
    void leave() {
        KVSTORE_ASSERT(count_ > 0);
        if (--count_ == 0 && is_closing_) {
            empty_.set();
        }
    }

    // Runs `task` inside the gate; a closed gate drops it unstarted and answers false.
    bool spawn(Task<void> task) {
        if (!try_enter()) {
            return false;
        }
        async::spawn(run_inside(std::move(task)));
        return true;
    }

    [[nodiscard]] bool is_closing() const { return is_closing_; }
    [[nodiscard]] std::size_t count() const { return count_; }

    // Refuses newcomers from now on. Suspends: until everybody has left.
    Task<void> close() {
        is_closing_ = true;
        if (count_ > 0) {
            co_await empty_;
        }
    }

private:
    Task<void> run_inside(Task<void> task) {
        co_await std::move(task);
        leave();
    }

    Event empty_;
    std::size_t count_ = 0;
    bool is_closing_ = false;
};

// Bounds how many do something at a time.
class Semaphore {
public:
    Semaphore(Scheduler& scheduler, std::size_t count) : waiters_(scheduler), count_(count) {}

    [[nodiscard]] bool try_acquire() {
        if (count_ == 0) {
            return false;
        }
        --count_;
        return true;
    }

    // Suspends: until a unit is free; it is taken then.
    auto acquire() {
        struct Awaiter {
            Semaphore& semaphore;
            [[nodiscard]] bool await_ready() const { return semaphore.try_acquire(); }
            void await_suspend(std::coroutine_handle<> awaiting) {
                semaphore.waiters_.add(awaiting);
            }
            static void await_resume() {}
        };
        return Awaiter{*this};
    }

    void release() {
        // The unit passes straight to the first waiter, so a newcomer cannot overtake it.
        if (!waiters_.wake_one()) {
            ++count_;
        }
    }

    [[nodiscard]] std::size_t available() const { return count_; }

private:
    internal::WaiterList waiters_;
    std::size_t count_;
};

// A bounded queue between coroutines of one core.
template <typename T>
class Channel {
public:
    Channel(Scheduler& scheduler, std::size_t capacity)
        : readers_(scheduler), capacity_(capacity) {}

    // False when full or closed: the caller answers "overloaded" rather than wait.
    [[nodiscard]] bool try_push(T value) {
        if (is_closed_ || items_.size() >= capacity_) {
            return false;
        }
        items_.push_back(std::move(value));
        readers_.wake_one();
        return true;
    }

    // Suspends: until there is an item, or the channel is closed and empty (nullopt).
    Task<std::optional<T>> pop() {
        while (items_.empty() && !is_closed_) {
            co_await Wait{*this};
        }
        if (items_.empty()) {
            co_return std::nullopt;
        }
        std::optional<T> item(std::move(items_.front()));
        items_.pop_front();
        co_return item;
    }

    void close() {
        is_closed_ = true;
        readers_.wake_all();
    }

    [[nodiscard]] std::size_t size() const { return items_.size(); }

private:
    struct Wait {
        Channel& channel;
        [[nodiscard]] static bool await_ready() noexcept { return false; }
        void await_suspend(std::coroutine_handle<> awaiting) { channel.readers_.add(awaiting); }
        static void await_resume() noexcept {}
    };

    internal::WaiterList readers_;
    std::deque<T> items_;
    std::size_t capacity_;
    bool is_closed_ = false;
};

}  // namespace kvstore::async
