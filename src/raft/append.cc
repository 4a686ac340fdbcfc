#include "raft/append.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "raft/hibernation.h"
#include "raft/internal/mutants.h"
#include "raft/read_index.h"
#include "raft/snapshot.h"
#include "raft/transfer.h"

namespace kvstore::raft {

namespace {

std::size_t payload_bytes(const std::vector<Entry>& entries) {
    std::size_t bytes = 0;
    for (const Entry& entry : entries) {
        bytes += entry.data.size();
    }
    return bytes;
}

// The last of an overlong burst is let in, so that one entry larger than the limit can
// pass at all, and empty ones always do: a new leader's opening entry must.
bool reserve_uncommitted(Core& core, std::size_t bytes) {
    if (core.uncommitted_bytes > 0 && bytes > 0 &&
        core.uncommitted_bytes + bytes > core.config.uncommitted_bytes_max) {
        return false;
    }
    core.uncommitted_bytes += bytes;
    return true;
}

void acknowledge(Core& core, NodeId to, Index index) {
    // An acknowledgement stands for all before it: one a Ready is enough.
    if (core.config.coalesce_appends && !core.send_after_persist.empty()) {
        Message& last = core.send_after_persist.back();
        if (last.kind == MessageKind::kAppendReply && !last.reject && last.to == to &&
            last.term == core.term) {
            last.index = std::max(last.index, index);
            return;
        }
    }
    Message reply;
    reply.kind = MessageKind::kAppendReply;
    reply.to = to;
    reply.index = index;
    send(core, std::move(reply));
}

void refuse(Core& core, const Message& message) {
    // Thesis 3.5: rather than step back one by one, tell where the logs can agree at
    // most: the last entry here whose term is not above the leader's at that place.
    const Log::Place hint =
        core.log.last_not_above(std::min(message.index, core.log.last_index()), message.log_term);
    Message reply;
    reply.kind = MessageKind::kAppendReply;
    reply.to = message.from;
    reply.index = message.index;
    reply.reject = true;
    reply.hint_index = hint.index;
    reply.hint_term = hint.term;
    send(core, std::move(reply));
}

// Whether entries follow one another as a log's do. Data from the network.
bool is_consecutive(const Message& message) {
    Index expected = message.index;
    Term term = message.log_term;
    for (const Entry& entry : message.entries) {
        expected = expected.next();
        if (entry.index != expected || entry.term < term || entry.term > message.term) {
            return false;
        }
        term = entry.term;
    }
    return true;
}

// Leader completeness (thesis 3.6.3): whoever leads in this term holds all that is
// committed here. One that does not shows that somebody broke a promise.
bool denies_commit(const Core& core, const Message& message) {
    const std::optional<Term> held = core.log.term(message.index);
    return message.index <= core.log.committed() && held.has_value() && *held != message.log_term &&
           !KVSTORE_RAFT_MUTANTS_ACTIVE;
}

// Stores what is new. All of it stands above the commit index.
void store(Core& core, std::vector<Entry> entries) {
    std::optional<std::size_t> first = core.log.first_difference(entries);
    if (KVSTORE_RAFT_MUTANT(kAppendAlwaysTruncates)) {
        first = entries.empty() ? first : std::optional<std::size_t>(0);
    }
    if (first.has_value()) {
        entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(*first));
        core.log.append(std::move(entries));
    }
}

// A majority's match by what a planted bug takes for one.
#ifdef KVSTORE_RAFT_MUTANTS
Index planted_majority(const Core& core, Index reached) {
    const auto match = [&core](NodeId id) {
        const Progress* progress = core.peers().find(id);
        return progress != nullptr ? progress->match() : Index();
    };
    switch (active_mutant) {
        case Mutant::kLearnerCountsForCommit: {
            std::vector<NodeId> everybody;
            for (const auto& [id, progress] : core.peers()) {
                everybody.push_back(id);
            }
            return Majority(std::move(everybody)).committed(match);
        }
        case Mutant::kJointCommitByIncomingOnly: return core.voters().incoming.committed(match);
        case Mutant::kCommitsOnlyTheLastIndex:
            return reached == core.log.last_index() ? reached : Index();
        default: return reached;
    }
}
#else
Index planted_majority(const Core&, Index reached) {
    return reached;
}
#endif

void send_heartbeat(Core& core, NodeId to, const Progress& progress) {
    Message heartbeat;
    heartbeat.kind = MessageKind::kHeartbeat;
    heartbeat.to = to;
    // Never beyond what the peer is known to hold: it takes this on trust, without the
    // consistency check of an append.
    heartbeat.commit = KVSTORE_RAFT_MUTANT(kHeartbeatCommitUnbounded)
                           ? core.log.committed()
                           : std::min(progress.match(), core.log.committed());
    heartbeat.read_round = heartbeat_round(core);
    send(core, std::move(heartbeat));
}

}  // namespace

