// Log replication and commitment (thesis 3.5, 3.6), with the flow control that keeps a
// slow peer from filling memory (10.2).
#pragma once

#include <vector>

#include "raft/internal/core.h"

namespace kvstore::raft {

// Appends entries of this term to the leader's own log. False when that would pass the
// limit on uncommitted bytes; nothing is appended then.
[[nodiscard]] bool append_own(Core& core, std::vector<Entry> entries);

void broadcast_append(Core& core);
// The same, now or with the next Ready (Config::coalesce_appends).
void request_broadcast(Core& core);
void flush_broadcast(Core& core);
// Sends what the peer lacks, or an empty append when it lacks nothing.
void send_append(Core& core, NodeId to);
enum class WhenEmpty : bool { kSkip, kSend };
bool maybe_send_append(Core& core, NodeId to, WhenEmpty when_empty);

void broadcast_heartbeat(Core& core);

// Commits what a majority holds, if that is an entry of this term. True when the commit
// index rose.
bool maybe_commit(Core& core);

// A peer, or this leader's own disk, holds everything up to `index`.
void on_match(Core& core, NodeId from, Index index);

void on_append(Core& core, Message&& message);
void on_append_reply(Core& core, const Message& message);
void on_heartbeat(Core& core, const Message& message);
void on_heartbeat_reply(Core& core, const Message& message);
void on_unreachable(Core& core, NodeId peer);
void on_log_loaded(Core& core);

[[nodiscard]] bool has_committed_in_term(const Core& core);

}  // namespace kvstore::raft
