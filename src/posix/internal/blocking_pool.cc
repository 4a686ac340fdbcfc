#include "posix/internal/blocking_pool.h"

#include <algorithm>
#include <utility>

#include "async/sync.h"

namespace kvstore::posix {

BlockingPool::BlockingPool(async::Scheduler& scheduler, unsigned threads_max)
    : scheduler_(scheduler), threads_max_(std::max(threads_max, 1U)) {}

BlockingPool::~BlockingPool() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

async::Task<void> BlockingPool::run(Callback<void()> work) {
    async::OneShot<bool> done(scheduler_);
    submit([this, &work, &done] {
        work();
        scheduler_.post_from_any_thread([&done] { done.set(true); });
    });
    co_await done;
}

void BlockingPool::submit(Callback<void()> work) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(work));
        if (queue_.size() > idle_count_ && threads_.size() < threads_max_) {
            threads_.emplace_back([this] { run_thread(); });
        }
    }
    changed_.notify_one();
}

void BlockingPool::run_thread() {
    std::unique_lock lock(mutex_);
    while (true) {
        ++idle_count_;
        changed_.wait(lock, [this] { return !queue_.empty() || is_stopping_; });
        --idle_count_;
        if (queue_.empty()) {
            return;
        }
        Callback<void()> work = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        work();
        work.reset();
        lock.lock();
    }
}

}  // namespace kvstore::posix
