// A replicated shard as everything above sees it: propose a command, learn its outcome when it has
// been applied; make sure a read is not stale.
//
// A Raft group of one or several members stands behind it (strong/raft_group.h).
#pragma once

#include "async/deadline.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "mvcc/command.h"
#include "mvcc/shard.h"

namespace kvstore::replication {

// One proposed command on its way, and where its outcome is told.
//
// Lifetime  Owned by the proposer, and must live until exactly one of on_command() and on_failed()
//           has been called. Both may come from inside propose().
// Runs on   The core of the group.
class Proposal : public mvcc::ApplySink {
public:
    // The command was not applied as far as is known: see the effect of `why`. With kUnknown it may
    // yet be applied; on_operation() may then have been called for some operations.
    virtual void on_failed(const Status& why) = 0;

protected:
    ~Proposal() = default;
};

// Lifetime  Owned by the host of its core.
// Runs on   One core.
class Group {
public:
    virtual ~Group() = default;

    // Proposes a command that the group stamps itself. Bytes are copied before the call returns.
    // Commands of one core are applied in the order in which they were proposed.
    //
    // Outcome: through `proposal`, after the command is as durable as the node's durability says
    //          and has been applied.
    // Errors:  kOverloaded, kDiskFull, kTooLarge, kUnavailable, kNotLeader, kCorruption
    //          (quarantined): refused, effect none, and `proposal` is not called.
    virtual Status propose(const mvcc::Operation& operation, Proposal* proposal) = 0;
    virtual Status propose(const mvcc::Command& command, Proposal* proposal) = 0;

    // True when a linearizable read may be served from shard() now. While false, await
    // read_barrier().
    [[nodiscard]] virtual bool can_read_now() const = 0;
    // Errors: kUnavailable, kDeadlineExceeded, kCorruption (quarantined).
    virtual async::Task<Status> read_barrier(async::Deadline deadline) = 0;

    // The replica on this node. Reads of it without a barrier are `eventual`.
    [[nodiscard]] virtual mvcc::Shard& shard() = 0;

    // Entered by whoever uses the shard across a suspension; while somebody is inside, the shard
    // does not go away.
    [[nodiscard]] virtual async::Gate& gate() = 0;

    // Why this replica takes no part any more; ok while it does.
    [[nodiscard]] virtual const Status& health() const = 0;
};

}  // namespace kvstore::replication
