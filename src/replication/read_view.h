// Reads over a view of a shard: at once where the view does not block, off the core where it does.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "async/sync.h"
#include "async/task.h"
#include "base/callback.h"
#include "base/status.h"
#include "env/env.h"
#include "replication/group.h"
#include "storage/engine.h"

namespace kvstore::replication {

// Runs `work(storage::View*)`, which returns Result<T> and may touch nothing of the core. May be
// called at any time, also while a batch is open or from inside an outcome: the view is the
// shard's, in which records and state are of one moment, and not the engine's.
//
// Suspends: until `work` has run. The shard cannot go away meanwhile; it can right after.
// Errors:   kUnavailable when the shard is closing; those of `work`, of which kCorruption is told
// to
//           the group.
template <typename T, typename Work>
async::Task<Result<T>> read_view(env::Env* env, Group* group, Work work) {
    async::Gate& gate = group->gate();
    if (!gate.try_enter()) {
        co_return Status(Code::kUnavailable, "the shard is closing");
    }
    if (!group->shard().engine().view_blocks()) {
        const std::unique_ptr<storage::View> view = group->shard().view();
        Result<T> result = work(view.get());
        gate.leave();
        if (result.status().code() == Code::kCorruption) {
            group->note_damage(result.status());
        }
        co_return result;
    }
    std::optional<Result<T>> result;
    {
        const std::unique_ptr<storage::View> view = group->shard().view();
        Callback<void()> blocking = [&result, &work, raw = view.get()] {
            result.emplace(work(raw));
        };
        co_await env->disk.run_blocking(std::move(blocking));
    }
    gate.leave();
    if (result->status().code() == Code::kCorruption) {
        group->note_damage(result->status());
    }
    co_return *std::move(result);
}

}  // namespace kvstore::replication
