#include "cluster/testing/cluster_truth.h"

#include <algorithm>
#include <utility>

namespace kvstore::cluster::testing {
namespace {

using std::chrono::milliseconds;

// Gossip of five nodes needs no longer to find a death.
constexpr Duration kFoundOutAfter = std::chrono::seconds(8);

bool holds(const std::vector<NodeId>& ids, NodeId id) {
    return std::ranges::find(ids, id) != ids.end();
}

void add(std::vector<NodeId>& ids, NodeId id) {
    ids.insert(std::ranges::upper_bound(ids, id), id);
}

std::string text(ShardId id) {
    return "shard " + std::to_string(id.value());
}

std::string text(NodeId id) {
    return "node " + std::to_string(id.value());
}

// What a change of a group's members would do: nothing, something, or it may not be.
enum class Judgement : std::uint8_t { kNothing, kChange, kRefused };

Judgement judge(const Group& group, Group::Change change, bool is_full) {
    const bool is_voter = holds(group.led.voters, change.node);
    const bool is_learner = holds(group.led.learners, change.node);
    switch (change.kind) {
        case ActionKind::kAddLearner:
            return is_voter     ? Judgement::kRefused
                   : is_learner ? Judgement::kNothing
                                : Judgement::kChange;
        case ActionKind::kRemoveLearner:
            return is_voter     ? Judgement::kRefused
                   : is_learner ? Judgement::kChange
                                : Judgement::kNothing;
        case ActionKind::kPromoteLearner:
            return is_voter                ? Judgement::kNothing
                   : is_learner && is_full ? Judgement::kChange
                                           : Judgement::kRefused;
        case ActionKind::kRemoveVoter:
            return is_learner || change.node == group.leader ? Judgement::kRefused
                   : is_voter                                ? Judgement::kChange
                                                             : Judgement::kNothing;
        case ActionKind::kTransferLeader: break;
    }
    return change.node == group.leader ? Judgement::kNothing
           : is_voter                  ? Judgement::kChange
                                       : Judgement::kRefused;
}

}  // namespace

void ClusterTruth::put(Bytes key, Bytes value) {
    rows_[std::move(key)] = std::move(value);
    ++version_;
}

void ClusterTruth::add_shard(const ShardRecord& record) {
    put(shard_key(record.id), encode_shard(record));
    Group& group = groups_[record.id];
    group.led.id = record.id;
    group.led.voters = record.voters;
    lead(group, record.voters.front());
}

SystemRows ClusterTruth::rows() const {
    SystemRows rows;
    rows.version = MapVersion(version_);
    rows.rows.assign(rows_.begin(), rows_.end());
    return rows;
}

Metadata ClusterTruth::metadata() const {
    Metadata metadata;
    for (const auto& [key, value] : rows_) {
        KVSTORE_ASSERT(metadata.add_row(key, value).ok());
    }
    return metadata;
}

NodeId ClusterTruth::controller() const {
    return groups_.at(kSystemShardId).leader;
}

bool ClusterTruth::is_live(NodeId node) const {
    const auto home = homes.find(node);
    return home != homes.end() && home->second != nullptr && home->second->is_up();
}

bool ClusterTruth::takes_part(const Group& group, NodeId node) const {
    return is_live(node) && !is_damaged(group.led.id, node);
}

void ClusterTruth::damage(ShardId shard, NodeId node) {
    Group& at = group(shard);
    damaged_.emplace(shard, node);
    at.full_at.erase(node);
    if (at.leader == node) {
        at.pending.reset();
        at.leader = NodeId();
    }
}

bool ClusterTruth::has_damaged() const {
    return std::ranges::any_of(damaged_, [this](const auto& damaged) {
        const LedShard& led = groups_.at(damaged.first).led;
        return holds(led.voters, damaged.second) || holds(led.learners, damaged.second);
    });
}

bool ClusterTruth::has_majority(const Group& group) const {
    const auto live =
        std::ranges::count_if(group.led.voters, [&](NodeId id) { return takes_part(group, id); });
    return static_cast<std::size_t>(live) > group.led.voters.size() / 2;
}

bool ClusterTruth::is_believed_to_have_majority(const Group& group) const {
    const auto believed = std::ranges::count_if(group.led.voters, [this](NodeId id) {
        const auto seen = seen_.find(id);
        return is_live(id) || (seen != seen_.end() && now() < seen->second + kFoundOutAfter);
    });
    return static_cast<std::size_t>(believed) > group.led.voters.size() / 2;
}

Duration ClusterTruth::some(Duration low, Duration high) {
    return low + Duration(random_.below(static_cast<std::uint64_t>((high - low).count()) + 1));
}

void ClusterTruth::lead(Group& group, NodeId leader) {
    group.leader = leader;
    group.led.term = group.led.term.next();
    group.led.is_changing = false;
}

void ClusterTruth::elect() {
    for (const auto& [node, home] : homes) {
        if (is_live(node)) {
            seen_[node] = now();
        }
    }
    for (auto& [id, group] : groups_) {
        if (takes_part(group, group.leader)) {
            continue;  // without a majority it cannot do anything, and stays where it is
        }
        if (!has_majority(group)) {
            group.leader = NodeId();
            continue;
        }
        std::vector<NodeId> live;
        std::ranges::copy_if(group.led.voters, std::back_inserter(live), [&](NodeId node) {
            return takes_part(group, node);
        });
        // What was under way may yet be committed by whoever follows.
        const auto pending = std::exchange(group.pending, std::nullopt);
        lead(group, live[random_.below(live.size())]);
        if (pending.has_value() && random_.chance(1, 2) && pending->node != group.leader) {
            carry_out(id, *pending);
        }
    }
}

void ClusterTruth::depose(ShardId id, Duration unknowing) {
    Group& at = group(id);
    std::vector<NodeId> others;
    std::ranges::copy_if(at.led.voters, std::back_inserter(others), [&](NodeId voter) {
        return voter != at.leader && takes_part(at, voter);
    });
    if (others.empty() || !has_majority(at)) {
        return;
    }
    at.deposed = at.leader;
    at.believed = at.led;
    at.deposed_until = now() + unknowing;
    at.pending.reset();
    lead(at, others[random_.below(others.size())]);
}

void ClusterTruth::made(ShardId shard, NodeId node) {
    if (const auto found = groups_.find(shard); found != groups_.end()) {
        found->second.full_at[node] = now() + some(milliseconds(50), milliseconds(500));
    }
}

void ClusterTruth::dropped(ShardId shard, NodeId node) {
    damaged_.erase({shard, node});
    const auto found = groups_.find(shard);
    if (found == groups_.end()) {
        return;
    }
    found->second.full_at.erase(node);
    if (holds(found->second.led.voters, node)) {
        violate(text(node) + " removed the replica with which it votes in " + text(shard));
    }
}

Status ClusterTruth::write(const std::vector<MetadataChange>& changes) {
    for (const MetadataChange& change : changes) {
        const auto found = rows_.find(change.key);
        const bool stands = found != rows_.end();
        if (stands != change.expected.has_value() ||
            (stands && found->second != *change.expected)) {
            return {Code::kConflict, "another row than expected"};
        }
    }
    const auto before = rows_;
    for (const MetadataChange& change : changes) {
        if (change.value.has_value()) {
            rows_[change.key] = *change.value;
        } else {
            rows_.erase(change.key);
        }
    }
    ++version_;
    check_rows(before);
    count_step();
    return {};
}

void ClusterTruth::check_rows(const std::map<Bytes, Bytes>& before) {
    const Metadata known = metadata();
    for (const auto& [key, value] : rows_) {
        const auto old = before.find(key);
        if (!key.starts_with(kShardKeyPrefix) || old == before.end() || old->second == value) {
            continue;
        }
        const auto was = decode_shard(old->second);
        const auto is = decode_shard(value);
        KVSTORE_ASSERT(was.ok() && is.ok());
        const bool is_same_state =
            was->epoch == is->epoch && was->voters == is->voters && was->learners == is->learners;
        if (is->epoch != was->epoch.next() && !is_same_state) {
            violate(text(was->id) + " did not go to the next epoch");
        }
        for (const NodeId learner : is->learners) {
            const NodeRecord* node = known.find_node(learner);
            if (!holds(was->learners, learner) && node->state != NodeState::kActive) {
                violate(text(learner) + ", which leaves, is given a replica of " + text(is->id));
            }
        }
    }
    check_listed();
}

void ClusterTruth::check_listed() {
    const Metadata known = metadata();
    for (const auto& [id, group] : groups_) {
        const auto record = std::ranges::find(known.shards, id, &ShardRecord::id);
        for (const NodeId node : group.led.voters) {
            if (!holds(record->voters, node) && !holds(record->learners, node)) {
                violate(text(node) + " votes in " + text(id) + ", which does not list it");
            }
        }
        for (const NodeId node : group.led.learners) {
            if (!holds(record->voters, node) && !holds(record->learners, node)) {
                strays.push_back(text(node) + " of " + text(id));
            }
        }
    }
}

void ClusterTruth::carry_out(ShardId id, Group::Change change) {
    Group& at = group(id);
    const bool had_majority = is_believed_to_have_majority(at);
    switch (change.kind) {
        case ActionKind::kTransferLeader: lead(at, change.node); break;
        case ActionKind::kAddLearner: add(at.led.learners, change.node); break;
        case ActionKind::kPromoteLearner:
            std::erase(at.led.learners, change.node);
            add(at.led.voters, change.node);
            break;
        case ActionKind::kRemoveVoter: std::erase(at.led.voters, change.node); break;
        case ActionKind::kRemoveLearner: std::erase(at.led.learners, change.node); break;
    }
    if (had_majority && !is_believed_to_have_majority(at)) {
        violate(text(id) + " was left without a live majority");
    }
    check_listed();
    count_step();
}

void ClusterTruth::count_step() {
    ++steps;
    if (on_step) {
        on_step();
    }
}

async::Task<Result<SystemRows>> TruthStore::read(async::Deadline /*deadline*/) {
    co_await env_.clock.sleep(truth_.some(milliseconds(0), milliseconds(3)));
    if (truth_.strikes(truth_.faults.read_fails) ||
        !truth_.has_majority(truth_.group(kSystemShardId))) {
        co_return Status(Code::kUnavailable, "the system shard has no leader");
    }
    SystemRows rows = truth_.rows();
    co_await env_.clock.sleep(truth_.some(milliseconds(0), milliseconds(3)));
    co_return rows;
}

async::Task<Status> TruthStore::write(std::vector<MetadataChange> changes,
                                      async::Deadline /*deadline*/) {
    co_await env_.clock.sleep(truth_.some(milliseconds(0), milliseconds(5)));
    if (truth_.strikes(truth_.faults.write_fails) ||
        !truth_.has_majority(truth_.group(kSystemShardId))) {
        co_return Status(Code::kUnavailable, "the system shard has no leader");
    }
    const bool is_lost = truth_.strikes(truth_.faults.write_unknown);
    if (is_lost && truth_.strikes(2)) {
        co_return Status(Code::kUnavailable, Effect::kUnknown, "lost on its way there");
    }
    const Status written = truth_.write(changes);
    co_await env_.clock.sleep(truth_.some(milliseconds(0), milliseconds(5)));
    if (is_lost) {
        co_return Status(Code::kUnavailable, Effect::kUnknown, "lost on its way back");
    }
    co_return written;
}

std::optional<SystemRows> TruthStore::read_local(MapVersion known) {
    const Group& system = truth_.group(kSystemShardId);
    SystemRows rows = truth_.rows();
    if (!holds(system.led.voters, self_) || rows.version <= known) {
        return std::nullopt;
    }
    return rows;
}

bool TruthStore::is_leader() const {
    const Group& system = truth_.group(kSystemShardId);
    return system.leader == self_ ||
           (system.deposed == self_ && truth_.now() < system.deposed_until);
}

std::vector<LedShard> TruthShards::led_shards() const {
    std::vector<LedShard> led;
    for (const auto& [id, group] : truth_.groups()) {
        if (group.leader == self_) {
            led.push_back(group.led);
            led.back().is_changing = group.pending.has_value();
            for (const NodeId learner : group.led.learners) {
                const auto full = group.full_at.find(learner);
                if (full != group.full_at.end() && full->second <= truth_.now() &&
                    truth_.takes_part(group, learner)) {
                    led.back().caught_up.push_back(learner);
                }
            }
        } else if (group.deposed == self_ && truth_.now() < group.deposed_until) {
            led.push_back(group.believed);
        }
    }
    return led;
}

std::vector<ShardId> TruthShards::damaged_shards() const {
    std::vector<ShardId> damaged;
    for (const auto& [id, group] : truth_.groups()) {
        if (truth_.is_damaged(id, self_)) {
            damaged.push_back(id);
        }
    }
    return damaged;
}

async::Task<Status> TruthShards::act(ActionKind kind,
                                     ShardId shard,
                                     NodeId node,
                                     async::Deadline /*deadline*/) {
    const Group::Change change{.kind = kind, .node = node};
    const Group& before = truth_.group(shard);
    if (before.leader != self_) {
        if (before.deposed != self_ || truth_.now() >= before.deposed_until) {
            co_return Status(Code::kNotLeader, "another node leads the shard");
        }
        co_await env_.clock.sleep(milliseconds(300));
        co_return Status(Code::kUnavailable, Effect::kUnknown, "nobody follows any more");
    }
    const Term term = before.led.term;
    const auto full = before.full_at.find(node);
    const bool is_full = full != before.full_at.end() && full->second <= truth_.now();
    const Judgement judged = judge(before, change, is_full);
    if (before.pending.has_value() || judged == Judgement::kRefused) {
        co_return Status(Code::kConflict, "not now");
    }
    if (truth_.strikes(truth_.faults.act_fails)) {
        co_return Status(Code::kUnavailable, "not now");
    }
    if (judged == Judgement::kChange) {
        truth_.group(shard).pending = change;
    }
    co_await env_.clock.sleep(truth_.some(milliseconds(0), milliseconds(30)));
    Group& at = truth_.group(shard);
    const bool leads = at.leader == self_ && at.led.term == term;
    if (!leads || !truth_.has_majority(at)) {
        if (leads) {
            at.pending.reset();
        }
        co_return Status(Code::kUnavailable, Effect::kUnknown, "leadership was lost");
    }
    if (judged == Judgement::kChange) {
        at.pending.reset();
        truth_.carry_out(shard, change);
    }
    if (truth_.strikes(truth_.faults.act_unknown)) {
        co_return Status(Code::kUnavailable, Effect::kUnknown, "the answer was lost");
    }
    co_return Status();
}

}  // namespace kvstore::cluster::testing
