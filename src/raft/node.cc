#include "raft/node.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "raft/append.h"
#include "raft/election.h"
#include "raft/hibernation.h"
#include "raft/internal/core.h"
#include "raft/internal/fingerprint.h"
#include "raft/internal/mutants.h"
#include "raft/membership.h"
#include "raft/read_index.h"
#include "raft/snapshot.h"
#include "raft/transfer.h"

namespace kvstore::raft {

namespace {

bool is_from_leader(MessageKind kind) {
    return kind == MessageKind::kAppend || kind == MessageKind::kHeartbeat ||
           kind == MessageKind::kSnapshot;
}

bool is_vote_request(MessageKind kind) {
    return kind == MessageKind::kVote || kind == MessageKind::kPreVote;
}

// Whether a message of a later term is to be looked at further.
bool enter_later_term(Core& core, const Message& message) {
    if (is_vote_request(message.kind)) {
        // Thesis 4.2.3 and 6.2: a member that hears from a leader neither votes nor moves
        // on, so that removed or cut-off members cannot disturb the group.
        const bool stands_firm = believes_in_leader(core) || !may_elect_yet(core);
        if (!message.transfer && stands_firm && !KVSTORE_RAFT_MUTANT(kDisturbedByVoteRequests)) {
            ++core.counters.messages_dropped;
            return false;
        }
    }
    // Neither asking for nor granting a pre-vote enters the term it speaks of.
    const bool stays = message.kind == MessageKind::kPreVote ||
                       (message.kind == MessageKind::kPreVoteReply && !message.reject);
    if (!stays) {
        become_follower(core, message.term, is_from_leader(message.kind) ? message.from : kNoNode);
    }
    return true;
}

// A message of an earlier term is of no use; but whoever sent it may need to hear so.
void answer_earlier_term(Core& core, const Message& message) {
    ++core.counters.messages_dropped;
    Message reply;
    reply.to = message.from;
    if ((message.kind == MessageKind::kAppend || message.kind == MessageKind::kHeartbeat) &&
        (core.config.check_quorum || core.config.pre_vote)) {
        // A leader that a returning member ignores, since that one's term is higher,
        // learns the term from this and steps down; without pre-vote and check-quorum
        // the member's own vote requests tell it.
        reply.kind = MessageKind::kAppendReply;
        send(core, std::move(reply));
    } else if (message.kind == MessageKind::kPreVote) {
        // Two members that both wait for the other's vote would deadlock if the one
        // behind in term were not told.
        reply.kind = MessageKind::kPreVoteReply;
        reply.reject = true;
        send(core, std::move(reply));
    }
}

// A leader of this very term speaks: whoever campaigns has lost, whoever follows knows
// whom.
bool accept_leader(Core& core, const Message& message) {
    switch (core.role) {
        case Role::kLeader:
            // Two leaders of one term: somebody voted twice.
            quarantine(core, "another member leads in this term");
            return false;
        case Role::kPreCandidate:
        case Role::kCandidate: become_follower(core, core.term, message.from); return true;
        case Role::kFollower: break;
    }
    core.election_elapsed = 0;
    core.leader = message.from;
    return true;
}

// Lease mode: the answer to a leader is a promise to elect nobody else for a while, and
// outlives this member's own doubts about that leader (thesis 6.4.1).
void bind_to_leader(Core& core) {
    if (core.config.reads == ReadMode::kLease && !KVSTORE_RAFT_MUTANT(kLeaseForgottenWithLeader)) {
        core.elects_from_tick = core.ticks + core.config.election_ticks;
    }
}

void dispatch_from_leader(Core& core, Message&& message) {
    if (!accept_leader(core, message)) {
        return;
    }
    bind_to_leader(core);
    switch (message.kind) {
        case MessageKind::kAppend: on_append(core, std::move(message)); break;
        case MessageKind::kHeartbeat: on_heartbeat(core, message); break;
        default: on_snapshot(core, message); break;
    }
}

void dispatch(Core& core, Message&& message) {
    switch (message.kind) {
        case MessageKind::kPreVote:
        case MessageKind::kVote:
            if (message.transfer || may_elect_yet(core)) {
                on_vote_request(core, message);
            }
            return;
        case MessageKind::kPreVoteReply:
        case MessageKind::kVoteReply: on_vote_reply(core, message); return;
        case MessageKind::kAppend:
        case MessageKind::kHeartbeat:
        case MessageKind::kSnapshot: dispatch_from_leader(core, std::move(message)); return;
        case MessageKind::kAppendReply:
            if (core.is_leader()) {
                on_append_reply(core, message);
            }
            return;
        case MessageKind::kHeartbeatReply:
            if (core.is_leader()) {
                on_heartbeat_reply(core, message);
            }
            return;
        case MessageKind::kTimeoutNow: on_timeout_now(core); return;
        case MessageKind::kReadIndex: on_read_index(core, message); return;
        case MessageKind::kReadIndexReply: on_read_index_reply(core, message); return;
        case MessageKind::kWakeUp: return;
    }
}

// What disk and state machine hold, checked before it is believed.
Status check_recovered(const LogView& log, const Recovered& recovered) {
    if (recovered.hard.commit > log.last_index()) {
        return {Code::kCorruption, "the commit index lies beyond the log"};
    }
    if (recovered.applied > log.last_index() ||
        (recovered.applied != Index() && recovered.applied.next() < log.first_index())) {
        return {Code::kCorruption, "the applied index lies outside the log"};
    }
    const std::optional<Term> last = log.term(log.last_index());
    if (!last.has_value() || (recovered.hard.term != Term() && *last > recovered.hard.term)) {
        return {Code::kCorruption, "the log is of a later term than the member"};
    }
    return {};
}

void recover(Core& core, const LogView& log, const Recovered& recovered) {
    const Status sound = check_recovered(log, recovered);
    if (!sound.ok()) {
        quarantine(core, std::string(sound.message()));
        return;
    }
    Result<Membership> membership = restore_membership(recovered.conf, core.newcomer());
    if (!membership.ok()) {
        quarantine(core, std::string(membership.status().message()));
        return;
    }
    core.membership = std::move(membership).value();
    const Progress* own = core.peers().find(core.id());
    core.is_learner = own != nullptr && own->learner;
    core.term = recovered.hard.term;
    if (core.config.reads == ReadMode::kLease && core.term != Term() &&
        !KVSTORE_RAFT_MUTANT(kLeaseForgottenByRestart)) {
        core.elects_from_tick = core.config.election_ticks;
    }
    core.log.commit_to(std::max(recovered.hard.commit, recovered.applied));
    if (recovered.applied > core.log.applied() && !KVSTORE_RAFT_MUTANT(kAppliesTwiceAfterRestart)) {
        core.log.set_applied(recovered.applied);
    }
    become_follower(core, core.term, kNoNode);
    core.vote = recovered.hard.vote;
    core.shown_soft = core.soft_state();
    core.shown_hard = core.hard_state();
}

// Answers to the last heartbeats before the sleep are no reason to wake.
bool hears_in_sleep(const Message& message) {
    return message.kind == MessageKind::kHeartbeatReply ||
           (message.kind == MessageKind::kHeartbeat && message.hibernate);
}

}  // namespace

Node::Node(const Config& config, const LogView& log, const Recovered& recovered)
    : core_(std::make_unique<Core>(config, log)) {
    KVSTORE_ASSERT(config.id != kNoNode);
    KVSTORE_ASSERT(config.heartbeat_ticks > 0);
    KVSTORE_ASSERT(config.election_ticks > config.heartbeat_ticks);
    KVSTORE_ASSERT(config.inflight_messages_max > 0);
    KVSTORE_ASSERT(config.apply_bytes_max > 0);
    recover(*core_, log, recovered);
}

Node::Node(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Node::~Node() = default;
Node::Node(Node&&) noexcept = default;
Node& Node::operator=(Node&&) noexcept = default;

Node Node::clone(const LogView& log) const {
    auto copy = std::make_unique<Core>(*core_);
    copy->log.set_view(log);
    return Node(std::move(copy));
}

void Node::tick() {
    if (!core_->quarantined) {
        raft::tick(*core_);
    }
}

void Node::step(Message message) {
    Core& core = *core_;
    if (core.quarantined) {
        return;
    }
    if (message.to != core.id() || message.group != core.config.group ||
        message.from == core.id() || message.from == kNoNode || message.term == Term()) {
        ++core.counters.messages_dropped;
        return;
    }
    if (core.asleep && !hears_in_sleep(message) && message.term >= core.term) {
        wake_all(core);
    }
    step_message(std::move(message));
}

void Node::step_message(Message&& message) {
    Core& core = *core_;
    if (message.term > core.term) {
        if (!enter_later_term(core, message)) {
            return;
        }
    } else if (message.term < core.term) {
        if (!KVSTORE_RAFT_MUTANT(kAcceptsEarlierTerms)) {
            answer_earlier_term(core, message);
            return;
        }
    }
    dispatch(core, std::move(message));
}

void Node::campaign() {
    Core& core = *core_;
    if (core.quarantined) {
        return;
    }
    wake_all(core);
    start_campaign(core, core.config.pre_vote ? Campaign::kPreVote : Campaign::kElection);
}

Result<Proposed> Node::propose(std::span<const Payload> commands) {
    Core& core = *core_;
    KVSTORE_ASSERT(!commands.empty());
    if (core.quarantined) {
        return Status(Code::kCorruption, "this member is quarantined");
    }
    if (!core.is_leader() || core.peers().find(core.id()) == nullptr) {
        return Status(Code::kNotLeader, "another member leads");
    }
    if (core.heir != kNoNode && !KVSTORE_RAFT_MUTANT(kProposesDuringTransfer)) {
        return Status(Code::kUnavailable, "leadership is being transferred");
    }
    wake_all(core);
    std::vector<Entry> entries(commands.size());
    for (std::size_t i = 0; i < commands.size(); ++i) {
        entries[i].data = commands[i];
    }
    const Index first = core.log.last_index().next();
    if (!append_own(core, std::move(entries))) {
        return Status(Code::kOverloaded, "too much is uncommitted");
    }
    request_broadcast(core);
    return Proposed{core.term, first};
}

Result<Proposed> Node::propose_conf_change(const ConfChange& change) {
    if (core_->quarantined) {
        return Status(Code::kCorruption, "this member is quarantined");
    }
    return raft::propose_conf_change(*core_, change);
}

ConfState Node::apply_conf_change(const ConfChange& change) {
    if (core_->quarantined) {
        return core_->membership.configuration.state();
    }
    return raft::apply_conf_change(*core_, change);
}

Result<ReadToken> Node::read_index() {
    if (core_->quarantined) {
        return Status(Code::kCorruption, "this member is quarantined");
    }
    return raft::read_index(*core_);
}

Status Node::transfer_leader(NodeId heir) {
    return raft::transfer_leader(*core_, heir);
}

Status Node::forget_leader() {
    return raft::forget_leader(*core_);
}

void Node::report_unreachable(NodeId peer) {
    on_unreachable(*core_, peer);
}

void Node::report_snapshot(NodeId peer, SnapshotOutcome outcome) {
    raft::report_snapshot(*core_, peer, outcome);
}

void Node::on_log_loaded() {
    raft::on_log_loaded(*core_);
}

void Node::wake() {
    if (!core_->quarantined) {
        wake_all(*core_);
    }
}

void Node::doubt_leader() {
    if (!core_->quarantined) {
        raft::doubt_leader(*core_);
    }
}

void Node::quarantine(std::string reason) {
    raft::quarantine(*core_, std::move(reason));
}

Term Node::term() const {
    return core_->term;
}

Role Node::role() const {
    return core_->role;
}

NodeId Node::leader() const {
    return core_->leader;
}

NodeId Node::heir() const {
    return core_->heir;
}

Index Node::commit_index() const {
    return core_->log.committed();
}

bool Node::is_quarantined() const {
    return core_->quarantined;
}

bool Node::is_asleep() const {
    return core_->asleep;
}

std::optional<Term> Node::term_at(Index index) const {
    return core_->log.term(index);
}

void Node::set_election_timeout(std::uint32_t ticks) {
    core_->election_timeout = ticks;
}

}  // namespace kvstore::raft
