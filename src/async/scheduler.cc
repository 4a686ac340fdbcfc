#include "async/scheduler.h"

#include <memory>
#include <utility>

#include "base/assert.h"

namespace kvstore::async {
namespace {

Scheduler*& current_scheduler() noexcept {
    thread_local Scheduler* current = nullptr;
    return current;
}

}  // namespace

struct Scheduler::RemoteWork {
    Callback<void()> work;
    RemoteWork* next = nullptr;
};

TurnEndHook::~TurnEndHook() {
    if (scheduler_ != nullptr) {
        scheduler_->disarm(*this);
    }
}

Scheduler::Scheduler(Callback<void()> wake) : wake_(std::move(wake)) {}

Scheduler::~Scheduler() {
    take_remote_work();
    for (HookList& list : hooks_) {
        while (list.head != nullptr) {
            disarm(*list.head);
        }
    }
}

Scheduler* Scheduler::current() noexcept {
    return current_scheduler();
}

void Scheduler::post_from_any_thread(Callback<void()> work) {
    auto node = std::make_unique<RemoteWork>(RemoteWork{.work = std::move(work)});
    RemoteWork* raw = node.release();
    RemoteWork* before = remote_.load(std::memory_order_relaxed);
    do {
        raw->next = before;
    } while (!remote_.compare_exchange_weak(
        before, raw, std::memory_order_release, std::memory_order_relaxed));
    // The node belongs to the core from here on, and may be gone. Only the first post since the
    // last drain needs to wake the loop: it takes all of them.
    if (before == nullptr && wake_) {
        wake_();
    }
}

void Scheduler::take_remote_work() {
    RemoteWork* node = remote_.exchange(nullptr, std::memory_order_acquire);
    RemoteWork* oldest = nullptr;
    while (node != nullptr) {
        RemoteWork* next = node->next;
        node->next = oldest;
        oldest = node;
        node = next;
    }
    while (oldest != nullptr) {
        const std::unique_ptr<RemoteWork> owned(oldest);
        oldest = owned->next;
        ready_.push_back(std::move(owned->work));
    }
}

void Scheduler::at_turn_end(TurnEndHook& hook, TurnEndHook::Phase phase) {
    if (hook.scheduler_ != nullptr) {
        KVSTORE_ASSERT(hook.scheduler_ == this);
        return;
    }
    arm(hook, static_cast<std::size_t>(phase));
}

void Scheduler::arm(TurnEndHook& hook, std::size_t list_number) {
    HookList& list = hooks_[list_number];
    hook.scheduler_ = this;
    hook.list_ = list_number;
    hook.previous_ = list.tail;
    hook.next_ = nullptr;
    (list.tail != nullptr ? list.tail->next_ : list.head) = &hook;
    list.tail = &hook;
}

void Scheduler::disarm(TurnEndHook& hook) {
    HookList& list = hooks_[hook.list_];
    (hook.previous_ != nullptr ? hook.previous_->next_ : list.head) = hook.next_;
    (hook.next_ != nullptr ? hook.next_->previous_ : list.tail) = hook.previous_;
    hook.scheduler_ = nullptr;
    hook.previous_ = nullptr;
    hook.next_ = nullptr;
}

std::size_t Scheduler::run_ready(std::size_t count_max) {
    std::size_t count = 0;
    while (count < count_max && !ready_.empty()) {
        Callback<void()> work = std::move(ready_.front());
        ready_.pop_front();
        work();
        ++count;
    }
    return count;
}

bool Scheduler::run_hooks(TurnEndHook::Phase phase) {
    // They move to a list of their own first: a hook that arms itself or another while it runs asks
    // for the next turn, and one that it destroys leaves whichever list it is in.
    HookList& asked = hooks_[static_cast<std::size_t>(phase)];
    HookList& running = hooks_[kRunningHooks];
    while (asked.head != nullptr) {
        TurnEndHook& hook = *asked.head;
        disarm(hook);
        arm(hook, kRunningHooks);
    }
    const bool any = running.head != nullptr;
    while (running.head != nullptr) {
        TurnEndHook& hook = *running.head;
        disarm(hook);
        hook.run_at_turn_end();
    }
    return any;
}

bool Scheduler::run_turn() {
    Scheduler* outer = std::exchange(current_scheduler(), this);
    take_remote_work();
    std::size_t count = run_ready(kTurnWorkMax);
    bool any = run_hooks(TurnEndHook::Phase::kPropose);
    any = run_hooks(TurnEndHook::Phase::kSubmit) || any;
    count += run_ready(kTurnWorkMax);
    any = run_hooks(TurnEndHook::Phase::kFlush) || any;
    current_scheduler() = outer;
    return any || count > 0;
}

bool Scheduler::has_work() const {
    return !ready_.empty() || remote_.load(std::memory_order_relaxed) != nullptr ||
           hooks_[0].head != nullptr || hooks_[1].head != nullptr || hooks_[2].head != nullptr;
}

}  // namespace kvstore::async
