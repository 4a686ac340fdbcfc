#include "raft/election.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "raft/append.h"
#include "raft/hibernation.h"
#include "raft/internal/mutants.h"
#include "raft/membership.h"
#include "raft/transfer.h"

namespace kvstore::raft {

namespace {

// What every change of role begins with.
void reset(Core& core, Term term) {
    if (core.term != term) {
        KVSTORE_ASSERT(term > core.term);
        core.term = term;
        core.vote = kNoNode;
    }
    core.leader = kNoNode;
    core.election_elapsed = 0;
    core.heartbeat_elapsed = 0;
    // Thesis 3.4: between one and two timeouts, at random, so that split votes resolve.
    core.election_timeout =
        core.config.election_ticks +
        static_cast<std::uint32_t>(core.random.below(core.config.election_ticks));
    core.heir = kNoNode;
    core.tally.clear();
    core.pending_conf_index = Index();
    core.uncommitted_bytes = 0;
    core.broadcast_due = false;
    const std::uint64_t minted = core.reads.minted;
    core.reads = Reads();
    core.reads.minted = minted;
    wake(core);
    for (auto& [id, progress] : core.peers()) {
        const bool learner = progress.learner;
        progress = Progress(core.log.last_index().next(),
                            core.config.inflight_messages_max,
                            core.config.inflight_bytes_max);
        progress.learner = learner;
        if (id == core.id()) {
            progress.set_match(core.log.last_index());
        }
    }
}

void become_pre_candidate(Core& core) {
    // Neither term nor vote changes: that is the point of it (thesis 9.6).
    wake(core);
    core.tally.clear();
    core.leader = kNoNode;
    core.role = Role::kPreCandidate;
}

void become_candidate(Core& core) {
    reset(core, core.term.next());
    core.vote = core.id();
    core.role = Role::kCandidate;
}

void become_leader(Core& core) {
    KVSTORE_ASSERT(core.role == Role::kCandidate);
    reset(core, core.term);
    core.leader = core.id();
    core.role = Role::kLeader;
    ++core.counters.elections_won;
    if (Progress* own = core.peers().find(core.id())) {
        own->become_replicate();
        own->recently_active = true;
    }
    // Any entry of an earlier term may be a change of membership not yet applied.
    core.pending_conf_index = core.log.last_index();
    // Thesis 6.4 and 3.6.2: nothing older can be committed before an entry of this term.
    if (!KVSTORE_RAFT_MUTANT(kNoOpeningEntry)) {
        std::vector<Entry> opening(1);
        const bool appended = append_own(core, std::move(opening));
        KVSTORE_ASSERT(appended);
    }
}

// A committed change that is not applied yet means that this member does not know by
// whose votes it would win.
bool has_unapplied_change(const Core& core) {
    Index low = core.log.applied().next();
    constexpr std::size_t kPageBytes = 1U << 20U;
    while (low <= core.log.committed()) {
        std::vector<Entry> page;
        const LogAnswer answer = core.log.slice(low, core.log.committed().next(), kPageBytes, page);
        if (answer != LogAnswer::kOk || page.empty()) {
            return true;
        }
        for (const Entry& entry : page) {
            if (entry.kind == EntryKind::kConfChange) {
                return true;
            }
        }
        low = page.back().index.next();
    }
    return false;
}

// Changes of membership take effect when they are applied, so a member that has missed
// a commit may need the vote of one that the change made a learner, and that one may
// refuse it for entries that nobody will ever commit: without a leader, nobody would
// tell the candidate (tikv issue 9349). So vote messages tell. Whoever holds the named
// entry holds all before it (log matching, thesis 3.5) and may commit through it.
void attach_commit(const Core& core, Message& message) {
    if (core.config.commit_in_votes && !KVSTORE_RAFT_MUTANT(kVotesDoNotSpreadCommit)) {
        message.commit = core.log.committed();
        message.commit_term = core.log.term(core.log.committed()).value_or(Term());
    }
}

void spread_commit(Core& core, const Message& message) {
    const bool told = core.config.commit_in_votes && message.commit_term != Term();
    if (told && !core.is_leader() && core.log.matches(message.commit, message.commit_term)) {
        core.log.commit_to(message.commit);
    }
}

void ask_for_votes(Core& core, Campaign campaign) {
    const bool pre = campaign == Campaign::kPreVote;
    const Term asked = pre ? core.term.next() : core.term;
    for (const NodeId id : core.voters().ids()) {
        if (id == core.id()) {
            // Counted when it is durable, like anybody else's (thesis 3.8).
            core.self_answers.push_back(
                {.kind = pre ? MessageKind::kPreVoteReply : MessageKind::kVoteReply,
                 .term = asked,
                 .index = Index()});
            continue;
        }
        Message request;
        request.kind = pre ? MessageKind::kPreVote : MessageKind::kVote;
        request.to = id;
        request.term = asked;
        request.index = core.log.last_index();
        request.log_term = core.log.last_term();
        request.transfer = campaign == Campaign::kTransfer;
        attach_commit(core, request);
        send(core, std::move(request));
    }
}

void run_campaign(Core& core, Campaign campaign) {
    ++core.counters.elections_started;
    if (campaign == Campaign::kPreVote) {
        become_pre_candidate(core);
    } else {
        become_candidate(core);
    }
    ask_for_votes(core, campaign);
}

void count_vote(Core& core, NodeId from, Vote vote) {
    core.tally.record(from, vote);
    const VoteResult result =
        core.voters().result([&core](NodeId id) { return core.tally.of(id); });
    if (result == VoteResult::kLost) {
        become_follower(core, core.term, kNoNode);
        return;
    }
    std::size_t yes = 0;
    for (const auto& [id, cast] : core.tally.all()) {
        yes += cast == Vote::kYes ? 1 : 0;
    }
    const bool won = KVSTORE_RAFT_MUTANT(kHalfIsAMajority) ? yes * 2 >= core.voters().ids().size()
                                                           : result == VoteResult::kWon;
    if (!won) {
        return;
    }
    if (core.role == Role::kPreCandidate) {
        run_campaign(core, Campaign::kElection);
    } else {
        become_leader(core);
        broadcast_append(core);
    }
}

// Thesis 6.2: a leader that a majority has not answered for an election timeout steps
// down, so that clients are not held by it and another can be elected.
void check_quorum(Core& core) {
    const VoteResult result = core.voters().result([&core](NodeId id) {
        const Progress* progress = core.peers().find(id);
        const bool active = id == core.id() || (progress != nullptr && progress->recently_active);
        return active ? Vote::kYes : Vote::kNo;
    });
    if (result != VoteResult::kWon && !KVSTORE_RAFT_MUTANT(kNoCheckQuorum)) {
        ++core.counters.leader_steps_down;
        become_follower(core, core.term, kNoNode);
    }
    for (auto& [id, progress] : core.peers()) {
        if (id != core.id()) {
            progress.recently_active = false;
        }
    }
}

void tick_leader(Core& core) {
    ++core.heartbeat_elapsed;
    ++core.election_elapsed;
    if (core.election_elapsed >= core.config.election_ticks) {
        core.election_elapsed = 0;
        if (core.config.check_quorum) {
            check_quorum(core);
        }
        // Thesis 3.10: an heir that has not taken over in time will not; writes resume.
        if (core.is_leader() && core.heir != kNoNode) {
            abort_transfer(core);
            maybe_leave_joint(core);  // refused while the transfer ran
        }
    }
    if (!core.is_leader()) {
        return;
    }
    if (core.heartbeat_elapsed >= core.config.heartbeat_ticks) {
        core.heartbeat_elapsed = 0;
        broadcast_heartbeat(core);
    }
    maybe_fall_asleep(core);
}

bool has_open_vote(const Core& core, const Message& message) {
    // A vote once cast is repeated for the same candidate and for nobody else. Nobody's
    // vote is open while a leader of this term is known. A pre-vote binds nothing.
    const bool pre = message.kind == MessageKind::kPreVote;
    return core.vote == message.from || (core.vote == kNoNode && core.leader == kNoNode) ||
           (pre && message.term > core.term) || KVSTORE_RAFT_MUTANT(kVotesTwiceInATerm);
}

}  // namespace

void become_follower(Core& core, Term term, NodeId leader) {
    reset(core, term);
    core.leader = leader;
    core.role = Role::kFollower;
}

bool may_lead(const Core& core) {
    const Progress* own = core.peers().find(core.id());
    return own != nullptr && (!own->learner || KVSTORE_RAFT_MUTANT(kLearnerCampaigns)) &&
           !core.log.is_installing();
}

void start_campaign(Core& core, Campaign campaign) {
    if (core.is_leader() || !may_lead(core)) {
        return;
    }
    if (campaign != Campaign::kTransfer && !may_elect_yet(core)) {
        return;
    }
    if (has_unapplied_change(core) && !KVSTORE_RAFT_MUTANT(kCampaignWithUnappliedChange)) {
        return;
    }
    run_campaign(core, campaign);
}

bool believes_in_leader(const Core& core) {
    return core.config.check_quorum && core.leader != kNoNode &&
           core.election_elapsed < core.config.election_ticks;
}

bool may_elect_yet(const Core& core) {
    return core.ticks >= core.elects_from_tick;
}

void tick(Core& core) {
    if (core.asleep) {
        return;
    }
    ++core.ticks;
    if (core.is_leader()) {
        tick_leader(core);
        return;
    }
    ++core.election_elapsed;
    if (may_lead(core) && core.election_elapsed >= core.election_timeout) {
        core.election_elapsed = 0;
        start_campaign(core, core.config.pre_vote ? Campaign::kPreVote : Campaign::kElection);
    }
}

void on_vote_request(Core& core, const Message& message) {
    const bool pre = message.kind == MessageKind::kPreVote;
    Message reply;
    reply.kind = pre ? MessageKind::kPreVoteReply : MessageKind::kVoteReply;
    reply.to = message.from;
    const bool up_to_date = core.log.is_up_to_date(message.index, message.log_term);
    // A learner votes when asked: the candidate may know of a change that made it a
    // voter before it does (thesis 4.2.1 has servers answer by their logs alone).
    if (!has_open_vote(core, message) || !up_to_date) {
        reply.reject = true;
        attach_commit(core, reply);
        send(core, std::move(reply));
        spread_commit(core, message);
        return;
    }
    // With the term of the request: a pre-vote is granted for a term that is not here
    // yet, and the candidate compares it with the one it asked for.
    reply.term = message.term;
    if (!pre) {
        core.election_elapsed = 0;
        core.vote = message.from;
    }
    send(core, std::move(reply));
}

void on_vote_reply(Core& core, const Message& message) {
    const bool awaited =
        (core.role == Role::kCandidate && message.kind == MessageKind::kVoteReply) ||
        (core.role == Role::kPreCandidate && message.kind == MessageKind::kPreVoteReply);
    if (!awaited) {
        ++core.counters.messages_dropped;
        return;
    }
    spread_commit(core, message);
    count_vote(core, message.from, message.reject ? Vote::kNo : Vote::kYes);
}

void on_own_vote(Core& core, const SelfAnswer& answer) {
    const bool pre = answer.kind == MessageKind::kPreVoteReply;
    const bool awaited = pre ? core.role == Role::kPreCandidate && answer.term == core.term.next()
                             : core.role == Role::kCandidate && answer.term == core.term;
    if (awaited) {
        count_vote(core, core.id(), Vote::kYes);
    }
}

}  // namespace kvstore::raft
