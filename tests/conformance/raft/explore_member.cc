#include "explore_member.h"

#include <utility>

#include "base/assert.h"
#include "raft/internal/core.h"
#include "raft/invariants.h"

namespace kvstore::raft::conformance {

namespace {

// One life is like another here: nothing reads, so no token tells them apart.
constexpr Term kGenesisTerm{1};
constexpr Index kGenesisIndex{1};

Message answer_of(const Node& leader, NodeId from) {
    Message answer;
    answer.kind = MessageKind::kHeartbeatReply;
    answer.group = leader.core().config.group;
    answer.from = from;
    answer.to = leader.core().id();
    answer.term = leader.term();
    return answer;
}

}  // namespace

Member::Member(NodeId id, const ConfState& genesis) {
    config_.group = GroupId(1);
    config_.id = id;
    config_.seed = 1;
    config_.pre_vote = false;
    config_.check_quorum = false;
    auto snapshot = std::make_shared<SnapshotMeta>();
    snapshot->index = kGenesisIndex;
    snapshot->term = kGenesisTerm;
    snapshot->conf = genesis;
    log_.install(snapshot);
    hard_ = {.term = kGenesisTerm, .vote = kNoNode, .commit = kGenesisIndex};
    checkpoint_ = {kGenesisIndex, genesis};
    Deed deed;
    start(deed);
    KVSTORE_ASSERT(deed.failure.empty());
}

Member::Member(const Member& other)
    : config_(other.config_),
      log_(other.log_),
      hard_(other.hard_),
      checkpoint_(other.checkpoint_),
      machine_(other.machine_),
      node_(other.node_->clone(log_)) {}

void Member::start(Deed& deed) {
    machine_ = checkpoint_;
    node_.emplace(config_, log_, Recovered{hard_, checkpoint_.conf, checkpoint_.index});
    // No clock runs here, so what was drawn for it must not matter.
    node_->set_election_timeout(config_.election_ticks);
    if (node_->is_quarantined()) {
        deed.failure = "a member does not start: " + node_->status().quarantine_reason;
    }
    work(deed);
}

// What a crash leaves: the disk, and what was sent before.
Ending Member::restarted(const Ending& so_far, std::string& failure) const {
    auto twin = std::make_unique<Member>(*this);
    Deed deed;
    deed.end.sent = so_far.sent;
    deed.end.notes = so_far.notes;
    twin->start(deed);
    if (!deed.failure.empty()) {
        failure = deed.failure;
    }
    deed.end.member = std::move(twin);
    return std::move(deed.end);
}

template <typename Action>
void Member::act(Deed& deed, Action&& action) {
    const Observation before = observe(*node_);
    action(*node_);
    const char* broken = find_violation(before, *node_);
    const Core& core = node_->core();
    if (broken == nullptr && core.quarantined) {
        broken = core.quarantine_reason.c_str();
    }
    if (broken != nullptr && deed.failure.empty()) {
        deed.failure = "member " + std::to_string(core.id().value()) + ": " + broken;
    }
    if (core.role == Role::kLeader && (before.role != Role::kLeader || before.term != core.term)) {
        Note note;
        note.leads = core.id();
        note.term = core.term;
        for (Index index = kGenesisIndex; index <= core.log.last_index(); index = index.next()) {
            note.log_terms.push_back(core.log.term(index).value_or(Term()));
        }
        deed.end.notes.push_back(std::move(note));
    }
}

bool Member::begin(const Event& event, Deed& deed) {
    bool taken = true;
    act(deed, [&event, &taken](Node& node) {
        static const std::vector<Payload> kCommand{Payload::copy_of("x")};
        switch (event.kind) {
            case EventKind::kCampaign: node.campaign(); break;
            case EventKind::kPropose: taken = node.propose(kCommand).ok(); break;
            case EventKind::kChange: {
                ConfChange change;
                change.steps = {event.change};
                change.transition = Transition::kJoint;
                taken = node.propose_conf_change(change).ok();
                break;
            }
            case EventKind::kHeartbeat: node.tick(); break;
            case EventKind::kAnswered: node.step(answer_of(node, event.answering)); break;
            case EventKind::kDeliver: node.step(event.message); break;
            case EventKind::kCrash: break;
        }
    });
    return taken;
}

Deed Member::perform(const Event& event) const {
    Deed deed;
    if (event.kind == EventKind::kCrash) {
        deed.end = restarted({}, deed.failure);
        return deed;
    }
    auto next = std::make_unique<Member>(*this);
    if (!next->begin(event, deed)) {
        deed.refused = true;
        return deed;
    }
    next->work(deed);
    deed.end.member = std::move(next);
    return deed;
}

void Member::work(Deed& deed) {
    bool first = true;
    while (node_->has_ready() && deed.failure.empty()) {
        Ready ready;
        act(deed, [&ready](Node& node) { ready = node.ready(); });
        const auto send = [&deed](std::vector<Message>& messages) {
            for (Message& message : messages) {
                deed.end.sent.push_back(std::move(message));
            }
        };
        const bool speaks_early = !ready.send_now.empty();
        send(ready.send_now);
        // A crash before anything was written or sent is a crash before the step.
        if (ready.needs_persist() && (speaks_early || !first)) {
            deed.cuts.push_back(restarted(deed.end, deed.failure));
        }
        first = false;
        KVSTORE_ASSERT(ready.install == nullptr);
        hard_ = ready.hard.value_or(hard_);
        log_.write(ready.append);
        send(ready.send_after_persist);
        act(deed, [&ready](Node& node) { node.on_persisted(ready.seq); });
        apply(deed, ready.committed);
    }
}

void Member::apply(Deed& deed, const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
        if (entry.index != machine_.index.next()) {
            deed.failure = "entries were applied twice or with a gap";
            return;
        }
        if (log_.term(entry.index) != entry.term) {
            deed.failure = "an entry was applied that is not durable here";
            return;
        }
        machine_.index = entry.index;
        if (entry.kind == EntryKind::kConfChange) {
            const ConfChange change = decode_conf_change(entry.data).value();
            act(deed, [&](Node& node) { machine_.conf = node.apply_conf_change(change); });
        }
        Note note;
        note.term = node_->term();
        note.committed = entry;
        note.conf = machine_.conf;
        deed.end.notes.push_back(std::move(note));
    }
    if (entries.empty()) {
        return;
    }
    act(deed, [&entries](Node& node) { node.on_applied(entries.back().index); });
    for (const Entry& entry : entries) {
        if (entry.kind == EntryKind::kConfChange) {
            checkpoint_ = machine_;
        }
    }
}

