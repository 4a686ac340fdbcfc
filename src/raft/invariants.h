// What must be true of a member, whatever happens to it. Compares the state before and
// after a step; used by every test of this module and, always, by the simulator.
//
// What only a view over all members can tell (one leader a term, one history) is checked
// by testing/cluster.h and by the simulator.
#pragma once

#include "raft/node.h"

namespace kvstore::raft {

struct Observation {
    Term term;
    NodeId vote;
    Role role = Role::kFollower;
    NodeId leader;
    Index first;
    Index last;
    Index commit;
    Index applied;
    Index durable;
    Term commit_term;
    bool quarantined = false;
};

[[nodiscard]] Observation observe(const Node& node);

// Null, or a sentence that names the broken rule.
[[nodiscard]] const char* find_violation(const Observation& before, const Node& after);

}  // namespace kvstore::raft
