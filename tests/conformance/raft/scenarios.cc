#include "scenarios.h"

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "raft/conf_change.h"
#include "raft/internal/core.h"
#include "raft/log.h"
#include "raft/testing/cluster.h"

namespace kvstore::raft::conformance {

namespace {

using testing::Cluster;
using testing::MemoryLog;

const NodeId kOne(1);
const NodeId kTwo(2);
const NodeId kThree(3);
const NodeId kFour(4);
const NodeId kFive(5);

Config config_of(ReadMode reads = ReadMode::kQuorum) {
    Config config;
    config.group = GroupId(1);
    config.seed = 1;
    config.reads = reads;
    return config;
}

// Three members under the first, and what a scenario found.
class Stage {
public:
    explicit Stage(std::uint64_t& steps, const Config& config = config_of())
        : cluster(3, config), steps_(steps) {
        cluster.run(1);
        cluster.elect(kOne);
        cluster.run(1);
    }

    std::string end(bool fine, const char* broken) {
        steps_ += cluster.steps();
        return !cluster.failure().empty() ? cluster.failure() : fine ? "" : broken;
    }

    Message message(MessageKind kind, NodeId from, NodeId to) {
        Message message;
        message.kind = kind;
        message.group = GroupId(1);
        message.from = from;
        message.to = to;
        message.term = cluster.node(1).term();
        return message;
    }

    void deliver(Message message) {
        cluster.messages().push_back(std::move(message));
        cluster.deliver(cluster.messages().size() - 1);
    }

    void put(NodeId id) { static_cast<void>(cluster.propose(id, "x")); }

    void change(std::vector<ConfStep> steps, Transition transition = Transition::kAutomatic) {
        static_cast<void>(cluster.change(
            kOne, {.steps = std::move(steps), .transition = transition, .context = {}}));
        cluster.settle();
        cluster.run(3);
    }

    // Member 1 holds a tail that nobody else has, and another leads.
    void leave_stale_tail() {
        cluster.isolate(kOne);
        for (int i = 0; i < 5; ++i) {
            put(kOne);
        }
        cluster.settle();
        for (const NodeId id : {kTwo, kThree}) {
            static_cast<void>(cluster.forget_leader(id));
        }
        cluster.elect(kTwo);
        put(kTwo);
        cluster.settle();
    }

