// Reads over a view of a shard: at once where the view does not block, off the core where it does.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "async/task.h"
#include "base/callback.h"
#include "base/status.h"
#include "env/env.h"
#include "replication/group.h"
#include "storage/engine.h"

namespace kvstore::replication {

// Runs `work(storage::View*)`, which returns Result<T> and may touch nothing of the core.
//
// Suspends: until `work` has run. The shard cannot go away meanwhile; it can right after.
// Errors:   kUnavailable when the shard is closing; those of `work`.
template <typename T, typename Work>
async::Task<Result<T>> read_view(env::Env* env, Group* group, Work work) {
    storage::Engine& engine = group->shard().engine();
    if (!engine.view_blocks()) {
        const std::unique_ptr<storage::View> view = engine.view();
        co_return work(view.get());
    }
    if (!group->gate().try_enter()) {
        co_return Status(Code::kUnavailable, "the shard is closing");
    }
    std::optional<Result<T>> result;
    {
        const std::unique_ptr<storage::View> view = engine.view();
        Callback<void()> blocking = [&result, &work, raw = view.get()] {
            result.emplace(work(raw));
        };
        co_await env->disk.run_blocking(std::move(blocking));
    }
    group->gate().leave();
    co_return *std::move(result);
}

}  // namespace kvstore::replication
