#include "rpc/internal/call_table.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace kvstore::rpc::internal {
namespace {

void sort_by_id(std::vector<CallTable::Call>& calls) {
    std::sort(calls.begin(), calls.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

}  // namespace

CallTable::CallTable() {
    buckets_.fill(kNone);
}

// The first tick at which it has passed. Never 0, which means none.
std::uint64_t CallTable::tick_of(MonotonicTime deadline) {
    const auto since = deadline.time_since_epoch();
    return since <= Duration(0) ? 1 : static_cast<std::uint64_t>((since - Duration(1)) / kTick) + 1;
}

std::uint64_t CallTable::add(CallSink* sink, async::Deadline deadline, MonotonicTime now) {
    KVSTORE_ASSERT(sink != nullptr);
    std::uint32_t at = free_;
    if (at == kNone) {
        KVSTORE_ASSERT(slots_.size() < kCallsMax);
        at = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        free_ = slots_[at].next;
    }
    Slot& slot = slots_[at];
    slot.id = (++count_ << kSlotBits) | at;
    slot.sink = sink;
    slot.tick = deadline.at == MonotonicTime::max() ? 0 : tick_of(deadline.at);
    ++size_;
    if (slot.tick != 0) {
        if (in_wheel_ == 0) {
            checked_tick_ = std::max(checked_tick_, last_tick(now));
        }
        link(at);
    }
    return slot.id;
}

// The last tick that has come.
std::uint64_t CallTable::last_tick(MonotonicTime now) {
    return static_cast<std::uint64_t>(now.time_since_epoch() / kTick);
}

// Into the bucket of its tick; of the next tick, where its own is past.
void CallTable::link(std::uint32_t at) {
    Slot& slot = slots_[at];
    slot.tick = std::max(slot.tick, checked_tick_ + 1);
    const std::size_t bucket = slot.tick % kBuckets;
    slot.previous = kNone;
    slot.next = buckets_[bucket];
    if (slot.next != kNone) {
        slots_[slot.next].previous = at;
    }
    buckets_[bucket] = at;
    occupied_[bucket / 64] |= 1ULL << (bucket % 64);
    ++in_wheel_;
}

void CallTable::unlink(std::uint32_t at) {
    const Slot& slot = slots_[at];
    const std::size_t bucket = slot.tick % kBuckets;
    (slot.previous != kNone ? slots_[slot.previous].next : buckets_[bucket]) = slot.next;
    if (slot.next != kNone) {
        slots_[slot.next].previous = slot.previous;
    }
    if (buckets_[bucket] == kNone) {
        occupied_[bucket / 64] &= ~(1ULL << (bucket % 64));
    }
    --in_wheel_;
}

const CallTable::Slot* CallTable::find(std::uint64_t id) const {
    const std::uint64_t at = id & (kCallsMax - 1);
    if (at >= slots_.size() || slots_[at].sink == nullptr || slots_[at].id != id) {
        return nullptr;
    }
    return &slots_[at];
}

bool CallTable::contains(std::uint64_t id) const {
    return find(id) != nullptr;
}

CallTable::Call CallTable::free_slot(std::uint32_t at) {
    Slot& slot = slots_[at];
    if (slot.tick != 0) {
        unlink(at);
    }
    const Call call{.id = slot.id, .sink = slot.sink};
    slot.sink = nullptr;
    slot.next = free_;
    free_ = at;
    --size_;
    return call;
}

CallSink* CallTable::take(std::uint64_t id) {
    const Slot* slot = find(id);
    return slot == nullptr ? nullptr
                           : free_slot(static_cast<std::uint32_t>(slot - slots_.data())).sink;
}

std::vector<CallTable::Call> CallTable::take_all() {
    std::vector<Call> calls;
    calls.reserve(size_);
    for (std::uint32_t at = 0; at < slots_.size(); ++at) {
        if (slots_[at].sink != nullptr) {
            calls.push_back(free_slot(at));
        }
    }
    sort_by_id(calls);
    return calls;
}

std::vector<CallTable::Call> CallTable::take_expired(MonotonicTime now) {
    std::vector<Call> calls;
    const std::uint64_t now_tick = last_tick(now);
    if (now_tick <= checked_tick_) {
        return calls;
    }
    // After a long pause each bucket is looked at once.
    const std::uint64_t first =
        std::max(checked_tick_ + 1, now_tick - std::min(now_tick, std::uint64_t{kBuckets - 1}));
    for (std::uint64_t tick = first; tick <= now_tick && in_wheel_ > 0; ++tick) {
        for (std::uint32_t at = buckets_[tick % kBuckets]; at != kNone;) {
            const std::uint32_t next = slots_[at].next;
            if (slots_[at].tick <= now_tick) {
                calls.push_back(free_slot(at));
            }
            at = next;
        }
    }
    checked_tick_ = now_tick;
    sort_by_id(calls);
    return calls;
}

MonotonicTime CallTable::next_check() const {
    if (in_wheel_ == 0) {
        return MonotonicTime::max();
    }
    // The first bucket that holds anything, from the one behind the last that was checked.
    const std::uint64_t begin = checked_tick_ + 1;
    for (std::uint64_t step = 0; step < kBuckets;) {
        const std::size_t bucket = (begin + step) % kBuckets;
        const std::uint64_t bits = occupied_[bucket / 64] >> (bucket % 64);
        if (bits != 0) {
            const std::uint64_t tick = begin + step + static_cast<unsigned>(std::countr_zero(bits));
            return MonotonicTime(kTick * tick);
        }
        step += 64 - bucket % 64;
    }
    KVSTORE_ASSERT(false);
    return MonotonicTime::max();
}

std::uint64_t CallTable::next_id() const {
    return (count_ + 1) << kSlotBits;
}

}  // namespace kvstore::rpc::internal
