// Calls that wait for their answers: by number, and by deadline.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "async/deadline.h"
#include "base/time.h"
#include "rpc/transport.h"

namespace kvstore::rpc::internal {

// A table of slots. A call's number is a count above its slot, so that a number finds its call
// without a search and is never used twice. Deadlines stand in a wheel of lists: the slots of one
// tick's calls are chained, so adding and taking cost the same whatever the deadline, and nothing
// is left behind by a call that was answered in time.
//
// Lifetime    Owned by its peer.
// Never       Calls a sink.
// Invariants  slots hold a call or stand in the free list
class CallTable {
public:
    // Deadlines are kept to this, late rather than early.
    static constexpr Duration kTick = std::chrono::milliseconds(10);
    static constexpr std::size_t kCallsMax = 1U << 20U;

    struct Call {
        std::uint64_t id = 0;
        CallSink* sink = nullptr;
    };

    CallTable();

    // Returns: the number of the call; later calls have higher ones.
    // Requires: fewer than kCallsMax calls are there.
    std::uint64_t add(CallSink* sink, async::Deadline deadline, MonotonicTime now);
    // Takes a call out. Null when it is not there (any more).
    CallSink* take(std::uint64_t id);
    [[nodiscard]] bool contains(std::uint64_t id) const;
    // Takes out every call, in the order in which they came.
    [[nodiscard]] std::vector<Call> take_all();
    // Takes out those whose deadlines have passed, in the order in which they came.
    [[nodiscard]] std::vector<Call> take_expired(MonotonicTime now);
    // When take_expired() is to be called next; max() when no call has a deadline. Never too late;
    // too early for deadlines further away than one turn of the wheel.
    [[nodiscard]] MonotonicTime next_check() const;

    [[nodiscard]] std::size_t size() const { return size_; }
    // No number was given out that is not below this.
    [[nodiscard]] std::uint64_t next_id() const;

private:
    static constexpr std::uint32_t kNone = ~0U;
    static constexpr unsigned kSlotBits = 20;
    static constexpr std::size_t kBuckets = 512;
    static_assert(kCallsMax == std::size_t{1} << kSlotBits);

    struct Slot {
        std::uint64_t id = 0;
        CallSink* sink = nullptr;  // null: free
        std::uint64_t tick = 0;    // of the deadline; 0: has none
        std::uint32_t previous = kNone;
        std::uint32_t next = kNone;  // in the bucket; in the free list
    };

    static std::uint64_t tick_of(MonotonicTime deadline);
    static std::uint64_t last_tick(MonotonicTime now);
    void link(std::uint32_t at);
    void unlink(std::uint32_t at);
    [[nodiscard]] const Slot* find(std::uint64_t id) const;
    Call free_slot(std::uint32_t at);

    std::vector<Slot> slots_;
    std::uint32_t free_ = kNone;
    std::size_t size_ = 0;
    std::uint64_t count_ = 0;  // of all calls ever
    std::array<std::uint32_t, kBuckets> buckets_{};
    std::array<std::uint64_t, kBuckets / 64> occupied_{};  // a bit for each bucket
    // No call in the wheel has a deadline at or before this tick.
    std::uint64_t checked_tick_ = 0;
    std::size_t in_wheel_ = 0;
};

}  // namespace kvstore::rpc::internal