bool append_own(Core& core, std::vector<Entry> entries) {
    if (!reserve_uncommitted(core, payload_bytes(entries))) {
        return false;
    }
    Index index = core.log.last_index();
    for (Entry& entry : entries) {
        index = index.next();
        entry.index = index;
        entry.term = core.term;
    }
    core.log.append(std::move(entries));
    core.idle_ticks = 0;
    // The leader's own copy counts once it is durable (thesis 10.2.1), not before.
    if (core.config.coalesce_appends && !core.self_answers.empty() &&
        core.self_answers.back().kind == MessageKind::kAppendReply &&
        core.self_answers.back().term == core.term) {
        core.self_answers.back().index = index;
    } else {
        core.self_answers.push_back(
            {.kind = MessageKind::kAppendReply, .term = core.term, .index = index});
    }
    if (KVSTORE_RAFT_MUTANT(kOwnCopyCountsBeforePersist)) {
        on_match(core, core.id(), index);
    }
    return true;
}

void send_append(Core& core, NodeId to) {
    maybe_send_append(core, to, WhenEmpty::kSend);
}

void broadcast_append(Core& core) {
    for (const auto& [id, progress] : core.peers()) {
        if (id != core.id()) {
            send_append(core, id);
        }
    }
}

void request_broadcast(Core& core) {
    if (core.config.coalesce_appends) {
        core.broadcast_due = true;
    } else {
        broadcast_append(core);
    }
}

void flush_broadcast(Core& core) {
    if (!core.broadcast_due) {
        return;
    }
    core.broadcast_due = false;
    for (const auto& [id, progress] : core.peers()) {
        if (id == core.id()) {
            continue;
        }
        const bool lacks_nothing = progress.next() > core.log.last_index() &&
                                   progress.state() == ProgressState::kReplicate &&
                                   !progress.can_raise_commit(core.log.committed());
        if (!lacks_nothing) {
            send_append(core, id);
        }
    }
}

bool maybe_send_append(Core& core, NodeId to, WhenEmpty when_empty) {
    Progress& progress = *core.peers().find(to);
    if (progress.is_paused()) {
        return false;
    }
    const Index before = previous(progress.next());
    const std::optional<Term> before_term = core.log.term(before);
    if (!before_term.has_value()) {
        return send_snapshot(core, to, progress);
    }
    std::vector<Entry> entries;
    // The log begins no later than here, since it knows the term before.
    if (progress.may_carry_entries()) {
        const LogAnswer answer =
            core.log.entries(progress.next(), core.config.append_bytes_max, entries);
        progress.awaits_log = answer == LogAnswer::kNotLoaded;
        if (progress.awaits_log) {
            ++core.counters.log_waits;
            return false;
        }
    }
    if (entries.empty() && when_empty == WhenEmpty::kSkip) {
        return false;
    }
    const std::size_t count = entries.size();
    const std::size_t bytes = payload_bytes(entries);
    Message append;
    append.kind = MessageKind::kAppend;
    append.to = to;
    append.index = before;
    append.log_term = *before_term;
    append.entries = std::move(entries);
    append.commit = core.log.committed();
    send(core, std::move(append));
    progress.sent_entries(count, bytes);
    progress.sent_commit_index(core.log.committed());
    return true;
}

void broadcast_heartbeat(Core& core) {
    begin_lease_round(core);
    for (auto& [id, progress] : core.peers()) {
        if (id != core.id()) {
            send_heartbeat(core, id, progress);
            progress.sent_commit_index(std::min(progress.match(), core.log.committed()));
        }
    }
}

bool has_committed_in_term(const Core& core) {
    return core.log.matches(core.log.committed(), core.term);
}

bool maybe_commit(Core& core) {
    const Index reached = core.voters().committed([&core](NodeId id) {
        const Progress* progress = core.peers().find(id);
        return progress != nullptr ? progress->match() : Index();
    });
    const Index candidate = planted_majority(core, reached);
    // Thesis 3.6.2 and figure 3.7 (8 in the paper): counting copies commits entries of
    // this term only; older ones are committed by standing beneath one.
    if (candidate <= core.log.committed() ||
        (!core.log.matches(candidate, core.term) && !KVSTORE_RAFT_MUTANT(kCommitsOldTerm))) {
        return false;
    }
    core.log.commit_to(std::min(candidate, core.log.last_index()));
    return true;
}

