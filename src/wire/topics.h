// What nodes send each other about, in one place: every message, call and stream between two nodes
// is of one topic, and a number must never mean two things, nor change its meaning.
#pragma once

#include <cstdint>

namespace kvstore::wire {

inline constexpr std::uint16_t kRaftTopic = 1;      // Raft messages; streams carry shards' states
inline constexpr std::uint16_t kGossipTopic = 2;    // who is alive (cluster/gossip.h)
inline constexpr std::uint16_t kForwardTopic = 3;   // commands for a shard's leader, as calls
inline constexpr std::uint16_t kClusterTopic = 4;   // calls to the cluster: join, records, moves
inline constexpr std::uint16_t kMeetingTopic = 5;   // nodes that found a cluster together
inline constexpr std::uint16_t kLifeSignTopic = 6;  // signs of life while groups sleep

}  // namespace kvstore::wire
