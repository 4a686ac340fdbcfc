#include "history/internal/zones.h"

#include <algorithm>
#include <vector>

namespace kvstore::history::internal {
namespace {

// A write and the reads of its value.
struct Cluster {
    MonotonicTime write_called = MonotonicTime::max();  // never, where nothing wrote it
    MonotonicTime earliest_return = MonotonicTime::max();
    MonotonicTime latest_call = MonotonicTime::min();
    MonotonicTime earliest_read_return = MonotonicTime::max();
    std::uint32_t writers = 0;
    bool is_read = false;

    [[nodiscard]] bool is_forward() const { return earliest_return < latest_call; }

    void add(const Step& step) {
        earliest_return = std::min(earliest_return, step.deadline);
        latest_call = std::max(latest_call, step.called);
        if (step.transition.effect == Effect::kKeep) {
            is_read = true;
            earliest_read_return = std::min(earliest_read_return, step.deadline);
        } else {
            ++writers;
            write_called = step.called;
        }
    }
};

bool is_plain(const Transition& transition) {
    return transition.is_blind() ||
           (transition.need == Need::kExactly && transition.effect == Effect::kKeep);
}

// Writes of values that were never read are clusters of their own, even where values repeat.
// Returns: nullopt where a value that was read has two writers.
std::optional<std::vector<Cluster>> gather_clusters(const Problem& problem) {
    std::vector<Cluster> clusters(problem.states.count());
    Cluster& first = clusters[kAbsent.value()];
    first.writers = 1;
    first.write_called = first.earliest_return = first.latest_call = MonotonicTime::min();
    for (const Step& step : problem.steps) {
        if (step.transition.effect == Effect::kKeep) {
            clusters[step.transition.state.value()].is_read = true;
        }
    }
    std::vector<Cluster> unread;
    for (const Step& step : problem.steps) {
        const Transition& transition = step.transition;
        const bool is_write = transition.effect == Effect::kSet;
        Cluster& cluster = clusters[(is_write ? transition.result : transition.state).value()];
        if (is_write && !cluster.is_read) {
            unread.emplace_back().add(step);
            continue;
        }
        cluster.add(step);
        if (cluster.writers > 1) {
            return std::nullopt;
        }
    }
    std::erase_if(clusters, [](const Cluster& cluster) { return !cluster.is_read; });
    clusters.insert(clusters.end(), unread.begin(), unread.end());
    return clusters;
}

bool reads_follow_their_writes(const std::vector<Cluster>& clusters) {
    return std::ranges::all_of(clusters, [](const Cluster& cluster) {
        return cluster.write_called <= cluster.earliest_read_return;
    });
}

bool zones_fit(std::vector<Cluster>& clusters) {
    const auto backward = std::ranges::partition(clusters, &Cluster::is_forward);
    const std::span forward(clusters.begin(), backward.begin());
    std::ranges::sort(forward, {}, &Cluster::earliest_return);
    for (std::size_t i = 1; i < forward.size(); ++i) {
        if (forward[i].earliest_return < forward[i - 1].latest_call) {
            return false;
        }
    }
    // Forward zones do not overlap, so only the last that begins before it can hold a zone.
    return std::ranges::all_of(backward, [&](const Cluster& cluster) {
        const auto after =
            std::ranges::lower_bound(forward, cluster.latest_call, {}, &Cluster::earliest_return);
        return after == forward.begin() || (after - 1)->latest_call <= cluster.earliest_return;
    });
}

}  // namespace

std::optional<Verdict> judge_by_zones(const Problem& problem) {
    if (!std::ranges::all_of(problem.steps, is_plain, &Step::transition)) {
        return std::nullopt;
    }
    auto clusters = gather_clusters(problem);
    if (!clusters) {
        return std::nullopt;
    }
    const bool holds = reads_follow_their_writes(*clusters) && zones_fit(*clusters);
    return holds ? Verdict::kHolds : Verdict::kViolated;
}

}  // namespace kvstore::history::internal
