// What operators ask of a cluster while it runs, over HTTP as they do: nodes drained and emptied,
// leaders and replicas moved; and how it is all taken back in the end.
#pragma once

#include <memory>
#include <string>

#include "async/task.h"
#include "base/random.h"
#include "cluster/directory.h"
#include "sim/world.h"
#include "simulation/internal/fleet.h"

namespace kvstore::simulation::internal {

// Lifetime  Of one run; ends before its world.
// Runs on   Outside all hosts; its requests come from a machine of its own.
class Operators {
public:
    Operators(sim::World& world, Fleet& fleet, Random& random);
    Operators(const Operators&) = delete;
    Operators& operator=(const Operators&) = delete;

    // Each false when there is nobody to ask. What was asked may be refused.
    bool drain(Member& member);
    // When it has given everything away it is begun anew, with an empty disk.
    bool decommission(Member& member);
    bool move_leader();
    bool move_shard();
    // Whatever it was sent away for: asked for again and again until it is so.
    static void take_back(Member& member) { member.is_wanted_back = true; }

private:
    bool send_away(Member& member, const char* how);
    bool post(const std::string& target, std::string body);
    async::Task<void> request(std::string node, std::string target, std::string body);
    void look_after(Member& member);
    // The newest that any node but this one knows; null: none is up.
    [[nodiscard]] std::shared_ptr<const cluster::ClusterView> view(const Member* but) const;
    [[nodiscard]] Member* choose_up();
    // Any that is known of; null: none is.
    [[nodiscard]] const cluster::ShardRecord* choose_shard(const cluster::ClusterView* known);

    sim::World& world_;
    Fleet& fleet_;
    Random& random_;
    sim::Host& desk_;
};

}  // namespace kvstore::simulation::internal
