// Compares what the replicas of a shard hold: at equal applied indexes they have equal digests.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/id.h"
#include "simulation/internal/fleet.h"

namespace kvstore::simulation::internal {

// Lifetime  Of one run.
class ReplicaWatch {
public:
    // Looks at every replica as it stands between two turns. Returns: what differs; empty: nothing.
    std::string look(Fleet& fleet);
    // Whether every replica that a node has is one that its shard's leader counts, and has the same
    // applied index as that.
    // Returns: one that is not so, for people; empty: there is none.
    [[nodiscard]] static std::string find_unsettled(Fleet& fleet);
    // What a node's engines hold passes their own check.
    static std::string verify(Fleet& fleet);

    [[nodiscard]] std::uint64_t compared_count() const { return compared_count_; }

private:
    struct Seen {
        std::uint64_t digest = 0;
        Revision revision;
        std::string node;
    };

    // Of each shard, by applied index; the oldest leave first.
    std::map<ShardId, std::map<Index, Seen>> seen_;
    std::uint64_t compared_count_ = 0;
};

}  // namespace kvstore::simulation::internal
