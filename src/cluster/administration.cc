#include "cluster/administration.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cluster/internal/administration_rules.h"
#include "cluster/internal/survey.h"

namespace kvstore::cluster {
namespace {

using internal::ClusterState;

// How long writing down what is wanted is tried.
constexpr Duration kPatience = std::chrono::seconds(5);
constexpr Duration kWritePatience = std::chrono::seconds(2);
constexpr Duration kPause = std::chrono::milliseconds(50);
constexpr std::size_t kJoinAddressesMax = 5;

}  // namespace

std::string_view member_change_name(MemberChange change) {
    switch (change) {
        case MemberChange::kDrain: return "drain";
        case MemberChange::kUndrain: return "undrain";
        case MemberChange::kDecommission: return "decommission";
        case MemberChange::kRecommission: return "recommission";
        case MemberChange::kPromote: return "promote";
        case MemberChange::kRemove: return "remove";
    }
    return "unknown";
}

// One call: looks, judges, writes, and looks again until it is done.
//
// Lifetime  In the frame of the call.
class ClusterAdministration::Request {
public:
    // What is to be written, by the state of now; no changes: it stands there already.
    using Judge = Callback<Result<std::vector<MetadataChange>>(const ClusterState& state)>;
    using Left = Callback<std::vector<std::string>(const ClusterState& state)>;

    explicit Request(ClusterAdministration& owner)
        : owner_(owner), parts_(owner.parts_), begun_(parts_.env.clock.now()) {}

    // Looks until the system shard can be read.
    async::Task<Status> read() {
        for (;;) {
            const Status looked = co_await look();
            if (!may_pass(looked)) {
                co_return looked;
            }
            co_await parts_.env.clock.sleep(kPause);
        }
    }

    // Writes until what is wanted stands there. A write that lost against another, and one of which
    // nobody knows whether it happened, are judged anew.
    async::Task<Status> write(Judge judge) {
        Effect effect = Effect::kNone;
        for (;;) {
            Status failed = co_await look();
            if (failed.ok()) {
                KVSTORE_CO_TRY(std::vector<MetadataChange> changes, judge(state_));
                if (changes.empty()) {
                    co_return Status();
                }
                const async::Deadline deadline = in(kWritePatience);
                failed = co_await parts_.store.write(std::move(changes), deadline);
                if (failed.ok()) {
                    continue;  // the state after it is what the caller goes on with
                }
                effect = failed.effect() == Effect::kUnknown ? Effect::kUnknown : effect;
            }
            if (!may_pass(failed)) {
                co_return Status(
                    failed.code() == Code::kConflict ? Code::kUnavailable : failed.code(),
                    effect,
                    std::string(failed.message()));
            }
            co_await parts_.env.clock.sleep(kPause);
        }
    }

    // Returns: what is left when `wait` is over.
    async::Task<Progress> wait(Left left, Duration wait) {
        const MonotonicTime end = parts_.env.clock.now() + wait;
        Progress progress;
        progress.left = left(state_);
        while (!progress.is_done() && owner_.is_waiting_ && parts_.env.clock.now() < end) {
            co_await parts_.env.clock.sleep(2 * kPause);
            const Status looked = co_await look();
            if (looked.ok()) {
                progress.left = left(state_);
            }
        }
        co_return progress;
    }

    [[nodiscard]] const ClusterState& state() const { return state_; }

private:
    async::Task<Status> look() {
        internal::Survey survey({.env = parts_.env,
                                 .store = parts_.store,
                                 .members = parts_.members,
                                 .gossip = parts_.gossip,
                                 .self = parts_.self,
                                 .factor_of = parts_.factor_of});
        const Status read = co_await survey.read();
        KVSTORE_CO_CHECK_OK(read);
        co_await survey.ask();
        state_.view = survey.view();
        state_.input = PlacementInput();
        state_.input.now = parts_.env.clock.now();
        state_.input.nodes = survey.nodes();
        for (const ShardRecord& record : state_.view->metadata.shards) {
            state_.input.shards.push_back(survey.shard_of(record));
        }
        co_return Status();
    }

    // Whether it may be otherwise in a moment, and there is time for that.
    [[nodiscard]] bool may_pass(const Status& failed) const {
        const bool is_passing = failed.code() == Code::kConflict ||
                                failed.code() == Code::kUnavailable ||
                                failed.code() == Code::kDeadlineExceeded;
        return is_passing && parts_.env.clock.now() - begun_ <= kPatience;
    }
    [[nodiscard]] async::Deadline in(Duration span) const {
        return async::Deadline::after(parts_.env.clock.now(), span);
    }

