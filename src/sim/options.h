// What a simulated world is like before anything goes wrong, and which faults its disks and links
// have. Chances are whole numbers in a million, so that a run is the same on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "base/time.h"

namespace kvstore::sim {

// So many times in a million.
using PerMillion = std::uint32_t;

struct DurationRange {
    Duration min{};
    Duration max{};
};

// The calls of env::Disk and env::File that can be counted, failed or crashed at.
enum class DiskCall : std::uint8_t {
    kOpen,
    kRead,
    kWrite,  // plain and durable
    kSync,
    kTruncate,
    kRename,
    kRemove,
    kCreateDirectory,
    kSyncDirectory,
    kLook,  // size, list, exists, space
};
inline constexpr std::size_t kDiskCallKinds = 10;

struct CallFault {
    PerMillion chance = 0;
    // Fails the n-th matching call from now on, once; 0 fails none.
    std::uint64_t nth = 0;
};

// What a disk does wrong. Changed at any time; it outlives crashes and restarts.
struct DiskFaults {
    // kIoError. A failed write leaves any part of its sectors written. A failed sync leaves dirty
    // sectors that read back, count as clean, and are gone after a crash.
    std::array<CallFault, kDiskCallKinds> fail{};
    // The same fault for one kind of call: faults.on(DiskCall::kSync).nth = 3.
    CallFault& on(DiskCall call) { return fail[static_cast<std::size_t>(call)]; }

    // Writes that are reported as done: never to reach the device, or to reach another sector.
    PerMillion lost_write = 0;
    PerMillion misdirected_write = 0;
    // Reads that return one flipped bit, while the stored bytes are right.
    PerMillion corrupt_read = 0;

    // kDiskFull beyond this many bytes in all files.
    std::uint64_t capacity = std::numeric_limits<std::uint64_t>::max();

    // Multiplies every latency.
    std::uint32_t slowness = 1;
    // A call that takes `stall` longer.
    PerMillion stall_chance = 0;
    Duration stall{};

    // Faults above `capacity` strike only calls whose path begins with this.
    std::string path_prefix{};
};

struct DiskOptions {
    DurationRange read{std::chrono::microseconds(20), std::chrono::microseconds(150)};
    DurationRange write{std::chrono::microseconds(5), std::chrono::microseconds(60)};
    DurationRange sync{std::chrono::microseconds(100), std::chrono::milliseconds(3)};
    DurationRange name{std::chrono::microseconds(10), std::chrono::microseconds(200)};
    // The unit within a sector at which a crash cuts a write; kSectorSize tears none.
    std::size_t tear_size = 512;
};

// The packets from one host to another.
struct LinkOptions {
    DurationRange latency{std::chrono::microseconds(50), std::chrono::microseconds(500)};
    // Bytes a second; 0 is without bound.
    std::uint64_t bandwidth = 0;
    // A lost packet arrives after a retransmission, which holds up all behind it.
    PerMillion loss = 0;
    // A packet in which one bit is flipped, with a checksum that fits.
    PerMillion corruption = 0;
    // A packet that breaks its connection.
    PerMillion reset = 0;
};

struct NetworkOptions {
    LinkOptions link{};
    DurationRange loopback{std::chrono::microseconds(5), std::chrono::microseconds(30)};
    // Bytes of one direction that were sent and not yet read.
    std::size_t socket_buffer = 256U << 10U;
    std::size_t packet_size_max = 64U << 10U;
    // One send in so many is cut at places that mean nothing; 0 cuts none.
    std::uint32_t cut_one_in = 4;
    // How long undeliverable bytes are retried before the connection breaks.
    Duration give_up = std::chrono::seconds(30);
};

struct WorldOptions {
    DiskOptions disk{};
    NetworkOptions network{};
    // How long a loop turn keeps its core busy.
    DurationRange turn{std::chrono::microseconds(1), std::chrono::microseconds(5)};
    // Wall clocks of new hosts are apart by at most this, either way.
    Duration clock_skew_max = std::chrono::milliseconds(5);
};

}  // namespace kvstore::sim
