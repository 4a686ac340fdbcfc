#include "raft/snapshot.h"

#include <algorithm>
#include <utility>

#include "raft/internal/mutants.h"
#include "raft/membership.h"

namespace kvstore::raft {

namespace {

bool names(const ConfState& state, NodeId id) {
    const auto has = [id](const std::vector<NodeId>& ids) {
        return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    return has(state.voters) || has(state.learners) || has(state.voters_outgoing);
}

// Whether the snapshot replaced this member's log.
bool install(Core& core, const SnapshotRef& snapshot) {
    if (snapshot->index <= core.log.committed() && !KVSTORE_RAFT_MUTANT(kInstallsOlderSnapshot)) {
        return false;
    }
    // A member that the snapshot does not know has no business with this state: its
    // configuration would turn it into a stranger in its own group.
    if (!names(snapshot->conf, core.id()) && !KVSTORE_RAFT_MUTANT(kSnapshotConfTakenBlindly)) {
        ++core.counters.messages_dropped;
        return false;
    }
    if (core.log.matches(snapshot->index, snapshot->term)) {
        // Everything in it is here already; it only tells that this much is committed.
        core.log.commit_to(snapshot->index);
        return false;
    }
    Result<Membership> membership = restore_membership(snapshot->conf, core.newcomer());
    if (!membership.ok()) {
        quarantine(core, "a snapshot carries a broken configuration");
        return false;
    }
    core.log.restore(snapshot);
    switch_to(core, std::move(membership).value());
    if (Progress* own = core.peers().find(core.id())) {
        own->set_match(core.log.last_index());
    }
    return true;
}

}  // namespace

bool send_snapshot(Core& core, NodeId to, Progress& progress) {
    if (!progress.recently_active) {
        return false;
    }
    SnapshotRef snapshot = core.log.snapshot();
    if (snapshot == nullptr || snapshot->index == Index()) {
        return false;
    }
    // The peer would refuse a state that does not know it. The driver takes a new one
    // after each change of membership.
    if (!names(snapshot->conf, to) && !KVSTORE_RAFT_MUTANT(kSnapshotConfTakenBlindly)) {
        return false;
    }
    // One that ends below what the peer lacks first would leave the same gap.
    if (snapshot->index.next() < core.log.first_index() &&
        !KVSTORE_RAFT_MUTANT(kSendsSnapshotBelowLog)) {
        return false;
    }
    progress.become_snapshot(snapshot->index);
    Message message;
    message.kind = MessageKind::kSnapshot;
    message.to = to;
    message.snapshot = std::move(snapshot);
    send(core, std::move(message));
    return true;
}

void on_snapshot(Core& core, const Message& message) {
    if (message.snapshot == nullptr || message.snapshot->term > message.term) {
        ++core.counters.messages_dropped;
        return;
    }
    const bool installed = install(core, message.snapshot);
    if (core.quarantined) {
        return;
    }
    Message reply;
    reply.kind = MessageKind::kAppendReply;
    reply.to = message.from;
    reply.index = installed ? core.log.last_index() : core.log.committed();
    send(core, std::move(reply));
}

void report_snapshot(Core& core, NodeId peer, SnapshotOutcome outcome) {
    Progress* progress = core.peers().find(peer);
    if (!core.is_leader() || progress == nullptr || progress->state() != ProgressState::kSnapshot) {
        return;
    }
    if (outcome == SnapshotOutcome::kFailed) {
        progress->forget_snapshot();
    }
    progress->become_probe();
    // The peer's acknowledgement tells where it stands; until then a probe would only
    // meet a member that is busy installing. A heartbeat's answer resumes it.
    progress->pause();
}

}  // namespace kvstore::raft
