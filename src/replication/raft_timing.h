// How fast groups notice that a leader is gone.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace kvstore::replication {

struct RaftTiming {
    Duration tick = std::chrono::milliseconds(100);
    // Without a word from the leader for so many ticks (up to twice as many, by chance) a follower
    // asks for an election. With these, clients of a leader that is gone have another after 0.8 to
    // 1.6 s, and a node that gets half a processor misses none of eight heartbeats in a row.
    std::uint32_t election_ticks = 8;
    std::uint32_t heartbeat_ticks = 1;
    // Ticks without work after which a group sleeps; 0: never, as where nobody watches over nodes
    // (strong/node_watch.h).
    std::uint32_t hibernate_after_ticks = 0;
};

}  // namespace kvstore::replication
