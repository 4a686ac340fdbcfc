// What lies between hosts: links with their faults, and the streams that run over them. Survives
// the processes at its ends, as a kernel and its cables do.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "sim/internal/timeline.h"
#include "sim/options.h"

namespace kvstore::sim {
class Host;
}  // namespace kvstore::sim

namespace kvstore::sim::internal {

class Stream;
class Wires;

// Which end of a stream: the one that connected, or the one that accepted.
enum class Side : std::uint8_t { kClient, kServer };
[[nodiscard]] constexpr Side other(Side side) {
    return side == Side::kClient ? Side::kServer : Side::kClient;
}

// The process's half of a stream's end; told in a turn of its core.
class StreamUser {
public:
    virtual ~StreamUser() = default;
    virtual void on_readable() = 0;
    virtual void on_writable() = 0;
    virtual void on_broken(const Status& reason) = 0;
};

// One TCP connection: two directions of ordered bytes.
//
// Lifetime  Shared by its ends and by the events that move its packets.
class Stream : public std::enable_shared_from_this<Stream> {
public:
    Stream(Wires& wires, Host& client, Host& server);

    // Names the process that is told about this end. Null once it has let go of it.
    void attach(Side side, Process* process, StreamUser* user);

    // Takes as much as the socket buffer has room for. Returns: how many bytes.
    std::size_t send(Side side, ByteView data);
    // What has come and was not read.
    [[nodiscard]] std::size_t readable(Side side) const { return end(side).received.size(); }
    [[nodiscard]] bool at_input_end(Side side) const {
        return end(side).has_fin && end(side).received.empty();
    }
    Bytes read(Side side);

    // The process lets go. What was sent still arrives, then the end; unread input or a reset makes
    // it an abrupt one.
    void close(Side side);
    void reset(Side side);
    // Both ends break at once, as by a router that sends resets both ways.
    void break_now();

    // The host at `side` lost power: nothing leaves it any more.
    void fall_silent(Side side);
    // This end learns that the connection is over.
    void break_end(Side side, const Status& reason);

    [[nodiscard]] Host& host(Side side) const { return *end(side).host; }
    [[nodiscard]] bool is_silent(Side side) const { return end(side).is_silent; }

    // A link has healed: what got stuck goes on.
    void retransmit(Side side);

private:
    enum class PacketKind : std::uint8_t { kData, kWindow, kFin, kReset };
    struct Packet {
        PacketKind kind = PacketKind::kData;
        Bytes data{};
        std::size_t window = 0;
    };
    struct End {
        Host* host = nullptr;
        Process* process = nullptr;
        StreamUser* user = nullptr;
        Bytes received;
        bool has_fin = false;
        bool is_closed = false;     // by its process; what arrives is answered with a reset
        bool is_silent = false;     // its host is off
        std::deque<Packet> wire;    // sent by this end, in order
        std::size_t arrived = 0;    // packets at the front whose time has come but which are stuck
        std::size_t in_flight = 0;  // bytes sent by this end and not yet read by the other
        MonotonicTime last_arrival{};
        std::uint64_t stall = 0;  // raised whenever packets get stuck or move again
        bool is_stalled = false;
    };

    [[nodiscard]] End& end(Side side) { return ends_[static_cast<std::size_t>(side)]; }
    [[nodiscard]] const End& end(Side side) const { return ends_[static_cast<std::size_t>(side)]; }
    void put_on_wire(Side from, Packet packet);
    void arrive(Side from);
    void deliver(Side from, Packet packet);
    void deliver_data(Side to, Bytes data);
    void stall(Side from);
    template <typename Tell>
    void tell(Side side, Tell tell);

    Wires& wires_;
    std::array<End, 2> ends_;
};

class Wires {
public:
    Wires(Timeline& timeline, const NetworkOptions& options)
        : timeline_(timeline), options_(options) {}

    [[nodiscard]] Timeline& timeline() { return timeline_; }
    [[nodiscard]] const NetworkOptions& options() const { return options_; }

    [[nodiscard]] LinkOptions& link(const Host& from, const Host& to);
    [[nodiscard]] Duration latency(const Host& from, const Host& to);
    void block(const Host& from, const Host& to);
    void unblock(const Host& from, const Host& to);
    [[nodiscard]] bool is_blocked(const Host& from, const Host& to) const;

    std::shared_ptr<Stream> open(Host& client, Host& server);
    // Streams that have not ended, oldest first.
    [[nodiscard]] std::vector<std::shared_ptr<Stream>> streams();

private:
    using Pair = std::pair<std::uint64_t, std::uint64_t>;
    [[nodiscard]] static Pair pair(const Host& from, const Host& to);

    Timeline& timeline_;
    const NetworkOptions& options_;
    std::map<Pair, LinkOptions> links_;
    std::set<Pair> blocked_;
    std::vector<std::weak_ptr<Stream>> streams_;
    std::size_t live_streams_ = 0;  // when streams_ was last cleared of the ended ones
};

}  // namespace kvstore::sim::internal
