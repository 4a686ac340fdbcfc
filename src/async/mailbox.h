// A bounded way into another core. The sender learns at once when it is full, and answers
// "overloaded"; nothing grows.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

#include "async/scheduler.h"
#include "base/callback.h"

namespace kvstore::async {

// Lifetime  Owned by the receiving core; outlives the messages in it.
// Runs on   try_send() any thread; messages run on the receiving core.
class Mailbox {
public:
    Mailbox(Scheduler& receiver, std::size_t capacity) : receiver_(receiver), capacity_(capacity) {}

    // False when `capacity` messages wait already; `message` is dropped then.
    [[nodiscard]] bool try_send(Callback<void()> message) {
        if (waiting_.fetch_add(1, std::memory_order_relaxed) >= capacity_) {
            waiting_.fetch_sub(1, std::memory_order_relaxed);
            return false;
        }
        receiver_.post_from_any_thread([this, message = std::move(message)]() mutable {
            waiting_.fetch_sub(1, std::memory_order_relaxed);
            message();
        });
        return true;
    }

private:
    Scheduler& receiver_;
    std::size_t capacity_;
    std::atomic<std::size_t> waiting_{0};
};

}  // namespace kvstore::async