    Cluster cluster;

private:
    std::uint64_t& steps_;
};

bool sends_now(const Ready& ready, MessageKind kind) {
    for (const Message& message : ready.send_now) {
        if (message.kind == kind) {
            return true;
        }
    }
    return false;
}

// ---- disks ----

std::string leads_on_after_a_failed_write(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.allow_quarantine();
    stage.cluster.node(1).quarantine("the write failed");
    return stage.end(!stage.cluster.node(1).is_leader(), "leads on after its write failed");
}

std::string asks_for_votes_before_the_disk(std::uint64_t& steps) {
    Config config = config_of();
    config.pre_vote = false;
    config.check_quorum = false;
    Stage stage(steps, config);
    stage.cluster.campaign(kTwo);
    const Ready ready = stage.cluster.node(2).ready();
    return stage.end(!sends_now(ready, MessageKind::kVote), "vouches for a log not yet durable");
}

std::string votes_before_the_disk(std::uint64_t& steps) {
    Stage stage(steps);
    Message request = stage.message(MessageKind::kVote, kThree, kTwo);
    request.term = request.term.next();
    request.index = Index(9);
    request.log_term = request.term;
    request.transfer = true;
    stage.deliver(request);
    const Ready ready = stage.cluster.node(2).ready();
    if (sends_now(ready, MessageKind::kVoteReply)) {
        return stage.end(false, "a vote leaves before it is durable");
    }
    const bool kept = ready.hard.has_value() && ready.hard->vote == kThree;
    return stage.end(kept, "a vote that was given is not persisted");
}

std::string acknowledges_before_the_disk(std::uint64_t& steps) {
    Stage stage(steps);
    stage.put(kOne);
    stage.cluster.take_ready(kOne);
    while (!stage.cluster.messages().empty()) {
        stage.cluster.deliver(0);
    }
    const Ready ready = stage.cluster.node(2).ready();
    return stage.end(!sends_now(ready, MessageKind::kAppendReply),
                     "an acknowledgement leaves before the entry is durable");
}

std::string takes_an_overwritten_write_for_the_last(std::uint64_t&) {
    const auto entry = [](std::uint64_t term) {
        return std::vector<Entry>{{Term(term), Index(1), EntryKind::kCommand, {}}};
    };
    MemoryLog view;
    Config config = config_of();
    config.id = kOne;
    Log log(view, config);
    for (std::uint64_t write = 1; write <= 2; ++write) {
        log.append(entry(write));
        static_cast<void>(log.take_entries_to_persist(write));
    }
    log.on_persisted(1);
    return log.durable() == Index() ? "" : "an entry still being written counts as durable";
}

// ---- commitment ----

std::string counts_learners(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.add_blank(kFour);
    stage.cluster.add_blank(kFive);
    stage.change({{ConfOperation::kAddLearner, kFour}});
    stage.change({{ConfOperation::kAddLearner, kFive}});
    stage.cluster.isolate(kTwo);
    stage.cluster.isolate(kThree);
    const Index before = stage.cluster.node(1).commit_index();
    stage.put(kOne);
    stage.cluster.settle();
    return stage.end(stage.cluster.node(1).commit_index() == before, "learners commit an entry");
}

std::string forgets_the_old_majority(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.add_blank(kFour);
    stage.cluster.add_blank(kFive);
    stage.change({{ConfOperation::kAddVoter, kFour},
                  {ConfOperation::kAddVoter, kFive},
                  {ConfOperation::kRemove, kTwo},
                  {ConfOperation::kRemove, kThree}},
                 Transition::kJointExplicit);
    stage.cluster.isolate(kTwo);
    stage.cluster.isolate(kThree);
    const Index before = stage.cluster.node(1).commit_index();
    stage.put(kOne);
    stage.cluster.settle();
    return stage.end(stage.cluster.node(1).commit_index() == before,
                     "the new majority alone commits while joint");
}

std::string commits_nothing_under_load(std::uint64_t& steps) {
    Stage stage(steps);
    stage.put(kOne);
    const Index first = stage.cluster.node(1).status().last_index;
    for (int i = 0; i < 6; ++i) {
        // A new entry comes in before each acknowledgement does.
        for (const NodeId id : stage.cluster.ids()) {
            stage.cluster.take_ready(id);
            stage.cluster.write_one(id);
            stage.cluster.tell_persisted(id);
        }
        stage.put(kOne);
        for (std::size_t left = stage.cluster.messages().size(); left > 0; --left) {
            stage.cluster.deliver(0);
        }
    }
    return stage.end(stage.cluster.node(1).commit_index() >= first, "commits nothing under load");
}

std::string trusts_a_stale_tail(std::uint64_t& steps) {
    Stage stage(steps);
    stage.leave_stale_tail();
    const Index agreed = stage.cluster.node(1).commit_index();
    Message append = stage.message(MessageKind::kAppend, kTwo, kOne);
    append.term = stage.cluster.node(2).term();
    append.index = agreed;
    append.log_term = *stage.cluster.node(1).term_at(agreed);
    append.commit = stage.cluster.node(2).commit_index();
    stage.cluster.heal();
    stage.deliver(append);
    if (stage.cluster.node(1).commit_index() != agreed) {
        return stage.end(false, "commits beyond what the append vouches for");
    }
    const Ready ready = stage.cluster.node(1).ready();
    for (const Message& message : ready.send_after_persist) {
        if (message.kind == MessageKind::kAppendReply && message.index != agreed) {
            return stage.end(false, "acknowledges more than it was sent");
        }
    }
    return stage.end(true, "");
}

// ---- elections ----

std::string leads_without_a_majority(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.isolate(kOne);
    for (int i = 0; i < 30; ++i) {
        stage.cluster.tick(kOne);
    }
    return stage.end(!stage.cluster.node(1).is_leader(), "leads on without a majority");
}

std::string learner_campaigns(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.add_blank(kFour);
    stage.change({{ConfOperation::kAddLearner, kFour}});
    stage.cluster.isolate(kFour);
    for (int i = 0; i < 40; ++i) {
        stage.cluster.tick(kFour);
    }
    return stage.end(stage.cluster.node(4).role() == Role::kFollower, "a learner campaigns");
}

std::string campaigns_by_an_old_configuration(std::uint64_t&) {
    const ConfChange change{
        .steps = {{ConfOperation::kAddVoter, kTwo}}, .transition = {}, .context = {}};
    MemoryLog log;
    log.write({{Term(1), Index(1), EntryKind::kConfChange, encode_conf_change(change)}});
    Config config = config_of();
    config.id = kOne;
    const ConfState conf{.voters = {kOne},
                         .voters_outgoing = {},
                         .learners = {},
                         .learners_next = {},
                         .auto_leave = false};
    Node node(config, log, {.hard = {Term(1), kNoNode, Index(1)}, .conf = conf, .applied = {}});
    node.campaign();
    return node.role() == Role::kFollower ? "" : "campaigns before a committed change is applied";
}

// The members that it asks for votes tell it of the commit that removed it.
std::string campaigns_on_though_removed(std::uint64_t&) {
    const ConfChange change{
        .steps = {{ConfOperation::kRemove, kOne}}, .transition = {}, .context = {}};
    MemoryLog log;
    log.write({{Term(1), Index(1), EntryKind::kConfChange, encode_conf_change(change)}});
    Config config = config_of();
    config.id = kOne;
    config.pre_vote = false;
    const ConfState conf{.voters = {kOne, kTwo, kThree},
                         .voters_outgoing = {},
                         .learners = {},
                         .learners_next = {},
                         .auto_leave = false};
    Node node(config, log, {.hard = {Term(1), kNoNode, Index(0)}, .conf = conf, .applied = {}});
    node.campaign();
    node.on_persisted(node.ready().seq);
    Message reply;
    reply.kind = MessageKind::kVoteReply;
    reply.group = config.group;
    reply.to = kOne;
    reply.term = node.term();
    reply.from = kThree;
    reply.reject = true;
    reply.commit = Index(1);
    reply.commit_term = Term(1);
    node.step(reply);
    if (node.commit_index() != Index(1)) {
        return "a refusal does not tell what is committed";
    }
    static_cast<void>(node.apply_conf_change(change));
    return node.role() == Role::kFollower ? "" : "campaigns on though it was removed";
}

std::string is_disturbed_by_candidates(std::uint64_t& steps) {
    Stage stage(steps);
    Message request = stage.message(MessageKind::kVote, kThree, kTwo);
    const Term before = request.term;
    request.term = Term(50);
    stage.deliver(request);
    return stage.end(stage.cluster.node(2).term() == before, "a candidate disturbs a live leader");
}

std::string refused_candidates_learn_nothing(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.isolate(kThree);
    stage.put(kOne);
    stage.cluster.heal();
    // The entry arrives, the news of its commitment does not.
    stage.cluster.settle();
    stage.put(kOne);
    stage.cluster.take_ready(kOne);
    stage.cluster.messages().clear();
    Node& candidate = stage.cluster.node(2);
    const Index held = candidate.status().last_index;
    Message refusal = stage.message(MessageKind::kPreVoteReply, kThree, kTwo);
    stage.cluster.crash(kTwo);
    stage.cluster.replica(kTwo).hard.commit = previous(held);
    stage.cluster.replica(kTwo).checkpoint = stage.cluster.history().at(Index(1));
    stage.cluster.restart(kTwo);
    stage.cluster.campaign(kTwo);
    refusal.reject = true;
    refusal.commit = held;
    refusal.commit_term = *stage.cluster.node(2).term_at(held);
    Message request = refusal;
    request.kind = MessageKind::kPreVote;
    request.to = kThree;
    request.from = kTwo;
    request.reject = false;
    request.term = request.term.next();
    request.index = Index(1);
    request.log_term = Term(1);
    static_cast<void>(stage.cluster.forget_leader(kThree));
    stage.deliver(request);
    const Ready answer = stage.cluster.node(3).ready();
    for (const Message& message : answer.send_after_persist) {
        if (message.kind == MessageKind::kPreVoteReply && message.reject &&
            message.commit_term == Term()) {
            return stage.end(false, "a refusal does not tell what is committed");
        }
    }
    return stage.end(true, "");
}

// ---- leases, transfer ----

std::string forgets_a_lease_by_restarting(std::uint64_t& steps) {
    Config config = config_of(ReadMode::kLease);
    Cluster cluster(3, config);
    cluster.run(40);
    cluster.crash(kTwo);
    cluster.restart(kTwo);
    Message request;
    request.kind = MessageKind::kVote;
    request.group = GroupId(1);
    request.from = kThree;
    request.to = kTwo;
    request.term = cluster.node(2).term().next();
    request.index = Index(90);
    request.log_term = request.term;
    cluster.messages().push_back(request);
    cluster.deliver(cluster.messages().size() - 1);
    const Ready ready = cluster.node(2).ready();
    steps += cluster.steps();
    return ready.send_after_persist.empty() ? "" : "a restart forgets the promise of a lease";
}

std::string forgets_a_lease_with_its_leader(std::uint64_t& steps) {
    Cluster cluster(3, config_of(ReadMode::kLease));
    cluster.run(40);
    const NodeId voter = cluster.leader() == kTwo ? kThree : kTwo;
    Message later;
    later.kind = MessageKind::kAppendReply;
    later.group = GroupId(1);
    later.from = cluster.leader() == kOne ? (voter == kTwo ? kThree : kTwo) : kOne;
    later.to = voter;
    later.term = cluster.node(voter).term().next();
    Message request = later;
    request.kind = MessageKind::kVote;
    request.index = Index(90);
    request.log_term = request.term;
    for (const Message& message : {later, request}) {
        cluster.messages().push_back(message);
        cluster.deliver(cluster.messages().size() - 1);
    }
    const Ready ready = cluster.node(voter).ready();
    steps += cluster.steps();
    for (const Message& message : ready.send_after_persist) {
        if (message.kind == MessageKind::kVoteReply && !message.reject) {
            return "a later term makes it forget the promise of a lease";
        }
    }
    return "";
}

std::string keeps_a_lease_across_transfer(std::uint64_t& steps) {
    Config config = config_of(ReadMode::kLease);
    Cluster cluster(3, config);
    cluster.run(60);
    const NodeId leader = cluster.leader();
    const NodeId heir = leader == kOne ? kTwo : kOne;
    static_cast<void>(cluster.transfer(leader, heir));
    static_cast<void>(cluster.read(leader));
    cluster.take_ready(leader);
    steps += cluster.steps();
    return cluster.reads_served() == 0 ? "" : "reads by a lease that was given away";
}

std::string writes_during_transfer(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.isolate(kTwo);
    stage.put(kOne);
    static_cast<void>(stage.cluster.transfer(kOne, kTwo));
    for (const Message& message : stage.cluster.node(1).core().send_now) {
        if (message.kind == MessageKind::kTimeoutNow) {
            return stage.end(false, "tells an heir to campaign that lacks entries");
        }
    }
    return stage.end(!stage.cluster.propose(kOne, "y").ok(), "takes writes while it hands over");
}

std::string transfers_to_a_learner(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.add_blank(kFour);
    stage.change({{ConfOperation::kAddLearner, kFour}});
    return stage.end(!stage.cluster.transfer(kOne, kFour).ok(), "hands over to a learner");
}

// ---- membership and snapshots ----

std::string stays_joint(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.add_blank(kFour);
    stage.change({{ConfOperation::kAddVoter, kFour}, {ConfOperation::kRemove, kTwo}});
    return stage.end(stage.cluster.node(1).status().conf.voters_outgoing.empty(),
                     "a joint configuration is never left");
}

std::string changes_before_its_term_has_committed(std::uint64_t&) {
    MemoryLog log;
    Config config = config_of();
    config.id = kOne;
    config.pre_vote = false;
    const ConfState conf{.voters = {kOne},
                         .voters_outgoing = {},
                         .learners = {},
                         .learners_next = {},
                         .auto_leave = false};
    Node node(config, log, {.hard = {}, .conf = conf, .applied = {}});
    node.campaign();
    node.on_persisted(node.ready().seq);
    const Result<Proposed> changed = node.propose_conf_change(
        {.steps = {{ConfOperation::kAddVoter, kTwo}}, .transition = {}, .context = {}});
    return !node.is_leader() || !changed.ok() ? ""
                                              : "changes members before its term has committed";
}

std::string takes_an_older_snapshot(std::uint64_t& steps) {
    Stage stage(steps);
    stage.put(kOne);
    stage.cluster.settle();
    stage.cluster.run(1);
    Message message = stage.message(MessageKind::kSnapshot, kOne, kTwo);
    auto old = std::make_shared<SnapshotMeta>();
    old->index = Index(1);
    old->term = Term(2);
    old->conf = stage.cluster.node(1).status().conf;
    message.snapshot = old;
    stage.deliver(message);
    return stage.end(stage.cluster.node(2).commit_index() > Index(1), "goes back to a snapshot");
}

std::string takes_a_stranger_s_snapshot(std::uint64_t& steps) {
    Stage stage(steps);
    Message message = stage.message(MessageKind::kSnapshot, kOne, kTwo);
    auto foreign = std::make_shared<SnapshotMeta>();
    foreign->index = Index(50);
    foreign->term = message.term;
    foreign->conf.voters = {kOne, kThree};
    message.snapshot = foreign;
    stage.deliver(message);
    return stage.end(stage.cluster.node(2).status().last_index < Index(50),
                     "takes the configuration of a snapshot blindly");
}

std::string sends_a_snapshot_below_its_log(std::uint64_t& steps) {
    Stage stage(steps);
    stage.cluster.isolate(kThree);
    const SnapshotRef early = stage.cluster.replica(kOne).log.snapshot();
    for (int i = 0; i < 4; ++i) {
        stage.put(kOne);
        stage.cluster.settle();
    }
    stage.cluster.save_checkpoint(kOne);
    stage.cluster.compact(kOne);
    stage.cluster.replica(kOne).log.offer(early);
    stage.cluster.unreachable(kOne, kThree);
    stage.cluster.heal();
    stage.cluster.run(3);
    for (const PeerStatus& peer : stage.cluster.node(1).status().peers) {
        if (peer.pending_snapshot == early->index) {
            return stage.end(false, "sends a snapshot that its log does not continue");
        }
    }
    return stage.end(true, "");
}

constexpr auto kScenarios = std::to_array<Scenario>({
    {"leads on after a failed write", leads_on_after_a_failed_write},
    {"asks for votes before the disk", asks_for_votes_before_the_disk},
    {"votes before the disk", votes_before_the_disk},
    {"acknowledges before the disk", acknowledges_before_the_disk},
    {"overwritten while being written", takes_an_overwritten_write_for_the_last},
    {"counts learners", counts_learners},
    {"forgets the old majority", forgets_the_old_majority},
    {"commits nothing under load", commits_nothing_under_load},
    {"trusts a stale tail", trusts_a_stale_tail},
    {"leads without a majority", leads_without_a_majority},
    {"learner campaigns", learner_campaigns},
    {"campaigns by an old membership", campaigns_by_an_old_configuration},
    {"campaigns on though removed", campaigns_on_though_removed},
    {"is disturbed by candidates", is_disturbed_by_candidates},
    {"refused candidates learn nothing", refused_candidates_learn_nothing},
    {"forgets a lease by restarting", forgets_a_lease_by_restarting},
    {"forgets a lease with its leader", forgets_a_lease_with_its_leader},
    {"keeps a lease across transfer", keeps_a_lease_across_transfer},
    {"writes during transfer", writes_during_transfer},
    {"transfers to a learner", transfers_to_a_learner},
    {"stays joint", stays_joint},
    {"changes before its own commit", changes_before_its_term_has_committed},
    {"takes an older snapshot", takes_an_older_snapshot},
    {"takes a stranger's snapshot", takes_a_stranger_s_snapshot},
    {"snapshot below its log", sends_a_snapshot_below_its_log},
});

}  // namespace

std::span<const Scenario> scenarios() {
    return kScenarios;
}

}  // namespace kvstore::raft::conformance
