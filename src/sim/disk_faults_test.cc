// Each disk fault does what options.h says.
#include <memory>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "sim/world.h"

namespace kvstore::sim {
namespace {

using env::kSectorSize;
using env::OpenOptions;

class SimDiskFaults : public testing::Test {
protected:
    [[nodiscard]] env::Disk& disk() { return host.env().disk; }
    [[nodiscard]] DiskFaults& faults() { return host.disk_faults(); }

    template <typename T>
    T run(async::Task<T> task) {
        return world.block_on(host, std::move(task));
    }
    std::unique_ptr<env::File> open(const std::string& path,
                                    OpenOptions options = {.create = true}) {
        auto opened = run(disk().open(path, options));
        EXPECT_TRUE(opened.ok()) << opened.status().to_string();
        return std::move(opened).value();
    }
    // A file that survives crashes.
    void make(const std::string& path, const Bytes& content) {
        const auto file = open(path);
        EXPECT_TRUE(run(file->write(0, content)).ok());
        EXPECT_TRUE(run(file->sync()).ok());
        EXPECT_TRUE(run(disk().sync_directory("")).ok());
    }
    Bytes content(const std::string& path) {
        auto read = run(env::read_file(&disk(), path, 1U << 24U));
        return read.ok() ? *std::move(read) : "(" + read.status().to_string() + ")";
    }
    void crash_and_restart() {
        world.crash(host);
        world.restart(host);
    }

