// Who is taken into the cluster, and who may come back: the rules of members.h on the records, as
// any member carries them out through its MetadataStore.
//
// Every decision is made on rows that were read together, and is written on the condition that what
// it rests on still stands. Two members that take in two nodes at once both need the next id from
// the one ClusterRecord; one of them loses, reads again, and decides anew.
#pragma once

#include <vector>

#include "async/deadline.h"
#include "async/task.h"
#include "base/callback.h"
#include "base/id.h"
#include "base/status.h"
#include "cluster/members.h"
#include "cluster/metadata_store.h"

namespace kvstore::cluster::internal {

// Either the node is known already, or what makes it known.
struct Admission {
    NodeId id;
    std::vector<MetadataChange> changes;
};

// Errors: kUnavailable: the cluster is being formed. kInvalidArgument: no facts of a node.
//         kConflict: the name is of a live member with another store; the store is, or was, that of
//         another node.
Result<Admission> judge_newcomer(const ClusterView& view,
                                 const NodeFacts& facts,
                                 Callback<Liveness(NodeId)>& liveness);
// Errors: kNotFound: nobody has had this id. kConflict: whoever had it was removed or replaced, or
//         had another store. kInvalidArgument: no facts of a node.
Result<Admission> judge_announcement(const ClusterView& view, NodeId id, const NodeFacts& facts);

// The record with what the node tells of itself.
[[nodiscard]] NodeRecord updated(NodeRecord record, const NodeFacts& facts);

// Errors: of judge_newcomer() and of the store, with the effect. Asking again is safe after any.
async::Task<Result<Joined>> admit_newcomer(MetadataStore* store,
                                           NodeFacts facts,
                                           Callback<Liveness(NodeId)>* liveness,
                                           async::Deadline deadline);
// Errors: of judge_announcement() and of the store.
async::Task<Status> admit_announcement(MetadataStore* store,
                                       NodeId id,
                                       NodeFacts facts,
                                       async::Deadline deadline);

}  // namespace kvstore::cluster::internal
