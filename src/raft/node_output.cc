// Node's output side: what is handed to the driver, and what comes back from it.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "raft/append.h"
#include "raft/election.h"
#include "raft/internal/core.h"
#include "raft/internal/fingerprint.h"
#include "raft/internal/mutants.h"
#include "raft/membership.h"
#include "raft/node.h"

namespace kvstore::raft {

namespace {

void take_self_answer(Core& core, const SelfAnswer& answer) {
    if (answer.kind != MessageKind::kAppendReply) {
        on_own_vote(core, answer);
        return;
    }
    // An entry of an earlier leadership: another may stand there now.
    if (!core.is_leader() || answer.term != core.term || core.peers().find(core.id()) == nullptr) {
        return;
    }
    on_match(core, core.id(), answer.index);
}

void finish_applied(Core& core, Index index) {
    const std::size_t freed = core.log.on_applied(index);
    core.uncommitted_bytes -= std::min(core.uncommitted_bytes, freed);
    maybe_leave_joint(core);
}

PeerStatus peer_status(NodeId id, const Progress& progress) {
    return {.id = id,
            .state = progress.state(),
            .match = progress.match(),
            .next = progress.next(),
            .pending_snapshot = progress.pending_snapshot(),
            .inflight_messages = progress.inflight().count(),
            .inflight_bytes = progress.inflight().bytes(),
            .inflight_full = progress.inflight().full(),
            .paused = progress.is_paused(),
            .recently_active = progress.recently_active,
            .learner = progress.learner};
}

void add_ids(Fingerprint& print, const Majority& majority) {
    print.add(majority.size());
    for (const NodeId id : majority.ids()) {
        print.add(id.value());
    }
}

}  // namespace

bool Node::has_ready() const {
    const Core& core = *core_;
    if (core.quarantined) {
        return false;
    }
    return core.broadcast_due || !core.send_now.empty() || !core.send_after_persist.empty() ||
           !core.self_answers.empty() || !core.ready_reads.empty() ||
           core.soft_state() != core.shown_soft || core.hard_state() != core.shown_hard ||
           core.log.has_entries_to_persist() || core.log.has_snapshot_to_install() ||
           (core.log.has_entries_to_apply() && !core.apply_awaits_log);
}

Ready Node::ready() {
    Core& core = *core_;
    Ready ready;
    if (core.quarantined) {
        return ready;
    }
    ready.seq = ++core.last_seq;
    flush_broadcast(core);
    if (core.soft_state() != core.shown_soft) {
        ready.soft = core.shown_soft = core.soft_state();
    }
    const HardState hard = core.hard_state();
    const bool promises = hard.term != core.shown_hard.term || hard.vote != core.shown_hard.vote;
    if (hard != core.shown_hard) {
        ready.hard = core.shown_hard = hard;
        if (KVSTORE_RAFT_MUTANT(kVoteNotPersisted)) {
            ready.hard->vote = kNoNode;
        }
        if (KVSTORE_RAFT_MUTANT(kTermNotPersisted) && ready.append.empty()) {
            ready.hard.reset();
        }
    }
    // Before the entries leave the log: what may be applied is decided by what is durable
    // now, or by what this Ready makes durable.
    if (core.log.take_entries_to_apply(ready.committed) == LogAnswer::kNotLoaded) {
        core.apply_awaits_log = true;
        ++core.counters.log_waits;
    }
    ready.append = core.log.take_entries_to_persist(ready.seq);
    ready.install = core.log.take_snapshot_to_install(ready.seq);
    ready.must_sync = promises || !ready.append.empty() || ready.install != nullptr;
    ready.send_now = std::exchange(core.send_now, {});
    ready.send_after_persist = std::exchange(core.send_after_persist, {});
    ready.reads = std::exchange(core.ready_reads, {});
    ready.self_answers = std::exchange(core.self_answers, {});
    if (ready.needs_persist()) {
        core.writes.push_back({ready.seq, ready.self_answers});
    }
    return ready;
}

void Node::on_persisted(std::uint64_t seq) {
    Core& core = *core_;
    if (core.quarantined) {
        return;
    }
    KVSTORE_ASSERT(seq <= core.last_seq);
    core.persisted_seq = std::max(core.persisted_seq, seq);
    while (!core.writes.empty() && core.writes.front().seq <= seq) {
        const Core::Write write = std::move(core.writes.front());
        core.writes.pop_front();
        for (const SelfAnswer& answer : write.self_answers) {
            take_self_answer(core, answer);
        }
    }
    const SnapshotRef installed = core.log.on_persisted(seq);
    if (installed != nullptr) {
        finish_applied(core, installed->index);
    }
}

void Node::on_applied(Index index) {
    Core& core = *core_;
    if (core.quarantined) {
        return;
    }
    KVSTORE_ASSERT(index <= core.log.committed());
    finish_applied(core, index);
}

NodeStatus Node::status() const {
    const Core& core = *core_;
    NodeStatus status;
    status.id = core.id();
    status.hard = core.hard_state();
    status.soft = core.soft_state();
    status.first_index = core.log.first_index();
    status.last_index = core.log.last_index();
    status.last_term = core.log.last_term();
    status.durable_index = core.log.durable();
    status.applied = core.log.applied();
    status.pending_conf_index = core.pending_conf_index;
    status.heir = core.heir;
    status.uncommitted_bytes = core.uncommitted_bytes;
    status.pending_reads = core.reads.pending.size();
    status.asleep = core.asleep;
    status.quarantined = core.quarantined;
    status.quarantine_reason = core.quarantine_reason;
    status.conf = core.membership.configuration.state();
    for (const auto& [id, progress] : core.peers()) {
        status.peers.push_back(peer_status(id, progress));
    }
    status.counters = core.counters;
    return status;
}

std::uint64_t Node::state_hash() const {
    const Core& core = *core_;
    Fingerprint print;
    print.add(core.id().value()).add(core.term.value()).add(core.vote.value());
    print.add(static_cast<std::uint64_t>(core.role)).add(core.leader.value());
    print.add(core.election_elapsed).add(core.heartbeat_elapsed).add(core.election_timeout);
    print.add(core.asleep ? 1 : 0).add(core.idle_ticks).add(core.quarantined ? 1 : 0);
    print.add(core.pending_conf_index.value()).add(core.heir.value());
    print.add(core.broadcast_due ? 1 : 0);
    print.add(core.uncommitted_bytes).add(core.reads.last_round).add(core.reads.pending.size());
    print.add(core.log.fingerprint());
    const Configuration& configuration = core.membership.configuration;
    add_ids(print, configuration.voters.incoming);
    add_ids(print, configuration.voters.outgoing);
    add_ids(print, configuration.learners);
    add_ids(print, configuration.learners_next);
    print.add(configuration.auto_leave ? 1 : 0);
    for (const auto& [id, cast] : core.tally.all()) {
        print.add(id.value()).add(static_cast<std::uint64_t>(cast));
    }
    for (const auto& [id, progress] : core.peers()) {
        print.add(id.value()).add(static_cast<std::uint64_t>(progress.state()));
        print.add(progress.match().value()).add(progress.next().value());
        print.add(progress.pending_snapshot().value()).add(progress.is_paused() ? 1 : 0);
        print.add(progress.inflight().fingerprint()).add(progress.recently_active ? 1 : 0);
        print.add(progress.confirmed_round).add(progress.sent_commit().value());
    }
    for (const Core::Write& write : core.writes) {
        print.add(write.self_answers.size());
    }
    return print.value();
}

}  // namespace kvstore::raft