    World world{7};
    Host& host = world.add_host("n1");
};

TEST_F(SimDiskFaults, FailTheNthCallOnceAndNoOther) {
    const auto file = open("a");
    faults().on(DiskCall::kWrite).nth = 2;

    EXPECT_TRUE(run(file->write(0, "1")).ok());
    const Status failed = run(file->write(0, "2"));
    EXPECT_TRUE(run(file->write(0, "3")).ok());

    EXPECT_EQ(failed.code(), Code::kIoError);
    EXPECT_EQ(failed.effect(), Effect::kUnknown);
    EXPECT_NE(failed.message().find('a'), std::string_view::npos);
}

TEST_F(SimDiskFaults, FailEveryKindOfCall) {
    make("a", "content");
    const auto file = open("a");
    const auto fails = [this](DiskCall call, auto make_task) {
        faults().on(call).nth = 1;
        return run(make_task()).code() == Code::kIoError;
    };
    const auto fails_with_value = [this](DiskCall call, auto make_task) {
        faults().on(call).nth = 1;
        return run(make_task()).status().code() == Code::kIoError;
    };

    EXPECT_TRUE(fails_with_value(DiskCall::kOpen, [&] { return disk().open("a", {}); }));
    EXPECT_TRUE(fails_with_value(DiskCall::kRead, [&] { return file->read(0, 1); }));
    EXPECT_TRUE(fails(DiskCall::kWrite, [&] { return file->write(0, "x"); }));
    EXPECT_TRUE(fails(DiskCall::kWrite, [&] { return file->write_durable(0, "x"); }));
    EXPECT_TRUE(fails(DiskCall::kSync, [&] { return file->write_durable(0, "x"); }));
    EXPECT_TRUE(fails(DiskCall::kSync, [&] { return file->sync(); }));
    EXPECT_TRUE(fails(DiskCall::kTruncate, [&] { return file->truncate(0); }));
    EXPECT_TRUE(fails(DiskCall::kRename, [&] { return disk().rename("a", "b"); }));
    EXPECT_TRUE(fails(DiskCall::kRemove, [&] { return disk().remove("a"); }));
    EXPECT_TRUE(fails(DiskCall::kCreateDirectory, [&] { return disk().create_directories("d"); }));
    EXPECT_TRUE(fails(DiskCall::kSyncDirectory, [&] { return disk().sync_directory(""); }));
    EXPECT_TRUE(fails_with_value(DiskCall::kLook, [&] { return file->size(); }));
    EXPECT_TRUE(fails_with_value(DiskCall::kLook, [&] { return disk().exists("a"); }));
    EXPECT_TRUE(fails_with_value(DiskCall::kLook, [&] { return disk().list(""); }));
    EXPECT_TRUE(fails_with_value(DiskCall::kLook, [&] { return disk().space(); }));
    EXPECT_TRUE(fails_with_value(DiskCall::kOpen, [&] { return disk().lock("LOCK"); }));
}

TEST_F(SimDiskFaults, FailAboutAsManyCallsAsTheyShould) {
    make("a", "x");
    const auto file = open("a");
    faults().on(DiskCall::kRead).chance = 250'000;

    int failed = 0;
    for (int i = 0; i < 400; ++i) {
        failed += run(file->read(0, 1)).ok() ? 0 : 1;
    }

    EXPECT_GT(failed, 60);
    EXPECT_LT(failed, 140);
}

TEST_F(SimDiskFaults, StrikeOnlyPathsWithTheirPrefix) {
    ASSERT_TRUE(run(disk().create_directories("wal")).ok());
    faults().path_prefix = "wal/";
    faults().on(DiskCall::kOpen).chance = 1'000'000;

    EXPECT_TRUE(run(disk().open("other", OpenOptions{.create = true})).ok());
    EXPECT_EQ(run(disk().open("wal/b", OpenOptions{.create = true})).status().code(),
              Code::kIoError);
}

TEST_F(SimDiskFaults, LetASecondSyncSucceedAfterAFailedOneAndLoseTheData) {
    bool was_lost = false;
    for (int i = 0; i < 40; ++i) {
        make("a", "old");
        const auto file = open("a");
        ASSERT_TRUE(run(file->write(0, "new")).ok());
        faults().on(DiskCall::kSync).nth = 1;
        EXPECT_EQ(run(file->sync()).code(), Code::kIoError);
        EXPECT_TRUE(run(file->sync()).ok());
        EXPECT_EQ(content("a"), "new");
        const Bytes durable = *host.durable_content("a");

        crash_and_restart();

        EXPECT_EQ(content("a"), durable);
        was_lost = was_lost || durable == "old";
    }
    EXPECT_TRUE(was_lost);
}

TEST_F(SimDiskFaults, ShowADirectReaderWhatIsOnTheDeviceAfterAFailedSync) {
    bool differed = false;
    for (int i = 0; i < 40 && !differed; ++i) {
        make("a", "old");
        const auto file = open("a");
        ASSERT_TRUE(run(file->write(0, "new")).ok());
        faults().on(DiskCall::kSync).nth = 1;
        EXPECT_FALSE(run(file->sync()).ok());

        const auto direct = open("a", OpenOptions{.direct = true});
        differed = *run(direct->read(0, 3)) == "old";
    }
    EXPECT_TRUE(differed);
}

TEST_F(SimDiskFaults, FillTheDiskWithPartOfAWrite) {
    make("a", Bytes(kSectorSize, 'a'));
    faults().capacity = 3 * kSectorSize;
    const auto file = open("a");

    const Status full = run(file->write(kSectorSize, Bytes(4 * kSectorSize, 'b')));

    EXPECT_EQ(full.code(), Code::kDiskFull);
    EXPECT_EQ(full.effect(), Effect::kUnknown);
    EXPECT_EQ(content("a"), Bytes(kSectorSize, 'a') + Bytes(2 * kSectorSize, 'b'));
    EXPECT_EQ(run(disk().space())->available, 0U);
    EXPECT_EQ(run(disk().open("b", OpenOptions{.create = true})).status().code(), Code::kDiskFull);
    // What exists can still be overwritten, and removing makes room.
    EXPECT_TRUE(run(file->write(0, Bytes(3 * kSectorSize, 'c'))).ok());
    EXPECT_TRUE(run(disk().remove("a")).ok());
    EXPECT_TRUE(run(disk().open("b", OpenOptions{.create = true})).ok());
}

TEST_F(SimDiskFaults, SlowTheDiskDown) {
    const auto file = open("a");
    const auto time_of = [&](int count) {
        const MonotonicTime begin = world.now();
        for (int i = 0; i < count; ++i) {
            EXPECT_TRUE(run(file->sync()).ok());
        }
        return world.now() - begin;
    };
    const Duration usual = time_of(30);

    faults().slowness = 50;
    EXPECT_GT(time_of(30), 20 * usual);

    faults().slowness = 1;
    faults().stall_chance = 1'000'000;
    faults().stall = std::chrono::seconds(2);
    EXPECT_GT(time_of(1), std::chrono::seconds(2));
}

TEST_F(SimDiskFaults, LoseWritesThatWereReportedAsDone) {
    make("a", "old");
    const auto file = open("a");
    faults().lost_write = 1'000'000;

    EXPECT_TRUE(run(file->write_durable(0, "new")).ok());
    crash_and_restart();

    EXPECT_EQ(content("a"), "old");
}

TEST_F(SimDiskFaults, MisdirectWritesToAnotherSector) {
    make("a", Bytes(8 * kSectorSize, 'a'));
    const auto file = open("a");
    faults().misdirected_write = 1'000'000;

    std::set<std::size_t> places;
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(run(file->write(0, "X")).ok());
        places.insert(content("a").find_last_of('X'));
    }

