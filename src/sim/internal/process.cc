#include "sim/internal/process.h"

#include <algorithm>
#include <utility>

#include "sim/world.h"

namespace kvstore::sim::internal {
namespace {

// Where wall clocks begin: 2026-01-01 00:00 UTC at the beginning of virtual time.
constexpr std::uint64_t kWallBase = 1'767'225'600'000;

}  // namespace

MonotonicTime SimClock::now() const {
    return process_.timeline().now();
}

WallTime SimClock::wall_now() const {
    const Duration since_begin = process_.timeline().now().time_since_epoch() + wall_skew_;
    return from_unix_ms(kWallBase) + std::chrono::floor<std::chrono::milliseconds>(since_begin);
}

env::TimerId SimClock::start_timer(MonotonicTime when, Callback<void()> action) {
    last_id_ = last_id_.next();
    const env::TimerId id = last_id_;
    const Timeline::Key event = process_.at(when, [this, id] { fire(id); });
    timers_.emplace(id, Timer{.event = event, .action = std::move(action)});
    return id;
}

bool SimClock::cancel_timer(env::TimerId timer) {
    const auto at = timers_.find(timer);
    if (at == timers_.end()) {
        return false;
    }
    process_.timeline().cancel(at->second.event);
    timers_.erase(at);
    return true;
}

void SimClock::fire(env::TimerId id) {
    auto timer = timers_.extract(id);
    if (!timer.empty()) {
        process_.timeline().trace(TraceKind::kTimer, id.value());
        timer.mapped().action();
    }
}

Process::Process(Host& host, Timeline& timeline, Wires& wires, std::uint64_t seed)
    : host_(host),
      timeline_(timeline),
      scheduler_([this] { schedule_turn_if_needed(); }),
      clock_(*this, host.wall_skew_),
      disk_(*this, host.names_, host.disk_faults_, host.disk_options_),
      network_(*this, wires),
      entropy_(seed),
      env_{.scheduler = scheduler_,
           .clock = clock_,
           .disk = disk_,
           .network = network_,
           .entropy = entropy_} {}

Process::~Process() {
    // Later components stand on earlier ones.
    while (!owned_.empty()) {
        owned_.pop_back();
    }
}

Timeline::Key Process::at(MonotonicTime when, Callback<void()> action) {
    if (!is_alive_) {
        never_run_.push_back(std::move(action));
        return {};
    }
    return timeline_.add(when, this, std::move(action));
}

void Process::take_event(Callback<void()> action) {
    if (is_paused_) {
        held_.push_back(std::move(action));
    } else {
        scheduler_.post(std::move(action));
    }
}

void Process::schedule_turn_if_needed() {
    if (!is_alive_ || is_paused_ || is_turn_scheduled_ || !scheduler_.has_work()) {
        return;
    }
    is_turn_scheduled_ = true;
    // Owned by nobody, so that a pause does not hold the turn itself back as an event.
    timeline_.add(std::max(timeline_.now(), busy_until_), nullptr, [this] { run_turn(); });
}

void Process::run_turn() {
    is_turn_scheduled_ = false;
    if (!is_alive_ || is_paused_) {
        return;
    }
    timeline_.trace(TraceKind::kTurn, host_.index());
    scheduler_.run_turn();
    busy_until_ = timeline_.now() + timeline_.pick(host_.turn_);
}

void Process::resume() {
    is_paused_ = false;
    for (Callback<void()>& action : std::exchange(held_, {})) {
        scheduler_.post(std::move(action));
    }
}

void Process::die() {
    is_alive_ = false;
    for (Callback<void()>& action : timeline_.take_events_of(this)) {
        never_run_.push_back(std::move(action));
    }
}

bool Process::is_idle() const {
    return !scheduler_.has_work() && held_.empty() && never_run_.empty() &&
           !timeline_.has_event_of(this) && network_.is_idle() && !is_turn_scheduled_;
}

}  // namespace kvstore::sim::internal
