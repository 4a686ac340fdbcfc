// Linux keeps the contracts of env, with io_uring and without.
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "env/testing/clock_suite.h"
#include "env/testing/disk_suite.h"
#include "env/testing/network_suite.h"
#include "posix/runtime.h"
#include "posix/testing/temporary_folder.h"

namespace kvstore::env {
namespace {

template <bool kUsesIoUring>
class PosixEnv {
public:
    [[nodiscard]] Env& env() { return runtime_.env(); }
    [[nodiscard]] static std::string host() { return "127.0.0.1"; }
    template <typename T>
    T block_on(async::Task<T> task) {
        return runtime_.block_on(std::move(task));
    }

private:
    posix::TemporaryFolder folder_;
    posix::Runtime runtime_{{.root_directory = folder_.path(), .use_io_uring = kUsesIoUring}};
};

using Both = testing::Types<PosixEnv<true>, PosixEnv<false>>;
using One = testing::Types<PosixEnv<true>>;

INSTANTIATE_TYPED_TEST_SUITE_P(Posix, EnvDiskSuite, Both);
INSTANTIATE_TYPED_TEST_SUITE_P(Posix, EnvClockSuite, One);
INSTANTIATE_TYPED_TEST_SUITE_P(Posix, EnvNetworkSuite, One);

}  // namespace
}  // namespace kvstore::env
