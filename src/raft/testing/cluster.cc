#include "raft/testing/cluster.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "raft/conf_change.h"
#include "raft/internal/core.h"

namespace kvstore::raft::testing {

Cluster::Cluster(std::size_t voters, const Config& config) : config_(config) {
    Image genesis;
    for (std::uint64_t i = 1; i <= voters; ++i) {
        genesis.conf.voters.emplace_back(i);
    }
    genesis.index = Index(1);
    genesis.term = Term(1);
    history_[genesis.index] = genesis;
    auto snapshot = std::make_shared<SnapshotMeta>();
    snapshot->index = genesis.index;
    snapshot->term = genesis.term;
    snapshot->conf = genesis.conf;
    for (const NodeId id : genesis.conf.voters) {
        Replica& replica = replicas_[id];
        replica.config = config;
        replica.config.id = id;
        replica.checkpoint = genesis;
        replica.hard = {.term = Term(1), .vote = kNoNode, .commit = Index(1)};
        replica.log.install(snapshot);
        start(replica);
    }
}

Cluster::~Cluster() = default;

void Cluster::add_blank(NodeId id) {
    Replica& replica = replicas_[id];
    replica.config = config_;
    replica.config.id = id;
    start(replica);
}

std::vector<NodeId> Cluster::ids() const {
    std::vector<NodeId> ids;
    for (const auto& [id, replica] : replicas_) {
        ids.push_back(id);
    }
    return ids;
}

void Cluster::start(Replica& replica) {
    ++replica.lives;
    replica.config.incarnation = replica.lives;
    replica.config.seed = config_.seed * 1000003 + replica.config.id.value() * 101 + replica.lives;
    replica.machine = replica.checkpoint;
    replica.durable_seq = 0;
    replica.told_seq = 0;
    replica.installed = Index();
    replica.node.emplace(
        replica.config,
        replica.log,
        Recovered{replica.hard, replica.checkpoint.conf, replica.checkpoint.index});
    if (replica.node->is_quarantined() && !quarantine_allowed_) {
        fail("quarantined at start: " + replica.node->status().quarantine_reason);
    }
}

void Cluster::fail(const std::string& what) {
    if (failure_.empty()) {
        failure_ = what;
    }
}

template <typename Action>
auto Cluster::act(NodeId id, Action&& action) {
    Node& node = *replica(id).node;
    const Observation before = observe(node);
    ++steps_;
    if constexpr (std::is_void_v<decltype(action(node))>) {
        action(node);
        check(id, before);
    } else {
        auto result = action(node);
        check(id, before);
        return result;
    }
}

void Cluster::check(NodeId id, const Observation& before) {
    const Node& after = *replica(id).node;
    if (const char* broken = find_violation(before, after)) {
        fail("member " + std::to_string(id.value()) + ": " + broken);
    }
    const Core& core = after.core();
    if (core.quarantined) {
        if (!before.quarantined && !quarantine_allowed_) {
            fail("member " + std::to_string(id.value()) +
                 " is quarantined: " + core.quarantine_reason);
        }
        return;
    }
    if (core.log.committed() != before.commit) {
        check_commit(id, before, after);
    }
    if (core.role == Role::kLeader && (before.role != Role::kLeader || before.term != core.term)) {
        check_leader(id, after);
    }
}

void Cluster::check_commit(NodeId id, const Observation& before, const Node& node) {
    const Core& core = node.core();
    for (Index index = std::max(before.commit.next(), core.log.first_index());
         index <= core.log.committed();
         index = index.next()) {
        const Term term = core.log.term(index).value_or(Term());
        const auto [place, fresh] = committed_.try_emplace(index, Committed{term, core.term});
        if (place->second.entry_term != term) {
            fail("member " + std::to_string(id.value()) + " commits another entry at index " +
                 std::to_string(index.value()) + " (state machine safety)");
            return;
        }
        if (!fresh) {
            place->second.seen_in = std::min(place->second.seen_in, core.term);
        }
    }
}

void Cluster::check_leader(NodeId id, const Node& node) {
    const Core& core = node.core();
    const auto [place, fresh] = leaders_.try_emplace(core.term, id);
    if (place->second != id) {
        fail("two leaders in term " + std::to_string(core.term.value()) + " (election safety)");
        return;
    }
    for (auto entry = committed_.rbegin(); entry != committed_.rend(); ++entry) {
        const auto& [index, committed] = *entry;
        if (committed.seen_in >= core.term) {
            continue;
        }
        if (index.next() < core.log.first_index()) {
            return;
        }
        if (core.log.term(index) != committed.entry_term) {
            fail("the leader of term " + std::to_string(core.term.value()) +
                 " lacks the committed entry " + std::to_string(index.value()) +
                 " (leader completeness)");
        }
        // By log matching this one stands for all beneath it.
        return;
    }
}

void Cluster::tick(NodeId id) {
    act(id, [](Node& node) { node.tick(); });
}

void Cluster::campaign(NodeId id) {
    act(id, [](Node& node) { node.campaign(); });
}

Result<Proposed> Cluster::propose(NodeId id, ByteView command) {
    return propose_batch(id, 1, command);
}

Result<Proposed> Cluster::propose_batch(NodeId id, std::size_t count, ByteView command) {
    const std::vector<Payload> commands(count, Payload::copy_of(command));
    Result<Proposed> proposed = act(id, [&](Node& node) { return node.propose(commands); });
    if (proposed.ok()) {
        for (std::size_t i = 0; i < count; ++i) {
            proposed_[proposed->first.plus(i)] = proposed->term;
        }
    }
    return proposed;
}

Result<Proposed> Cluster::change(NodeId id, const ConfChange& change) {
    return act(id, [&](Node& node) { return node.propose_conf_change(change); });
}

Result<ReadToken> Cluster::read(NodeId id) {
    const Index acknowledged = acknowledged_;
    Result<ReadToken> token = act(id, [](Node& node) { return node.read_index(); });
    if (token.ok() && !replica(id).reads.try_emplace(*token, acknowledged).second) {
        fail("a read token was minted twice");
    }
    return token;
}

Status Cluster::transfer(NodeId id, NodeId heir) {
    return act(id, [heir](Node& node) { return node.transfer_leader(heir); });
}

Status Cluster::forget_leader(NodeId id) {
    return act(id, [](Node& node) { return node.forget_leader(); });
}

void Cluster::unreachable(NodeId id, NodeId peer) {
    act(id, [peer](Node& node) { node.report_unreachable(peer); });
}

void Cluster::wake(NodeId id) {
    act(id, [](Node& node) { node.wake(); });
}

void Cluster::report_snapshots(NodeId id) {
    for (const PeerStatus& peer : node(id).status().peers) {
        if (peer.state != ProgressState::kSnapshot) {
            continue;
        }
        const bool lost = !replicas_.contains(peer.id) || !is_up(peer.id) ||
                          node(peer.id).commit_index() < peer.pending_snapshot;
        act(id, [&](Node& node) {
            node.report_snapshot(peer.id,
                                 lost ? SnapshotOutcome::kFailed : SnapshotOutcome::kArrived);
        });
    }
}

bool Cluster::take_ready(NodeId id) {
    Replica& member = replica(id);
    if (!member.node->has_ready()) {
        return false;
    }
    Ready ready = act(id, [](Node& node) { return node.ready(); });
    for (Message& message : ready.send_now) {
        messages_.push_back(std::move(message));
    }
    ready.send_now.clear();
    for (const ReadyRead& read : ready.reads) {
        ready_reads_[id][read.token] = read.at;
    }
    if (!ready.committed.empty()) {
        member.applies.push_back(std::move(ready.committed));
        ready.committed.clear();
    }
    if (ready.needs_persist()) {
        member.writes.push_back(std::move(ready));
    }
    serve_reads(member);
    return true;
}

void Cluster::write_ready(Replica& member, Ready& ready) {
    if (ready.hard.has_value()) {
        member.hard = *ready.hard;
    }
    if (ready.install != nullptr) {
        const auto image = history_.find(ready.install->index);
        if (image == history_.end() || ready.install->handle != image->second.digest) {
            fail("a snapshot was installed that nobody took");
            return;
        }
        member.log.install(ready.install);
        member.checkpoint = image->second;
        member.machine = image->second;
        member.installed = image->second.index;
    }
    member.log.write(ready.append);
    member.durable_seq = ready.seq;
}

bool Cluster::write_one(NodeId id) {
    Replica& member = replica(id);
    if (member.writes.empty()) {
        return false;
    }
    Ready ready = std::move(member.writes.front());
    member.writes.pop_front();
    write_ready(member, ready);
    for (Message& message : ready.send_after_persist) {
        messages_.push_back(std::move(message));
    }
    return true;
}

bool Cluster::tell_persisted(NodeId id) {
    Replica& member = replica(id);
    if (member.told_seq == member.durable_seq) {
        return false;
    }
    member.told_seq = member.durable_seq;
    act(id, [&member](Node& node) { node.on_persisted(member.told_seq); });
    serve_reads(member);
    return true;
}

void Cluster::apply_entry(NodeId id, Replica& member, const Entry& entry) {
    Image& machine = member.machine;
    if (entry.index <= machine.index) {
        if (entry.index > member.installed) {
            fail("an entry was applied twice");
        }
        return;  // a snapshot has overtaken it
    }
    if (entry.index != machine.index.next()) {
        fail("entries were applied with a gap");
        return;
    }
    machine.index = entry.index;
    machine.term = entry.term;
    machine.digest = mix64(machine.digest ^ hash64(entry.data.view(), entry.term.value()));
    if (entry.kind == EntryKind::kConfChange) {
        const Result<ConfChange> change = decode_conf_change(entry.data);
        if (!change.ok()) {
            fail("a configuration change does not decode");
            return;
        }
        machine.conf = act(id, [&](Node& node) { return node.apply_conf_change(*change); });
    }
    if (entry.kind == EntryKind::kCommand) {
        commands_.try_emplace(entry.index, entry.data);
    }
    const auto [place, fresh] = history_.try_emplace(entry.index, machine);
    if (!fresh && (place->second.digest != machine.digest || place->second.conf != machine.conf)) {
        fail("members apply different histories at index " + std::to_string(entry.index.value()));
    }
    const auto awaited = proposed_.find(entry.index);
    if (awaited != proposed_.end() && member.node->is_leader()) {
        if (awaited->second == entry.term) {
            acknowledged_ = std::max(acknowledged_, entry.index);
        }
        proposed_.erase(awaited);
    }
}

bool Cluster::apply_one(NodeId id) {
    Replica& member = replica(id);
    if (member.applies.empty()) {
        return false;
    }
    const std::vector<Entry> batch = std::move(member.applies.front());
    member.applies.pop_front();
    for (const Entry& entry : batch) {
        if (entry.index > member.log.last_index() || (entry.index >= member.log.first_index() &&
                                                      member.log.term(entry.index) != entry.term)) {
            fail("an entry was applied that is not durable here");
        }
        apply_entry(id, member, entry);
    }
    act(id, [&batch](Node& node) { node.on_applied(batch.back().index); });
    for (const Entry& entry : batch) {
        if (entry.kind == EntryKind::kConfChange) {
            save_checkpoint(id);
        }
    }
    serve_reads(member);
    return true;
}

void Cluster::serve_reads(Replica& member) {
    auto& ready = ready_reads_[member.config.id];
    for (auto read = ready.begin(); read != ready.end();) {
        const auto asked = member.reads.find(read->first);
        if (asked == member.reads.end()) {
            read = ready.erase(read);  // answered twice on the way
            continue;
        }
        if (read->second < asked->second) {
            fail("a read at index " + std::to_string(read->second.value()) +
                 " misses what was acknowledged at " + std::to_string(asked->second.value()));
        }
        if (member.machine.index < read->second) {
            ++read;
            continue;
        }
        ++reads_served_;
        member.reads.erase(asked);
        read = ready.erase(read);
    }
}

void Cluster::save_checkpoint(NodeId id) {
    Replica& member = replica(id);
    if (member.machine.index <= member.checkpoint.index ||
        member.machine.index > member.log.last_index()) {
        return;
    }
    member.checkpoint = member.machine;
    auto snapshot = std::make_shared<SnapshotMeta>();
    snapshot->index = member.checkpoint.index;
    snapshot->term = member.checkpoint.term;
    snapshot->conf = member.checkpoint.conf;
    snapshot->handle = member.checkpoint.digest;
    member.log.offer(std::move(snapshot));
}

void Cluster::compact(NodeId id) {
    Replica& member = replica(id);
    member.log.compact(std::min(member.checkpoint.index, node(id).status().applied));
}

void Cluster::crash(NodeId id, std::size_t written) {
    Replica& member = replica(id);
    for (std::size_t i = 0; i < written && !member.writes.empty(); ++i) {
        write_ready(member, member.writes.front());
        member.writes.pop_front();
    }
    member.node.reset();
    member.writes.clear();
    member.applies.clear();
    member.reads.clear();
    ready_reads_.erase(id);
}

void Cluster::restart(NodeId id) {
    if (!is_up(id)) {
        start(replica(id));
    }
}

void Cluster::deliver(std::size_t position) {
    Message message = std::move(messages_[position]);
    messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(position));
    const auto receiver = replicas_.find(message.to);
    if (receiver == replicas_.end() || !receiver->second.node.has_value() ||
        is_cut(message.from, message.to) ||
        (message.kind == MessageKind::kAppend && message.from == muted_)) {
        return;
    }
    const NodeId id = message.to;
    act(id, [&message](Node& node) { node.step(std::move(message)); });
}

