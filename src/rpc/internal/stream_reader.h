// The reading end of a stream, and the service that reads it.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/id.h"
#include "rpc/internal/core.h"
#include "rpc/internal/link.h"
#include "rpc/transport.h"

namespace kvstore::rpc::internal {

// Takes over a connection on which a stream has begun: runs the service over it, answers with what
// it returns, and sees the connection to its end.
void serve_stream(
    Core& core, std::shared_ptr<Link> link, Service* service, NodeId from, Bytes header);

}  // namespace kvstore::rpc::internal
