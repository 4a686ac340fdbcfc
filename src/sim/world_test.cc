#include "sim/world.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "async/sync.h"
#include "env/testing/recording_handler.h"

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

async::Task<void> count_seconds(env::Clock* clock, int* count) {
    while (true) {
        co_await clock->sleep(seconds(1));
        ++*count;
    }
}

// A component as ours are: its work runs inside a gate, and it may not be destroyed while it does.
class Ticker {
public:
    explicit Ticker(env::Env& env) : env_(env), gate_(env.scheduler) {}
    void start() { KVSTORE_ASSERT(gate_.spawn(tick())); }
    async::Task<void> stop() {
        is_stopping_ = true;
        co_await gate_.close();
    }
    [[nodiscard]] int ticks() const { return ticks_; }

private:
    async::Task<void> tick() {
        const auto held = std::make_unique<Bytes>(1'000, 'x');
        while (!is_stopping_) {
            co_await env_.clock.sleep(milliseconds(10));
            Status written = co_await write_and_sync(&env_.disk, "ticks", *held);
            ticks_ += written.ok() ? 1 : 0;
        }
    }

    env::Env& env_;
    async::Gate gate_;
    bool is_stopping_ = false;
    int ticks_ = 0;
};

// Sends a few bytes to n1 every now and then.
async::Task<void> send_often(env::Env* env, env::ConnectionRecord* record) {
    const env::Address address{.host = "n1", .port = 7070};
    auto handler = std::make_unique<env::RecordingHandler>(*record);
    const async::Deadline deadline = async::Deadline::after(env->clock.now(), seconds(5));
    auto connected = co_await env->network.connect(address, std::move(handler), deadline);
    record->connection = connected.ok() ? *connected : nullptr;
    while (record->connection != nullptr) {
        record->connection->output() += "some bytes to be cut anywhere";
        record->connection->flush_later();
        co_await env->clock.sleep(milliseconds(7));
    }
}

// Work with disk, network, clock and chance on three hosts, with a crash in the middle.
std::uint64_t hash_of_run(std::uint64_t seed) {
    env::ConnectionRecord sender;
    env::ConnectionRecord receiver;
    World world(seed);
    std::vector<Host*> hosts;
    for (const char* name : {"n1", "n2", "n3"}) {
        hosts.push_back(&world.add_host(name));
    }
    for (Host* host : hosts) {
        host->own(std::make_unique<Ticker>(host->env())).start();
    }
    auto listener = hosts[0]->env().network.listen(
        env::Address{.host = "", .port = 7070}, [&receiver](env::Connection&) {
            return std::make_unique<env::RecordingHandler>(receiver);
        });
    EXPECT_TRUE(listener.ok());
    hosts[1]->spawn(send_often(&hosts[1]->env(), &sender));
    world.run_for(seconds(1));
    EXPECT_GT(receiver.received.size(), 1'000U);
    world.crash(*hosts[world.random().below(3)]);
    world.run_for(seconds(1));
    return world.trace_hash();
}

TEST(World, RunsTheSameWayForTheSameSeed) {
    EXPECT_EQ(hash_of_run(1), hash_of_run(1));
    EXPECT_EQ(hash_of_run(99), hash_of_run(99));
}

TEST(World, RunsInAnotherWayForAnotherSeed) {
    EXPECT_NE(hash_of_run(1), hash_of_run(2));
}

// The number itself: a run must be the same on every machine and with every compiler. It changes
// only when the simulator is meant to behave differently.
TEST(World, TakesNothingFromTheMachineItRunsOn) {
    EXPECT_EQ(hash_of_run(1), 8'800'434'018'162'708'614U);
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

TEST(World, KeepsUnsyncedBytesWhenOnlyTheProcessDies) {
    const auto write = [](env::Disk* disk) -> async::Task<Status> {
        const env::OpenOptions options{.create = true};
        auto opened = co_await disk->open("a", options);
        KVSTORE_CO_TRY(const std::unique_ptr<env::File> file, std::move(opened));
        co_return co_await file->write(0, "hello");
    };
    for (std::uint64_t seed = 1; seed < 30; ++seed) {
        World world(seed);
        Host& host = world.add_host("n1");
        ASSERT_TRUE(world.block_on(host, write(&host.env().disk)).ok());

        world.crash(host, CrashKind::kKill);
        world.restart(host);

        EXPECT_EQ(*world.block_on(host, env::read_file(&host.env().disk, "a", 100)), "hello");
    }
}

TEST(World, RunsNothingOfAHostThatHasCrashed) {
    World world(1);
    Host& host = world.add_host("n1");
    int count = 0;
    host.spawn(count_seconds(&host.env().clock, &count));
    world.run_for(seconds(3) + milliseconds(500));
    EXPECT_EQ(count, 3);

    world.crash(host);
    world.run_for(seconds(10));
    world.restart(host);
    world.run_for(seconds(10));

    EXPECT_EQ(count, 3);
}

TEST(World, BuriesComponentsOfACrashedHostWithoutRunningThem) {
    World world(1);
    Host& host = world.add_host("n1");
    Ticker& owned = host.own(std::make_unique<Ticker>(host.env()));
    auto held = std::make_unique<Ticker>(host.env());
    owned.start();
    held->start();
    world.run_for(seconds(1));
    const int ticks = owned.ticks();
    EXPECT_GT(ticks, 10);

    world.crash(host);
    const Ticker& dead = *held;
    bury(std::move(held));
    world.run_for(seconds(1));

    // Still there, and still.
    EXPECT_EQ(owned.ticks(), ticks);
    EXPECT_GT(dead.ticks(), 10);
}

TEST(World, DestroysOwnedComponentsThatWereStopped) {
    struct Witness {
        explicit Witness(bool& flag) : is_destroyed(flag) {}
        Witness(const Witness&) = delete;
        Witness& operator=(const Witness&) = delete;
        ~Witness() { is_destroyed = true; }
        bool& is_destroyed;
    };
    bool is_destroyed = false;
    {
        World world(1);
        Host& host = world.add_host("n1");
        host.own(std::make_unique<Witness>(is_destroyed));
        Ticker& ticker = host.own(std::make_unique<Ticker>(host.env()));
        ticker.start();
        world.run_for(seconds(1));
        world.block_on(host, ticker.stop());
    }
    EXPECT_TRUE(is_destroyed);
}

TEST(World, EndsWithWorkUnderWayAsByACrash) {
    World world(1);
    Host& host = world.add_host("n1");
    host.own(std::make_unique<Ticker>(host.env())).start();
    world.run_for(seconds(1));
}

TEST(World, LetsAHostCrashFromWithinItself) {
    World world(1);
    Host& host = world.add_host("n1");
    bool has_gone_on = false;
    const auto crash_here = [](World* w, Host* h, bool* gone_on) -> async::Task<bool> {
        env::Clock* clock = &h->env().clock;
        w->crash(*h);
        co_await clock->sleep(milliseconds(1));
        *gone_on = true;
        co_return true;
    };

    EXPECT_FALSE(world.try_block_on(host, crash_here(&world, &host, &has_gone_on)).has_value());
    world.run_for(seconds(1));

    EXPECT_FALSE(has_gone_on);
    EXPECT_FALSE(host.is_up());
}

TEST(World, TellsThatATaskDidNotEndInTime) {
    World world(1);
    Host& host = world.add_host("n1");
    const auto never = [](env::Clock* clock) -> async::Task<bool> {
        co_await clock->sleep(std::chrono::hours(2));
        co_return true;
    };

    EXPECT_FALSE(world.try_block_on(host, never(&host.env().clock), seconds(1)).has_value());
}

TEST(World, LetsTimePassWithoutEvents) {
    World world(1);
    const MonotonicTime begin = world.now();

    world.run_for(seconds(5));

    EXPECT_EQ(world.now() - begin, seconds(5));
}

TEST(World, LetsTimePassForCodeThatOnlyYields) {
    World world(1);
    Host& host = world.add_host("n1");
    const auto spin = [](env::Env* env) -> async::Task<bool> {
        const MonotonicTime end = env->clock.now() + milliseconds(1);
        while (env->clock.now() < end) {
            co_await async::yield(env->scheduler);
        }
        co_return true;
    };

    EXPECT_TRUE(world.block_on(host, spin(&host.env())));
}

TEST(World, HoldsAPausedHostStillAndTellsItEverythingLater) {
    World world(1);
    Host& host = world.add_host("n1");
    Host& other = world.add_host("n2");
    int count = 0;
    int count_of_other = 0;
    host.spawn(count_seconds(&host.env().clock, &count));
    other.spawn(count_seconds(&other.env().clock, &count_of_other));
    world.run_for(milliseconds(1'500));

    world.pause(host);
    world.run_for(seconds(10));
    EXPECT_EQ(count, 1);
    EXPECT_EQ(count_of_other, 11);

    world.resume(host);
    world.run_for(milliseconds(1));
    EXPECT_EQ(count, 2);
}

TEST(World, JumpsTheWallClockAndNotTheMonotonicOne) {
    World world(1);
    Host& host = world.add_host("n1");
    const WallTime wall = host.env().clock.wall_now();
    const MonotonicTime monotonic = host.env().clock.now();

    host.jump_wall_clock(-std::chrono::hours(1));

    EXPECT_EQ(host.env().clock.wall_now(), wall - std::chrono::hours(1));
    EXPECT_EQ(host.env().clock.now(), monotonic);
}

TEST(World, GivesHostsWallClocksThatDiffer) {
    World world(1, WorldOptions{.clock_skew_max = seconds(10)});
    Host& one = world.add_host("n1");
    Host& other = world.add_host("n2");

    const auto skew = one.env().clock.wall_now() - other.env().clock.wall_now();
    EXPECT_NE(skew, Duration{});
    EXPECT_LE(std::chrono::abs(skew), seconds(20));

    one.set_wall_clock_skew(Duration{});
    other.set_wall_clock_skew(milliseconds(700));
    EXPECT_EQ(other.env().clock.wall_now() - one.env().clock.wall_now(), milliseconds(700));
}

TEST(World, GivesEachLifeOtherEntropy) {
    World world(1);
    Host& host = world.add_host("n1");
    const std::uint64_t first = host.env().entropy.next();

    world.crash(host);
    world.restart(host);

    EXPECT_NE(host.env().entropy.next(), first);
}

TEST(World, WakesAHostForWorkFromOutside) {
    World world(1);
    Host& host = world.add_host("n1");
    bool has_run = false;

    host.env().scheduler.post_from_any_thread([&has_run] { has_run = true; });
    world.run_until([&has_run] { return has_run; }, seconds(1));

    EXPECT_TRUE(has_run);
}

TEST(World, RunsActionsAtTheirTime) {
    World world(1);
    Host& host = world.add_host("n1");
    const MonotonicTime begin = world.now();
    MonotonicTime when{};

    world.after(seconds(2), [&] {
        when = world.now();
        world.crash(host);
    });
    world.run_for(seconds(5));

    EXPECT_EQ(when - begin, seconds(2));
    EXPECT_FALSE(host.is_up());
}

}  // namespace
}  // namespace kvstore::sim
