// What operators ask of a cluster: who belongs, who is to be emptied or may be cut off, where a
// shard is held and led.
//
// What is asked is written into the records, as what is wanted (NodeRecord::state,
// ShardRecord::preferred_leader and wanted), on the condition that what was judged still stands.
// The control loop (controller.h) carries it out. So whoever crashes in the middle, nothing of it
// is lost; and every call may be repeated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/callback.h"
#include "base/id.h"
#include "base/status.h"
#include "base/time.h"
#include "cluster/gossip.h"
#include "cluster/members.h"
#include "cluster/metadata_store.h"
#include "cluster/placement.h"
#include "cluster/records.h"
#include "env/env.h"

namespace kvstore::cluster {

struct MemberInfo {
    NodeRecord record;
    Liveness liveness = Liveness::kAlive;
    std::size_t replicas = 0;  // voters and learners that the records list
    std::size_t leaders = 0;
    std::size_t damaged = 0;  // replicas that take no part, and what is left of such
    DiskState disk = DiskState::kFine;
};

struct ShardInfo {
    ShardRecord record;
    NodeId leader;  // 0: nobody is known
};

struct NewMember {
    NodeRecord record;
    std::vector<std::string> join;  // the addresses of members that can take it in
};

// How far the cluster has come with what was asked.
struct Progress {
    NodeId node;                    // whom it is about, also where its name is another's by now
    std::vector<std::string> left;  // for people; empty: done

    [[nodiscard]] bool is_done() const { return left.empty(); }
};

enum class MemberRole : std::uint8_t {
    kFull,
    kLearner,  // takes part without replicas until it is promoted
};

enum class MemberChange : std::uint8_t {
    kDrain,         // leads nothing; done when others lead what it led
    kUndrain,       // back from that
    kDecommission,  // gives everything away; done when it is removed
    kRecommission,  // back from that, while it has not ended
    kPromote,       // a learner may be given replicas
    kRemove,        // a node that is dead for good; done when no shard counts on it
};
inline constexpr MemberChange kMemberChanges[] = {MemberChange::kDrain,
                                                  MemberChange::kUndrain,
                                                  MemberChange::kDecommission,
                                                  MemberChange::kRecommission,
                                                  MemberChange::kPromote,
                                                  MemberChange::kRemove};
// "drain", "decommission", ...
[[nodiscard]] std::string_view member_change_name(MemberChange change);

// Nodes are named by their names or their numbers; a name goes first.
//
// Calls that change something write what is wanted and then wait up to `wait` until it is so; what
// is left when that is over goes on by itself.
//
// Errors of all: kUnavailable, kDeadlineExceeded: the system shard cannot be reached; of a change
// with the effect. kCorruption.
//
// Runs on  One core.
class Administration {
public:
    virtual ~Administration() = default;

    // Those who have not left, by number.
    virtual async::Task<Result<std::vector<MemberInfo>>> members() = 0;
    // By keyspace, and then in the order of their keys.
    virtual async::Task<Result<std::vector<ShardInfo>>> shards() = 0;

    // Keeps `name` for a node that is to join.
    // Errors: kInvalidArgument: no name that a node can have; kAlreadyExists: a member has it, or
    //         it is kept for another role.
    virtual async::Task<Result<NewMember>> add_member(std::string name, MemberRole role) = 0;
    // Errors: kNotFound: there is no such node; kConflict: it is not in a state for that, or the
    //         data would lose a majority, a leader or their replicas; says which and why.
    virtual async::Task<Result<Progress>> change_member(std::string node,
                                                        MemberChange change,
                                                        Duration wait) = 0;

    // Has `node` lead the shard whenever it can; nullopt: whoever balances best.
    // Errors: kNotFound; kConflict: the node has no replica that votes, or may not lead now.
    virtual async::Task<Result<Progress>> move_leader(ShardId shard,
                                                      std::optional<std::string> node,
                                                      Duration wait) = 0;
    struct Move {
        std::string from;
        std::string to;
    };
    // Has the replica on `from` go to `to`, and keeps the shard's replicas where they then are;
    // nullopt: places them by the rules of placement again.
    // Errors: kNotFound; kConflict: `from` has none, `to` has one or may be given none now.
    virtual async::Task<Result<Progress>> move_shard(ShardId shard,
                                                     std::optional<Move> move,
                                                     Duration wait) = 0;
};

// On a node of a cluster.
//
// Lifetime  Owned by the node; the parts outlive it. Calls end before destruction.
class ClusterAdministration final : public Administration {
public:
    struct Parts {
        env::Env& env;
        MetadataStore& store;
        Members& members;
        const Gossip& gossip;
        NodeId self;
        // As ControllerOptions::factor_of.
        Callback<std::uint32_t(std::string_view keyspace, const SystemRows& rows)> factor_of;
    };
    explicit ClusterAdministration(Parts parts) : parts_(std::move(parts)) {}

    // From now on nothing is waited for: the node is about to stop.
    void stop_waiting() { is_waiting_ = false; }

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
    class Request;

    Parts parts_;
    bool is_waiting_ = true;
};

}  // namespace kvstore::cluster
