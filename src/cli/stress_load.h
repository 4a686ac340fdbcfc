// The two ways in which a stress test's operations travel.
#pragma once

#include "async/task.h"
#include "base/status.h"
#include "cli/stress.h"
#include "env/env.h"
#include "kv/kv.h"

namespace kvstore::cli {

// Plain calls into a store of this process.
async::Task<Status> load_embedded(env::Env* env, kv::Kv* kv, StressRun* run);
// Writes every key once.
async::Task<Status> fill_embedded(env::Env* env, kv::Kv* kv, const StressRun* run);

// RESP over the network: each client a connection with `pipeline` commands on their way.
// Errors: kUnavailable: no server there.
async::Task<Status> load_resp(env::Env* env, env::Address server, StressRun* run);
async::Task<Status> fill_resp(env::Env* env, env::Address server, const StressRun* run);

// How many bytes the first RESP reply in `input` takes; 0: it is not complete yet, or is no
// string, number or error.
[[nodiscard]] std::size_t reply_size(ByteView input);

}  // namespace kvstore::cli
