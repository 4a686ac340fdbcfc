#include "cluster/controller.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "cluster/directory.h"
#include "cluster/internal/shard_step.h"

namespace kvstore::cluster {
namespace {

using internal::ShardStep;

constexpr Duration kStorePatience = std::chrono::seconds(2);
constexpr Duration kAskPatience = std::chrono::seconds(1);
constexpr Duration kActPatience = std::chrono::seconds(3);
// Steps that are carried out side by side, each of another shard.
constexpr int kWorkers = 8;

std::string_view name_of(ActionKind kind) {
    switch (kind) {
        case ActionKind::kTransferLeader: return "transfer leader";
        case ActionKind::kPromoteLearner: return "promote learner";
        case ActionKind::kRemoveVoter: return "remove voter";
        case ActionKind::kRemoveLearner: return "remove learner";
        case ActionKind::kAddLearner: return "add learner";
    }
    return "unknown";
}

// For people.
std::string_view name_of(const ShardStep& step) {
    return step.acts.empty() ? "write record" : name_of(step.acts.front().kind);
}

Liveness liveness_of(wire::MemberState state) {
    switch (state) {
        case wire::MemberState::kAlive: return Liveness::kAlive;
        case wire::MemberState::kSuspect: return Liveness::kSuspected;
        case wire::MemberState::kDead:
        case wire::MemberState::kLeft: break;
    }
    return Liveness::kDead;
}

}  // namespace

// One pass: read, ask, put right, plan, carry out.
//
// Lifetime  In the frame of run().
class Controller::Round {
public:
    explicit Round(Controller& controller)
        : owner_(controller),
          asking_(controller.env_.scheduler),
          work_(controller.env_.scheduler) {}

    // Returns: whether anything was changed.
    async::Task<bool> run() {
        const Status read = co_await read_rows();
        if (!read.ok()) {
            fail("the system shard cannot be read", read);
            co_return false;
        }
        if (!view_->metadata.cluster.has_value()) {
            co_return false;  // being formed
        }
        observe_nodes();
        co_await ask_leaders();
        owner_.obstacles_.clear();
        put_right();
        plan();
        co_await carry_out_steps();
        co_await dismiss_emptied_nodes();
        ++owner_.statistics_.rounds;
        co_return has_changed_;
    }

private:
    // Who leads a shard, by the highest term that anybody told.
    struct Led {
        NodeId leader;
        LedShard group;
    };

    async::Task<Status> read_rows() {
        const async::Deadline deadline = in(kStorePatience);
        KVSTORE_CO_TRY(SystemRows rows, co_await owner_.store_.read(deadline));
        KVSTORE_CO_TRY(view_, ClusterView::build(std::move(rows)));
        co_return Status();
    }

    void observe_nodes() {
        input_.now = owner_.env_.clock.now();
        for (const NodeRecord& record : view_->metadata.nodes) {
            PlacementNode node;
            node.id = record.id;
            node.state = record.state;
            node.zone = record.zone;
            // Of whom gossip knows nothing yet, nothing is counted on and nothing given up.
            node.liveness = Liveness::kSuspected;
            if (record.id == owner_.self_) {
                node.liveness = Liveness::kAlive;
            } else if (const auto known = owner_.gossip_.find(record.id); known.has_value()) {
                node.liveness = liveness_of(known->state);
                node.dead_since = known->since;
            }
            input_.nodes.push_back(std::move(node));
        }
    }

    async::Task<void> ask_leaders() {
        for (const PlacementNode& node : input_.nodes) {
            if (is_member(node.state) && node.liveness != Liveness::kDead) {
                asking_.spawn(ask(node.id));
            }
        }
        co_await asking_.close();
    }

    async::Task<void> ask(NodeId node) {
        const async::Deadline deadline = in(kAskPatience);
        const auto report = co_await owner_.members_.shard_report(node, deadline);
        if (!report.ok()) {
            log_debug("a node does not say what it leads",
                      {{"node", node.value()}, {"error", report.status().to_string()}});
            co_return;
        }
        for (const ShardId shard : report->damaged) {
            damaged_[shard].push_back(node);
        }
        for (const LedShard& group : report->led) {
            Led& known = led_[group.id];
            if (!group.voters.empty() && group.term >= known.group.term) {
                known.leader = node;
                known.group = group;
            }
        }
    }

