// Time on Linux, and the timers of one core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/callback.h"
#include "env/clock.h"

namespace kvstore::posix {

// Invariants
//   a slot is in use while its id's generation is the slot's
//   the heap is ordered by time, then by the order in which timers were started
//   at most half of a large heap belongs to timers that were cancelled
class PosixClock final : public env::Clock {
public:
    PosixClock();

    // Cached: as of the last refresh().
    [[nodiscard]] MonotonicTime now() const override { return now_; }
    [[nodiscard]] WallTime wall_now() const override { return wall_now_; }
    env::TimerId start_timer(MonotonicTime when, Callback<void()> action) override;
    bool cancel_timer(env::TimerId timer) override;

    // Reads the kernel's clocks; once a turn.
    void refresh();

    // How long the loop may wait: zero when a timer is due, nullopt without timers.
    [[nodiscard]] std::optional<Duration> until_next_timer() const;

    [[nodiscard]] bool has_due_timer() const {
        return !heap_.empty() && heap_.front().when <= now_;
    }

    // Calls the timers that are due as of now(). Those that they start wait for the next turn.
    void fire_due_timers();

private:
    struct Slot {
        std::uint32_t generation = 1;
        Callback<void()> action;
    };
    struct Entry {
        MonotonicTime when;
        std::uint64_t order;
        env::TimerId id;
    };
    struct Later {
        bool operator()(const Entry& a, const Entry& b) const {
            return a.when != b.when ? a.when > b.when : a.order > b.order;
        }
    };

    [[nodiscard]] Slot* find_slot(env::TimerId id);
    Callback<void()> take_slot(env::TimerId id);
    void drop_cancelled_tops();
    void drop_all_cancelled();

    MonotonicTime now_;
    WallTime wall_now_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_slots_;
    std::vector<Entry> heap_;
    std::size_t cancelled_count_ = 0;  // entries of heap_ whose timer is gone
    std::uint64_t next_order_ = 0;
};

}  // namespace kvstore::posix
