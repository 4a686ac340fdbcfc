// The world of one core: four doors and the run queue. Everything above sees the world through
// this.
#pragma once

#include "async/scheduler.h"
#include "env/clock.h"
#include "env/disk.h"
#include "env/entropy.h"
#include "env/network.h"

namespace kvstore::env {

// Lifetime  Owned by the runtime (posix or sim); outlives everything built on it.
struct Env {
    async::Scheduler& scheduler;
    Clock& clock;
    Disk& disk;
    Network& network;
    Entropy& entropy;
};

}  // namespace kvstore::env
