#include "sim/world.h"

#include "sim/internal/process.h"

namespace kvstore::sim {

using internal::Process;
using internal::Side;
using internal::Stream;
using internal::TraceKind;

World::World(std::uint64_t seed, WorldOptions options)
    : options_(std::move(options)), timeline_(seed), wires_(timeline_, options_.network) {}

World::~World() {
    for (const std::unique_ptr<Host>& host : hosts_) {
        if (host->process_ != nullptr && !host->process_->is_idle()) {
            crash(*host);
        }
    }
}

Host& World::add_host(std::string name) {
    KVSTORE_ASSERT(find_host(name) == nullptr);
    hosts_.push_back(std::make_unique<Host>(*this, std::move(name), hosts_.size()));
    Host& host = *hosts_.back();
    host.disk_options_ = options_.disk;
    host.turn_ = options_.turn;
    const Duration skew_max = options_.clock_skew_max;
    host.wall_skew_ = timeline_.pick({Duration{}, 2 * skew_max}) - skew_max;
    start_process(host);
    return host;
}

Host* World::find_host(std::string_view name) {
    for (const std::unique_ptr<Host>& host : hosts_) {
        if (host->name() == name) {
            return host.get();
        }
    }
    return nullptr;
}

void World::start_process(Host& host) {
    ++host.life_;
    host.is_powered_ = true;
    host.process_ = std::make_shared<Process>(host, timeline_, wires_, timeline_.random().next());
}

// Work may have been posted from outside a turn, or by one host to another.
void World::schedule_turns() {
    for (const std::unique_ptr<Host>& host : hosts_) {
        if (host->process_ != nullptr) {
            host->process_->schedule_turn_if_needed();
        }
    }
}

bool World::step(MonotonicTime limit) {
    schedule_turns();
    if (!timeline_.has_event_by(limit)) {
        return false;
    }
    internal::Timeline::Event event = timeline_.take_next();
    if (event.owner == nullptr) {
        event.action();
    } else {
        event.owner->take_event(std::move(event.action));
    }
    return true;
}

void World::run_for(Duration span) {
    const MonotonicTime end = now() + span;
    while (step(end)) {
    }
    timeline_.advance_to(end);
}

void World::after(Duration span, Callback<void()> action) {
    timeline_.add(now() + span, nullptr, std::move(action));
}

// What becomes of the streams of a host whose process ends.
void World::end_streams(Host& host, CrashKind kind) {
    for (const std::shared_ptr<Stream>& stream : wires_.streams()) {
        for (const Side side : {Side::kClient, Side::kServer}) {
            if (&stream->host(side) != &host) {
                continue;
            }
            if (kind == CrashKind::kKill) {
                stream->reset(side);
                continue;
            }
            stream->fall_silent(side);
            // Keepalives notice in the end, if nothing does before.
            after(wires_.options().give_up, [stream, peer = internal::other(side)] {
                stream->break_end(peer, Status(Code::kUnavailable, "connection timed out"));
            });
        }
    }
}

void World::crash(Host& host, CrashKind kind) {
    KVSTORE_ASSERT(host.is_up());
    timeline_.trace(TraceKind::kCrash, host.index(), static_cast<std::uint64_t>(kind));
    host.process_->die();
    end_streams(host, kind);
    if (kind == CrashKind::kPowerLoss) {
        host.names_.crash(timeline_.random(), host.disk_options_.tear_size);
        host.is_powered_ = false;
    } else {
        host.names_.end_all();
    }
    internal::bury(std::exchange(host.process_, nullptr));
}

void World::restart(Host& host) {
    KVSTORE_ASSERT(!host.is_up());
    timeline_.trace(TraceKind::kRestart, host.index());
    // A machine that is back answers what its peers retransmit with resets.
    for (const std::shared_ptr<Stream>& stream : wires_.streams()) {
        for (const Side side : {Side::kClient, Side::kServer}) {
            if (&stream->host(side) == &host && stream->is_silent(side)) {
                after(
                    timeline_.pick({std::chrono::milliseconds(1), std::chrono::milliseconds(400)}),
                    [stream, peer = internal::other(side)] {
                        stream->break_end(peer,
                                          Status(Code::kUnavailable, "connection reset by peer"));
                    });
            }
        }
    }
    start_process(host);
}

void World::pause(Host& host) {
    KVSTORE_ASSERT(host.is_up());
    host.process_->pause();
}

void World::resume(Host& host) {
    KVSTORE_ASSERT(host.is_up());
    host.process_->resume();
}

void World::partition(const Host& one, const Host& other) {
    block(one, other);
    block(other, one);
}

void World::heal(const Host& one, const Host& other) {
    unblock(one, other);
    unblock(other, one);
}

void World::isolate(const Host& host) {
    for (const std::unique_ptr<Host>& other : hosts_) {
        if (other.get() != &host) {
            partition(host, *other);
        }
    }
}

void World::heal_all() {
    for (const std::unique_ptr<Host>& from : hosts_) {
        for (const std::unique_ptr<Host>& to : hosts_) {
            unblock(*from, *to);
        }
    }
}

void World::reset_connections(const Host& one, const Host& other) {
    for (const std::shared_ptr<Stream>& stream : wires_.streams()) {
        const Host* client = &stream->host(Side::kClient);
        const Host* server = &stream->host(Side::kServer);
        if ((client == &one && server == &other) || (client == &other && server == &one)) {
            stream->break_now();
        }
    }
}

}  // namespace kvstore::sim
