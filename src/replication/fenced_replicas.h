// The replicas of this node that take no part in their groups any more: found damaged, or gone.
//
// Why such a one may be made anew later, though nobody knows what it has voted for and what it has
// acknowledged:
//
//   - From the moment it is fenced it says nothing to its group: no vote, no acknowledgement, no
//     read. The mark in its folder is durable before anything is forgotten (its log is set aside,
//     or dropped), so no restart brings it back under the membership in which it had promised
//     things.
//   - Whatever the group commits from then on is on a majority of the others. That goes for its
//     removal too: behind that, whoever leads has every entry that was ever committed, also those
//     that needed this replica's acknowledgement. If too few of the others are left for that, there
//     is no majority, and nothing is removed, made up, or lost in silence.
//   - The records forget the replica only after the removal is committed, and the node puts away
//   what
//     is left only when the records, read linearizable, do not list it.
//   - The new replica is a learner, which begins with nothing and gives no vote before it has the
//     group's state (RaftGroup::step()). That state includes its own removal and return, so it
//     gives none to a candidate that lacks them: such a one can be of a term in which the old
//     replica had voted. And it counts for a majority only after it was promoted, by what it has
//     acknowledged since.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/disk.h"
#include "replication/host.h"

namespace kvstore::replication {

// Whether a failure says that what is on the disk cannot be trusted. What a newer program wrote is
// not damaged: somebody started the wrong one.
[[nodiscard]] bool is_damage(const Status& why);

// Lifetime  Owned by the host.
// Runs on   One core.
class FencedReplicas {
public:
    explicit FencedReplicas(env::Disk& disk) : disk_(disk) {}

    // One whose folder says already that it is damaged.
    void add_marked(DamagedReplica replica);
    // From the call on it is listed. Suspends: until the mark in its folder is durable.
    // Errors: kDiskFull, kIoError: it is fenced until the process ends.
    async::Task<Status> add(ShardId shard, Status why);
    // It was dropped.
    void remove(ShardId shard) { replicas_.erase(shard); }

    [[nodiscard]] bool contains(ShardId shard) const { return replicas_.contains(shard); }
    // By shard.
    [[nodiscard]] std::vector<DamagedReplica> list() const;

private:
    env::Disk& disk_;
    std::map<ShardId, Status> replicas_;
};

// Moves the log in `folder` to `folder`-damaged-<n>, for people; of those it keeps the newest two.
// Done where there is none. Requires: every replica that may have entries in it is marked.
// Errors: kIoError.
async::Task<Status> set_log_aside(env::Disk* disk, std::string folder);

}  // namespace kvstore::replication
