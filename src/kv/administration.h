// What front ends administer a cluster by: cluster/administration.h, which they see under the name
// of kv alone; and what a node answers that is alone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/administration.h"
#include "kv/kv.h"

namespace kvstore::kv {

using cluster::Administration;
using cluster::kMemberChanges;
using cluster::MemberChange;
using cluster::MemberInfo;
using cluster::MemberRole;
using cluster::NewMember;
using cluster::Progress;
using cluster::ShardInfo;

// Of a node that is alone: one member, itself, which holds and leads everything, and which nothing
// can be taken from. What asks for that is done; the rest is refused with kConflict.
//
// Lifetime  Owned by the node; `kv` outlives it.
// Runs on   One core.
class AloneAdministration final : public Administration {
public:
    // `self` is what the node says of itself; its state is active.
    AloneAdministration(Kv& kv, cluster::NodeRecord self);

    async::Task<Result<std::vector<MemberInfo>>> members() override;
    async::Task<Result<std::vector<ShardInfo>>> shards() override;
    async::Task<Result<NewMember>> add_member(std::string name, MemberRole role) override;
    async::Task<Result<Progress>> change_member(std::string node,
                                                MemberChange change,
                                                Duration wait) override;
    async::Task<Result<Progress>> move_leader(ShardId shard,
                                              std::optional<std::string> node,
                                              Duration wait) override;
    async::Task<Result<Progress>> move_shard(ShardId shard,
                                             std::optional<Move> move,
                                             Duration wait) override;

private:
    Status check_self(std::string_view node) const;
    async::Task<Status> check_shard(ShardId shard);

    Kv& kv_;
    cluster::NodeRecord self_;
};

}  // namespace kvstore::kv
