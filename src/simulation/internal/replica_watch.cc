#include "simulation/internal/replica_watch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "mvcc/shard.h"

namespace kvstore::simulation::internal {
namespace {

// Far more than replicas of one shard are apart.
constexpr std::size_t kSeenMax = 4'096;

bool lists(const std::vector<NodeId>& nodes, NodeId node) {
    return std::ranges::find(nodes, node) != nodes.end();
}

}  // namespace

std::string ReplicaWatch::look(Fleet& fleet) {
    for (const std::unique_ptr<Member>& member : fleet.members()) {
        if (!member->is_up()) {
            continue;
        }
        for (const replication::ShardStatistics& shard : member->node->kv().host().statistics()) {
            if (!shard.health.ok() || shard.applied == Index()) {
                continue;
            }
            auto& seen = seen_[shard.description.id];
            const auto [at, is_new] = seen.try_emplace(shard.applied,
                                                       Seen{.digest = shard.state.digest,
                                                            .revision = shard.state.revision,
                                                            .node = member->name});
            if (!is_new && at->second.node != member->name) {
                ++compared_count_;
            }
            if (at->second.digest != shard.state.digest ||
                at->second.revision != shard.state.revision) {
                return "shard " + std::to_string(shard.description.id.value()) + " at index " +
                       std::to_string(shard.applied.value()) + " is another on " + member->name +
                       " (revision " + std::to_string(shard.state.revision.value()) +
                       ") than it was on " + at->second.node + " (revision " +
                       std::to_string(at->second.revision.value()) + ")";
            }
            if (seen.size() > kSeenMax) {
                seen.erase(seen.begin());
            }
        }
    }
    return {};
}

std::string ReplicaWatch::find_unsettled(Fleet& fleet) {
    std::map<ShardId, replication::ShardStatistics> led;
    for (const std::unique_ptr<Member>& member : fleet.members()) {
        if (!member->is_up()) {
            return member->name + " is not up";
        }
        for (replication::ShardStatistics& shard : member->node->kv().host().statistics()) {
            if (shard.leader == member->node->kv().self()) {
                led.insert_or_assign(shard.description.id, std::move(shard));
            }
        }
    }
    for (const std::unique_ptr<Member>& member : fleet.members()) {
        for (const replication::ShardStatistics& shard : member->node->kv().host().statistics()) {
            const std::string where =
                "shard " + std::to_string(shard.description.id.value()) + " on " + member->name;
            const auto leader = led.find(shard.description.id);
            if (leader == led.end()) {
                return where + " has no leader";
            }
            if (!lists(leader->second.voters, member->node->kv().self()) &&
                !lists(leader->second.learners, member->node->kv().self())) {
                return where + " is none that its leader counts";
            }
            if (shard.applied != leader->second.applied) {
                return where + " is at index " + std::to_string(shard.applied.value()) +
                       ", and its leader at " + std::to_string(leader->second.applied.value());
            }
        }
    }
    return {};
}

std::string ReplicaWatch::verify(Fleet& fleet) {
    for (const std::unique_ptr<Member>& member : fleet.members()) {
        if (!member->is_up()) {
            continue;
        }
        replication::Host& host = member->node->kv().host();
        for (const replication::ShardDescription& shard : host.shards()) {
            replication::Group* const group = host.find_group(shard.id);
            if (group == nullptr || !group->health().ok()) {
                continue;
            }
            const auto view = group->shard().engine().view();
            const Status checked = mvcc::Shard::verify(view.get());
            if (!checked.ok()) {
                return "shard " + std::to_string(shard.id.value()) + " on " + member->name + ": " +
                       checked.to_string();
            }
        }
    }
    return {};
}

}  // namespace kvstore::simulation::internal
