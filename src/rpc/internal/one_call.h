// A call to whoever listens at an address, on a connection that ends with the answer.
#pragma once

#include "async/deadline.h"
#include "async/task.h"
#include "base/bytes.h"
#include "env/network.h"
#include "rpc/internal/core.h"
#include "rpc/transport.h"

namespace kvstore::rpc::internal {

// As Transport::call_address().
async::Task<Result<Received>> call_address(
    Core* core, env::Address address, Topic topic, Bytes request, async::Deadline deadline);

}  // namespace kvstore::rpc::internal
