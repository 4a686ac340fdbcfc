// Terms, votes and roles (thesis 3.3, 3.4, 3.6.1, 9.6) and the passing of time.
#pragma once

#include <cstdint>

#include "raft/internal/core.h"

namespace kvstore::raft {

enum class Campaign : std::uint8_t {
    kPreVote,   // asks whether it would be elected, without disturbing the term (9.6)
    kElection,  // the real thing
    kTransfer,  // at the leader's request (3.10): leases do not stand in its way
};

void become_follower(Core& core, Term term, NodeId leader);

// Starts a campaign if this member may lead: it votes, has its state, and has applied
// every committed change of membership, so that it counts by the right majorities.
void start_campaign(Core& core, Campaign campaign);

// Time passes by one tick. Timers drive elections, heartbeats and check-quorum.
void tick(Core& core);

void on_vote_request(Core& core, const Message& message);
void on_vote_reply(Core& core, const Message& message);
// This member's own vote has become durable.
void on_own_vote(Core& core, const SelfAnswer& answer);

// Whether a leader is believed to be alive, so that nobody may be elected yet (6.2,
// 4.2.3): heard from within the minimum election timeout.
[[nodiscard]] bool believes_in_leader(const Core& core);
// False while a promise to a leader binds this member, whose lease rests on it.
[[nodiscard]] bool may_elect_yet(const Core& core);

[[nodiscard]] bool may_lead(const Core& core);

}  // namespace kvstore::raft
