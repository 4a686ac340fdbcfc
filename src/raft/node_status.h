// What a member tells of itself, for operators, metrics and checkers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "raft/progress.h"
#include "raft/types.h"

namespace kvstore::raft {

// Events that the protocol survives and an operator may want to see.
struct Counters {
    std::uint64_t elections_started = 0;
    std::uint64_t elections_won = 0;
    // Messages that the protocol does not allow, or that came too late to matter.
    std::uint64_t messages_dropped = 0;
    std::uint64_t leader_steps_down = 0;
    std::uint64_t reads_refused = 0;
    std::uint64_t log_waits = 0;
};

struct PeerStatus {
    NodeId id;
    ProgressState state = ProgressState::kProbe;
    Index match;
    Index next;
    Index pending_snapshot;
    std::size_t inflight_messages = 0;
    std::size_t inflight_bytes = 0;
    bool inflight_full = false;
    bool paused = false;
    bool recently_active = false;
    bool learner = false;
};

struct NodeStatus {
    NodeId id;
    HardState hard;
    SoftState soft;
    Index first_index;
    Index last_index;
    Term last_term;
    Index durable_index;
    Index applied;
    Index pending_conf_index;
    NodeId heir;
    std::size_t uncommitted_bytes = 0;
    std::size_t pending_reads = 0;
    bool asleep = false;
    bool quarantined = false;
    std::string quarantine_reason;
    ConfState conf;
    std::vector<PeerStatus> peers;
    Counters counters;
};

}  // namespace kvstore::raft
