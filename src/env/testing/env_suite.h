// What every implementation of env must do, as test suites that each implementation runs over a
// fixture of its own:
//
//     class SimEnv {                       // the fixture concept
//     public:
//         env::Env& env();                 // one core; a disk with an empty root folder
//         template <typename T>
//         T block_on(async::Task<T> task); // drives the core until the task ends
//         std::string host();              // where this core's listeners are reached
//     };
//     INSTANTIATE_TYPED_TEST_SUITE_P(Sim, EnvDiskSuite, SimEnv);
//
// The fixture is made anew for each test.
#pragma once

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "async/task.h"
#include "base/callback.h"
#include "env/env.h"

namespace kvstore::env {

// Runs until `is_done`, or for a minute of the clock. Returns: whether it is done.
inline async::Task<bool> wait_until(Clock* clock, Callback<bool()> is_done) {
    const MonotonicTime limit = clock->now() + std::chrono::minutes(1);
    while (!is_done()) {
        if (clock->now() > limit) {
            co_return false;
        }
        co_await clock->sleep(std::chrono::microseconds(200));
    }
    co_return true;
}

template <typename Fixture>
class EnvSuite : public testing::Test {
protected:
    [[nodiscard]] Env& env() { return fixture_.env(); }
    [[nodiscard]] std::string host() { return fixture_.host(); }

    template <typename T>
    T run(async::Task<T> task) {
        return fixture_.block_on(std::move(task));
    }
    [[nodiscard]] bool run_until(Callback<bool()> is_done) {
        return run(wait_until(&env().clock, std::move(is_done)));
    }

private:
    Fixture fixture_;
};

}  // namespace kvstore::env
