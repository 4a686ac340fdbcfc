#include "posix/internal/posix_clock.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace kvstore::posix {
namespace {

// A heap smaller than this is not worth tidying.
constexpr std::size_t kTidyHeapSizeMin = 64;

constexpr env::TimerId make_id(std::uint32_t generation, std::size_t slot) {
    return env::TimerId(static_cast<std::uint64_t>(generation) << 32U | slot);
}

}  // namespace

PosixClock::PosixClock() {
    refresh();
}

void PosixClock::refresh() {
    now_ = MonotonicTime(std::chrono::steady_clock::now().time_since_epoch());
    wall_now_ =
        std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

env::TimerId PosixClock::start_timer(MonotonicTime when, Callback<void()> action) {
    std::size_t slot = slots_.size();
    if (free_slots_.empty()) {
        slots_.emplace_back();
    } else {
        slot = free_slots_.back();
        free_slots_.pop_back();
    }
    slots_[slot].action = std::move(action);
    const env::TimerId id = make_id(slots_[slot].generation, slot);
    heap_.push_back(Entry{.when = when, .order = next_order_++, .id = id});
    std::push_heap(heap_.begin(), heap_.end(), Later());
    return id;
}

PosixClock::Slot* PosixClock::find_slot(env::TimerId id) {
    const std::size_t slot = id.value() & 0xffffffffU;
    if (slot >= slots_.size() || slots_[slot].generation != id.value() >> 32U) {
        return nullptr;
    }
    return &slots_[slot];
}

// Frees the slot first, so that the action may start timers and grow slots_ under us.
Callback<void()> PosixClock::take_slot(env::TimerId id) {
    Slot* slot = find_slot(id);
    if (slot == nullptr) {
        return {};
    }
    Callback<void()> action = std::move(slot->action);
    // Generation 0 is never used: 0 names no timer.
    slot->generation = std::max(slot->generation + 1, 1U);
    free_slots_.push_back(static_cast<std::uint32_t>(id.value()));
    return action;
}

bool PosixClock::cancel_timer(env::TimerId timer) {
    const Callback<void()> action = take_slot(timer);
    if (!action) {
        return false;
    }
    ++cancelled_count_;
    drop_cancelled_tops();
    if (heap_.size() >= kTidyHeapSizeMin && cancelled_count_ > heap_.size() / 2) {
        drop_all_cancelled();
    }
    return true;
}

void PosixClock::drop_cancelled_tops() {
    while (!heap_.empty() && find_slot(heap_.front().id) == nullptr) {
        std::pop_heap(heap_.begin(), heap_.end(), Later());
        heap_.pop_back();
        --cancelled_count_;
    }
}

void PosixClock::drop_all_cancelled() {
    std::erase_if(heap_, [this](const Entry& entry) { return find_slot(entry.id) == nullptr; });
    std::make_heap(heap_.begin(), heap_.end(), Later());
    cancelled_count_ = 0;
}

std::optional<Duration> PosixClock::until_next_timer() const {
    if (heap_.empty()) {
        return std::nullopt;
    }
    return std::max(heap_.front().when - now_, Duration::zero());
}

void PosixClock::fire_due_timers() {
    const std::uint64_t order_end = next_order_;
    while (has_due_timer() && heap_.front().order < order_end) {
        const env::TimerId id = heap_.front().id;
        std::pop_heap(heap_.begin(), heap_.end(), Later());
        heap_.pop_back();
        Callback<void()> action = take_slot(id);
        drop_cancelled_tops();
        if (action) {
            action();
        }
    }
}

}  // namespace kvstore::posix
