#include "sim/internal/timeline.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/hash.h"

namespace kvstore::sim::internal {

Timeline::Key Timeline::add(MonotonicTime when, Process* owner, Callback<void()> action) {
    const Key key(std::max(when, now_), next_number_++);
    events_.emplace(key, Event{.owner = owner, .action = std::move(action)});
    return key;
}

bool Timeline::has_event_of(const Process* owner) const {
    return std::any_of(events_.begin(), events_.end(), [owner](const auto& entry) {
        return entry.second.owner == owner;
    });
}

Timeline::Event Timeline::take_next() {
    KVSTORE_ASSERT(!events_.empty());
    auto node = events_.extract(events_.begin());
    now_ = node.key().first;
    trace(TraceKind::kEvent, node.key().second);
    return std::move(node.mapped());
}

void Timeline::advance_to(MonotonicTime when) {
    KVSTORE_ASSERT(!has_event_by(when) || events_.begin()->first.first == when);
    now_ = std::max(now_, when);
}

std::vector<Callback<void()>> Timeline::take_events_of(const Process* owner) {
    std::vector<Callback<void()>> taken;
    for (auto at = events_.begin(); at != events_.end();) {
        if (at->second.owner == owner) {
            taken.push_back(std::move(at->second.action));
            at = events_.erase(at);
        } else {
            ++at;
        }
    }
    return taken;
}

void Timeline::trace(TraceKind kind, std::uint64_t a, std::uint64_t b) {
    const auto time = static_cast<std::uint64_t>(now_.time_since_epoch().count());
    hash_ = mix64(hash_ + time + (static_cast<std::uint64_t>(kind) << 56U));
    hash_ = mix64(std::rotl(hash_, 17) ^ a);
    hash_ = mix64(std::rotl(hash_, 31) ^ b);
}

}  // namespace kvstore::sim::internal
