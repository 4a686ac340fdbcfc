// Who belongs to a group, and the steps from one configuration to the next (thesis
// chapter 4). Pure: membership.h decides when a step is taken.
//
// A change of several voters passes through a joint configuration, in which a majority
// of the old and a majority of the new voters must agree (thesis 4.3); a change of one
// voter is the special case whose majorities overlap anyway (thesis 4.1).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "raft/progress.h"
#include "raft/types.h"
#include "raft/votes.h"

namespace kvstore::raft {

// Invariants
//   learners and voters (incoming and outgoing) share nobody
//   learners_next is within voters.outgoing, and empty unless joint
//   auto_leave only when joint
struct Configuration {
    Voters voters;
    Majority learners;
    Majority learners_next;
    bool auto_leave = false;

    [[nodiscard]] bool contains(NodeId id) const noexcept {
        return voters.contains(id) || learners.contains(id);
    }
    [[nodiscard]] ConfState state() const;

    friend bool operator==(const Configuration&, const Configuration&) = default;
};

// What a member that joins begins with.
struct NewcomerProgress {
    Index last_index;
    std::uint32_t inflight_messages_max = 256;
    std::size_t inflight_bytes_max = 0;
};

struct Membership {
    Configuration configuration;
    ProgressMap progress;
};

// Each takes a step and leaves `membership` as it was on an error (kInvalidArgument:
// the change would leave no voter; kConflict: it does not fit the present state).

// One voter more or less, and any learners.
[[nodiscard]] Status apply_simple(Membership& membership,
                                  const std::vector<ConfStep>& steps,
                                  const NewcomerProgress& newcomer);
[[nodiscard]] Status enter_joint(Membership& membership,
                                 const std::vector<ConfStep>& steps,
                                 bool auto_leave,
                                 const NewcomerProgress& newcomer);
[[nodiscard]] Status leave_joint(Membership& membership);

// Picks the step by the change's form.
[[nodiscard]] Status apply_change(Membership& membership,
                                  const ConfChange& change,
                                  const NewcomerProgress& newcomer);

// A membership as it was stored.
// Errors: kCorruption: it breaks an invariant of Configuration.
[[nodiscard]] Result<Membership> restore_membership(const ConfState& state,
                                                    const NewcomerProgress& newcomer);

}  // namespace kvstore::raft
