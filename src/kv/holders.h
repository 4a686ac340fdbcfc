// Who holds what a shard has applied: what Kv::count_holders() asks, and what it is told.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/id.h"
#include "base/time.h"

namespace kvstore::kv {

struct HoldersQuestion {
    Index index;               // 0: everything that the leader has applied when it is asked
    std::uint64_t wanted = 0;  // it waits for so many members,
    Duration wait{};           // for so long; at most kHoldersWaitMax
};
inline constexpr Duration kHoldersWaitMax = std::chrono::seconds(1);

struct Holders {
    Index index;              // that the question was about
    std::uint64_t count = 0;  // of members besides the leader
};

}  // namespace kvstore::kv
