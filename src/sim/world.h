// A whole world in one thread, on virtual time: hosts with disks, a network between them, and
// faults.
//
//     World world(seed);
//     Host& host = world.add_host("n1");
//     auto store = std::make_unique<Store>(host.env());
//     ASSERT_TRUE(world.block_on(host, store->start()).ok());
//     world.crash(host);                 // power loss
//     sim::bury(std::move(store));       // it is dead: never run it, never destroy it
//     world.restart(host);               // what was durable is there, in a fresh env()
//
// The same seed gives the same run and the same trace_hash() on every machine, as long as what runs
// in it takes time, chance, files and streams from its Env alone.
//
// After a crash nothing of the host runs again, and its objects must not be destroyed either: their
// gates are open and their coroutines half way. Give them to Host::own() beforehand or to bury()
// afterwards. Plain File, FileLock and Listener objects may be destroyed. See morgue.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/task.h"
#include "base/assert.h"
#include "sim/host.h"
#include "sim/internal/timeline.h"
#include "sim/internal/wires.h"
#include "sim/morgue.h"
#include "sim/options.h"

namespace kvstore::sim {

enum class CrashKind : std::uint8_t {
    kPowerLoss,  // all that is not durable may be lost; peers hear nothing
    kKill,       // as kill -9: the page cache survives; peers get resets
};

// Lifetime  Outlives everything built on its hosts, but what was buried.
class World {
public:
    explicit World(std::uint64_t seed, WorldOptions options = {});
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    // Hosts on which something is still under way end like crashed ones.
    ~World();

    // The name is also the host's network address. Requires: no host has it yet.
    Host& add_host(std::string name);
    [[nodiscard]] Host* find_host(std::string_view name);

    [[nodiscard]] MonotonicTime now() const { return timeline_.now(); }
    // Over everything that happened so far, in order.
    [[nodiscard]] std::uint64_t trace_hash() const { return timeline_.trace_hash(); }
    // For what a test decides by chance, so that one seed decides everything.
    [[nodiscard]] Random& random() { return timeline_.random(); }

    void run_for(Duration span);
    // False when `limit` passed before `done()` held. It is asked after every event.
    template <typename Predicate>
    bool run_until(Predicate done, Duration limit = kRunLimit);
    // Calls `action` outside all hosts when `span` has passed: for faults in the middle of things.
    void after(Duration span, Callback<void()> action);

    // Runs `task` on `host`, and the world around it, until it has ended. nullopt when `limit`
    // passed or the host crashed before that; then the task never goes on.
    template <typename T>
    std::optional<T> try_block_on(Host& host, async::Task<T> task, Duration limit = kRunLimit);
    // As try_block_on(), for tasks that end.
    template <typename T>
    T block_on(Host& host, async::Task<T> task, Duration limit = kRunLimit);
    void block_on(Host& host, async::Task<void> task, Duration limit = kRunLimit);

    // Ends the host's process where it stands. May be called from inside it: what is left of the
    // turn then runs without reaching the world. Requires: it is up.
    void crash(Host& host, CrashKind kind = CrashKind::kPowerLoss);
    // A fresh process and Env over what is left of the disk. Requires: it is not up.
    void restart(Host& host);
    // As SIGSTOP and SIGCONT. Time goes on meanwhile; what came is told afterwards.
    void pause(Host& host);
    void resume(Host& host);

    // Nothing passes from `from` to `to`. Connections hang, and break after
    // NetworkOptions::give_up.
    void block(const Host& from, const Host& to) { wires_.block(from, to); }
    void unblock(const Host& from, const Host& to) { wires_.unblock(from, to); }
    // Both ways.
    void partition(const Host& one, const Host& other);
    void heal(const Host& one, const Host& other);
    void isolate(const Host& host);
    void heal_all();
    // Breaks every connection between the two.
    void reset_connections(const Host& one, const Host& other);
    // The packets from `from` to `to`. Changed at any time.
    [[nodiscard]] LinkOptions& link(const Host& from, const Host& to) {
        return wires_.link(from, to);
    }

    static constexpr Duration kRunLimit = std::chrono::hours(24);

private:
    friend class Host;
    template <typename T>
    struct Outcome {
        std::optional<T> value;
    };

    template <typename T>
    static async::Task<void> keep_outcome(async::Task<T> task,
                                          std::shared_ptr<Outcome<T>> outcome) {
        auto value = co_await std::move(task);
        outcome->value.emplace(std::move(value));
    }
    static async::Task<bool> run_void(async::Task<void> task) {
        co_await std::move(task);
        co_return true;
    }

    void start_process(Host& host);
    void schedule_turns();
    // False when nothing happens by `limit`.
    bool step(MonotonicTime limit);
    void end_streams(Host& host, CrashKind kind);

    WorldOptions options_;
    internal::Timeline timeline_;
    internal::Wires wires_;
    std::vector<std::unique_ptr<Host>> hosts_;
};

template <typename Predicate>
bool World::run_until(Predicate done, Duration limit) {
    const MonotonicTime end = now() + limit;
    while (!done()) {
        if (!step(end)) {
            timeline_.advance_to(end);
            return done();
        }
    }
    return true;
}

template <typename T>
std::optional<T> World::try_block_on(Host& host, async::Task<T> task, Duration limit) {
    // Shared, since a task that never ends may outlive this call.
    auto outcome = std::make_shared<Outcome<T>>();
    const std::uint64_t life = host.life();
    host.spawn(keep_outcome<T>(std::move(task), outcome));
    run_until([&] { return outcome->value.has_value() || !host.is_up() || host.life() != life; },
              limit);
    return std::move(outcome->value);
}

template <typename T>
T World::block_on(Host& host, async::Task<T> task, Duration limit) {
    std::optional<T> value = try_block_on(host, std::move(task), limit);
    // Nothing is left that could end the task, or it took too long.
    KVSTORE_ASSERT(value.has_value());
    return *std::move(value);
}

inline void World::block_on(Host& host, async::Task<void> task, Duration limit) {
    block_on(host, run_void(std::move(task)), limit);
}

}  // namespace kvstore::sim