    ClusterAdministration& owner_;
    Parts& parts_;
    MonotonicTime begun_;
    ClusterState state_;
};

namespace {

// `next` where it differs from what stands there.
template <typename Record, typename Encode>
std::vector<MetadataChange> change_of(const ClusterState& state,
                                      const Bytes& key,
                                      const Record& next,
                                      Encode encode) {
    const std::optional<Bytes> before = state.view->rows.find(key);
    Bytes after = encode(next);
    std::vector<MetadataChange> changes;
    if (before != after) {
        changes.push_back({.key = key, .value = std::move(after), .expected = before});
    }
    return changes;
}

// It rests on the records of all other nodes too: what two operators may each ask of one node alone
// would leave nobody when both are given it.
Result<std::vector<MetadataChange>> change_of(const ClusterState& state,
                                              const Result<NodeRecord>& next) {
    if (!next.ok()) {
        return next.status();
    }
    std::vector<MetadataChange> changes = change_of(state, node_key(next->id), *next, encode_node);
    for (const NodeRecord& node : state.view->metadata.nodes) {
        if (!changes.empty() && node.id != next->id && !has_left(node.state)) {
            const std::optional<Bytes> same = state.view->rows.find(node_key(node.id));
            changes.push_back({.key = node_key(node.id), .value = same, .expected = same});
        }
    }
    return changes;
}

Result<std::vector<MetadataChange>> change_of(const ClusterState& state,
                                              const Result<ShardRecord>& next) {
    if (!next.ok()) {
        return next.status();
    }
    return change_of(state, shard_key(next->id), *next, encode_shard);
}

Result<std::vector<MetadataChange>> reserve(const ClusterState& state,
                                            const std::string& name,
                                            MemberRole role) {
    if (!state.view->metadata.cluster.has_value()) {
        return Status(Code::kUnavailable, "the cluster is being formed; try again");
    }
    ClusterRecord cluster = *state.view->metadata.cluster;
    const bool is_learner = role == MemberRole::kLearner;
    const NodeRecord* const holder = state.view->metadata.find_named(name);
    if (holder != nullptr) {
        if (holder->state == NodeState::kExpected && holder->is_learner == is_learner) {
            return std::vector<MetadataChange>();
        }
        return Status(Code::kAlreadyExists,
                      "the name " + name + " is that of node " +
                          std::to_string(holder->id.value()) + ", which is " +
                          std::string(node_state_name(holder->state)));
    }
    NodeRecord node;
    node.id = cluster.next_node_id;
    node.name = name;
    node.state = NodeState::kExpected;
    node.is_learner = is_learner;
    KVSTORE_CHECK_OK(check_record(node));
    cluster.next_node_id = cluster.next_node_id.next();
    std::vector<MetadataChange> changes = change_of(state, node_key(node.id), node, encode_node);
    changes.push_back({.key = Bytes(kClusterKey),
                       .value = encode_cluster(cluster),
                       .expected = state.view->rows.find(kClusterKey)});
    return changes;
}

std::vector<std::string> join_addresses(const ClusterState& state) {
    std::vector<std::string> addresses;
    for (const NodeRecord& node : state.view->metadata.nodes) {
        if (node.state == NodeState::kActive && addresses.size() < kJoinAddressesMax) {
            addresses.push_back(node.peer_address);
        }
    }
    return addresses;
}

}  // namespace

async::Task<Result<std::vector<MemberInfo>>> ClusterAdministration::members() {
    Request request(*this);
    const Status looked = co_await request.read();
    KVSTORE_CO_CHECK_OK(looked);
    const ClusterState& state = request.state();
    std::vector<MemberInfo> members;
    for (const NodeRecord& record : state.view->metadata.nodes) {
        if (has_left(record.state)) {
            continue;
        }
        MemberInfo member;
        member.record = record;
        const PlacementNode& node =
            *std::ranges::find(state.input.nodes, record.id, &PlacementNode::id);
        member.liveness = node.liveness;
        member.disk = node.disk;
        for (const ShardRecord& shard : state.view->metadata.shards) {
            member.replicas +=
                static_cast<std::size_t>(std::ranges::count(shard.voters, record.id) +
                                         std::ranges::count(shard.learners, record.id));
        }
        member.leaders = static_cast<std::size_t>(
            std::ranges::count(state.input.shards, record.id, &PlacementShard::leader));
        for (const PlacementShard& shard : state.input.shards) {
            member.damaged +=
                static_cast<std::size_t>(std::ranges::count(shard.damaged, record.id));
        }
        members.push_back(std::move(member));
    }
    std::ranges::sort(members, {}, [](const MemberInfo& member) { return member.record.id; });
    co_return members;
}

async::Task<Result<std::vector<ShardInfo>>> ClusterAdministration::shards() {
    Request request(*this);
    const Status looked = co_await request.read();
    KVSTORE_CO_CHECK_OK(looked);
    const ClusterState& state = request.state();
    std::vector<ShardInfo> shards;
    for (const ShardRecord& record : state.view->map->shards()) {
        ShardInfo shard;
        shard.record = record;
        shard.leader =
            std::ranges::find(state.input.shards, record.id, &PlacementShard::id)->leader;
        shards.push_back(std::move(shard));
    }
    co_return shards;
}

async::Task<Result<NewMember>> ClusterAdministration::add_member(std::string name,
                                                                 MemberRole role) {
    Request request(*this);
    Request::Judge judge = [&](const ClusterState& state) {
        return reserve(state, name, role);
    };
    const Status written = co_await request.write(std::move(judge));
    KVSTORE_CO_CHECK_OK(written);
    NewMember member;
    member.record = *request.state().view->metadata.find_named(name);
    member.join = join_addresses(request.state());
    log_info("node expected", {{"node", member.record.id.value()}, {"name", name}});
    co_return member;
}

async::Task<Result<Progress>> ClusterAdministration::change_member(std::string node,
                                                                   MemberChange change,
                                                                   Duration wait) {
    Request request(*this);
    NodeId id;
    Request::Judge judge = [&](const ClusterState& state) -> Result<std::vector<MetadataChange>> {
        if (id == NodeId()) {
            KVSTORE_TRY(const NodeRecord* found, internal::find_node(state, node));
            id = found->id;
        }
        return change_of(state, internal::changed_member(state, id, change));
    };
    const Status written = co_await request.write(std::move(judge));
    KVSTORE_CO_CHECK_OK(written);
    log_info("member change asked", {{"change", member_change_name(change)}, {"node", id.value()}});
    Request::Left left = [&](const ClusterState& state) {
        return internal::left_of(state, id, change);
    };
    Progress progress = co_await request.wait(std::move(left), wait);
    progress.node = id;
    co_return progress;
}

async::Task<Result<Progress>> ClusterAdministration::move_leader(ShardId shard,
                                                                 std::optional<std::string> node,
                                                                 Duration wait) {
    Request request(*this);
    Request::Judge judge = [&](const ClusterState& state) -> Result<std::vector<MetadataChange>> {
        NodeId leader;
        if (node.has_value()) {
            KVSTORE_TRY(const NodeRecord* found, internal::find_node(state, *node));
            leader = found->id;
        }
        return change_of(state, internal::led_by(state, shard, leader));
    };
    const Status written = co_await request.write(std::move(judge));
    KVSTORE_CO_CHECK_OK(written);
    Request::Left left = [&](const ClusterState& state) {
        return internal::left_of_leader(state, shard);
    };
    Progress progress = co_await request.wait(std::move(left), wait);
    co_return progress;
}

async::Task<Result<Progress>> ClusterAdministration::move_shard(ShardId shard,
                                                                std::optional<Move> move,
                                                                Duration wait) {
    Request request(*this);
    Request::Judge judge = [&](const ClusterState& state) -> Result<std::vector<MetadataChange>> {
        std::optional<internal::ReplicaMove> nodes;
        if (move.has_value()) {
            KVSTORE_TRY(const NodeRecord* from, internal::find_node(state, move->from));
            KVSTORE_TRY(const NodeRecord* to, internal::find_node(state, move->to));
            nodes = internal::ReplicaMove{.from = from->id, .to = to->id};
        }
        return change_of(state, internal::moved(state, shard, nodes));
    };
    const Status written = co_await request.write(std::move(judge));
    KVSTORE_CO_CHECK_OK(written);
    Request::Left left = [&](const ClusterState& state) {
        return internal::left_of_move(state, shard);
    };
    Progress progress = co_await request.wait(std::move(left), wait);
    co_return progress;
}

}  // namespace kvstore::cluster
