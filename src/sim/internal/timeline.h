// Virtual time: one queue of what happens when, ordered by (time, number), one source of chance,
// and the rolling hash over all of it.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/callback.h"
#include "base/random.h"
#include "base/time.h"
#include "sim/options.h"

namespace kvstore::sim::internal {

class Process;

// What an entry of the trace is about. Part of the hash: new ones go to the end.
enum class TraceKind : std::uint8_t {
    kEvent,
    kTurn,
    kDiskCall,
    kDiskData,
    kPacket,
    kCrash,
    kRestart,
    kConnection,
    kTimer,
};

// Runs on   One thread, as all of the simulator.
class Timeline {
public:
    // Events run in the order of their keys.
    using Key = std::pair<MonotonicTime, std::uint64_t>;
    struct Event {
        Process* owner = nullptr;  // null: something outside every process
        Callback<void()> action;
    };

    explicit Timeline(std::uint64_t seed) : random_(seed) {}

    [[nodiscard]] MonotonicTime now() const { return now_; }
    [[nodiscard]] Random& random() { return random_; }
    Duration pick(DurationRange range) {
        return Duration(static_cast<Duration::rep>(
            random_.between(static_cast<std::uint64_t>(range.min.count()),
                            static_cast<std::uint64_t>(range.max.count()))));
    }
    // Chances of 0 draw nothing, so that a fault that is off does not change the run.
    bool happens(PerMillion chance) { return chance > 0 && random_.chance(chance, 1'000'000); }

    Key add(MonotonicTime when, Process* owner, Callback<void()> action);
    bool cancel(Key key) { return events_.erase(key) > 0; }

    [[nodiscard]] bool has_event_by(MonotonicTime limit) const {
        return !events_.empty() && events_.begin()->first.first <= limit;
    }
    [[nodiscard]] bool has_event_of(const Process* owner) const;
    // Requires: has_event_by(some limit). Moves now() to the event's time.
    Event take_next();
    // Lets time pass without events. Requires: none is due by `when`.
    void advance_to(MonotonicTime when);
    // Takes out everything that `owner` waits for.
    std::vector<Callback<void()>> take_events_of(const Process* owner);

    void trace(TraceKind kind, std::uint64_t a, std::uint64_t b = 0);
    [[nodiscard]] std::uint64_t trace_hash() const { return hash_; }

private:
    MonotonicTime now_{std::chrono::hours(1)};
    std::uint64_t next_number_ = 1;
    std::map<Key, Event> events_;
    Random random_;
    std::uint64_t hash_ = 0;
};

}  // namespace kvstore::sim::internal
