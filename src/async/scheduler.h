// The run queue of one core.
//
// A core's loop takes turns: it gathers what the world brought (sockets, timers, finished disk
// calls), runs everything that became ready, then the turn-end hooks, then waits. Batching falls
// out of it: whatever arrived in one turn shares one log write and one flush a connection.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/callback.h"

namespace kvstore::async {

// What runs once at the end of a turn, however often it was asked for within it.
//
// Lifetime  Owned by whoever inherits it. Destroying an armed hook disarms it.
class TurnEndHook {
public:
    // Hooks of an earlier phase run before those of a later one. Of what was gathered in the turn,
    // each phase makes the next one's: proposals, then what goes to the disk, then what goes to the
    // network. Work that the first two make ready runs before the last begins.
    enum class Phase : std::uint8_t { kPropose, kSubmit, kFlush };

    TurnEndHook() = default;
    TurnEndHook(const TurnEndHook&) = delete;
    TurnEndHook& operator=(const TurnEndHook&) = delete;

    virtual void run_at_turn_end() = 0;

protected:
    virtual ~TurnEndHook();

private:
    friend class Scheduler;
    class Scheduler* scheduler_ = nullptr;  // not null while armed
    std::size_t list_ = 0;                  // of the scheduler's, while armed
    TurnEndHook* previous_ = nullptr;
    TurnEndHook* next_ = nullptr;
};

// Lifetime   Owned by the core's loop; outlives everything that runs on the core.
// Runs on    One core, but for post_from_any_thread().
class Scheduler {
public:
    // `wake` ends the loop's wait when another thread posts; called from any thread.
    explicit Scheduler(Callback<void()> wake = {});
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;
    ~Scheduler();

    // Runs `work` later in this turn, or in the next one.
    void post(Callback<void()> work) { ready_.push_back(std::move(work)); }

    // As post(), from any thread: work of one thread runs in the order it was posted. Lock-free.
    void post_from_any_thread(Callback<void()> work);

    // Runs the hook once when this turn's work is done. Asking again before that does nothing.
    void at_turn_end(TurnEndHook& hook, TurnEndHook::Phase phase);

    // Runs one turn: what is ready and what that makes ready (at most kTurnWorkMax), then the
    // hooks. Returns: whether anything ran.
    bool run_turn();

    // Whether run_turn() would run anything now.
    [[nodiscard]] bool has_work() const;

    // The scheduler whose turn runs on this thread; null outside turns.
    [[nodiscard]] static Scheduler* current() noexcept;

    // Bounds one turn, so that sockets and timers are never starved by work that makes more work.
    static constexpr std::size_t kTurnWorkMax = 4096;

private:
    friend class TurnEndHook;
    struct RemoteWork;
    struct HookList {
        TurnEndHook* head = nullptr;
        TurnEndHook* tail = nullptr;
    };

    void take_remote_work();
    std::size_t run_ready(std::size_t count_max);
    bool run_hooks(TurnEndHook::Phase phase);
    void arm(TurnEndHook& hook, std::size_t list);
    void disarm(TurnEndHook& hook);

    std::deque<Callback<void()>> ready_;
    // One list for each phase, and kRunningHooks for those of the phase that runs.
    static constexpr std::size_t kRunningHooks = 3;
    std::array<HookList, 4> hooks_;
    std::atomic<RemoteWork*> remote_{nullptr};
    Callback<void()> wake_;
};

}  // namespace kvstore::async
