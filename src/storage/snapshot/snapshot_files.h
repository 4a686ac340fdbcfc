// How snapshot files are named and which of a folder are kept.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"

namespace kvstore::storage {

// A second one stands by in case the newest is damaged; whoever repairs a shard may want it.
inline constexpr std::size_t kSnapshotKeepCount = 2;

// "snapshot-" and twenty digits; unfinished ones have ".new" behind it.
[[nodiscard]] std::string snapshot_name(Index applied);
[[nodiscard]] std::optional<Index> find_snapshot_index(std::string_view file_name) noexcept;

// The finished snapshots of a folder, oldest first; none when there is no such folder.
async::Task<Result<std::vector<Index>>> list_snapshots(env::Env* env, std::string directory);

// Removes unfinished ones.
async::Task<Status> remove_unfinished(env::Env* env, std::string directory);
// Removes all but the newest kSnapshotKeepCount.
async::Task<Status> remove_old_snapshots(env::Env* env, std::string directory);

}  // namespace kvstore::storage
