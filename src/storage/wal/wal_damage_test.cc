// Damage to stored bytes: what was acknowledged is never dropped or changed in silence.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/planted_bug.h"
#include "storage/wal/internal/log_reader.h"
#include "storage/wal/internal/log_replay.h"
#include "storage/wal/testing/wal_fixture.h"

namespace kvstore::storage {
namespace {

using testing::LogModel;
using testing::WalFixture;

constexpr GroupId kOne(1);
constexpr GroupId kTwo(2);

// Reads the log without changing it.
Status read_log(WalFixture& log, LogModel* model) {
    *model = LogModel();
    GroupLedger ledger;
    LogReplay replay(&ledger, model);
    LogReader reader(&log.host.env(), std::string(WalFixture::kDirectory), &replay);
    return log.world.block_on(log.host, reader.read()).status();
}

// A few small records of two groups, each acknowledged before the next.
void write_some_records(WalFixture& log) {
    ASSERT_TRUE(log.open().ok());
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, "one" + std::to_string(i)).ok());
        ASSERT_TRUE(log.driver->append_next(kTwo, Bytes(5000, 'x')).ok());
        ASSERT_TRUE(log.driver
                        ->append_state(
                            {.group = kOne, .term = Term(3), .vote = NodeId(1), .commit = Index(1)})
                        .ok());
        log.world.run_for(std::chrono::milliseconds(20));
    }
}

// Flips every bit of the first `bytes` bytes of each sector, one at a time, and counts what is
// found. Any other outcome than "found" or "no difference" is a failure.
int count_found_flips(WalFixture& log, const std::string& path, std::size_t bytes) {
    LogModel whole;
    EXPECT_TRUE(read_log(log, &whole).ok());
    int found_count = 0;
    for (std::uint64_t sector = 0; sector < 12; ++sector) {
        for (std::uint64_t i = 0; i < bytes * 8; ++i) {
            const std::uint64_t offset = sector * env::kSectorSize + i / 8;
            EXPECT_TRUE(log.host.flip_bit(path, offset, i % 8).ok());
            LogModel seen;
            const Status read = read_log(log, &seen);
            if (read.code() == Code::kCorruption) {
                ++found_count;
                EXPECT_NE(read.message().find(path), std::string_view::npos);
            } else {
                EXPECT_TRUE(read.ok() && seen == whole) << "offset " << offset;
            }
            EXPECT_TRUE(log.host.flip_bit(path, offset, i % 8).ok());
        }
    }
    return found_count;
}

TEST(WalDamage, AFlippedBitOfAnyRecordIsFoundAfterAStop) {
    WalFixture log;
    write_some_records(log);
    ASSERT_TRUE(log.stop().ok());

    // A segment header, the first checkpoint, three records of two sectors, and the last mark,
    // which holds nothing.
    const int found_count = count_found_flips(log, WalFixture::path("wal-0000000000000001"), 100);
    EXPECT_EQ(found_count, 64 * 8 + 33 * 8 + 3 * (100 + 100) * 8);
}

TEST(WalDamage, AFlippedBitOfAnyRecordIsFoundOnceTheLogWasQuiet) {
    WalFixture log;
    write_some_records(log);
    log.world.run_for(std::chrono::seconds(1));
    log.crash(sim::CrashKind::kKill);
    EXPECT_GT(count_found_flips(log, WalFixture::path("wal-0000000000000001"), 40), 3 * 80 * 8);
}

