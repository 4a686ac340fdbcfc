// Making connections: the handshake, as both ends judge it.
#pragma once

#include <memory>

#include "async/deadline.h"
#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/network.h"
#include "rpc/internal/core.h"
#include "rpc/internal/link.h"
#include "wire/frame.h"
#include "wire/handshake.h"

namespace kvstore::rpc::internal {

// Whether this node talks to who says `hello`. `expected` is who should: 0 anybody.
// Errors: with words for the operator of either node; AdmitPeer's.
Status judge_hello(Core& core, const wire::Hello& hello, NodeId expected);

// Tells the other end why not, counts it, and ends the connection.
void refuse(Core& core, Link& link, const Status& why);

struct Destination {
    env::Address address;
    NodeId node;  // 0: whoever it is
    wire::ConnectionUse use = wire::ConnectionUse::kPeer;
};

// Connects, and shakes hands within connect_timeout.
//
// Returns: an open link without a user. Whoever gets it closes it.
// Errors:  kUnavailable, kDeadlineExceeded, or why one of the two refused; all with effect none.
async::Task<Result<std::shared_ptr<Link>>> dial(Core* core,
                                                Destination to,
                                                async::Deadline deadline);

}  // namespace kvstore::rpc::internal
