// The writing end of a stream.
#pragma once

#include <memory>

#include "async/deadline.h"
#include "async/task.h"
#include "base/bytes.h"
#include "env/network.h"
#include "rpc/internal/core.h"
#include "rpc/transport.h"

namespace kvstore::rpc::internal {

// As Transport::open_stream().
async::Task<Result<std::unique_ptr<OutgoingStream>>> open_stream(Core* core,
                                                                 NodeId peer,
                                                                 env::Address address,
                                                                 Topic topic,
                                                                 Bytes header,
                                                                 async::Deadline deadline);

}  // namespace kvstore::rpc::internal
