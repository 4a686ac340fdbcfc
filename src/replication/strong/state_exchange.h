// Sends shards' states to peers that are too far behind for the log, and puts those that arrive in
// the place of this node's.
//
// Folders, below the shard's:
//
//     engine/     the replica's state
//     incoming/   a state that is being received; rubbish after a crash
//     received/   one that is complete and not in its place yet
//     replaced/   the one whose place was taken; rubbish
//
// A crash between the renames leaves received/ without engine/, which the next start finishes.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "async/sync.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "replication/host.h"
#include "replication/strong/raft_group.h"
#include "replication/strong/state_transfer.h"
#include "rpc/transport.h"

namespace kvstore::replication {

// The host, as the exchange sees it.
class StateOwner {
public:
    // Null when there is none.
    virtual RaftGroup* find_replica(ShardId shard, ShardDescription* description) = 0;
    virtual async::Task<Result<std::unique_ptr<storage::Engine>>> open_engine(
        ShardDescription description, std::string folder) = 0;

protected:
    ~StateOwner() = default;
};

// Lifetime  Owned by the host. stop() before destruction.
// Runs on   One core.
class StateExchange {
public:
    StateExchange(env::Env& env, StateOwner& owner, rpc::Transport& transport, NodeId self);

    // Streams the shard's state, and tells the group how it went.
    void send(ShardId shard, NodeId to);
    // Receives a state and installs it. Returns: an empty answer.
    // Errors: for the sender: kNotFound (this node has no replica of the shard), kUnavailable
    // (another is under way, or stopping), kConflict (not
    //         wanted), and those of storing it.
    async::Task<Result<Bytes>> receive(NodeId from,
                                       Bytes header,
                                       std::unique_ptr<rpc::IncomingStream> stream);

    async::Task<void> stop();

private:
    // At a time, so that many new replicas do not take the node's disk and links for themselves.
    static constexpr std::size_t kStreamsMax = 2;

    async::Task<void> send_and_report(ShardId shard, NodeId to);
    async::Task<Status> send_state_of(ShardId shard, NodeId to);
    async::Task<Status> receive_and_install(NodeId from,
                                            Bytes header,
                                            std::unique_ptr<rpc::IncomingStream> stream);
    async::Task<Result<GroupMeta>> store(TransferHeader header, rpc::IncomingStream* stream);
    async::Task<Status> install(TransferHeader header, GroupMeta meta);

    env::Env& env_;
    StateOwner& owner_;
    rpc::Transport& transport_;
    NodeId self_;
    std::set<std::pair<ShardId, NodeId>> sending_;
    std::set<ShardId> receiving_;
    async::Semaphore slots_;
    async::Gate gate_;
};

// Finishes or undoes what a crash left of an installation. Errors: kIoError.
async::Task<Status> settle_received_state(env::Disk* disk, ShardId shard);

}  // namespace kvstore::replication
