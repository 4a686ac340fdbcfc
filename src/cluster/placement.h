// Where replicas and leaders should be, and the next steps that lead there.
//
// A pure function from what is known (nodes, liveness, shards) to a list of actions. It keeps no
// plan: the control loop reads, plans, carries out one or some of the actions in their order, reads
// again and plans again; so a plan is never older than what it was made of, and a control loop that
// starts anew on another node goes on where the last one was. What is half done shows in the shards
// themselves (a learner, a voter too many), and the planner finishes or undoes it.
//
// For each shard the planner has a target: the nodes that should hold it. It keeps who may stay,
// fills up with who is free, and then takes the first step from the voters and learners of now to
// the target that the rules allow:
//
//   - learner first: a node gets a vote when its copy has caught up, and a voter goes only when
//     those who stay are enough;
//   - no step leaves fewer live voters than a majority of the voters after it, or changes a shard
//     that has no live majority or no leader now;
//   - a leader is transferred before its replica goes;
//   - a voter whose replica is damaged does not count, and goes as soon as those who stay have a
//   live
//     majority: it takes no part, so the group bears no more without it than with it;
//   - one action a shard a plan; and none for a shard with a change under way.
//
// How many replicas: the largest odd number that is neither above the factor nor above the number
// of nodes. Nodes count as long as they have not left, dead or alive: a death is no reason to have
// fewer replicas.
//
// Which nodes: those that an operator wants, as long as each may hold the shard and they are as
// many as they should be; nothing else moves such a shard. Of the others, in this order: those who
// have a replica already (movement is dear), zones that have none yet, those with the fewest
// replicas, the lowest id. Then one replica at a time moves where that gives a shard one more zone,
// and from the fullest node to the emptiest while they differ by two or more and no shard loses a
// zone. Leaders are balanced along paths of transfers: A may give one to B, which gives one of its
// own to C.
//
// Every choice is made by rules with the id as the last; the same input gives the same plan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/status.h"
#include "base/time.h"
#include "cluster/records.h"

namespace kvstore::cluster {

enum class Liveness : std::uint8_t {
    kAlive,
    kSuspected,  // not counted on, and not given up
    kDead,
};

// What a node says of the disk with its log and its replicas.
enum class DiskState : std::uint8_t {
    kFine = 0,
    kFull = 1,    // it has no room for writes
    kSlow = 2,    // a leader there gave its place away for that
    kFailed = 3,  // a write has failed, and the node has to be started anew
};
// "ok", "full", ...
[[nodiscard]] std::string_view disk_state_name(DiskState state);

struct PlacementNode {
    NodeId id;
    NodeState state = NodeState::kActive;
    Liveness liveness = Liveness::kAlive;
    MonotonicTime dead_since;  // while kDead
    std::string zone;          // who has none told is in one zone with its likes
    bool is_learner = false;   // does not count, and is given nothing
    // While it is not fine the node leads nothing that others can lead, and is given nothing. It
    // keeps the replicas that it has.
    DiskState disk = DiskState::kFine;
};

struct PlacementShard {
    ShardId id;
    ShardEpoch epoch;
    // Of its keyspace, or kSystemReplicationFactor.
    std::uint32_t replication_factor = 3;
    std::vector<NodeId> voters;
    std::vector<NodeId> learners;
    std::vector<NodeId> caught_up;  // those learners that could vote now
    // Nodes that have a damaged replica of it, or what is left of one, members or not. They are
    // given no other before they have put it away.
    std::vector<NodeId> damaged;
    NodeId leader;               // 0: none is known
    NodeId preferred_leader;     // 0: whoever balances best
    std::vector<NodeId> wanted;  // as ShardRecord
    // A change of its members, or a transfer, is under way.
    bool is_changing = false;
};

inline constexpr std::uint32_t kSystemReplicationFactor = 5;

struct PlacementOptions {
    Duration replace_after = std::chrono::minutes(5);
    // Replicas that are being filled at a time, in the cluster. Balancing takes no more than half
    // of them, so that repairs never wait behind it.
    std::size_t filling_max = 8;
    // Of one plan, to balance leaders.
    std::size_t balancing_transfers_max = 16;
};

struct PlacementInput {
    MonotonicTime now;
    std::vector<PlacementNode> nodes;  // each once, in any order, also those that have left
    std::vector<PlacementShard> shards;
};

enum class ActionKind : std::uint8_t {
    kTransferLeader,  // from `from` to `node`
    kPromoteLearner,
    kRemoveVoter,
    kRemoveLearner,
    kAddLearner,
};

struct Action {
    ActionKind kind = ActionKind::kAddLearner;
    ShardId shard;
    ShardEpoch epoch;  // on which it was planned; another one makes it void
    NodeId node;
    NodeId from;              // of a transfer
    std::string_view reason;  // for logs and people

    friend bool operator==(const Action&, const Action&) = default;
};
// "shard 17: add learner on node 4 (a node has been dead too long)"
[[nodiscard]] std::string to_string(const Action& action);

// What should be done and cannot be.
struct Obstacle {
    ShardId shard;
    NodeId node;  // 0: it is about the shard
    std::string reason;
};

inline constexpr std::size_t kObstaclesMax = 100;

struct Plan {
    std::vector<Action> actions;      // the most urgent first
    std::vector<Obstacle> obstacles;  // at most kObstaclesMax
};

// Returns: an empty list of actions when all is well, when nothing can be done, while learners are
//          being filled, or while nodes put damaged replicas away.
[[nodiscard]] Plan plan_placement(const PlacementInput& input, const PlacementOptions& options);

// How many replicas a shard has on a cluster of `nodes`: the largest odd number up to both; 1 at
// least.
[[nodiscard]] std::uint32_t effective_factor(std::uint32_t factor, std::size_t nodes);

// Whether a node may be cut off for good without giving its replicas away first.
// Errors: kConflict: a shard would be left without a live majority, or the cluster without a node;
//         says which. kNotFound: there is no such member.
Status check_removal(const PlacementInput& input, NodeId node);

}  // namespace kvstore::cluster
