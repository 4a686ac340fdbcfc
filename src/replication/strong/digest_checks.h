// Compares the digests of a shard's replicas, now and then, where the shard is led: a replica that
// has become another one than the rest, by whatever fault, is found and fences itself.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "async/task.h"
#include "base/bytes.h"
#include "base/callback.h"
#include "base/id.h"
#include "env/env.h"
#include "metrics/registry.h"
#include "replication/strong/digest_trail.h"
#include "replication/strong/raft_group.h"
#include "rpc/transport.h"

namespace kvstore::replication {

// Lifetime  Owned by the host, which `find` asks for replicas. No check() is under way at its end.
// Runs on   One core.
class DigestChecks {
public:
    using Find = Callback<RaftGroup*(ShardId)>;  // null: there is no replica here

    // `registry` may be null.
    DigestChecks(env::Env& env,
                 rpc::Transport& transport,
                 NodeId self,
                 metrics::Registry* registry,
                 Find find);

    // Where this node leads the shard and it has changed since: asks the others, and tells who
    // differs from a majority. If that is this node itself, it hands its leadership over and
    // quarantines its replica. Without a majority that agrees nobody is believed: it is reported.
    //
    // Suspends: until all have answered, or had their time.
    async::Task<void> check(ShardId shard);

private:
    static constexpr Duration kPatience = std::chrono::milliseconds(500);
    static constexpr Duration kHandOverPatience = std::chrono::seconds(1);

    [[nodiscard]] RaftGroup* find_led(ShardId shard);
    async::Task<void> ask(ShardId shard, NodeId node, std::vector<DigestReport>* reports);
    async::Task<void> act_on(ShardId shard, DigestVerdict verdict);
    async::Task<void> tell(ShardId shard, NodeId node, DigestPoint right);
    async::Task<void> leave(ShardId shard, DigestVerdict verdict);
    [[nodiscard]] async::Deadline patience() const;

    env::Env& env_;
    rpc::Transport& transport_;
    NodeId self_;
    Find find_;
    std::map<ShardId, Index> checked_;
    metrics::Counter* checks_ = nullptr;  // null: not counted
    metrics::Counter* mismatches_ = nullptr;
};

// The answer to a leader that asks.
[[nodiscard]] Bytes serve_digests(const RaftGroup& group);
// A leader says what a majority holds (one point): a replica that holds something else there
// quarantines itself. Errors: kCorruption: unreadable.
Status serve_divergence(RaftGroup& group, NodeId from, ByteView point);

}  // namespace kvstore::replication
