#include "raft/invariants.h"

#include <algorithm>

#include "raft/internal/core.h"

namespace kvstore::raft {

namespace {

const char* check_terms(const Observation& before, const Observation& after) {
    if (after.term < before.term) {
        return "the term fell";
    }
    if (after.term != before.term) {
        return nullptr;
    }
    if (before.vote != kNoNode && after.vote != before.vote) {
        return "a vote was changed within a term (thesis 3.4)";
    }
    // Election safety, as far as one member sees it (thesis 3.4).
    if (before.leader != kNoNode && after.leader != kNoNode && before.leader != after.leader) {
        return "two leaders were followed in one term";
    }
    if (before.role == Role::kLeader &&
        (after.role == Role::kCandidate || after.role == Role::kPreCandidate)) {
        return "a leader became a candidate of its own term";
    }
    if (after.role == Role::kLeader && before.role != Role::kLeader &&
        before.role != Role::kCandidate && before.role != Role::kPreCandidate) {
        return "a member led without having been a candidate";
    }
    return nullptr;
}

const char* check_log(const Observation& before, const Observation& after, const Node& node) {
    if (after.commit < before.commit) {
        return "the commit index fell";
    }
    if (after.applied < before.applied) {
        return "the applied index fell";
    }
    if (after.commit > after.last) {
        return "the commit index lies beyond the log";
    }
    if (after.applied > after.commit) {
        return "something was applied that is not committed";
    }
    if (after.first < before.first) {
        return "the log's first index fell";
    }
    // Leader append-only (thesis 3.5): a leader never removes entries of its own log.
    if (before.role == Role::kLeader && after.role == Role::kLeader && before.term == after.term &&
        after.last < before.last) {
        return "a leader shortened its own log (thesis 3.5)";
    }
    const std::optional<Term> kept = node.term_at(before.commit);
    if (kept.has_value() && *kept != before.commit_term) {
        return "a committed entry was replaced (thesis 3.6.3)";
    }
    if (after.commit > before.commit && after.role == Role::kLeader &&
        before.role == Role::kLeader && before.term == after.term &&
        after.commit_term != after.term) {
        return "a leader committed an entry of an earlier term by counting (thesis 3.6.2)";
    }
    return nullptr;
}

const char* check_roles(const Core& core) {
    switch (core.role) {
        case Role::kLeader:
            if (core.leader != core.id()) {
                return "a leader does not follow itself";
            }
            if (core.vote != core.id()) {
                return "a leader did not vote for itself";
            }
            break;
        case Role::kCandidate:
            if (core.vote != core.id()) {
                return "a candidate did not vote for itself";
            }
            [[fallthrough]];
        case Role::kPreCandidate:
            if (core.leader != kNoNode) {
                return "a candidate knows a leader";
            }
            break;
        case Role::kFollower:
            if (core.leader == core.id()) {
                return "a follower follows itself";
            }
            break;
    }
    if (core.log.applying() > core.log.committed() || core.log.applied() > core.log.applying()) {
        return "more was handed over for applying than is committed";
    }
    return nullptr;
}

const char* check_peer(const Core& core, NodeId id, const Progress& progress) {
    if (progress.next() <= progress.match() && id != core.id()) {
        return "next is not above match (etcd/raft issue 148)";
    }
    if (progress.match() > core.log.last_index()) {
        return "a peer is said to hold more than its leader";
    }
    if (progress.next() > core.log.last_index().next() &&
        progress.state() != ProgressState::kSnapshot && progress.pending_snapshot() == Index() &&
        core.log.last_index() != Index() &&
        progress.next() > std::max(core.log.last_index().next(), progress.match().next())) {
        return "a peer is to be sent what does not exist";
    }
    // A window ends with the message that filled it.
    if (progress.inflight().count() > core.config.inflight_messages_max) {
        return "more appends are in flight than allowed";
    }
    if (progress.learner != core.membership.configuration.learners.contains(id)) {
        return "progress and configuration disagree about a learner";
    }
    if (!core.membership.configuration.contains(id)) {
        return "progress is kept of a stranger";
    }
    return nullptr;
}

const char* check_configuration(const Configuration& configuration) {
    for (const NodeId id : configuration.learners.ids()) {
        if (configuration.voters.contains(id)) {
            return "a learner votes";
        }
    }
    for (const NodeId id : configuration.learners_next.ids()) {
        if (!configuration.voters.outgoing.contains(id)) {
            return "a learner to be is no outgoing voter";
        }
    }
    if (configuration.auto_leave && !configuration.voters.joint()) {
        return "a joint state is to be left that is not there";
    }
    return nullptr;
}

}  // namespace

Observation observe(const Node& node) {
    const Core& core = node.core();
    return {.term = core.term,
            .vote = core.vote,
            .role = core.role,
            .leader = core.leader,
            .first = core.log.first_index(),
            .last = core.log.last_index(),
            .commit = core.log.committed(),
            .applied = core.log.applied(),
            .durable = core.log.durable(),
            .commit_term = core.log.term(core.log.committed()).value_or(Term()),
            .quarantined = core.quarantined};
}

const char* find_violation(const Observation& before, const Node& after) {
    const Core& core = after.core();
    if (core.quarantined) {
        return core.send_now.empty() && core.send_after_persist.empty()
                   ? nullptr
                   : "a quarantined member speaks";
    }
    const Observation now = observe(after);
    if (const char* broken = check_terms(before, now)) {
        return broken;
    }
    if (const char* broken = check_log(before, now, after)) {
        return broken;
    }
    if (const char* broken = check_roles(core)) {
        return broken;
    }
    if (const char* broken = check_configuration(core.membership.configuration)) {
        return broken;
    }
    if (core.is_leader()) {
        for (const auto& [id, progress] : core.peers()) {
            if (const char* broken = check_peer(core, id, progress)) {
                return broken;
            }
        }
    }
    return nullptr;
}

}  // namespace kvstore::raft
