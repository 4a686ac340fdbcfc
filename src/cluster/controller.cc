#include "cluster/controller.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "cluster/directory.h"
#include "cluster/internal/shard_step.h"
#include "cluster/internal/survey.h"

namespace kvstore::cluster {
namespace {

using internal::ShardStep;

constexpr Duration kStorePatience = std::chrono::seconds(2);
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

}  // namespace

// One pass: read, ask, put right, plan, carry out.
//
// Lifetime  In the frame of run().
class Controller::Round {
public:
    explicit Round(Controller& controller)
        : owner_(controller),
          survey_({.env = controller.env_,
                   .store = controller.store_,
                   .members = controller.members_,
                   .gossip = controller.gossip_,
                   .self = controller.self_,
                   .factor_of = controller.options_.factor_of}),
          work_(controller.env_.scheduler) {}

    // Returns: whether anything was changed.
    async::Task<bool> run() {
        const Status read = co_await survey_.read();
        if (!read.ok()) {
            fail("the system shard cannot be read", read);
            co_return false;
        }
        view_ = survey_.view();
        if (!view_->metadata.cluster.has_value()) {
            co_return false;  // being formed
        }
        co_await survey_.ask();
        owner_.obstacles_.clear();
        put_right();
        plan();
        co_await carry_out_steps();
        co_await dismiss_emptied_nodes();
        ++owner_.statistics_.rounds;
        co_return has_changed_;
    }

private:
    void put_right() {
        input_.now = owner_.env_.clock.now();
        input_.nodes = survey_.nodes();
        Callback<bool(NodeId)> can_take = [this](NodeId id) {
            const auto node = std::ranges::find(input_.nodes, id, &PlacementNode::id);
            return node != input_.nodes.end() && node->state == NodeState::kActive &&
                   node->liveness != Liveness::kDead && !node->is_learner;
        };
        for (const ShardRecord& record : view_->metadata.shards) {
            PlacementShard shard = survey_.shard_of(record);
            const LedShard* const group = survey_.find_group(record.id);
            if (group != nullptr && !group->is_changing) {
                auto repair = internal::repair_of(record, *group, can_take);
                if (repair.has_value()) {
                    shard.is_changing = true;
                    steps_.push_back(*std::move(repair));
                }
            }
            input_.shards.push_back(std::move(shard));
        }
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
                survey_.leader_of(step->shard), act.kind, step->shard, act.node, deadline);
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
    internal::Survey survey_;
    std::shared_ptr<const ClusterView> view_;
    PlacementInput input_;
    std::vector<ShardStep> steps_;
    std::size_t next_step_ = 0;
    bool has_changed_ = false;
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