void Cluster::drop(std::size_t position) {
    messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(position));
}

void Cluster::cut(NodeId a, NodeId b) {
    cuts_.insert({a, b});
    cuts_.insert({b, a});
}

void Cluster::isolate(NodeId id) {
    for (const auto& [other, replica] : replicas_) {
        if (other != id) {
            cut(id, other);
        }
    }
}

void Cluster::settle() {
    constexpr std::size_t kRoundsMax = 3000;
    constexpr std::size_t kMessagesMax = 20000;
    bool busy = true;
    for (std::size_t round = 0; busy && failure_.empty(); ++round) {
        if (round == kRoundsMax || messages_.size() > kMessagesMax) {
            fail("the group does not come to rest");
        }
        busy = false;
        for (auto& [id, member] : replicas_) {
            if (!member.node.has_value()) {
                continue;
            }
            busy |= take_ready(id);
            while (write_one(id)) {
                busy = true;
            }
            busy |= tell_persisted(id);
            while (apply_one(id)) {
                busy = true;
            }
        }
        // What these messages bring forth is delivered in the next round.
        for (std::size_t left = messages_.size(); left > 0 && failure_.empty(); --left) {
            deliver(0);
            busy = true;
        }
    }
}

void Cluster::run(std::size_t ticks) {
    for (std::size_t i = 0; i < ticks && failure_.empty(); ++i) {
        for (auto& [id, member] : replicas_) {
            if (member.node.has_value()) {
                tick(id);
            }
        }
        settle();
    }
}

void Cluster::elect(NodeId id) {
    campaign(id);
    settle();
}

NodeId Cluster::leader() {
    NodeId found;
    Term highest;
    for (auto& [id, member] : replicas_) {
        if (member.node.has_value() && member.node->is_leader() && member.node->term() > highest) {
            highest = member.node->term();
            found = id;
        }
    }
    return found;
}

void Cluster::check_converged() {
    const NodeId leading = leader();
    if (leading == kNoNode) {
        fail("no leader after healing");
        return;
    }
    const ConfState conf = node(leading).status().conf;
    for (const NodeId id : conf.voters) {
        if (!is_up(id) || replica(id).machine.index != replica(leading).machine.index) {
            fail("member " + std::to_string(id.value()) + " has not caught up after healing");
        }
    }
    if (replica(leading).machine.index < acknowledged_) {
        fail("an acknowledged write is lost");
    }
}

}  // namespace kvstore::raft::testing