    EXPECT_GT(places.size(), 1U);
}

TEST_F(SimDiskFaults, CorruptReadsButNotWhatIsStored) {
    make("a", Bytes(1'000, 'a'));
    const auto file = open("a");
    faults().corrupt_read = 1'000'000;

    const Bytes damaged = *run(file->read(0, 1'000));
    faults().corrupt_read = 0;

    EXPECT_NE(damaged, Bytes(1'000, 'a'));
    EXPECT_EQ(damaged.size(), 1'000U);
    EXPECT_EQ(content("a"), Bytes(1'000, 'a'));
}

TEST_F(SimDiskFaults, FlipTheBitThatIsNamed) {
    make("a", "a");

    EXPECT_TRUE(host.flip_bit("a", 0, 1).ok());

    EXPECT_EQ(content("a"), "c");
    EXPECT_EQ(host.flip_bit("a", 1, 0).code(), Code::kOutOfRange);
    EXPECT_EQ(host.flip_bit("b", 0, 0).code(), Code::kNotFound);
}

TEST_F(SimDiskFaults, FlipARandomBitBelowAPrefixAndTellWhere) {
    make("a1", "aaaa");
    make("b", "bbbb");

    const auto place = host.flip_random_bit("a");

    ASSERT_TRUE(place.ok());
    EXPECT_TRUE(place->starts_with("a1:")) << *place;
    EXPECT_NE(content("a1"), "aaaa");
    EXPECT_EQ(content("b"), "bbbb");
    EXPECT_EQ(host.flip_random_bit("missing").status().code(), Code::kNotFound);
}

TEST_F(SimDiskFaults, CrashAtTheNthChange) {
    const auto change = [](env::Disk* disk) -> async::Task<Status> {
        const OpenOptions options{.create = true};
        auto opened = co_await disk->open("a", options);
        KVSTORE_CO_TRY(const std::unique_ptr<env::File> file, std::move(opened));
        KVSTORE_CO_CHECK_OK(co_await file->write(0, "1"));
        KVSTORE_CO_CHECK_OK(co_await file->write(0, "2"));
        co_return co_await file->sync();
    };
    const std::uint64_t before = host.disk_changes();
    ASSERT_TRUE(run(change(&disk())).ok());
    EXPECT_EQ(host.disk_changes() - before, 3U);

    for (std::uint64_t n = 1; n <= 3; ++n) {
        host.crash_at_change(n);
        EXPECT_FALSE(world.try_block_on(host, change(&disk())).has_value()) << n;
        EXPECT_FALSE(host.is_up());
        world.restart(host);
    }
    EXPECT_TRUE(run(change(&disk())).ok());
}

TEST_F(SimDiskFaults, GiveALockToOneHolderAndToTheNextLife) {
    auto held = run(disk().lock("LOCK"));
    ASSERT_TRUE(held.ok());

    EXPECT_EQ(run(disk().lock("LOCK")).status().code(), Code::kConflict);

    crash_and_restart();
    EXPECT_TRUE(run(disk().lock("LOCK")).ok());
}

TEST_F(SimDiskFaults, CatchACallerThatChangesItsDataBeforeTheCallReturns) {
    const auto file = open("a");
    const auto change_too_early = [&] {
        Bytes data = "data";
        bool is_done = false;
        const auto write = [](env::File* to, const Bytes* from, bool* done) -> async::Task<void> {
            const Status written = co_await to->write(0, *from);
            *done = written.ok();
        };
        host.spawn(write(file.get(), &data, &is_done));
        world.run_until([&] { return host.disk_calls(DiskCall::kWrite) > 0; });
        data[0] = 'X';
        world.run_until([&] { return is_done; });
    };

    EXPECT_DEATH(change_too_early(), "fingerprint");
}

}  // namespace
}  // namespace kvstore::sim
