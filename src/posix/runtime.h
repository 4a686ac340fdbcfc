// One core on Linux: its event loop, and the env::Env that everything on the core sees.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "async/task.h"
#include "base/callback.h"
#include "base/status.h"
#include "base/time.h"
#include "env/env.h"

namespace kvstore::posix {

struct RuntimeOptions {
    // The root folder of env().disk. Need not exist: create_directories("") makes it.
    std::string root_directory = ".";
    // Threads for calls that block: metadata, run_blocking(), files where io_uring is missing.
    // Started when first needed.
    unsigned blocking_threads = 4;
    // File reads and writes go through io_uring where the kernel allows it, else to the threads.
    bool use_io_uring = true;
    // No input buffer grows beyond this, whatever a protocol does; the connection is closed.
    std::size_t input_bytes_max = std::size_t{1} << 30U;
    // How often connections are looked at: the idle give memory back, and those that are closing
    // and make no progress are cut off after a few looks.
    Duration sweep_interval = std::chrono::seconds(2);
};

// The loop of one core.
//
// Lifetime  Owned by the thread that runs it; outlives everything built on env(). Destroying it
//           ends every connection that is left with kUnavailable, and waits for blocking work.
// Runs on   The thread that calls run() or block_on(), but for
//           env().scheduler.post_from_any_thread().
//
// Invariants
//   everything that sockets, timers, files and signals cause runs inside a turn of env().scheduler
class Runtime {
public:
    explicit Runtime(const RuntimeOptions& options);
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;
    ~Runtime();

    [[nodiscard]] env::Env& env();

    // Runs turns until stop(). May be called again afterwards.
    void run();

    // Ends run() after the turn in which it is called. Called on the core; other threads post it.
    void stop();

    // Runs turns until `task` is done. For command lines and tests.
    // Requires: not called from within a turn.
    template <typename T>
    T block_on(async::Task<T> task);

    // Calls `action` on the core whenever the process gets `signal`, instead of what the signal
    // does by default. A second call for one signal replaces the action.
    // Errors: kInvalidArgument for a signal that cannot be caught.
    Status on_signal(int signal, Callback<void()> action);

    // Whether files go through io_uring: asked for, and allowed by the kernel.
    [[nodiscard]] bool uses_io_uring() const;

private:
    struct Core;

    template <typename T>
    static async::Task<void> run_into(async::Task<T> task, std::optional<T>* result, bool* is_done);
    static async::Task<void> run_into(async::Task<void> task, bool* is_done);
    void run_until_done(async::Task<void> work, const bool* is_done);

    std::unique_ptr<Core> core_;
};

template <typename T>
async::Task<void> Runtime::run_into(async::Task<T> task, std::optional<T>* result, bool* is_done) {
    result->emplace(co_await std::move(task));
    *is_done = true;
}

inline async::Task<void> Runtime::run_into(async::Task<void> task, bool* is_done) {
    co_await std::move(task);
    *is_done = true;
}

template <typename T>
T Runtime::block_on(async::Task<T> task) {
    bool is_done = false;
    if constexpr (std::is_void_v<T>) {
        run_until_done(run_into(std::move(task), &is_done), &is_done);
    } else {
        std::optional<T> result;
        run_until_done(run_into(std::move(task), &result, &is_done), &is_done);
        return *std::move(result);
    }
}

}  // namespace kvstore::posix
