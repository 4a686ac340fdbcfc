#include "raft/transfer.h"

#include <utility>

#include "raft/append.h"
#include "raft/election.h"
#include "raft/hibernation.h"
#include "raft/internal/mutants.h"
#include "raft/membership.h"

namespace kvstore::raft {

namespace {

void send_timeout_now(Core& core, NodeId heir) {
    core.reads.lease_forfeited = true;
    Message message;
    message.kind = MessageKind::kTimeoutNow;
    message.to = heir;
    send(core, std::move(message));
}

}  // namespace

Status transfer_leader(Core& core, NodeId heir) {
    if (!core.is_leader()) {
        return {Code::kNotLeader, "another member leads"};
    }
    const Progress* progress = core.peers().find(heir);
    if (progress == nullptr || (progress->learner && !KVSTORE_RAFT_MUTANT(kTransferToLearner))) {
        return {Code::kInvalidArgument, "the heir is no voter of this group"};
    }
    if (core.heir == heir || heir == core.id()) {
        if (heir == core.id()) {
            abort_transfer(core);
            maybe_leave_joint(core);  // refused while the transfer ran
        }
        return {};
    }
    wake_all(core);
    // The timeout counts from here, whatever check-quorum had counted.
    core.election_elapsed = 0;
    core.heir = heir;
    if (progress->match() == core.log.last_index() || KVSTORE_RAFT_MUTANT(kTransferToLaggard)) {
        send_timeout_now(core, heir);
    } else {
        send_append(core, heir);
    }
    return {};
}

void abort_transfer(Core& core) {
    core.heir = kNoNode;
}

void on_heir_progress(Core& core, NodeId from) {
    if (from == core.heir && core.is_leader() &&
        core.peers().find(from)->match() == core.log.last_index()) {
        send_timeout_now(core, from);
    }
}

void on_timeout_now(Core& core) {
    if (core.role == Role::kFollower) {
        start_campaign(core, Campaign::kTransfer);
    }
}

Status forget_leader(Core& core) {
    if (core.config.reads == ReadMode::kLease) {
        return {Code::kConflict, "leases rest on the promise to the leader"};
    }
    if (core.role == Role::kFollower) {
        core.leader = kNoNode;
    }
    return {};
}

}  // namespace kvstore::raft