void on_match(Core& core, NodeId from, Index index) {
    Progress& progress = *core.peers().find(from);
    progress.recently_active = true;
    // A probe's answer moves the peer on even when it tells no new match: the peer
    // holds all there is.
    const bool news = progress.acknowledged(index) ||
                      (progress.match() == index && progress.state() == ProgressState::kProbe);
    if (!news) {
        return;
    }
    switch (progress.state()) {
        case ProgressState::kProbe: progress.become_replicate(); break;
        case ProgressState::kSnapshot:
            // However the peer came by it, what it lacks is in the log again.
            if (progress.match().next() >= core.log.first_index()) {
                progress.become_probe();
                progress.become_replicate();
            }
            break;
        case ProgressState::kReplicate: progress.free_inflight_through(index); break;
    }
    const bool is_peer = from != core.id();
    if (maybe_commit(core)) {
        request_broadcast(core);
    } else if (is_peer && progress.can_raise_commit(core.log.committed())) {
        send_append(core, from);
    }
    if (!is_peer) {
        return;
    }
    if (!core.broadcast_due) {
        while (maybe_send_append(core, from, WhenEmpty::kSkip)) {
        }
    }
    on_heir_progress(core, from);
}

void on_append(Core& core, Message&& message) {
    if (denies_commit(core, message)) {
        quarantine(core, "a leader lacks what is committed here");
        return;
    }
    if (message.index < core.log.committed()) {
        acknowledge(core, message.from, core.log.committed());
        return;
    }
    if (!is_consecutive(message)) {
        ++core.counters.messages_dropped;
        return;
    }
    const bool may_follow =
        KVSTORE_RAFT_MUTANT(kNoConsistencyCheck) && message.index <= core.log.last_index();
    if (!core.log.matches(message.index, message.log_term) && !may_follow) {
        refuse(core, message);
        return;
    }
    const Index last_new = message.index.plus(message.entries.size());
    if (!message.entries.empty()) {
        core.idle_ticks = 0;
    }
    store(core, std::move(message.entries));
    // No further than this message vouches for: what stands behind may be of an old
    // leader.
    core.log.commit_to(KVSTORE_RAFT_MUTANT(kCommitBeyondAppend)
                           ? std::min(message.commit, core.log.last_index())
                           : std::min(message.commit, last_new));
    acknowledge(core,
                message.from,
                KVSTORE_RAFT_MUTANT(kAcknowledgesWholeLog) ? core.log.last_index() : last_new);
}

void on_append_reply(Core& core, const Message& message) {
    Progress* progress = core.peers().find(message.from);
    if (progress == nullptr) {
        return;
    }
    if (!message.reject) {
        if (message.index > core.log.last_index() && !KVSTORE_RAFT_MUTANTS_ACTIVE) {
            ++core.counters.messages_dropped;
            return;
        }
        on_match(core, message.from, message.index);
        return;
    }
    progress->recently_active = true;
    Index agree = message.hint_index;
    if (message.hint_term > Term()) {
        // The same search on this side: skip all of this log's entries that are of later
        // terms than the peer's, in one step.
        agree = core.log.last_not_above(message.hint_index, message.hint_term).index;
    }
    if (progress->rejected(message.index, agree)) {
        if (progress->state() == ProgressState::kReplicate) {
            if (KVSTORE_RAFT_MUTANT(kStaleRejectRegressesNext)) {
                return;
            }
            progress->become_probe();
        }
        send_append(core, message.from);
    }
}

void on_heartbeat(Core& core, const Message& message) {
    if (message.commit > core.log.last_index() && !KVSTORE_RAFT_MUTANTS_ACTIVE) {
        // The leader was told that this member holds the entry. It does no longer: the
        // disk has lost what it had promised to keep.
        quarantine(core, "the log lost entries that were acknowledged");
        return;
    }
    core.log.commit_to(std::min(message.commit, core.log.last_index()));
    Message reply;
    reply.kind = MessageKind::kHeartbeatReply;
    reply.to = message.from;
    reply.read_round = message.read_round;
    reply.hibernate = message.hibernate;
    send(core, std::move(reply));
    if (message.hibernate) {
        follow_into_sleep(core, message);
    }
}

void on_heartbeat_reply(Core& core, const Message& message) {
    Progress* progress = core.peers().find(message.from);
    if (progress == nullptr) {
        return;
    }
    progress->recently_active = true;
    progress->resume();
    // The answer shows the way to be open: what was lost on it is sent again.
    if (progress->match() < core.log.last_index() || progress->state() == ProgressState::kProbe) {
        if (!message.hibernate) {
            send_append(core, message.from);
        }
    }
    on_round_confirmed(core, message.from, message.read_round);
}

void on_unreachable(Core& core, NodeId peer) {
    Progress* progress = core.peers().find(peer);
    // Optimistic sending means that several appends may be lost; probing finds the gap.
    if (core.is_leader() && progress != nullptr && progress->state() == ProgressState::kReplicate) {
        progress->become_probe();
    }
}

void on_log_loaded(Core& core) {
    core.apply_awaits_log = false;
    if (!core.is_leader()) {
        return;
    }
    for (auto& [id, progress] : core.peers()) {
        if (progress.awaits_log && id != core.id()) {
            progress.awaits_log = false;
            while (maybe_send_append(core, id, WhenEmpty::kSkip)) {
            }
        }
    }
}

}  // namespace kvstore::raft