TEST(WalDamage, OnlyTheLastRecordOfABusyLogCanBeTakenForATornTail) {
    WalFixture log;
    write_some_records(log);
    const LogModel all = log.driver->model();
    log.crash(sim::CrashKind::kKill);
    // Segment header, checkpoint, and the first two of three records: sectors 0, 1, 2-3, 4-5, 6-7.
    for (const std::uint64_t sector : {0U, 1U, 2U, 3U, 4U, 5U}) {
        const std::uint64_t offset = sector * env::kSectorSize + 20;
        ASSERT_TRUE(log.host.flip_bit(WalFixture::path("wal-0000000000000001"), offset, 0).ok());
        LogModel seen;
        EXPECT_EQ(read_log(log, &seen).code(), Code::kCorruption) << sector;
        ASSERT_TRUE(log.host.flip_bit(WalFixture::path("wal-0000000000000001"), offset, 0).ok());
    }
    ASSERT_TRUE(
        log.host.flip_bit(WalFixture::path("wal-0000000000000001"), 7 * env::kSectorSize, 0).ok());
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kOne].last, Index(2));
}

TEST(WalDamage, SaysFileOffsetAndWhatCanHelp) {
    WalFixture log;
    write_some_records(log);
    ASSERT_TRUE(log.stop().ok());
    ASSERT_TRUE(log.host.flip_bit(WalFixture::path("wal-0000000000000001"), 8192 + 77, 3).ok());

    const Status refused = log.open();
    EXPECT_EQ(refused.code(), Code::kCorruption);
    EXPECT_NE(refused.message().find("core-0/wal/wal-0000000000000001 at 8192"),
              std::string_view::npos)
        << refused.to_string();
    EXPECT_NE(refused.message().find("kvstore verify-data"), std::string_view::npos);
    EXPECT_EQ(log.verify().status().code(), Code::kCorruption);
}

TEST(WalDamage, ABitThatFlipsOnItsWayFromTheDiskIsReadAgain) {
    WalFixture log;
    write_some_records(log);
    const LogModel all = log.driver->model();
    ASSERT_TRUE(log.stop().ok());
    log.host.disk_faults().corrupt_read = 200'000;
    int ok_count = 0;
    for (int i = 0; i < 100; ++i) {
        LogModel seen;
        const Status read = read_log(log, &seen);
        if (read.ok()) {
            ++ok_count;
            EXPECT_TRUE(seen == all);
        }
    }
    EXPECT_GT(ok_count, 80);
}

// Several segments, each used and none released.
void write_some_segments(WalFixture& log) {
    ASSERT_TRUE(log.open().ok());
    for (int i = 0; i < 60; ++i) {
        ASSERT_TRUE(log.driver->append_next(kOne, Bytes(6000, 'x')).ok());
        log.world.run_for(std::chrono::milliseconds(10));
    }
    ASSERT_GE(log.wal->statistics().segment_count, 5U);
    ASSERT_TRUE(log.stop().ok());
}

Status remove_file(WalFixture& log, std::string_view name) {
    return log.world.block_on(log.host, log.host.env().disk.remove(WalFixture::path(name)));
}

TEST(WalDamage, AMissingSegmentInTheMiddleIsNamed) {
    WalFixture log;
    write_some_segments(log);
    ASSERT_TRUE(remove_file(log, "wal-0000000000000003").ok());
    const Status refused = log.open();
    EXPECT_EQ(refused.code(), Code::kCorruption);
    EXPECT_NE(refused.message().find("wal-0000000000000003 is missing"), std::string_view::npos);
}

TEST(WalDamage, ADamagedLastRecordOfASegmentIsFound) {
    WalFixture log;
    write_some_segments(log);
    // The last record of the second segment: found from the first bytes of its sectors.
    const std::string path = WalFixture::path("wal-0000000000000002");
    for (std::uint64_t sector = 1; sector < 14; ++sector) {
        ASSERT_TRUE(log.host.flip_bit(path, sector * env::kSectorSize + 9, 0).ok());
        LogModel seen;
        EXPECT_EQ(read_log(log, &seen).code(), Code::kCorruption) << sector;
        ASSERT_TRUE(log.host.flip_bit(path, sector * env::kSectorSize + 9, 0).ok());
    }
}

