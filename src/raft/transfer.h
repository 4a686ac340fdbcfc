// Leadership transfer (thesis 3.10) and forgetting a leader.
#pragma once

#include "base/status.h"
#include "raft/internal/core.h"

namespace kvstore::raft {

// The leader stops taking proposals, brings the heir up to date and tells it to
// campaign at once. Given up after an election timeout.
// Errors: kNotLeader; kInvalidArgument: the heir is no voter.
[[nodiscard]] Status transfer_leader(Core& core, NodeId heir);

void abort_transfer(Core& core);
// A peer has acknowledged something: if it is the heir and complete, its hour has come.
void on_heir_progress(Core& core, NodeId from);
void on_timeout_now(Core& core);

// The host knows that the leader is gone: this follower no longer vouches for it, so
// that others may be elected before the timeout. Not where leases rest on that promise.
// Errors: kConflict: reads are by lease.
[[nodiscard]] Status forget_leader(Core& core);

}  // namespace kvstore::raft
