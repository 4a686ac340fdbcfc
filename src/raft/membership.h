// Changes of membership (thesis chapter 4). A change takes effect when it is applied,
// which every member does at the same place in the log.
#pragma once

#include "base/status.h"
#include "raft/internal/core.h"

namespace kvstore::raft {

// Errors, all with Effect::kNone:
//   kNotLeader
//   kUnavailable      leadership is being handed over, or nothing of this term is
//                     committed yet
//   kConflict         an earlier change is not applied yet, or the change does not fit
//                     the present state (joint or not)
//   kInvalidArgument  it would leave the group without voters
//   kOverloaded       too much is uncommitted
[[nodiscard]] Result<Proposed> propose_conf_change(Core& core, const ConfChange& change);

// The committed change is applied here. A change that does not fit quarantines the
// member, since others have applied another history.
ConfState apply_conf_change(Core& core, const ConfChange& change);

// Puts a configuration in force and does what follows from it on a leader.
void switch_to(Core& core, Membership membership);

// The state machine has reached the end of a joint configuration: its leader leaves it.
void maybe_leave_joint(Core& core);

}  // namespace kvstore::raft