    void put_right() {
        Callback<bool(NodeId)> can_take = [this](NodeId id) {
            const auto node = std::ranges::find(input_.nodes, id, &PlacementNode::id);
            return node != input_.nodes.end() && node->state == NodeState::kActive &&
                   node->liveness != Liveness::kDead;
        };
        for (const ShardRecord& record : view_->metadata.shards) {
            PlacementShard shard = shard_of(record);
            if (const auto led = led_.find(record.id); led != led_.end()) {
                const LedShard& group = led->second.group;
                shard.voters = group.voters;
                shard.learners = group.learners;
                shard.caught_up = group.caught_up;
                shard.leader = led->second.leader;
                shard.is_changing = group.is_changing;
                auto repair =
                    group.is_changing ? std::nullopt : internal::repair_of(record, group, can_take);
                if (repair.has_value()) {
                    shard.is_changing = true;
                    steps_.push_back(*std::move(repair));
                }
            }
            input_.shards.push_back(std::move(shard));
        }
    }

    PlacementShard shard_of(const ShardRecord& record) {
        auto factor = factors_.find(record.keyspace);
        if (factor == factors_.end()) {
            const std::uint32_t wanted = owner_.options_.factor_of(record.keyspace, view_->rows);
            factor = factors_.emplace(record.keyspace, wanted).first;
        }
        PlacementShard shard;
        shard.id = record.id;
        shard.epoch = record.epoch;
        shard.replication_factor = factor->second;
        shard.voters = record.voters;
        shard.learners = record.learners;
        if (const auto damaged = damaged_.find(record.id); damaged != damaged_.end()) {
            shard.damaged = damaged->second;
        }
        shard.preferred_leader = record.preferred_leader;
        return shard;
    }

    void plan() {
        PlacementOptions options = owner_.options_.placement;
        options.replace_after = view_->metadata.cluster->replace_after;
        Plan planned = plan_placement(input_, options);
        owner_.obstacles_ = std::move(planned.obstacles);
        for (const Action& action : planned.actions) {
            const ShardRecord* record = view_->map->find(action.shard);
            KVSTORE_ASSERT(record != nullptr);
            steps_.push_back(internal::step_of(action, *record));
        }
    }

    async::Task<void> carry_out_steps() {
        for (int i = 0; i < kWorkers; ++i) {
            work_.spawn(work());
        }
        co_await work_.close();
    }

    async::Task<void> work() {
        while (next_step_ < steps_.size() && owner_.may_go_on()) {
            const ShardStep step = std::move(steps_[next_step_++]);
            log_info("shard step",
                     {{"step", name_of(step)},
                      {"shard", step.shard.value()},
                      {"node", step.node.value()},
                      {"reason", step.reason}});
            const Status done = co_await carry_out(&step);
            if (done.ok()) {
                ++owner_.statistics_.actions;
                has_changed_ = true;
                continue;
            }
            ++owner_.statistics_.failures;
            log_warning("shard step cut short",
                        {{"step", name_of(step)},
                         {"shard", step.shard.value()},
                         {"node", step.node.value()},
                         {"error", done.to_string()}});
        }
    }

    async::Task<Status> carry_out(const ShardStep* step) {
        if (step->record_before.has_value()) {
            const Status written = co_await write(step->record_before, step->taker);
            KVSTORE_CO_CHECK_OK(written);
        }
        for (std::size_t i = 0; i < step->acts.size(); ++i) {
            if (!owner_.may_go_on()) {
                co_return Status(Code::kNotLeader, "another node controls the cluster now");
            }
            const ShardStep::Act act = step->acts[i];
            const async::Deadline deadline = in(kActPatience);
            const Status done = co_await owner_.members_.act(
                led_[step->shard].leader, act.kind, step->shard, act.node, deadline);
            KVSTORE_CO_CHECK_OK(done);
        }
        if (step->record_after.has_value()) {
            const Status written = co_await write(step->record_after, NodeId());
            KVSTORE_CO_CHECK_OK(written);
        }
        co_return Status();
    }

