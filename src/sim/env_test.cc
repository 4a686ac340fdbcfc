// The simulator keeps the contracts of env, whatever its seed.
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "env/testing/clock_suite.h"
#include "env/testing/disk_suite.h"
#include "env/testing/network_suite.h"
#include "sim/world.h"

namespace kvstore::env {
namespace {

template <std::uint64_t kSeed>
class SimEnv {
public:
    [[nodiscard]] Env& env() { return host_.env(); }
    [[nodiscard]] std::string host() { return host_.name(); }
    template <typename T>
    T block_on(async::Task<T> task) {
        return world_.block_on(host_, std::move(task));
    }

private:
    sim::World world_{kSeed};
    sim::Host& host_ = world_.add_host("n1");
};

using Seeds = testing::Types<SimEnv<1>, SimEnv<2>, SimEnv<3>, SimEnv<4>, SimEnv<5>>;

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, EnvDiskSuite, Seeds);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, EnvClockSuite, Seeds);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, EnvNetworkSuite, Seeds);

}  // namespace
}  // namespace kvstore::env
