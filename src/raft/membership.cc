#include "raft/membership.h"

#include <string>
#include <utility>
#include <vector>

#include "raft/append.h"
#include "raft/conf_change.h"
#include "raft/election.h"
#include "raft/hibernation.h"
#include "raft/internal/mutants.h"
#include "raft/transfer.h"

namespace kvstore::raft {

namespace {

bool is_leave(const ConfChange& change) {
    return change.steps.empty() && change.transition == Transition::kAutomatic;
}

Status check_proposal(const Core& core, const ConfChange& change) {
    if (!core.is_leader() || core.peers().find(core.id()) == nullptr) {
        return {Code::kNotLeader, "another member leads"};
    }
    if (core.heir != kNoNode) {
        return {Code::kUnavailable, "leadership is being transferred"};
    }
    if (KVSTORE_RAFT_MUTANT(kConfChangeUnchecked)) {
        return {};
    }
    // One at a time: majorities of neighbours overlap, of others they need not (4.1).
    if (core.pending_conf_index > core.log.applied()) {
        return {Code::kConflict, "an earlier configuration change is not applied yet"};
    }
    // Without this, a leader could build on a configuration that another leader has
    // already replaced (the flaw found in single-server changes in 2015).
    if (!has_committed_in_term(core) && !KVSTORE_RAFT_MUTANT(kConfChangeBeforeOwnCommit)) {
        return {Code::kUnavailable, "nothing of this term is committed yet"};
    }
    if (change.steps.empty() && !is_leave(change)) {
        return {Code::kInvalidArgument, "a change without steps takes no transition"};
    }
    if (core.voters().joint() != is_leave(change)) {
        return {Code::kConflict,
                core.voters().joint() ? "must transition out of joint config first"
                                      : "not in joint state"};
    }
    Membership trial = core.membership;
    return apply_change(trial, change, core.newcomer());
}

}  // namespace

Result<Proposed> propose_conf_change(Core& core, const ConfChange& change) {
    KVSTORE_CHECK_OK(check_proposal(core, change));
    wake_all(core);
    std::vector<Entry> entries(1);
    entries.front().kind = EntryKind::kConfChange;
    entries.front().data = encode_conf_change(change);
    if (!append_own(core, std::move(entries))) {
        return Status(Code::kOverloaded, "too much is uncommitted");
    }
    core.pending_conf_index = core.log.last_index();
    if (KVSTORE_RAFT_MUTANT(kConfChangeIndexOffByOne)) {
        core.pending_conf_index = previous(core.log.last_index());
    }
    request_broadcast(core);
    return Proposed{core.term, core.log.last_index()};
}

ConfState apply_conf_change(Core& core, const ConfChange& change) {
    wake_all(core);
    Membership next = core.membership;
    const Status applied = apply_change(next, change, core.newcomer());
    if (!applied.ok()) {
        quarantine(core, "a committed configuration change does not fit: " + applied.to_string());
        return core.membership.configuration.state();
    }
    switch_to(core, std::move(next));
    return core.membership.configuration.state();
}

void switch_to(Core& core, Membership membership) {
    core.membership = std::move(membership);
    const Progress* own = core.peers().find(core.id());
    core.is_learner = own != nullptr && own->learner;
    if (!core.is_leader()) {
        // Told of the commit by the very members it asked for their votes, it could win
        // without being a voter, and would lead without being able to propose.
        const bool campaigns = core.role == Role::kCandidate || core.role == Role::kPreCandidate;
        if (campaigns && !may_lead(core) && !KVSTORE_RAFT_MUTANT(kCampaignsOnThoughRemoved)) {
            become_follower(core, core.term, kNoNode);
        }
        return;
    }
    if (own == nullptr || core.is_learner) {
        // Thesis 4.2.2: it has managed the group up to the change that removed it.
        if (core.config.step_down_on_removal) {
            ++core.counters.leader_steps_down;
            become_follower(core, core.term, kNoNode);
        }
        return;
    }
    // A smaller majority may commit at once what a larger one had not.
    if (maybe_commit(core)) {
        broadcast_append(core);
    } else {
        for (const auto& [id, progress] : core.peers()) {
            if (id != core.id()) {
                maybe_send_append(core, id, WhenEmpty::kSkip);
            }
        }
    }
    if (core.heir != kNoNode && !core.voters().contains(core.heir)) {
        abort_transfer(core);
    }
}

void maybe_leave_joint(Core& core) {
    if (!core.membership.configuration.auto_leave || !core.is_leader() ||
        core.log.applied() < core.pending_conf_index || KVSTORE_RAFT_MUTANT(kNeverLeavesJoint)) {
        return;
    }
    // Refused while a transfer runs or too early in a term; tried again whenever
    // something is applied.
    const Result<Proposed> proposed = propose_conf_change(core, ConfChange());
    static_cast<void>(proposed);
}

}  // namespace kvstore::raft
