// Balancing along paths: A gives one to B, which gives one of its own to C. What is given (replicas
// on paper, leaders) and who may give to whom is the caller's.
#pragma once

#include <algorithm>
#include <deque>
#include <vector>

#include "cluster/internal/placement_state.h"

namespace kvstore::cluster::internal {

// One replica, or the leader, of `shard` goes from one node to another.
struct Edge {
    ShardView* shard = nullptr;
    NodeIndex from = 0;
    NodeIndex to = 0;
};
using Path = std::vector<Edge>;

// The way from `start` to the nearest node that has two fewer, found breadth first; empty when
// there is none. `load(node)` is how much a node has, `edges_of(node, visit)` shows `visit` every
// Edge from it.
//
// The shortest of the paths from all nodes is the one to take: the nodes in between then have one
// fewer than its start, and from whichever of its edges are carried out, beginning with the last,
// the balance gets no worse and the rest of the way no longer. So balancing comes to an end.
template <typename Load, typename EdgesOf>
Path find_path(std::size_t nodes, NodeIndex start, Load load, EdgesOf edges_of) {
    std::vector<Edge> arrivals(nodes);
    std::deque<NodeIndex> queue = {start};
    const auto visit = [&](Edge edge) {
        if (edge.to != start && arrivals[edge.to].shard == nullptr) {
            arrivals[edge.to] = edge;
            queue.push_back(edge.to);
        }
    };
    while (!queue.empty() && load(queue.front()) + 2 > load(start)) {
        edges_of(queue.front(), visit);
        queue.pop_front();
    }
    Path path;
    for (NodeIndex at = queue.empty() ? start : queue.front(); at != start;
         at = arrivals[at].from) {
        path.push_back(arrivals[at]);
    }
    std::ranges::reverse(path);
    return path;
}

}  // namespace kvstore::cluster::internal
