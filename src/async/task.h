// Coroutines: Task<T> is lazy, starts when it is awaited, and runs on the core that awaits it.
//
// House rules (STYLE.md, section 4): one await a statement; parameters are values or owning
// pointers; no view, iterator or reference into a container lives across an await; after an await,
// the world is new. Exceptions that escape a task end the process.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/assert.h"

namespace kvstore::async {

template <typename T = void>
class Task;

namespace internal {

// Hands control to the awaiting coroutine when a task ends.
struct FinalAwaiter {
    [[nodiscard]] static bool await_ready() noexcept { return false; }
    template <typename Promise>
    static std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) noexcept {
        return ended.promise().continuation;
    }
    static void await_resume() noexcept {}
};

struct TaskPromiseBase {
    std::coroutine_handle<> continuation = std::noop_coroutine();

    static std::suspend_always initial_suspend() noexcept { return {}; }
    static FinalAwaiter final_suspend() noexcept { return {}; }
    [[noreturn]] static void unhandled_exception() noexcept { std::terminate(); }
};

template <typename T>
struct TaskPromise : TaskPromiseBase {
    std::optional<T> value;

    Task<T> get_return_object() noexcept;
    template <typename U>
    void return_value(U&& result) {
        value.emplace(std::forward<U>(result));
    }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
    Task<void> get_return_object() noexcept;
    static void return_void() noexcept {}
};

}  // namespace internal

template <typename T>
class [[nodiscard]] Task {
public:
    using promise_type = internal::TaskPromise<T>;

    explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            destroy();
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() { destroy(); }

    // Requires: awaited at most once.
    auto operator co_await() && noexcept {
        struct Awaiter {
            std::coroutine_handle<promise_type> handle;
            [[nodiscard]] static bool await_ready() noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
                handle.promise().continuation = awaiting;
                return handle;
            }
            T await_resume() {
                if constexpr (!std::is_void_v<T>) {
                    KVSTORE_ASSERT(handle.promise().value.has_value());
                    return *std::move(handle.promise().value);
                }
            }
        };
        KVSTORE_ASSERT(handle_ != nullptr);
        return Awaiter{handle_};
    }

private:
    void destroy() noexcept {
        if (handle_ != nullptr) {
            handle_.destroy();
        }
    }

    std::coroutine_handle<promise_type> handle_;
};

namespace internal {

template <typename T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
    return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}

inline Task<void> TaskPromise<void>::get_return_object() noexcept {
    return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

// A coroutine that nobody awaits; its frame frees itself.
struct Detached {
    struct promise_type {
        static Detached get_return_object() noexcept { return {}; }
        static std::suspend_never initial_suspend() noexcept { return {}; }
        static std::suspend_never final_suspend() noexcept { return {}; }
        static void return_void() noexcept {}
        [[noreturn]] static void unhandled_exception() noexcept { std::terminate(); }
    };
};

inline Detached run_detached(Task<void> task) {
    co_await std::move(task);
}

}  // namespace internal

// Starts a task that nobody waits for: runs at once, up to its first suspension. A component that
// must outlive its tasks uses Gate::spawn() instead.
inline void spawn(Task<void> task) {
    internal::run_detached(std::move(task));
}

}  // namespace kvstore::async
