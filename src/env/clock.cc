#include "env/clock.h"

#include <coroutine>

namespace kvstore::env {
namespace {

struct SleepAwaiter {
    Clock& clock;
    Duration span;
    [[nodiscard]] static bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) const {
        clock.start_timer(clock.now() + span, [awaiting] { awaiting.resume(); });
    }
    static void await_resume() noexcept {}
};

}  // namespace

async::Task<void> Clock::sleep(Duration span) {
    co_await SleepAwaiter{*this, span};
}

}  // namespace kvstore::env