TEST(WalDamage, ADamagedFirstRecordOfASegmentIsFound) {
    WalFixture log;
    write_some_segments(log);
    for (const std::string_view name : {"wal-0000000000000001", "wal-0000000000000003"}) {
        ASSERT_TRUE(log.host.flip_bit(WalFixture::path(name), 4096 + 9, 0).ok());
        LogModel seen;
        EXPECT_EQ(read_log(log, &seen).code(), Code::kCorruption);
        ASSERT_TRUE(log.host.flip_bit(WalFixture::path(name), 4096 + 9, 0).ok());
    }
}

// Writes `bytes` over a file as if another program had.
void overwrite(WalFixture& log, std::string_view name, std::uint64_t offset, const Bytes& bytes) {
    const auto write =
        [](env::Disk* disk, std::string path, std::uint64_t at, Bytes data) -> async::Task<Status> {
        auto opened = co_await disk->open(path, env::OpenOptions());
        KVSTORE_CO_TRY(const std::unique_ptr<env::File> file, std::move(opened));
        co_return co_await file->write_durable(at, data);
    };
    ASSERT_TRUE(
        log.world
            .block_on(log.host, write(&log.host.env().disk, WalFixture::path(name), offset, bytes))
            .ok());
}

TEST(WalDamage, ASegmentOfANewerVersionIsRefusedByItsVersion) {
    WalFixture log;
    write_some_records(log);
    ASSERT_TRUE(log.stop().ok());
    const auto header = encode_segment_header(SegmentHeader());
    Bytes newer(header.data(), header.size());
    newer[8] = 2;
    store_fixed(newer.data() + 60, crc32c(ByteView(newer).substr(0, 60)));
    overwrite(log, "wal-0000000000000001", 0, newer);

    const Status refused = log.open();
    EXPECT_EQ(refused.code(), Code::kCorruption);
    EXPECT_NE(refused.message().find("segment version 2 was written by a newer kvstore"),
              std::string_view::npos);
}

TEST(WalDamage, ASegmentUnderAnotherNameIsRefused) {
    WalFixture log;
    write_some_segments(log);
    ASSERT_TRUE(log.world
                    .block_on(log.host,
                              log.host.env().disk.rename(WalFixture::path("wal-0000000000000002"),
                                                         WalFixture::path("wal-0000000000000003")))
                    .ok());
    ASSERT_TRUE(log.world
                    .block_on(log.host,
                              log.host.env().disk.rename(WalFixture::path("wal-0000000000000004"),
                                                         WalFixture::path("wal-0000000000000002")))
                    .ok());
    LogModel seen;
    EXPECT_EQ(read_log(log, &seen).code(), Code::kCorruption);
}

// A record that fits its place and its checksum, and continues another log than this one.
void forge_record(WalFixture& log, std::uint32_t previous_change) {
    write_some_records(log);
    ASSERT_TRUE(log.stop().ok());
    const Bytes segment = *log.world.block_on(
        log.host,
        env::read_file(&log.host.env().disk, WalFixture::path("wal-0000000000000001"), 1U << 20U));
    const auto header = decode_segment_header(segment);
    ASSERT_TRUE(header.ok());
    const RecordPlace place{.salt = header.value().salt, .segment = 1, .offset = 8192};
    auto record = find_record_header(ByteView(segment).substr(8192), place);
    ASSERT_TRUE(record.has_value());
    record->previous += previous_change;
    Bytes forged = segment.substr(8192, record->size());
    seal_record(forged.data(), *record, place);
    overwrite(log, "wal-0000000000000001", 8192, forged);
}

TEST(WalDamage, ARecordThatDoesNotContinueTheOneBeforeIsFound) {
    WalFixture log;
    forge_record(log, 1);
    const Status refused = log.open();
    EXPECT_EQ(refused.code(), Code::kCorruption);
    EXPECT_NE(refused.message().find("does not continue"), std::string_view::npos);
}

