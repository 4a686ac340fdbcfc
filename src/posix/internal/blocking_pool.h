// A few threads for calls that block.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "async/scheduler.h"
#include "async/task.h"
#include "base/callback.h"

namespace kvstore::posix {

// Lifetime  Owned by the core. Destroying it runs what was begun or queued to its end.
// Runs on   run() on the core; the work on the threads, which start when work finds none idle.
// Never     Grows beyond `threads_max` threads. The queue holds one entry for each coroutine that
//           waits, so what bounds those bounds it.
class BlockingPool {
public:
    BlockingPool(async::Scheduler& scheduler, unsigned threads_max);
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;
    ~BlockingPool();

    // Suspends: until `work` has run on a thread.
    async::Task<void> run(Callback<void()> work);

private:
    void submit(Callback<void()> work);
    void run_thread();

    async::Scheduler& scheduler_;
    const unsigned threads_max_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Callback<void()>> queue_;
    std::vector<std::thread> threads_;
    std::size_t idle_count_ = 0;
    bool is_stopping_ = false;
};

}  // namespace kvstore::posix
