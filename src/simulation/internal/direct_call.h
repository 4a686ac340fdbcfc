// An operation through the `kv` of a node, in its own process: as a front end would.
#pragma once

#include <memory>

#include "async/task.h"
#include "kv/kv.h"
#include "simulation/internal/attempt.h"

namespace kvstore::simulation::internal {

async::Task<void> call_directly(kv::Kv* kv, std::shared_ptr<Attempt> attempt);
async::Task<void> call_directly(kv::Kv* kv, std::shared_ptr<WideAttempt> attempt);

}  // namespace kvstore::simulation::internal
