#include <ranges>
#include <utility>
#include <vector>

#include "cluster/internal/placement_path.h"
#include "cluster/internal/placement_state.h"

namespace kvstore::cluster::internal {
namespace {

constexpr std::string_view kPreferred = "it is the preferred leader";
constexpr std::string_view kBalance = "to balance leaders";

class LeaderBalancer {
public:
    LeaderBalancer(PlacementState& state, std::vector<Action>& actions)
        : state_(state), actions_(actions) {
        for (ShardView& shard : state_.shards) {
            if (shard.has_action || !shard.is_settled()) {
                continue;
            }
            const NodeIndex preferred = preferred_leader(shard);
            if (preferred == kNoNode) {
                movable_.push_back(&shard);
            } else if (preferred != shard.leader) {
                transfer(shard, preferred, kPreferred);
            }
        }
    }

    void balance(std::size_t transfers_max) {
        while (transfers_max > 0) {
            const Path path = shortest_path();
            if (path.empty() || path.size() > transfers_max) {
                return;
            }
            transfers_max -= path.size();
            // From its end: each node gives before it is given.
            for (const Edge& edge : path | std::views::reverse) {
                transfer(*edge.shard, edge.to, kBalance);
                std::erase(movable_, edge.shard);
            }
        }
    }

private:
    [[nodiscard]] NodeIndex preferred_leader(const ShardView& shard) const {
        for (const NodeIndex voter : shard.voters) {
            const NodeView& node = state_.nodes[voter];
            if (node.id == shard.shard->preferred_leader && node.may_lead) {
                return voter;
            }
        }
        return kNoNode;
    }

    void transfer(ShardView& shard, NodeIndex to, std::string_view reason) {
        --state_.nodes[shard.leader].leaders;
        ++state_.nodes[to].leaders;
        shard.has_action = true;
        actions_.push_back({.kind = ActionKind::kTransferLeader,
                            .shard = shard.shard->id,
                            .epoch = shard.shard->epoch,
                            .node = state_.nodes[to].id,
                            .from = state_.nodes[shard.leader].id,
                            .reason = reason});
    }

    Path shortest_path() {
        const auto load = [this](NodeIndex at) {
            return state_.nodes[at].leaders;
        };
        const auto edges_of = [this](NodeIndex at, auto visit) {
            transfers_from(at, visit);
        };
        Path shortest;
        for (NodeIndex from = 0; from < state_.nodes.size() && shortest.size() != 1; ++from) {
            if (!state_.nodes[from].may_lead || load(from) < 2) {
                continue;
            }
            Path path = find_path(state_.nodes.size(), from, load, edges_of);
            if (!path.empty() && (shortest.empty() || path.size() < shortest.size())) {
                shortest = std::move(path);
            }
        }
        return shortest;
    }

    template <typename Visit>
    void transfers_from(NodeIndex from, Visit visit) const {
        for (ShardView* shard : movable_) {
            for (const NodeIndex voter : shard->voters) {
                if (shard->leader == from && state_.nodes[voter].may_lead) {
                    visit(Edge{.shard = shard, .from = from, .to = voter});
                }
            }
        }
    }

    PlacementState& state_;
    std::vector<Action>& actions_;
    std::vector<ShardView*> movable_;
};

}  // namespace

void balance_leaders(PlacementState& state,
                     const PlacementOptions& options,
                     std::vector<Action>& actions) {
    LeaderBalancer(state, actions).balance(options.balancing_transfers_max);
}

}  // namespace kvstore::cluster::internal
