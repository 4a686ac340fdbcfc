#include <algorithm>
#include <deque>
#include <optional>

#include "cluster/internal/placement_state.h"

namespace kvstore::cluster::internal {
namespace {

constexpr std::string_view kPreferred = "it is the preferred leader";
constexpr std::string_view kBalance = "to balance leaders";

// One transfer: of `shard`, from the node before on the path to `to`.
struct Edge {
    ShardView* shard = nullptr;
    NodeIndex to = 0;
};
using Path = std::vector<Edge>;

class LeaderBalancer {
public:
    LeaderBalancer(PlacementState& state, std::vector<Action>& actions)
        : state_(state), actions_(actions) {
        for (ShardView& shard : state_.shards) {
            if (shard.has_action || !shard.is_settled()) {
                continue;
            }
            const std::optional<NodeIndex> preferred = preferred_leader(shard);
            if (!preferred.has_value()) {
                movable_.push_back(&shard);
            } else if (preferred != shard.leader) {
                transfer(shard, *preferred, kPreferred);
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
            // From its end: each node gives before it is given, so none has more than the first
            // had.
            for (auto edge = path.rbegin(); edge != path.rend(); ++edge) {
                transfer(*edge->shard, edge->to, kBalance);
                std::erase(movable_, edge->shard);
            }
        }
    }

private:
    [[nodiscard]] std::optional<NodeIndex> preferred_leader(const ShardView& shard) const {
        for (const NodeIndex voter : shard.voters) {
            const NodeView& node = state_.nodes[voter];
            if (node.id == shard.shard->preferred_leader && node.may_lead) {
                return voter;
            }
        }
        return std::nullopt;
    }

    void transfer(ShardView& shard, NodeIndex to, std::string_view reason) {
        --state_.nodes[*shard.leader].leaders;
        ++state_.nodes[to].leaders;
        shard.has_action = true;
        actions_.push_back({.kind = ActionKind::kTransferLeader,
                            .shard = shard.shard->id,
                            .epoch = shard.shard->epoch,
                            .node = state_.nodes[to].id,
                            .from = state_.nodes[*shard.leader].id,
                            .reason = reason});
    }

    // The shortest of all paths from a node to one that leads two fewer. Shortest, because the
    // nodes in between then lead one fewer than the first, and whichever part of the path is
    // carried out, the balance gets no worse and the rest of the way no longer.
    Path shortest_path() {
        Path shortest;
        for (NodeIndex from = 0; from < state_.nodes.size(); ++from) {
            if (!state_.nodes[from].may_lead || state_.nodes[from].leaders < 2) {
                continue;
            }
            Path path = search(from);
            if (!path.empty() && (shortest.empty() || path.size() < shortest.size())) {
                shortest = std::move(path);
            }
            if (shortest.size() == 1) {
                break;
            }
        }
        return shortest;
    }

    // Breadth first from `from`. Empty when there is no such node.
    Path search(NodeIndex from) {
        struct Arrival {
            NodeIndex before = 0;
            ShardView* shard = nullptr;
        };
        std::vector<std::optional<Arrival>> arrivals(state_.nodes.size());
        std::deque<NodeIndex> queue = {from};
        while (!queue.empty()) {
            const NodeIndex at = queue.front();
            queue.pop_front();
            if (state_.nodes[at].leaders + 2 <= state_.nodes[from].leaders) {
                Path path;
                for (NodeIndex back = at; back != from; back = arrivals[back]->before) {
                    path.push_back({.shard = arrivals[back]->shard, .to = back});
                }
                std::ranges::reverse(path);
                return path;
            }
            for (ShardView* shard : movable_) {
                if (shard->leader != at) {
                    continue;
                }
                for (const NodeIndex voter : shard->voters) {
                    if (voter != from && !arrivals[voter].has_value() &&
                        state_.nodes[voter].may_lead) {
                        arrivals[voter] = {.before = at, .shard = shard};
                        queue.push_back(voter);
                    }
                }
            }
        }
        return {};
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
