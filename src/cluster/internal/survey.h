// How the cluster is now: its records, who is alive as gossip has it, and what the leaders of the
// shards say of their groups. What the control loop plans from, and what operators' requests are
// judged by.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/deadline.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/callback.h"
#include "base/id.h"
#include "base/status.h"
#include "cluster/directory.h"
#include "cluster/gossip.h"
#include "cluster/members.h"
#include "cluster/metadata_store.h"
#include "cluster/placement.h"
#include "cluster/shard_actor.h"
#include "env/env.h"

namespace kvstore::cluster::internal {

// How many replicas a keyspace wants, by its own record among `rows`.
using FactorOf = Callback<std::uint32_t(std::string_view keyspace, const SystemRows& rows)>;

// Whom a survey asks, and where it stands itself. All of them outlive it.
struct SurveyParts {
    env::Env& env;
    MetadataStore& store;
    Members& members;
    const Gossip& gossip;
    NodeId self;
    FactorOf& factor_of;
};

// Lifetime  In the frame of who asks, once.
// Runs on   One core.
class Survey {
public:
    explicit Survey(SurveyParts parts) : parts_(parts), asking_(parts.env.scheduler) {}

    // Errors: kUnavailable, kDeadlineExceeded, kCorruption: the records cannot be read.
    async::Task<Status> read();
    // Asks everybody who is not dead what they lead and what is damaged, and believes the highest
    // term; who does not answer in a second is not waited for. Requires: read().
    async::Task<void> ask();

    // As the records and the leaders say; without a leader's word, as the record does.
    // Requires: ask().
    [[nodiscard]] PlacementShard shard_of(const ShardRecord& record);
    // Null: nobody says that he leads it.
    [[nodiscard]] const LedShard* find_group(ShardId shard) const;
    // 0: nobody is known.
    [[nodiscard]] NodeId leader_of(ShardId shard) const;

    [[nodiscard]] const std::shared_ptr<const ClusterView>& view() const { return view_; }
    [[nodiscard]] const std::vector<PlacementNode>& nodes() const { return nodes_; }

private:
    struct Led {
        NodeId leader;
        LedShard group;
    };

    async::Task<void> ask(NodeId node);
    [[nodiscard]] async::Deadline in(Duration span) const;

    SurveyParts parts_;
    std::shared_ptr<const ClusterView> view_;
    std::vector<PlacementNode> nodes_;  // in the order of their records
    std::map<ShardId, Led> led_;
    std::map<ShardId, std::vector<NodeId>> damaged_;
    std::map<std::string, std::uint32_t> factors_;  // by keyspace
    async::Gate asking_;
};

}  // namespace kvstore::cluster::internal
