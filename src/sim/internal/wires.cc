#include "sim/internal/wires.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "sim/internal/process.h"
#include "sim/world.h"

namespace kvstore::sim::internal {

Stream::Stream(Wires& wires, Host& client, Host& server) : wires_(wires) {
    end(Side::kClient).host = &client;
    end(Side::kServer).host = &server;
}

void Stream::attach(Side side, Process* process, StreamUser* user) {
    end(side).process = process;
    end(side).user = user;
    if (user != nullptr && (!end(side).received.empty() || end(side).has_fin)) {
        tell(side, [](StreamUser& told) { told.on_readable(); });
    }
}

// Tells the process in one of its turns, unless it has let go of the end by then.
template <typename Tell>
void Stream::tell(Side side, Tell tell_user) {
    Process* process = end(side).process;
    if (process == nullptr || !process->is_alive()) {
        return;
    }
    process->after(Duration{}, [stream = shared_from_this(), side, tell_user] {
        if (StreamUser* user = stream->end(side).user; user != nullptr) {
            tell_user(*user);
        }
    });
}

std::size_t Stream::send(Side side, ByteView data) {
    End& sender = end(side);
    if (sender.is_closed || sender.is_silent) {
        return data.size();
    }
    const NetworkOptions& options = wires_.options();
    Random& random = wires_.timeline().random();
    const std::size_t room =
        options.socket_buffer - std::min(options.socket_buffer, sender.in_flight);
    ByteView rest = data.substr(0, room);
    const std::size_t taken = rest.size();
    sender.in_flight += taken;
    const bool is_cut = options.cut_one_in > 0 && random.chance(1, options.cut_one_in);
    while (!rest.empty()) {
        std::size_t size = std::min(rest.size(), options.packet_size_max);
        if (is_cut) {
            // Small pieces more often than large ones, single bytes too.
            const std::uint64_t bound = 1ULL << random.below(17);
            size = std::min<std::size_t>(size, static_cast<std::size_t>(random.between(1, bound)));
        }
        put_on_wire(side, Packet{.kind = PacketKind::kData, .data = Bytes(rest.substr(0, size))});
        rest.remove_prefix(size);
    }
    return taken;
}

Bytes Stream::read(Side side) {
    Bytes data = std::move(end(side).received);
    end(side).received.clear();
    if (!data.empty()) {
        put_on_wire(side, Packet{.kind = PacketKind::kWindow, .window = data.size()});
    }
    return data;
}

void Stream::put_on_wire(Side from, Packet packet) {
    End& sender = end(from);
    if (sender.is_silent) {
        return;
    }
    Timeline& timeline = wires_.timeline();
    Host& to = host(other(from));
    MonotonicTime arrival = timeline.now() + wires_.latency(*sender.host, to);
    if (sender.host != &to) {
        const LinkOptions& link = wires_.link(*sender.host, to);
        if (link.bandwidth > 0) {
            arrival = std::max(arrival, sender.last_arrival) +
                      Duration(std::chrono::seconds(1)) * packet.data.size() / link.bandwidth;
        }
        if (timeline.happens(link.loss)) {
            arrival += std::chrono::milliseconds(200);
        }
        if (!packet.data.empty() && timeline.happens(link.corruption)) {
            const auto at = static_cast<std::size_t>(timeline.random().below(packet.data.size()));
            packet.data[at] = static_cast<char>(static_cast<unsigned char>(packet.data[at]) ^
                                                (1U << timeline.random().below(8)));
        }
        if (timeline.happens(link.reset)) {
            packet = Packet{.kind = PacketKind::kReset};
        }
    }
    timeline.trace(
        TraceKind::kPacket, static_cast<std::uint64_t>(packet.kind), hash64(packet.data));
    if (arrival < sender.last_arrival) {
        // Close behind the packet before, and sometimes just too late to be read with it.
        const bool is_apart = timeline.random().chance(1, 2);
        arrival = sender.last_arrival +
                  timeline.pick({Duration{}, std::chrono::microseconds(is_apart ? 20 : 0)});
    }
    sender.last_arrival = arrival;
    sender.wire.push_back(std::move(packet));
    timeline.add(arrival, nullptr, [stream = shared_from_this(), from] { stream->arrive(from); });
}

void Stream::arrive(Side from) {
    End& sender = end(from);
    if (sender.wire.empty()) {
        return;  // dropped when the connection broke
    }
    ++sender.arrived;
    if (sender.is_stalled) {
        return;
    }
    if (wires_.is_blocked(*sender.host, host(other(from)))) {
        stall(from);
        return;
    }
    while (sender.arrived > 0 && !sender.wire.empty()) {
        --sender.arrived;
        Packet packet = std::move(sender.wire.front());
        sender.wire.pop_front();
        deliver(from, std::move(packet));
    }
}

void Stream::stall(Side from) {
    End& sender = end(from);
    sender.is_stalled = true;
    const std::uint64_t stall_number = ++sender.stall;
    Timeline& timeline = wires_.timeline();
    timeline.add(timeline.now() + wires_.options().give_up,
                 nullptr,
                 [stream = shared_from_this(), from, stall_number] {
                     End& stuck = stream->end(from);
                     if (stuck.is_stalled && stuck.stall == stall_number) {
                         // Each end gives up on its own; neither can tell the other.
                         const Status reason(Code::kUnavailable, "connection timed out");
                         stream->break_end(from, reason);
                         stream->break_end(other(from), reason);
                     }
                 });
}

void Stream::retransmit(Side side) {
    End& sender = end(side);
    if (!sender.is_stalled) {
        return;
    }
    Timeline& timeline = wires_.timeline();
    const Duration backoff =
        timeline.pick({std::chrono::milliseconds(1), std::chrono::milliseconds(400)});
    const std::uint64_t stall_number = sender.stall;
    timeline.add(
        timeline.now() + backoff, nullptr, [stream = shared_from_this(), side, stall_number] {
            End& stuck = stream->end(side);
            if (!stuck.is_stalled || stuck.stall != stall_number || stuck.arrived == 0) {
                return;
            }
            stuck.is_stalled = false;
            --stuck.arrived;
            stream->arrive(side);
        });
}

void Stream::deliver(Side from, Packet packet) {
    const Side to = other(from);
    End& receiver = end(to);
    if (receiver.is_silent) {
        return;
    }
    switch (packet.kind) {
        case PacketKind::kData: deliver_data(to, std::move(packet.data)); return;
        case PacketKind::kWindow:
            receiver.in_flight -= std::min(receiver.in_flight, packet.window);
            tell(to, [](StreamUser& user) { user.on_writable(); });
            return;
        case PacketKind::kFin:
            receiver.has_fin = true;
            tell(to, [](StreamUser& user) { user.on_readable(); });
            return;
        case PacketKind::kReset:
            break_end(to, Status(Code::kUnavailable, "connection reset by peer"));
            return;
    }
}

void Stream::deliver_data(Side to, Bytes data) {
    End& receiver = end(to);
    if (receiver.is_closed) {
        put_on_wire(to, Packet{.kind = PacketKind::kReset});
        return;
    }
    receiver.received += data;
    tell(to, [](StreamUser& user) { user.on_readable(); });
}

void Stream::close(Side side) {
    End& closing = end(side);
    if (closing.is_closed) {
        return;
    }
    const bool has_unread = !closing.received.empty();
    closing.is_closed = true;
    closing.process = nullptr;
    closing.user = nullptr;
    closing.received.clear();
    put_on_wire(side, Packet{.kind = has_unread ? PacketKind::kReset : PacketKind::kFin});
}

void Stream::reset(Side side) {
    End& closing = end(side);
    closing.is_closed = true;
    closing.process = nullptr;
    closing.user = nullptr;
    closing.received.clear();
    put_on_wire(side, Packet{.kind = PacketKind::kReset});
}

void Stream::break_end(Side side, const Status& reason) {
    End& broken = end(side);
    const bool was_open = !broken.is_closed;
    broken.is_closed = true;
    broken.received.clear();
    broken.wire.clear();
    broken.arrived = 0;
    broken.is_stalled = false;
    if (was_open) {
        tell(side, [reason](StreamUser& user) { user.on_broken(reason); });
    }
}

void Stream::break_now() {
    const Status reason(Code::kUnavailable, "connection reset by peer");
    break_end(Side::kClient, reason);
    break_end(Side::kServer, reason);
}

void Stream::fall_silent(Side side) {
    End& dead = end(side);
    dead.is_silent = true;
    dead.is_closed = true;
    dead.process = nullptr;
    dead.user = nullptr;
    dead.received.clear();
    dead.wire.clear();
    dead.arrived = 0;
}

Wires::Pair Wires::pair(const Host& from, const Host& to) {
    return {from.index(), to.index()};
}

LinkOptions& Wires::link(const Host& from, const Host& to) {
    return links_.try_emplace(pair(from, to), options_.link).first->second;
}

Duration Wires::latency(const Host& from, const Host& to) {
    return timeline_.pick(&from == &to ? options_.loopback : link(from, to).latency);
}

void Wires::block(const Host& from, const Host& to) {
    blocked_.insert(pair(from, to));
}

void Wires::unblock(const Host& from, const Host& to) {
    if (blocked_.erase(pair(from, to)) == 0) {
        return;
    }
    for (const std::shared_ptr<Stream>& stream : streams()) {
        for (const Side side : {Side::kClient, Side::kServer}) {
            if (&stream->host(side) == &from && &stream->host(other(side)) == &to) {
                stream->retransmit(side);
            }
        }
    }
}

bool Wires::is_blocked(const Host& from, const Host& to) const {
    return blocked_.contains(pair(from, to));
}

std::shared_ptr<Stream> Wires::open(Host& client, Host& server) {
    if (streams_.size() >= 2 * live_streams_ + 64) {
        live_streams_ = streams().size();
    }
    auto stream = std::make_shared<Stream>(*this, client, server);
    streams_.push_back(stream);
    return stream;
}

std::vector<std::shared_ptr<Stream>> Wires::streams() {
    std::vector<std::shared_ptr<Stream>> live;
    std::erase_if(streams_, [&live](const std::weak_ptr<Stream>& weak) {
        if (auto stream = weak.lock(); stream != nullptr) {
            live.push_back(std::move(stream));
            return false;
        }
        return true;
    });
    return live;
}

}  // namespace kvstore::sim::internal
