// Awaits a task that never waits for anything.
#pragma once

#include <optional>
#include <utility>

#include "async/task.h"
#include "base/assert.h"

namespace kvstore::mvcc::testing {

template <typename T>
async::Task<> store_result(async::Task<T> task, std::optional<T>* result) {
    result->emplace(co_await std::move(task));
}

// Requires: the task ends without suspending.
template <typename T>
T run_now(async::Task<T> task) {
    std::optional<T> result;
    async::spawn(store_result(std::move(task), &result));
    KVSTORE_ASSERT(result.has_value());
    return *std::move(result);
}

}  // namespace kvstore::mvcc::testing
