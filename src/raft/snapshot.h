// Log compaction as seen by the protocol (thesis chapter 5): a peer whose next entry is
// gone receives the state instead. The bytes stream beside the core.
#pragma once

#include "raft/internal/core.h"

namespace kvstore::raft {

// True when a snapshot is on its way. False while there is none to send, or the peer is
// not known to be alive: a snapshot is too dear to be sent into the void.
bool send_snapshot(Core& core, NodeId to, Progress& progress);

void on_snapshot(Core& core, const Message& message);

// The driver has streamed a snapshot to the peer, or failed to.
void report_snapshot(Core& core, NodeId peer, SnapshotOutcome outcome);

}  // namespace kvstore::raft
