// Who leads a shard, as this node believes: by its own replica, and by asking the nodes that have
// others.
//
// A belief may be old, and is nothing more than where to try: the leader decides by its term.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/id.h"
#include "base/time.h"
#include "env/env.h"
#include "replication/strong/forward_codec.h"
#include "replication/strong/raft_group.h"
#include "rpc/transport.h"

namespace kvstore::replication {

// What the ways to all shards of a core share.
struct RouteShared {
    env::Env& env;
    rpc::Transport* transport = nullptr;  // null: there are no other nodes
    NodeId self{1};
    Callback<std::vector<NodeId>(ShardId)> locate{};
    std::size_t bytes = 0;  // of what is on its way to other nodes, or waits for it
    std::size_t bytes_max = 0;

    // The other nodes with a replica.
    [[nodiscard]] std::vector<NodeId> others(ShardId shard);
};

struct KnownLeader {
    NodeId node;  // never 0
    Term term;
    friend bool operator==(const KnownLeader&, const KnownLeader&) = default;
};

// Lifetime  Owned by the shard's route. `shared` outlives it.
// Runs on   One core.
class LeaderFinder {
public:
    // `on_news` is called when another leader may be known than before, never from inside find().
    LeaderFinder(RouteShared& shared, ShardId shard, Callback<void()> on_news);
    LeaderFinder(const LeaderFinder&) = delete;
    LeaderFinder& operator=(const LeaderFinder&) = delete;
    ~LeaderFinder();

    void set_replica(const RaftGroup* replica) { replica_ = replica; }

    // Nullopt: none is known, or the replica here leads and does not take proposals just now. This
    // node only while its replica leads.
    [[nodiscard]] std::optional<KnownLeader> find() const;
    // It does not lead in that term, or not any more.
    void note_refused(const KnownLeader& leader);
    // It could not be reached, or gave no answer.
    void note_lost(const KnownLeader& leader);
    // Asks the nodes with replicas, but not more often than is good for them.
    void look_up();

private:
    class Question;

    // How long a node is waited for, and how often all are asked.
    static constexpr Duration kPatience = std::chrono::seconds(1);
    static constexpr Duration kInterval = std::chrono::milliseconds(200);

    // Whether the replica here is one that votes, as far as is known.
    [[nodiscard]] bool is_member() const;
    void on_told(const LeaderAnswer& answer);

    RouteShared& shared_;
    ShardId shard_;
    Callback<void()> on_news_;
    const RaftGroup* replica_ = nullptr;
    LeaderAnswer told_{};  // by others; leader 0: nothing that still holds
    Term refused_term_;    // leaders of terms up to this one are none any more
    MonotonicTime next_look_up_{};
    std::shared_ptr<LeaderFinder*> alive_;  // for questions under way
};

}  // namespace kvstore::replication
