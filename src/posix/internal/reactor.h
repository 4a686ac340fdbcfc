// Readiness of file descriptors: one epoll instance a core, and the way to end its wait from
// another thread.
//
// Why not Asio's reactor: README.md. In short, here sockets are registered once, edge-triggered,
// and a turn costs one epoll_wait() and nothing else beside the recv() and send() of each request.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sys/epoll.h>

#include "base/status.h"
#include "base/time.h"

namespace kvstore::posix {

// What is told when its descriptor becomes ready.
class Watcher {
public:
    virtual void on_ready(std::uint32_t events) = 0;

protected:
    ~Watcher() = default;
};

// Lifetime  Owned by the core; outlives its watchers.
// Runs on   One core, but for wake().
class Reactor {
public:
    Reactor();
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;
    ~Reactor();

    // Errors: kUnavailable when the kernel refuses (too many watches).
    Status add(int descriptor, std::uint32_t events, Watcher& watcher);
    void change(int descriptor, std::uint32_t events, Watcher& watcher);
    // Stops watching; events that were gathered already are dropped. A descriptor that is closed
    // right afterwards need not be removed first: forget() is enough.
    void remove(int descriptor, Watcher& watcher);
    void forget(Watcher& watcher);

    // Gathers events, waiting for the first one until `timeout` has passed: for ever when negative.
    // Returns: whether there is something to dispatch.
    bool wait(Duration timeout);

    // Tells the watchers of what wait() has gathered.
    void dispatch();

    // Ends a wait() of this core, or makes the next one return at once. From any thread.
    void wake();

    // Announces that the core is about to wait. What other threads do afterwards wakes it; what
    // they did before is visible now, so look once more before waiting.
    void prepare_to_sleep() { is_asleep_.exchange(true, std::memory_order_seq_cst); }
    void woke_up() { is_asleep_.store(false, std::memory_order_relaxed); }

private:
    static constexpr std::size_t kBatchMax = 256;

    int epoll_ = -1;
    int wake_event_ = -1;
    std::atomic<bool> is_asleep_{false};
    std::array<epoll_event, kBatchMax> batch_;
    std::size_t batch_size_ = 0;
    std::size_t batch_next_ = 0;  // the first event that was not dispatched
};

}  // namespace kvstore::posix