    // Errors: kInvalidArgument: no record may be so; those of the store.
    async::Task<Status> write(std::optional<ShardRecord> next, NodeId taker) {
        KVSTORE_CO_CHECK_OK(check_record(*next));
        std::vector<MetadataChange> changes;
        Bytes key = shard_key(next->id);
        std::optional<Bytes> before = view_->rows.find(key);
        changes.push_back(
            {.key = std::move(key), .value = encode_shard(*next), .expected = std::move(before)});
        if (taker != NodeId()) {
            const std::optional<Bytes> same = view_->rows.find(node_key(taker));
            changes.push_back({.key = node_key(taker), .value = same, .expected = same});
        }
        const async::Deadline deadline = in(kStorePatience);
        Status written = co_await owner_.store_.write(std::move(changes), deadline);
        co_return written;
    }

    // Nobody can give them a replica meanwhile: see ShardStep::taker.
    async::Task<void> dismiss_emptied_nodes() {
        for (std::size_t i = 0; i < view_->metadata.nodes.size() && owner_.may_go_on(); ++i) {
            NodeRecord node = view_->metadata.nodes[i];
            if (node.state != NodeState::kDecommissioning || has_replica(node.id)) {
                continue;
            }
            node.state = NodeState::kRemoved;
            std::vector<MetadataChange> changes;
            changes.push_back({.key = node_key(node.id),
                               .value = encode_node(node),
                               .expected = view_->rows.find(node_key(node.id))});
            const async::Deadline deadline = in(kStorePatience);
            const Status written = co_await owner_.store_.write(std::move(changes), deadline);
            if (!written.ok()) {
                fail("a node cannot be dismissed", written);
                continue;
            }
            has_changed_ = true;
            ++owner_.statistics_.actions;
            log_info("node dismissed",
                     {{"node", node.id.value()}, {"reason", "it has given all replicas away"}});
        }
    }

    [[nodiscard]] bool has_replica(NodeId node) const {
        return std::ranges::any_of(view_->metadata.shards, [node](const ShardRecord& shard) {
            return std::ranges::find(shard.voters, node) != shard.voters.end() ||
                   std::ranges::find(shard.learners, node) != shard.learners.end();
        });
    }

    void fail(std::string_view what, const Status& why) {
        ++owner_.statistics_.failures;
        log_warning(what, {{"error", why.to_string()}});
    }

    [[nodiscard]] async::Deadline in(Duration span) const {
        return async::Deadline::after(owner_.env_.clock.now(), span);
    }

    Controller& owner_;
    std::shared_ptr<const ClusterView> view_;
    std::map<ShardId, Led> led_;
    std::map<ShardId, std::vector<NodeId>> damaged_;
    std::map<std::string, std::uint32_t> factors_;  // by keyspace
    PlacementInput input_;
    std::vector<ShardStep> steps_;
    std::size_t next_step_ = 0;
    bool has_changed_ = false;
    async::Gate asking_;
    async::Gate work_;
};

Controller::Controller(env::Env& env,
                       MetadataStore& store,
                       Members& members,
                       const Gossip& gossip,
                       NodeId self,
                       ControllerOptions options)
    : env_(env),
      store_(store),
      members_(members),
      gossip_(gossip),
      self_(self),
      options_(std::move(options)),
      gate_(env.scheduler),
      alarm_(env) {
    KVSTORE_ASSERT(options_.factor_of);
}

Controller::~Controller() {
    KVSTORE_ASSERT(!is_running_);
}

void Controller::start() {
    KVSTORE_ASSERT(!is_running_);
    is_running_ = true;
    gate_.spawn(run());
}

async::Task<void> Controller::stop() {
    is_running_ = false;
    alarm_.ring();
    co_await gate_.close();
}

async::Task<void> Controller::run() {
    while (is_running_) {
        bool has_changed = false;
        if (store_.is_leader()) {
            Round round(*this);
            has_changed = co_await round.run();
        } else {
            obstacles_.clear();
        }
        if (is_running_) {
            const Duration pause = has_changed ? options_.interval / 10 : options_.interval;
            co_await alarm_.wait(pause);
        }
    }
}

}  // namespace kvstore::cluster