std::uint64_t Member::fingerprint(const Relabelling& names) const {
    const Core& core = node_->core();
    RelabelledPrint print(names);
    print.add(core.id()).add(core.term).add(core.vote).add(core.leader);
    print.add(static_cast<std::uint64_t>(core.role));
    print.add(core.log.last_index()).add(core.log.committed()).add(core.log.applied());
    print.add(log_.all()).add(hard_.term).add(hard_.vote).add(hard_.commit);
    print.add(machine_.index).add(machine_.conf);
    print.add(checkpoint_.index).add(checkpoint_.conf);
    print.add(core.membership.configuration.state());
    if (core.role == Role::kCandidate) {
        std::vector<NodeId> yes;
        std::vector<NodeId> no;
        for (const auto& [id, vote] : core.tally.all()) {
            (vote == Vote::kYes ? yes : no).push_back(id);
        }
        print.add(yes).add(no);
    }
    if (core.role != Role::kLeader) {
        // What a former leader knew of its peers is forgotten before it is used again.
        return print.value();
    }
    print.add(core.pending_conf_index).add(core.uncommitted_bytes).add(core.heir);
    std::uint64_t peers = 0;
    for (const auto& [id, progress] : core.peers()) {
        RelabelledPrint peer(names);
        peer.add(id).add(static_cast<std::uint64_t>(progress.state()));
        peer.add(progress.match()).add(progress.next()).add(progress.sent_commit());
        peer.add(progress.pending_snapshot()).add(progress.is_paused()).add(progress.learner);
        peer.add(progress.awaits_log).add(progress.inflight().fingerprint());
        peers += mix64(peer.value());  // in no order
    }
    return print.add(peers).value();
}

std::string Member::describe() const {
    const NodeStatus status = node_->status();
    static constexpr const char* kRoles[] = {"follower", "pre-candidate", "candidate", "leader"};
    std::string text = "n" + std::to_string(status.id.value()) + " " +
                       kRoles[static_cast<std::size_t>(status.soft.role)] +
                       " term=" + std::to_string(status.hard.term.value()) +
                       " vote=" + std::to_string(status.hard.vote.value()) +
                       " commit=" + std::to_string(status.hard.commit.value()) + " log=";
    for (const Entry& entry : log_.all()) {
        text += std::to_string(entry.term.value()) +
                (entry.kind == EntryKind::kConfChange ? "c " : " ");
    }
    for (const NodeId id : status.conf.voters) {
        text += "v" + std::to_string(id.value()) + " ";
    }
    for (const NodeId id : status.conf.voters_outgoing) {
        text += "o" + std::to_string(id.value()) + " ";
    }
    return text + "\n";
}

}  // namespace kvstore::raft::conformance