TEST(WalDamage, ALostWriteInTheMiddleIsFound) {
    WalFixture log;
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "kept").ok());
    log.settle();
    log.host.disk_faults().lost_write = 1'000'000;
    ASSERT_TRUE(log.driver->append_next(kOne, "lost").ok());
    log.settle();
    log.host.disk_faults().lost_write = 0;
    ASSERT_TRUE(log.driver->append_next(kOne, "after").ok());
    log.settle();
    EXPECT_EQ(log.driver->acknowledged_count(), 3U);
    log.crash();
    EXPECT_EQ(log.open().code(), Code::kCorruption);
}

TEST(WalDamage, ATornTailIsCountedAndNeverComesBack) {
    WalFixture log(7);
    ASSERT_TRUE(log.open().ok());
    ASSERT_TRUE(log.driver->append_next(kOne, "kept").ok());
    log.settle();
    ASSERT_TRUE(log.driver->append_next(kOne, Bytes(100'000, 't')).ok());
    log.settle();
    log.crash(sim::CrashKind::kKill);
    const std::string path = WalFixture::path("wal-0000000000000001");
    ASSERT_TRUE(log.host.flip_bit(path, 50'000, 0).ok());
    EXPECT_EQ(log.verify().value().torn_bytes, 32U + 100'000U + 8U);
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kOne].last, Index(1));
    ASSERT_TRUE(log.stop().ok());

    // The damage heals, as when a cable did it: the record that was cut stays cut.
    ASSERT_TRUE(log.host.flip_bit(path, 50'000, 0).ok());
    ASSERT_TRUE(log.open().ok());
    EXPECT_EQ(log.recovered.groups[kOne].last, Index(1));
}

// A sync fails, the process ends, and what the page cache shows is not on the device. Then power is
// cut after the restart: nothing that the restart showed may be gone.
std::string restart_after_failed_write(std::uint64_t seed) {
    WalFixture log(seed);
    if (!log.open().ok()) {
        return "first open";
    }
    static_cast<void>(log.driver->append_next(kOne, "first"));
    log.settle();
    log.host.disk_faults().on(sim::DiskCall::kSync).nth = 1;
    static_cast<void>(log.driver->append_next(kOne, Bytes(3000, 's')));
    log.settle();
    log.crash(sim::CrashKind::kKill);
    if (!log.open().ok()) {
        return "second open";
    }
    const LogModel shown = log.recovered;
    log.crash(sim::CrashKind::kPowerLoss);
    if (!log.open().ok()) {
        return "third open";
    }
    return log.recovered == shown ? "" : "what was shown is gone";
}

TEST(WalDamage, WhatARestartShowsIsOnTheDeviceWhateverThePageCacheSaid) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        EXPECT_EQ(restart_after_failed_write(seed), "") << seed;
    }
}

#ifdef KVSTORE_PLANTED_BUGS
TEST(WalDamage, FindsTrustInThePageCache) {
    const ScopedPlantedBug bug(PlantedBug::kWalTrustPageCache);
    int found_count = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        found_count += restart_after_failed_write(seed).empty() ? 0 : 1;
    }
    EXPECT_GT(found_count, 0);
}

TEST(WalDamage, FindsADamagedMiddleThatIsCut) {
    const ScopedPlantedBug bug(PlantedBug::kWalCutDamagedMiddle);
    WalFixture log;
    write_some_records(log);
    ASSERT_TRUE(log.stop().ok());
    LogModel whole;
    ASSERT_TRUE(read_log(log, &whole).ok());
    ASSERT_TRUE(log.host.flip_bit(WalFixture::path("wal-0000000000000001"), 8192 + 77, 3).ok());
    LogModel seen;
    EXPECT_TRUE(read_log(log, &seen).ok());
    EXPECT_FALSE(seen == whole);
}

TEST(WalDamage, FindsAChainThatIsNotChecked) {
    const ScopedPlantedBug bug(PlantedBug::kWalIgnoreChain);
    WalFixture log;
    forge_record(log, 1);
    LogModel seen;
    // The forged record itself is taken; only what follows it could tell.
    EXPECT_TRUE(read_log(log, &seen).ok());
}
#endif

}  // namespace
}  // namespace kvstore::storage
