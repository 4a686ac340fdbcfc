#include "sim/world.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "async/sync.h"

namespace kvstore::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

async::Task<Status> write_and_sync(env::Disk* disk, std::string path, Bytes content) {
    const env::OpenOptions options{.create = true};
    auto opened = co_await disk->open(path, options);
    KVSTORE_CO_TRY(const std::unique_ptr<env::File> file, std::move(opened));
    KVSTORE_CO_CHECK_OK(co_await file->write(0, content));
    KVSTORE_CO_CHECK_OK(co_await file->sync());
    co_return co_await disk->sync_directory("");
}

TEST(World, KeepsSyncedBytesThroughPowerLoss) {
    World world(1);
    Host& host = world.add_host("n1");
    ASSERT_TRUE(world.block_on(host, write_and_sync(&host.env().disk, "a", "hello")).ok());
    world.crash(host);
    world.restart(host);
    auto read = world.block_on(host, env::read_file(&host.env().disk, "a", 100));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, "hello");
}

}  // namespace
}  // namespace kvstore::sim
