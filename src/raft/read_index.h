// Linearizable reads without a log entry (thesis 6.4), and leases (6.4.1).
//
// A leader answers a read with its commit index once a majority has confirmed, after the
// read arrived, that it still leads. Confirmations are numbered rounds that ride on
// heartbeats; a peer that confirms a round confirms all before it in the same term.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "raft/internal/core.h"

namespace kvstore::raft {

// Asks for a read. The answer comes as Ready::reads with this token, or never.
// Errors: kNotLeader: no leader is known. kUnavailable: this leader has not committed an
//         entry of its term yet, so it may not know of all that is committed (6.4).
[[nodiscard]] Result<ReadToken> read_index(Core& core);

// A follower asks on behalf of its clients.
void on_read_index(Core& core, const Message& message);
void on_read_index_reply(Core& core, const Message& message);
void on_round_confirmed(Core& core, NodeId from, std::uint64_t round);

// The round that a heartbeat sent now asks to confirm; 0 when there is nothing to.
[[nodiscard]] std::uint64_t heartbeat_round(const Core& core);
// Lease mode: every round of heartbeats renews the lease.
void begin_lease_round(Core& core);
[[nodiscard]] bool holds_lease(const Core& core);

}  // namespace kvstore::raft
