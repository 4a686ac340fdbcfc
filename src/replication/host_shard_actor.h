// cluster::ShardActor over the replication host of this node.
#pragma once

#include <vector>

#include "cluster/shard_actor.h"
#include "replication/host.h"

namespace kvstore::replication {

// Lifetime  Outlived by the host.
// Runs on   One core.
class HostShardActor final : public cluster::ShardActor {
public:
    explicit HostShardActor(Host& host) : host_(host) {}

    [[nodiscard]] std::vector<cluster::LedShard> led_shards() const override;
    [[nodiscard]] std::vector<ShardId> damaged_shards() const override;
    [[nodiscard]] cluster::DiskState disk() const override;
    async::Task<Status> act(cluster::ActionKind kind,
                            ShardId shard,
                            NodeId node,
                            async::Deadline deadline) override;

private:
    Host& host_;
};

}  // namespace kvstore::replication
