#include "sim/internal/file_content.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace kvstore::sim::internal {
namespace {

using env::kSectorSize;
using Source = FileContent::Source;
using Fate = FileContent::WriteFate;

constexpr std::size_t kTear = 512;
constexpr std::uint64_t kSeeds = 400;

void write(FileContent& file, std::uint64_t offset, ByteView data) {
    file.end(file.begin_write(offset, data, Fate::kNormal));
}

void sync(FileContent& file) {
    file.persist(file.begin_sync());
}

Bytes all(const FileContent& file) {
    return file.read(0, 1U << 20U, Source::kCache);
}

// What `kSeeds` crashes leave of the file that `make` builds.
template <typename Make>
std::set<Bytes> after_crashes(Make make, std::size_t tear_size = kTear) {
    std::set<Bytes> outcomes;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        FileContent file;
        make(file);
        Random random(seed);
        file.crash(random, tear_size);
        EXPECT_EQ(file.size(), file.durable_size());
        EXPECT_EQ(all(file), file.durable());
        outcomes.insert(all(file));
    }
    return outcomes;
}

TEST(FileContent, KeepsSyncedBytesInEveryCrash) {
    const std::set<Bytes> outcomes = after_crashes([](FileContent& file) {
        write(file, 0, Bytes(10'000, 'a'));
        sync(file);
    });

    EXPECT_EQ(outcomes, std::set<Bytes>{Bytes(10'000, 'a')});
}

TEST(FileContent, MayLoseOrKeepEachUnsyncedSectorOnItsOwn) {
    const std::set<Bytes> outcomes = after_crashes(
        [](FileContent& file) {
            write(file, 0, Bytes(2 * kSectorSize, 'a'));
            sync(file);
            write(file, 0, Bytes(2 * kSectorSize, 'b'));
        },
        kSectorSize);

    const Bytes a(kSectorSize, 'a');
    const Bytes b(kSectorSize, 'b');
    EXPECT_EQ(outcomes, (std::set<Bytes>{a + a, a + b, b + a, b + b}));
}

TEST(FileContent, TearsAnUnsyncedSectorBetweenItsHalves) {
    const std::set<Bytes> outcomes = after_crashes([](FileContent& file) {
        write(file, 0, Bytes(kSectorSize, 'a'));
        sync(file);
        write(file, 0, Bytes(kSectorSize, 'b'));
    });

    bool is_torn = false;
    for (const Bytes& outcome : outcomes) {
        const std::size_t cut = outcome.find(outcome.front() == 'a' ? 'b' : 'a');
        is_torn = is_torn || cut != Bytes::npos;
        EXPECT_TRUE(cut == Bytes::npos || cut % kTear == 0) << cut;
    }
    EXPECT_TRUE(is_torn);
}

TEST(FileContent, MayLeaveAnyVersionOfASectorThatWasWrittenOften) {
    const std::set<Bytes> outcomes = after_crashes(
        [](FileContent& file) {
            for (const char byte : {'a', 'b', 'c'}) {
                write(file, 0, Bytes(kSectorSize, byte));
            }
        },
        kSectorSize);

    for (const char byte : {'a', 'b', 'c'}) {
        EXPECT_TRUE(outcomes.contains(Bytes(kSectorSize, byte))) << byte;
    }
}

TEST(FileContent, MayKeepTheSizeAndLoseTheBytes) {
    const std::set<Bytes> outcomes =
        after_crashes([](FileContent& file) { write(file, 0, Bytes(100, 'a')); }, kSectorSize);

    EXPECT_EQ(outcomes, (std::set<Bytes>{"", Bytes(100, '\0'), Bytes(100, 'a')}));
}

TEST(FileContent, DoesNotSyncWhatHadNotReturnedWhenTheSyncBegan) {
    const std::set<Bytes> outcomes = after_crashes(
        [](FileContent& file) {
            write(file, 0, "old");
            sync(file);
            const FileContent::Operation late = file.begin_write(0, "new", Fate::kNormal);
            const FileContent::SyncPoint point = file.begin_sync();
            file.end(late);
            file.persist(point);
        },
        kSectorSize);

    EXPECT_EQ(outcomes, (std::set<Bytes>{"old", "new"}));
}

TEST(FileContent, SyncsWhatHadReturnedThoughAnEarlierWriteHadNot) {
    const std::set<Bytes> outcomes = after_crashes([](FileContent& file) {
        (void)file.begin_write(kSectorSize, "x", Fate::kNormal);
        write(file, 0, "y");
        sync(file);
    });

    for (const Bytes& outcome : outcomes) {
        EXPECT_EQ(outcome.substr(0, 1), "y");
    }
}

TEST(FileContent, MakesADurableWriteAndTheSizeThatReachesItDurable) {
    const std::set<Bytes> outcomes = after_crashes(
        [](FileContent& file) {
            write(file, 0, Bytes(kSectorSize, 'u'));
            const auto durable =
                file.begin_write(kSectorSize, Bytes(kSectorSize, 'd'), Fate::kNormal);
            file.end(durable);
            file.persist_write(durable);
        },
        kSectorSize);

    const Bytes d(kSectorSize, 'd');
    EXPECT_EQ(outcomes,
              (std::set<Bytes>{Bytes(kSectorSize, '\0') + d, Bytes(kSectorSize, 'u') + d}));
}

TEST(FileContent, KeepsSyncedWritesThatCameAmongMany) {
    const std::set<Bytes> outcomes = after_crashes([](FileContent& file) {
        for (std::uint64_t i = 0; i < 100; ++i) {
            write(file, i, "x");
        }
        sync(file);
    });

    EXPECT_EQ(outcomes, std::set<Bytes>{Bytes(100, 'x')});
}

TEST(FileContent, ReadsBackAfterAFailedSyncWhatACrashThenTakesAway) {
    bool was_lost = false;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        Random random(seed);
        FileContent file;
        write(file, 0, "old");
        sync(file);
        write(file, 0, "new");
        file.fail_sync(file.begin_sync(), random);
        EXPECT_EQ(file.read(0, 10, Source::kCache), "new");
        const Bytes on_device = file.read(0, 10, Source::kDevice);

        // A second sync finds nothing dirty and succeeds, to no avail.
        sync(file);
        file.crash(random, kSectorSize);

        EXPECT_EQ(all(file), on_device);
        was_lost = was_lost || on_device == "old";
    }
    EXPECT_TRUE(was_lost);
}

TEST(FileContent, SyncsASectorAgainThatWasWrittenAfterAFailedSync) {
    Random random(1);
    FileContent file;
    write(file, 0, "aa");
    file.fail_sync(file.begin_sync(), random);
    write(file, 1, "b");

    sync(file);
    file.crash(random, kSectorSize);

    EXPECT_EQ(all(file), "ab");
}

TEST(FileContent, LosesALostWriteAlthoughItWasSynced) {
    const std::set<Bytes> outcomes = after_crashes([](FileContent& file) {
        write(file, 0, "old");
        sync(file);
        file.end(file.begin_write(0, "new", Fate::kLost));
        EXPECT_EQ(all(file), "new");
        sync(file);
        EXPECT_EQ(file.read(0, 10, Source::kDevice), "old");
    });

    EXPECT_EQ(outcomes, std::set<Bytes>{"old"});
}

TEST(FileContent, LosesOrKeepsATruncationAsAWhole) {
    const std::set<Bytes> outcomes = after_crashes([](FileContent& file) {
        write(file, 0, Bytes(3 * kSectorSize, 'a'));
        sync(file);
        file.end(file.begin_truncate(100));
    });

    EXPECT_EQ(outcomes, (std::set<Bytes>{Bytes(3 * kSectorSize, 'a'), Bytes(100, 'a')}));
}

TEST(FileContent, NeverShowsOldBytesAgainBehindATruncationThatSurvived) {
    const std::set<Bytes> outcomes = after_crashes([](FileContent& file) {
        write(file, 0, Bytes(2 * kSectorSize, 'a'));
        sync(file);
        file.end(file.begin_truncate(0));
        file.end(file.begin_truncate(kSectorSize));
    });

    EXPECT_EQ(outcomes,
              (std::set<Bytes>{Bytes(2 * kSectorSize, 'a'), "", Bytes(kSectorSize, '\0')}));
}

TEST(FileContent, ShowsZerosWhereItGrowsAgain) {
    FileContent file;
    write(file, 0, "abcdef");
    file.end(file.begin_truncate(2));
    file.end(file.begin_truncate(4));

    EXPECT_EQ(all(file), Bytes("ab\0\0", 4));
}

TEST(FileContent, FlipsOneBitOfCachedAndDurableBytesAlike) {
    FileContent file;
    write(file, 0, "a");
    sync(file);

    EXPECT_TRUE(file.flip_bit(0, 1));

    EXPECT_EQ(all(file), "c");
    EXPECT_EQ(file.durable(), "c");
    EXPECT_FALSE(file.flip_bit(1, 0));
}

TEST(FileContent, CountsTheSectorsThatAWriteWouldAdd) {
    FileContent file;
    write(file, 0, "a");

    EXPECT_EQ(file.sectors_missing(0, kSectorSize), 0U);
    EXPECT_EQ(file.sectors_missing(kSectorSize - 1, 2), 1U);
    EXPECT_EQ(file.sectors_missing(5, 0), 0U);
    EXPECT_EQ(file.sectors_missing(kSectorSize, 3 * kSectorSize), 3U);
}

}  // namespace
}  // namespace kvstore::sim::internal
