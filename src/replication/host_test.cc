// Shards on one log: what is there after crashes, restarts, damage, creations and drops.
#include "replication/host.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "base/planted_bug.h"
#include "replication/testing/host_fixture.h"

namespace kvstore::replication {
namespace {

using ::testing::HasSubstr;
using testing::HostFixture;
using testing::increment_of;
using testing::put_of;
using testing::Told;

constexpr std::uint64_t kA = 16;
constexpr std::uint64_t kB = 17;

class ReplicationHost : public HostFixture {
protected:
    // The whole file, whose first byte that differs from the others is of no interest.
    void flip_in(std::string_view path, std::uint64_t offset) {
        ASSERT_TRUE(machine_.flip_bit(path, offset, 3).ok()) << path;
    }
    std::vector<std::string> names_in(std::string folder) {
        std::vector<std::string> names;
        auto listed = run(machine_.env().disk.list(std::move(folder)));
        if (listed.ok()) {
            for (const env::DirectoryEntry& entry : *listed) {
                names.push_back(entry.name);
            }
        }
        return names;
    }
    // Every call on a shard's files takes a second more.
    void stall_shards() {
        machine_.disk_faults().path_prefix = "shards";
        machine_.disk_faults().stall_chance = 1'000'000;
        machine_.disk_faults().stall = std::chrono::seconds(1);
    }
    void remove(std::string path) {
        ASSERT_TRUE(run(machine_.env().disk.remove(std::move(path))).ok());
    }
};

// ---- recovery ----

TEST_F(ReplicationHost, RecoversWhatWasAcknowledgedFromTheLogAlone) {
    must_open();
    create(kA);
    EXPECT_TRUE(put(kA, "k", "v").is_done());
    EXPECT_TRUE(increment(kA, "n").is_done());
    EXPECT_TRUE(increment(kA, "n").is_done());

    crash();
    must_open();

    EXPECT_EQ(value(kA, "k"), "v");
    EXPECT_EQ(value(kA, "n"), "2");
    EXPECT_TRUE(verify().ok());
}

TEST_F(ReplicationHost, RecoversFromASnapshotAndTheLogBehindItEachCommandOnce) {
    must_open();
    create(kA);
    for (int i = 0; i < 10; ++i) {
        increment(kA, "n");
    }
    ASSERT_TRUE(run(host_->persist_all()).ok());
    for (int i = 0; i < 10; ++i) {
        increment(kA, "n");
    }

    crash();
    must_open();

    EXPECT_EQ(value(kA, "n"), "20");
    EXPECT_EQ(host_->statistics().front().state.revision, Revision(20));
    EXPECT_LT(host_->statistics().front().durable, host_->statistics().front().applied);
    EXPECT_EQ(increment(kA, "n").numbers, std::vector<std::int64_t>{21});
}

TEST_F(ReplicationHost, GoesOnCountingAfterACleanStop) {
    must_open();
    create(kA);
    increment(kA, "n");
    ASSERT_TRUE(stop().ok());
    must_open();

    EXPECT_EQ(increment(kA, "n").numbers, std::vector<std::int64_t>{2});
}

#ifdef KVSTORE_PLANTED_BUGS
using ReplicationHostDeathTest = ReplicationHost;

TEST_F(ReplicationHostDeathTest, ReplayingWhatTheEngineHoldsIsCaught) {
    must_open();
    create(kA);
    increment(kA, "n");
    ASSERT_TRUE(run(host_->persist_all()).ok());
    crash();

    const ScopedPlantedBug planted(PlantedBug::kGroupForgetsAppliedIndex);
    set_log_level(LogLevel::kError);
    EXPECT_DEATH((void)open(), "index > applied_");
    set_log_level(LogLevel::kOff);
}
#endif

// Whatever the disk was doing when the power went: what was acknowledged is there, once.
TEST_F(ReplicationHost, KeepsEveryAcknowledgedCommandWhereverTheCrashComes) {
    for (std::uint64_t at = 1; at <= 60; ++at) {
        machine_.disk_faults() = {};
        crash();
        remove("shards");
        remove("wal");
        must_open();
        create(kA);
        create(kB);
        machine_.crash_at_change(at);
        std::int64_t acknowledged = 0;
        std::int64_t proposed = 0;
        while (machine_.is_up() && proposed < 200) {
            ++proposed;
            Told& told = told_.emplace_back();
            world_.try_block_on(machine_, [](Host* host, Told* outcome) -> async::Task<bool> {
                outcome->refusal =
                    host->find_group(ShardId(kA))->propose(increment_of("n"), outcome);
                co_return true;
            }(host_.get(), &told));
            world_.run_until([&] { return told.is_over() || !machine_.is_up(); });
            acknowledged += told.is_done() ? 1 : 0;
            if (machine_.is_up() && proposed % 8 == 0) {
                (void)world_.try_block_on(machine_, host_->persist_all());
            }
        }
        machine_.crash_at_change(0);
        crash();

        const Status opened = open();
        ASSERT_TRUE(opened.ok()) << "crash at change " << at << ": " << opened.to_string();
        const std::int64_t counted = std::stoll(value(kA, "n").value_or("0"));
        EXPECT_GE(counted, acknowledged) << "crash at change " << at;
        EXPECT_LE(counted, proposed) << "crash at change " << at;
        EXPECT_TRUE(verify().ok());
    }
}

// ---- several groups ----

TEST_F(ReplicationHost, CommandsOfAllGroupsInOneTurnShareOneRecordOfTheLog) {
    must_open();
    create(kA);
    create(kB);
    put(kA, "warm", "up");
    const storage::WalStatistics before = host_->wal_statistics();

    on_core([&] {
        for (int i = 0; i < 50; ++i) {
            const std::string key = "k" + std::to_string(i);
            (void)group(kA).propose(put_of(key, "a"), &told_.emplace_back());
            (void)group(kB).propose(put_of(key, "b"), &told_.emplace_back());
        }
    });
    wait(told_.back());

    EXPECT_EQ(host_->wal_statistics().record_count, before.record_count + 1);
    EXPECT_EQ(host_->wal_statistics().entry_count, before.entry_count + 100);
    crash();
    must_open();
    EXPECT_EQ(value(kA, "k49"), "a");
    EXPECT_EQ(value(kB, "k49"), "b");
}

TEST_F(ReplicationHost, AShardThatLeavesDoesNotDisturbTheOthers) {
    must_open();
    create(kA);
    create(kB);
    put(kA, "k", "a");
    put(kB, "k", "b");

    ASSERT_TRUE(drop(kA).ok());

    EXPECT_EQ(host_->find_group(ShardId(kA)), nullptr);
    EXPECT_EQ(put(kB, "k2", "b2").is_done(), true);
    crash();
    must_open();
    EXPECT_EQ(host_->find_group(ShardId(kA)), nullptr);
    EXPECT_EQ(value(kB, "k"), "b");
    EXPECT_EQ(value(kB, "k2"), "b2");
    EXPECT_THAT(names_in("shards"), ::testing::ElementsAre("17"));
}

// ---- creations and drops that are cut short ----

TEST_F(ReplicationHost, RefusesAShardThatExists) {
    must_open();
    create(kA);

    EXPECT_EQ(run(host_->create_shard(describe(kA))).status().code(), Code::kAlreadyExists);
    EXPECT_EQ(drop(kB).code(), Code::kNotFound);
    EXPECT_EQ(run(host_->persist_shard(ShardId(kB))).code(), Code::kNotFound);
}

// Found by a simulated cluster: the folder of a creation that had failed refused the next for good.
TEST_F(ReplicationHost, ACreationThatTheDiskFailedCanBeTriedAgain) {
    must_open();
    int failed = 0;
    for (const auto call : {sim::DiskCall::kSync,
                            sim::DiskCall::kSyncDirectory,
                            sim::DiskCall::kWrite,
                            sim::DiskCall::kRename}) {
        for (std::uint32_t nth = 1; nth <= 3; ++nth) {
            machine_.disk_faults().path_prefix = "shards";
            machine_.disk_faults().on(call).nth = nth;
            failed += run(host_->create_shard(describe(kA))).ok() ? 0 : 1;
            machine_.disk_faults() = {};
            if (host_->find_group(ShardId(kA)) == nullptr) {
                const auto again = run(host_->create_shard(describe(kA)));
                ASSERT_TRUE(again.ok()) << again.status().to_string();
            }
            EXPECT_TRUE(put(kA, "k", "v").is_done());
            ASSERT_TRUE(drop(kA).ok());
        }
    }
    EXPECT_GT(failed, 2);
}

TEST_F(ReplicationHost, AShardIsWholeOrNotThereWhereverItsCreationIsCutShort) {
    int cut_short = 0;
    for (std::uint64_t at = 1; at <= 12; ++at) {
        crash();
        remove("shards");
        remove("wal");
        must_open();
        create(kA);
        put(kA, "k", "v");
        machine_.crash_at_change(at);
        const auto created = world_.try_block_on(
            machine_, host_->create_shard(describe(kB)), std::chrono::seconds(1));
        cut_short += created.has_value() ? 0 : 1;
        machine_.crash_at_change(0);
        crash();

        const Status opened = open();
        ASSERT_TRUE(opened.ok()) << "at change " << at << ": " << opened.to_string();
        EXPECT_EQ(value(kA, "k"), "v");
        const bool is_there = host_->find_group(ShardId(kB)) != nullptr;
        EXPECT_TRUE(is_there || !created.has_value() || !created->ok()) << "at change " << at;
        if (!is_there) {
            create(kB);  // nothing of the first attempt is in the way
        }
        EXPECT_TRUE(put(kB, "k", "v").is_done());
    }
    EXPECT_GT(cut_short, 3);
}

// Found a start that refused: the log let go of a shard's entries while its folder was still whole,
// so what was left of them did not continue what the folder held.
TEST_F(ReplicationHost, AShardIsWholeOrNotThereWhereverItsDropIsCutShort) {
    int cut_short = 0;
    for (std::uint64_t at = 1; at <= 40; ++at) {
        crash();
        remove("shards");
        remove("wal");
        must_open();
        create(kA);
        create(kB);
        put(kA, "k", "v");
        // Enough for several segments, so that some of them can be let go.
        for (int i = 0; i < 12; ++i) {
            put(kB, "k" + std::to_string(i), Bytes(30'000, 'x'));
        }
        ASSERT_TRUE(run(host_->persist_shard(ShardId(kA))).ok());  // and nobody else keeps them
        machine_.crash_at_change(at);
        const auto dropped =
            world_.try_block_on(machine_, host_->drop_shard(ShardId(kB)), std::chrono::seconds(2));
        cut_short += dropped.has_value() ? 0 : 1;
        machine_.crash_at_change(0);
        crash();

        const Status opened = open();
        ASSERT_TRUE(opened.ok()) << "at change " << at << ": " << opened.to_string();
        EXPECT_EQ(value(kA, "k"), "v");
        if (host_->find_group(ShardId(kB)) != nullptr) {
            EXPECT_FALSE(dropped.has_value() && dropped->ok()) << "at change " << at;
            EXPECT_EQ(value(kB, "k0").value_or("").size(), 30'000U);
            EXPECT_EQ(value(kB, "k11").value_or("").size(), 30'000U);
        }
        EXPECT_TRUE(verify().ok());
    }
    EXPECT_GT(cut_short, 5);
}

TEST_F(ReplicationHost, ADropFailsWhatIsUnderWayWithUnknownEffect) {
    must_open();
    create(kA);
    Told& told = propose(kA, put_of("k", "v"));

    ASSERT_TRUE(drop(kA).ok());

    ASSERT_TRUE(told.is_over());
    if (!told.is_done()) {
        EXPECT_EQ(told.failure.code(), Code::kUnavailable);
        EXPECT_EQ(told.failure.effect(), Effect::kUnknown);
    }
}

// The log may still call a shard that it could not be told to forget.
TEST_F(ReplicationHost, AShardThatTheLogCannotForgetStaysUntilTheEnd) {
    must_open();
    create(kA);
    create(kB);
    put(kA, "k", "v");
    machine_.disk_faults().on(sim::DiskCall::kRename).chance = 1'000'000;

    EXPECT_EQ(drop(kA).code(), Code::kIoError);
    machine_.disk_faults() = {};

    EXPECT_TRUE(put(kB, "k", "v").is_done());
    EXPECT_EQ(host_->find_group(ShardId(kA)), nullptr);
    machine_.disk_faults().on(sim::DiskCall::kWrite).nth = 1;
    EXPECT_FALSE(put(kB, "k", "w").is_done()) << "the log tells all its groups";
    EXPECT_FALSE(stop().ok());
    must_open();
    EXPECT_EQ(value(kA, "k"), "v") << "the drop did not happen";
}

TEST_F(ReplicationHost, AShardDroppedWithoutALogLeavesTheLogAtTheNextStartWithOne) {
    options_.snapshot_interval = Duration(0);
    must_open();
    create(kA);
    create(kB);
    for (int i = 0; i < 20; ++i) {
        put(kA, "k", Bytes(30'000, 'x'));
    }
    const std::uint64_t segments = host_->wal_statistics().segment_count;
    ASSERT_GT(segments, 3U);
    ASSERT_TRUE(stop().ok());
    options_.wal.durability = storage::Durability::kMemory;
    must_open();
    ASSERT_TRUE(drop(kA).ok());
    ASSERT_TRUE(stop().ok());

    options_.wal.durability = storage::Durability::kAlways;
    must_open();
    put(kB, "k", "v");
    world_.run_for(std::chrono::seconds(3));

    EXPECT_LE(host_->wal_statistics().segment_count, 2U);
}

// ---- damage ----

TEST_F(ReplicationHost, NamesADamagedShardFile) {
    must_open();
    create(kA);
    ASSERT_TRUE(stop().ok());
    flip_in("shards/16/shard", 20);

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("shards/16/shard"));
}

TEST_F(ReplicationHost, NamesAShardFileOfAnotherShard) {
    must_open();
    create(kA);
    create(kB);
    ASSERT_TRUE(stop().ok());
    ASSERT_TRUE(run(machine_.env().disk.rename("shards/17/shard", "shards/16/shard")).ok());

    EXPECT_THAT(open().to_string(), HasSubstr("shards/16/shard: describes shard 17"));
}

TEST_F(ReplicationHost, NeverTakesDataThatLostItsShardFileForRubbish) {
    must_open();
    create(kA);
    put(kA, "k", "v");
    ASSERT_TRUE(run(host_->persist_all()).ok());
    ASSERT_TRUE(stop().ok());
    remove("shards/16/shard");

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("shards/16/shard is missing"));
    EXPECT_FALSE(names_in("shards/16/engine").empty());
}

TEST_F(ReplicationHost, RefusesToStartWithoutItsLog) {
    must_open();
    create(kA);
    put(kA, "k", "v");
    ASSERT_TRUE(stop().ok());
    remove("wal");

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("wal/"));
    EXPECT_EQ(open().code(), Code::kCorruption) << "the refused start left no log behind";
}

TEST_F(ReplicationHost, NamesTheDamagedRecordOfTheLogAndChangesNothing) {
    must_open();
    create(kA);
    for (int i = 0; i < 5; ++i) {
        put(kA, "k" + std::to_string(i), Bytes(5'000, 'x'));
    }
    ASSERT_TRUE(stop().ok());
    const std::string segment = "wal/wal-0000000000000001";
    // In the first of the values.
    const std::uint64_t place = machine_.durable_content(segment)->find(Bytes(100, 'x'));
    flip_in(segment, place);

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("wal/wal-"));
    flip_in(segment, place);
    must_open();
    EXPECT_EQ(value(kA, "k4").value_or("").size(), 5'000U);
}

TEST_F(ReplicationHost, NamesADamagedSnapshot) {
    must_open();
    create(kA);
    put(kA, "k", Bytes(5'000, 'x'));
    ASSERT_TRUE(run(host_->persist_all()).ok());
    ASSERT_TRUE(stop().ok());
    ASSERT_TRUE(machine_.flip_random_bit("shards/16/engine/").ok());

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("shards/16/engine"));
}

TEST_F(ReplicationHost, NamesTheShardWhoseSnapshotVanishedAfterTheLogWasFreed) {
    must_open();
    create(kA);
    for (int i = 0; i < 20; ++i) {
        put(kA, "k", Bytes(30'000, 'x'));
    }
    ASSERT_TRUE(run(host_->persist_all()).ok());
    world_.run_for(std::chrono::seconds(3));
    put(kA, "k", "after");
    ASSERT_TRUE(stop().ok());
    for (const std::string& name : names_in("shards/16/engine")) {
        remove("shards/16/engine/" + name);
    }

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("shard 16"));
}

// What was applied without a log was in the snapshot alone.
TEST_F(ReplicationHost, NamesTheShardWhoseSnapshotVanishedThoughNothingFollowsInTheLog) {
    options_.wal.durability = storage::Durability::kMemory;
    must_open();
    create(kA);
    increment(kA, "n");
    ASSERT_TRUE(stop().ok());
    options_.wal.durability = storage::Durability::kAlways;
    must_open();
    world_.run_for(std::chrono::seconds(1));
    ASSERT_TRUE(stop().ok());
    for (const std::string& name : names_in("shards/16/engine")) {
        remove("shards/16/engine/" + name);
    }

    const Status opened = open();

    EXPECT_EQ(opened.code(), Code::kCorruption);
    EXPECT_THAT(opened.to_string(), HasSubstr("shard 16: the log begins after index 2"));
}

// ---- durability modes ----

TEST_F(ReplicationHost, WithDurabilityIntervalAKillLosesNothingAndAPowerCutAtMostTheInterval) {
    options_.wal.durability = storage::Durability::kInterval;
    options_.wal.sync_interval = std::chrono::seconds(1);
    must_open();
    create(kA);
    for (int i = 0; i < 5; ++i) {
        increment(kA, "n");
    }
    crash(sim::CrashKind::kKill);
    must_open();
    EXPECT_EQ(value(kA, "n"), "5");

    world_.run_for(std::chrono::seconds(3));
    increment(kA, "n");
    crash(sim::CrashKind::kPowerLoss);
    must_open();
    const std::int64_t counted = std::stoll(value(kA, "n").value_or("0"));
    EXPECT_GE(counted, 5);
    EXPECT_LE(counted, 6);
    EXPECT_TRUE(verify().ok());
}

// A snapshot may hold what the log lost: the log then goes on behind it.
TEST_F(ReplicationHost, ASnapshotAheadOfALogThatLostItsEndIsContinued) {
    options_.wal.durability = storage::Durability::kInterval;
    options_.wal.sync_interval = std::chrono::hours(1);
    must_open();
    create(kA);
    for (int i = 0; i < 5; ++i) {
        increment(kA, "n");
    }
    ASSERT_TRUE(run(host_->persist_all()).ok());
    crash(sim::CrashKind::kPowerLoss);
    must_open();
    EXPECT_EQ(value(kA, "n"), "5");

    EXPECT_TRUE(increment(kA, "n").is_done());
    ASSERT_TRUE(stop().ok());
    must_open();

    EXPECT_EQ(value(kA, "n"), "6");
}

TEST_F(ReplicationHost, WithDurabilityMemoryACleanStopKeepsEverything) {
    options_.wal.durability = storage::Durability::kMemory;
    must_open();
    create(kA);
    increment(kA, "n");
    EXPECT_EQ(host_->wal_statistics().entry_count, 0U);
    ASSERT_TRUE(stop().ok());
    must_open();

    EXPECT_EQ(value(kA, "n"), "1");
}

TEST_F(ReplicationHost, WithDurabilityMemoryNothingIsAcknowledgedAfterTheLastSnapshot) {
    options_.wal.durability = storage::Durability::kMemory;
    must_open();
    create(kA);
    put(kA, "large", Bytes(200'000, 'x'));
    machine_.disk_faults().slowness = 50;
    std::int64_t acknowledged = 0;
    bool is_over = false;
    machine_.spawn(
        [](Host* host, sim::Host* machine, std::deque<Told>* told, bool* over, std::int64_t* count)
            -> async::Task<void> {
            while (!*over) {
                Told& one = told->emplace_back();
                Group* const group = host->find_group(ShardId(kA));
                if (group == nullptr || !group->propose(increment_of("n"), &one).ok()) {
                    co_return;
                }
                *count += one.is_done() ? 1 : 0;
                co_await machine->env().clock.sleep(std::chrono::microseconds(100));
            }
        }(host_.get(), &machine_, &told_, &is_over, &acknowledged));
    world_.run_for(std::chrono::milliseconds(5));

    ASSERT_TRUE(stop().ok());
    is_over = true;
    world_.run_for(std::chrono::milliseconds(5));
    machine_.disk_faults() = {};
    must_open();

    EXPECT_GT(acknowledged, 1);
    EXPECT_EQ(value(kA, "n"), std::to_string(acknowledged));
}

TEST_F(ReplicationHost, ALogGoesOnBehindWhatWasAppliedWithoutOne) {
    must_open();
    create(kA);
    create(kB);
    increment(kA, "n");
    ASSERT_TRUE(stop().ok());
    options_.wal.durability = storage::Durability::kMemory;
    must_open();
    increment(kA, "n");
    ASSERT_TRUE(stop().ok());
    options_.wal.durability = storage::Durability::kAlways;
    must_open();
    increment(kA, "n");
    increment(kB, "n");

    for (int i = 0; i < 3; ++i) {
        crash();
        must_open();
        EXPECT_EQ(value(kA, "n"), "3");
        EXPECT_EQ(value(kB, "n"), "1");
    }
}

// ---- failing and full disks ----

TEST_F(ReplicationHost, AfterAFailedSyncItTakesNoMoreWritesAndARestartRecovers) {
    must_open();
    create(kA);
    put(kA, "before", "v");
    machine_.disk_faults().on(sim::DiskCall::kWrite).nth = 1;
    Told& struck = put(kA, "during", "v");

    EXPECT_EQ(struck.failure.code(), Code::kIoError);
    EXPECT_EQ(struck.failure.effect(), Effect::kUnknown);
    Told& after = put(kA, "after", "v");
    EXPECT_FALSE(after.refusal.ok());
    EXPECT_EQ(after.refusal.effect(), Effect::kNone);
    EXPECT_EQ(value(kA, "before"), "v") << "reads go on";
    EXPECT_FALSE(host_->statistics().front().health.ok());
    EXPECT_EQ(run(host_->create_shard(describe(kB))).status().code(), Code::kUnavailable);
    EXPECT_EQ(host_->find_group(ShardId(kB)), nullptr);
    EXPECT_FALSE(stop().ok());

    must_open();
    EXPECT_EQ(value(kA, "before"), "v");
    EXPECT_EQ(value(kA, "after"), std::nullopt);
    EXPECT_TRUE(put(kA, "k", "v").is_done());
}

TEST_F(ReplicationHost, AFullDiskRefusesWritesAndServesReadsUntilThereIsRoom) {
    options_.wal.disk_reserve_bytes = 1U << 20U;
    must_open();
    create(kA);
    put(kA, "k", "v");
    machine_.disk_faults().capacity = 3U << 20U;
    const Bytes value_bytes(20'000, 'x');
    Told* last = nullptr;
    for (int i = 0; i < 400; ++i) {
        last = &put(kA, "large" + std::to_string(i % 5), value_bytes);
        if (!last->is_done()) {
            break;
        }
    }

    ASSERT_FALSE(last->is_done());
    EXPECT_EQ(last->refusal.code(), Code::kDiskFull);
    EXPECT_EQ(last->refusal.effect(), Effect::kNone);
    EXPECT_EQ(value(kA, "k"), "v");
    machine_.disk_faults().capacity = sim::DiskFaults().capacity;
    world_.run_for(std::chrono::seconds(5));
    EXPECT_TRUE(put(kA, "k", "w").is_done());
}

// ---- how long the log grows ----

// Found a log without end: the shard with the most entries behind was persisted again and again,
// while a quiet one kept the oldest segment.
TEST_F(ReplicationHost, AQuietShardDoesNotKeepTheLogLong) {
    options_.log_segments_max = 4;
    must_open();
    create(kA);
    create(kB);
    put(kA, "quiet", "v");
    std::uint64_t longest = 0;
    for (int i = 0; i < 300; ++i) {
        put(kB, "busy", Bytes(30'000, 'x'));
        world_.run_for(std::chrono::milliseconds(100));
        longest = std::max(longest, host_->wal_statistics().segment_count);
    }

    EXPECT_LE(longest, 30U);
    EXPECT_LE(host_->wal_statistics().segment_count, 30U);
    crash();
    must_open();
    EXPECT_EQ(value(kA, "quiet"), "v");
}

TEST_F(ReplicationHost, TheLogIsFreedAfterASnapshotAndKeptWithoutOne) {
    options_.log_segments_max = 1'000;
    must_open();
    create(kA);
    for (int i = 0; i < 30; ++i) {
        put(kA, "k", Bytes(30'000, 'x'));
    }
    world_.run_for(std::chrono::seconds(5));
    const std::uint64_t kept = host_->wal_statistics().segment_count;
    EXPECT_GT(kept, 5U);

    ASSERT_TRUE(run(host_->persist_all()).ok());
    world_.run_for(std::chrono::seconds(3));

    EXPECT_LE(host_->wal_statistics().segment_count, 2U);
}

// ---- the end ----

TEST_F(ReplicationHost, AnswersWhatItAcceptedBeforeItStopsAndRefusesTheRest) {
    must_open();
    create(kA);
    Told& accepted = propose(kA, put_of("k", "v"));
    Told& late = told_.emplace_back();
    world_.after(std::chrono::milliseconds(50), [&] {
        late.refusal = host_->find_group(ShardId(kA))->propose(put_of("late", "v"), &late);
    });

    ASSERT_TRUE(run(host_->stop()).ok());

    EXPECT_TRUE(accepted.is_done());
    EXPECT_EQ(late.refusal.code(), Code::kUnavailable);
    EXPECT_EQ(late.refusal.effect(), Effect::kNone);
    EXPECT_EQ(run(host_->create_shard(describe(kB))).status().code(), Code::kUnavailable);
    EXPECT_EQ(drop(kA).code(), Code::kUnavailable);
    EXPECT_EQ(run(host_->persist_all()).code(), Code::kUnavailable);
    EXPECT_EQ(run(host_->compact_all()).code(), Code::kUnavailable);
    host_.reset();
}

// A drop under way holds a shard that the stop would not see.
TEST_F(ReplicationHost, WaitsForADropUnderWayBeforeItStops) {
    must_open();
    create(kA);
    put(kA, "k", "v");
    stall_shards();
    Status dropped = {Code::kInternal, "not yet"};
    machine_.spawn([](Host* host, Status* outcome) -> async::Task<void> {
        *outcome = co_await host->drop_shard(ShardId(kA));
    }(host_.get(), &dropped));
    world_.run_for(std::chrono::milliseconds(500));
    ASSERT_EQ(dropped.code(), Code::kInternal);

    ASSERT_TRUE(run(host_->stop()).ok());

    EXPECT_TRUE(dropped.ok()) << dropped.to_string();
    host_.reset();
    machine_.disk_faults() = {};
    must_open();
    EXPECT_EQ(host_->find_group(ShardId(kA)), nullptr);
}

TEST_F(ReplicationHost, WaitsForACreationUnderWayBeforeItStops) {
    must_open();
    stall_shards();
    Status created = {Code::kInternal, "not yet"};
    machine_.spawn([](Host* host, Status* outcome) -> async::Task<void> {
        const auto made = co_await host->create_shard(describe(kB));
        *outcome = made.status();
    }(host_.get(), &created));
    world_.run_for(std::chrono::milliseconds(500));
    ASSERT_EQ(created.code(), Code::kInternal);

    ASSERT_TRUE(run(host_->stop()).ok());

    EXPECT_TRUE(created.ok()) << created.to_string();
    host_.reset();
    machine_.disk_faults() = {};
    must_open();
    EXPECT_NE(host_->find_group(ShardId(kB)), nullptr);
}

TEST_F(ReplicationHost, AStopDoesNotWaitForALongSnapshotThatTheLogMakesNeedless) {
    options_.snapshot_interval = std::chrono::seconds(1);
    must_open();
    create(kA);
    for (int i = 0; i < 200; ++i) {
        propose(kA, put_of("k" + std::to_string(i), Bytes(30'000, 'x')));
    }
    wait(told_.back());
    machine_.disk_faults().path_prefix = "shards";
    machine_.disk_faults().stall_chance = 1'000'000;
    machine_.disk_faults().stall = std::chrono::seconds(10);
    world_.run_for(std::chrono::seconds(3));
    const MonotonicTime before = world_.now();

    ASSERT_TRUE(stop().ok());

    EXPECT_LE(world_.now() - before, std::chrono::seconds(70));
    machine_.disk_faults() = {};
    must_open();
    EXPECT_EQ(value(kA, "k199").value_or("").size(), 30'000U);
}

}  // namespace
}  // namespace kvstore::replication
