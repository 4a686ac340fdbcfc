// One run of a host's program, from its start to its end or to a crash: a core's scheduler and its
// four doors.
#pragma once

#include <coroutine>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/random.h"
#include "env/env.h"
#include "sim/internal/sim_disk.h"
#include "sim/internal/sim_network.h"
#include "sim/internal/timeline.h"

namespace kvstore::sim {
class Host;
}  // namespace kvstore::sim

namespace kvstore::sim::internal {

class SimClock final : public env::Clock {
public:
    SimClock(Process& process, const Duration& wall_skew)
        : process_(process), wall_skew_(wall_skew) {}

    [[nodiscard]] MonotonicTime now() const override;
    [[nodiscard]] WallTime wall_now() const override;
    env::TimerId start_timer(MonotonicTime when, Callback<void()> action) override;
    bool cancel_timer(env::TimerId timer) override;

private:
    struct Timer {
        Timeline::Key event;
        Callback<void()> action;
    };

    void fire(env::TimerId id);

    Process& process_;
    const Duration& wall_skew_;  // the host's
    env::TimerId last_id_;
    std::map<env::TimerId, Timer> timers_;
};

class SimEntropy final : public env::Entropy {
public:
    explicit SimEntropy(std::uint64_t seed) : random_(seed) {}
    [[nodiscard]] std::uint64_t next() override { return random_.next(); }

private:
    Random random_;
};

// Lifetime  Owned by its host while it runs; in the morgue after a crash.
// Never     Runs anything once it is dead. Calls on its doors then end in nothing: they do not
//           return, and the world does not see them.
class Process {
public:
    Process(Host& host, Timeline& timeline, Wires& wires, std::uint64_t seed);
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    [[nodiscard]] Host& host() { return host_; }
    [[nodiscard]] Timeline& timeline() { return timeline_; }
    [[nodiscard]] env::Env& env() { return env_; }
    [[nodiscard]] async::Scheduler& scheduler() { return scheduler_; }
    [[nodiscard]] SimNetwork& network() { return network_; }
    [[nodiscard]] bool is_alive() const { return is_alive_; }
    [[nodiscard]] bool is_paused() const { return is_paused_; }

    // Runs `action` on this core, in a turn at or after `when`.
    Timeline::Key at(MonotonicTime when, Callback<void()> action);
    Timeline::Key after(Duration span, Callback<void()> action) {
        return at(timeline_.now() + span, std::move(action));
    }

    // Suspends the awaiting coroutine for `span`; for ever once the process is dead.
    struct DelayAwaiter {
        Process& process;
        Duration span;
        [[nodiscard]] static bool await_ready() noexcept { return false; }
        void await_suspend(std::coroutine_handle<> awaiting) const {
            process.after(span, [awaiting] { awaiting.resume(); });
        }
        static void await_resume() noexcept {}
    };
    [[nodiscard]] DelayAwaiter delay(Duration span) { return DelayAwaiter{*this, span}; }

    // For the world.
    void take_event(Callback<void()> action);
    void schedule_turn_if_needed();
    void pause() { is_paused_ = true; }
    void resume();
    // Nothing runs from now on.
    void die();
    // Whether nothing is under way, so that it can be destroyed.
    [[nodiscard]] bool is_idle() const;
    void own(std::shared_ptr<void> component) { owned_.push_back(std::move(component)); }

private:
    void run_turn();

    Host& host_;
    Timeline& timeline_;
    async::Scheduler scheduler_;
    SimClock clock_;
    SimDisk disk_;
    SimNetwork network_;
    SimEntropy entropy_;
    env::Env env_;
    bool is_alive_ = true;
    bool is_paused_ = false;
    bool is_turn_scheduled_ = false;
    MonotonicTime busy_until_{};
    std::vector<Callback<void()>> held_;  // while paused
    std::vector<Callback<void()>> never_run_;
    std::vector<std::shared_ptr<void>> owned_;
};

}  // namespace kvstore::sim::internal
