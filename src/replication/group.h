// A replicated shard as everything above sees it: propose a command, learn its outcome when it has
// been applied; make sure a read is not stale.
//
// What a host hands out (strong/routed_group.h) reaches the shard from wherever it is asked: the
// replica on this node where there is one, and the nodes that have others.
#pragma once

#include <cstdint>

#include "async/deadline.h"
#include "async/sync.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "base/time.h"
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

enum class AskWhom : std::uint8_t { kLeader = 1, kAnyReplica = 2 };

// Lifetime  Owned by the host of its core.
// Runs on   One core.
class Group {
public:
    virtual ~Group() = default;

    // Whether this node has a replica of the shard. May change across any suspension.
    [[nodiscard]] virtual bool has_replica() const = 0;

    // Proposes a command that the group stamps itself. Bytes are copied before the call returns.
    // Commands of one core are applied in the order in which they were proposed.
    //
    // Outcome: through `proposal`, after the command is as durable as the node's durability says
    //          and has been applied.
    // Errors:  kOverloaded, kDiskFull, kTooLarge, kUnavailable, kNotLeader, kCorruption
    //          (quarantined): refused, effect none, and `proposal` is not called.
    virtual Status propose(const mvcc::Operation& operation, Proposal* proposal) = 0;
    virtual Status propose(const mvcc::Command& command, Proposal* proposal) = 0;

    // Hands opaque bytes to the node that leads the shard, or to one that has a replica of it, and
    // returns what it answers (Host::set_ask_server()). Never to this node itself. For questions
    // without an effect: it is asked again, here or elsewhere, until the deadline, or for a few
    // seconds when that is further away.
    //
    // Suspends: until the answer is there.
    // Errors:   all with effect none. kUnavailable: nobody could be reached, or this node leads
    //           itself; kDeadlineExceeded; kOverloaded; what the other node answered.
    virtual async::Task<Result<Bytes>> ask(Bytes request,
                                           AskWhom whom,
                                           async::Deadline deadline) = 0;

    // True when a linearizable read may be served from shard() now. While false, await
    // read_barrier(). False without a replica here.
    [[nodiscard]] virtual bool can_read_now() const = 0;
    // Errors: kUnavailable (also: no replica here), kDeadlineExceeded, kCorruption (quarantined).
    virtual async::Task<Status> read_barrier(async::Deadline deadline) = 0;

    // How old at most what shard() shows may be: everything that was acknowledged so long ago is in
    // it. Zero while can_read_now(); Duration::max() when nothing is known.
    [[nodiscard]] virtual Duration staleness() const = 0;

    // Waits until shard() shows `revision`, or a later one.
    // Errors: kUnavailable (not applied within the group's patience, stopping), kDeadlineExceeded,
    //         kOverloaded, kFutureRevision (the shard has no such revision anywhere), kCorruption
    //         (quarantined).
    virtual async::Task<Status> wait_applied(Revision revision, async::Deadline deadline) = 0;

    // The replica on this node. Reads of it without a barrier are `eventual`.
    // Requires: has_replica().
    [[nodiscard]] virtual mvcc::Shard& shard() = 0;

    // Entered by whoever uses the shard across a suspension; while somebody is inside, the shard
    // does not go away. Keep the reference until leave(): another replica has another gate. Without
    // a replica it is closed.
    [[nodiscard]] virtual async::Gate& gate() = 0;

    // A read of the replica here found it damaged. Where others have what it had, it shows nothing
    // from now on.
    virtual void note_damage(const Status& /*why*/) {}

    // Why the replica here takes no part any more; ok while it does, and without one.
    [[nodiscard]] virtual const Status& health() const = 0;
    // Whether what shard() shows may be shown, as old as it may be: also while a replica takes no
    // part for reasons of its log alone.
    [[nodiscard]] virtual bool has_sound_state() const { return health().ok(); }
};

}  // namespace kvstore::replication
