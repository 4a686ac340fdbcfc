#include "posix/internal/reactor.h"

#include <cerrno>
#include <ctime>

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "posix/internal/errors.h"

namespace kvstore::posix {

Reactor::Reactor()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    KVSTORE_ASSERT(epoll_ >= 0);
    KVSTORE_ASSERT(wake_event_ >= 0);
    // Edge-triggered, so that the counter need never be read back.
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
    const int added = ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_event_, &event);
    KVSTORE_ASSERT(added == 0);
}

Reactor::~Reactor() {
    ::close(wake_event_);
    ::close(epoll_);
}

Status Reactor::add(int descriptor, std::uint32_t events, Watcher& watcher) {
    epoll_event event{.events = events, .data = {.ptr = &watcher}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        return {Code::kUnavailable, "cannot watch a descriptor: " + error_text(errno)};
    }
    return {};
}

void Reactor::change(int descriptor, std::uint32_t events, Watcher& watcher) {
    epoll_event event{.events = events, .data = {.ptr = &watcher}};
    const int changed = ::epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event);
    KVSTORE_ASSERT(changed == 0);
}

void Reactor::remove(int descriptor, Watcher& watcher) {
    const int removed = ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
    KVSTORE_ASSERT(removed == 0);
    forget(watcher);
}

void Reactor::forget(Watcher& watcher) {
    for (std::size_t i = batch_next_; i < batch_size_; ++i) {
        if (batch_[i].data.ptr == &watcher) {
            batch_[i].data.ptr = nullptr;
        }
    }
}

bool Reactor::wait(Duration timeout) {
    if (batch_next_ < batch_size_) {
        return true;
    }
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
    const timespec span{.tv_sec = seconds.count(), .tv_nsec = (timeout - seconds).count()};
    const int count = ::epoll_pwait2(epoll_,
                                     batch_.data(),
                                     static_cast<int>(kBatchMax),
                                     timeout < Duration::zero() ? nullptr : &span,
                                     nullptr);
    KVSTORE_ASSERT(count >= 0 || errno == EINTR);
    batch_next_ = 0;
    batch_size_ = count > 0 ? static_cast<std::size_t>(count) : 0;
    return batch_size_ > 0;
}

void Reactor::dispatch() {
    while (batch_next_ < batch_size_) {
        const epoll_event event = batch_[batch_next_++];
        if (event.data.ptr != nullptr) {
            static_cast<Watcher*>(event.data.ptr)->on_ready(event.events);
        }
    }
}

void Reactor::wake() {
    // The exchange and the one of prepare_to_sleep() come in some order: either we see that the
    // core sleeps, or it sees, before it waits, what was posted before this call.
    if (is_asleep_.exchange(false, std::memory_order_seq_cst)) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(wake_event_, &one, sizeof(one));
    }
}

}  // namespace kvstore::posix
