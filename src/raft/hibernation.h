// Idle groups cost nothing: their leader lets them sleep, and time stops for them.
//
// A leader whose peers hold everything and that has nothing under way says so in a last
// heartbeat. Whoever agrees sleeps with it; whoever missed it times out, asks for
// votes, and thereby wakes the others. A member that sleeps cannot notice that its
// leader has died: the host, which watches nodes, calls Node::doubt_leader() for every
// group that such a node led.
#pragma once

#include "raft/internal/core.h"

namespace kvstore::raft {

void maybe_fall_asleep(Core& core);
void follow_into_sleep(Core& core, const Message& message);

// Time goes on for this member, with a full election timeout ahead of it.
void wake(Core& core);
// And its peers hear of it.
void wake_all(Core& core);
// Wakes a member of which the host says that nothing has come from its leader's node for an
// election timeout: the time asleep counts as silence, and an election may begin as soon as
// chance has it.
void doubt_leader(Core& core);

}  // namespace kvstore::raft
