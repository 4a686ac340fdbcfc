// The disk door on real files, through io_uring and through the threads.
#include "env/disk.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix/runtime.h"
#include "posix/testing/temporary_folder.h"

namespace kvstore::posix {
namespace {

using env::OpenOptions;
using testing::HasSubstr;

constexpr std::size_t kSector = env::kSectorSize;

// Bytes at an address that direct I/O takes.
class Sectors {
public:
    Sectors(std::size_t count, char fill)
        : size_(count * kSector), memory_(static_cast<char*>(std::aligned_alloc(kSector, size_))) {
        std::memset(memory_.get(), fill, size_);
    }
    [[nodiscard]] ByteView view() const { return {memory_.get(), size_}; }

private:
    struct Free {
        void operator()(char* memory) const { std::free(memory); }
    };
    std::size_t size_;
    std::unique_ptr<char[], Free> memory_;
};

class PosixDisk : public testing::TestWithParam<bool> {
protected:
    [[nodiscard]] env::Disk& disk() { return runtime.env().disk; }
    std::unique_ptr<env::File> open(std::string path, OpenOptions options) {
        auto opened = runtime.block_on(disk().open(std::move(path), options));
        EXPECT_TRUE(opened.ok()) << opened.status().to_string();
        return *std::move(opened);
    }
    Bytes read(env::File& file, std::uint64_t offset, std::size_t size) {
        auto content = runtime.block_on(file.read(offset, size));
        EXPECT_TRUE(content.ok()) << content.status().to_string();
        return *std::move(content);
    }
    Status run(async::Task<Status> task) { return runtime.block_on(std::move(task)); }
    // What the file has for another process.
    Bytes content_of(const std::string& path) {
        std::ifstream stream(disk().native_path(path), std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }

    TemporaryFolder folder;
    Runtime runtime{RuntimeOptions{.root_directory = folder.path(), .use_io_uring = GetParam()}};
};

INSTANTIATE_TEST_SUITE_P(Io,
                         PosixDisk,
                         testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                             return info.param ? std::string("IoUring") : std::string("Threads");
                         });

TEST_P(PosixDisk, ReadsBackWhatWasWritten) {
    const auto file = open("f", {.create = true});

    ASSERT_TRUE(run(file->write(0, "hello world")).ok());
    ASSERT_TRUE(run(file->write(6, "there")).ok());

    EXPECT_EQ(read(*file, 0, 100), "hello there");
    EXPECT_EQ(read(*file, 6, 3), "the");
    EXPECT_EQ(read(*file, 11, 10), "");
    EXPECT_EQ(runtime.block_on(file->size()).value(), 11U);
    EXPECT_EQ(content_of("f"), "hello there");
}

TEST_P(PosixDisk, WritesBeyondTheEndLeaveZeros) {
    const auto file = open("f", {.create = true});

    ASSERT_TRUE(run(file->write(3, "x")).ok());

    EXPECT_EQ(read(*file, 0, 10), Bytes("\0\0\0x", 4));
}

TEST_P(PosixDisk, TruncateCutsAndGrows) {
    const auto file = open("f", {.create = true});
    ASSERT_TRUE(run(file->write(0, "hello")).ok());

    ASSERT_TRUE(run(file->truncate(2)).ok());
    ASSERT_TRUE(run(file->truncate(4)).ok());

    EXPECT_EQ(read(*file, 0, 10), Bytes("he\0\0", 4));
    EXPECT_TRUE(run(file->sync()).ok());
}

TEST_P(PosixDisk, WritesAndReadsManyMegabytes) {
    const auto file = open("f", {.create = true});
    Bytes large(20U << 20U, '\0');
    for (std::size_t i = 0; i < large.size(); ++i) {
        large[i] = static_cast<char>(i * 31 % 251);
    }

    ASSERT_TRUE(run(file->write(5, large)).ok());

    EXPECT_TRUE(read(*file, 5, large.size() + 1) == large);
}

TEST_P(PosixDisk, DirectFileTakesAlignedAndUnalignedWrites) {
    const auto file = open("wal", {.create = true, .direct = true});
    const Sectors zeros(4, '\0');
    ASSERT_TRUE(run(file->write(0, zeros.view())).ok());
    const Sectors block(1, 'b');

    ASSERT_TRUE(run(file->write_durable(kSector, block.view())).ok());
    ASSERT_TRUE(run(file->write_durable(10, "unaligned")).ok());
    ASSERT_TRUE(run(file->write(3 * kSector - 2, "over the edge")).ok());

    const Bytes all = read(*file, 0, 5 * kSector);
    ASSERT_EQ(all.size(), 4 * kSector);
    EXPECT_EQ(all.substr(8, 13), Bytes("\0\0unaligned\0\0", 13));
    EXPECT_EQ(all.substr(kSector, kSector), block.view());
    EXPECT_EQ(all.substr(3 * kSector - 2, 13), "over the edge");
    EXPECT_EQ(content_of("wal"), all);
}

TEST_P(PosixDisk, DirectFileReadsFromAnyPlace) {
    const auto file = open("f", {.create = true, .direct = true});
    Bytes content;
    for (int i = 0; content.size() < 3 * kSector; ++i) {
        content += std::to_string(i) + ",";
    }
    ASSERT_TRUE(run(file->write(0, content)).ok());

    EXPECT_EQ(read(*file, 0, content.size() + 1), content);
    EXPECT_EQ(read(*file, 5000, 20), content.substr(5000, 20));
    EXPECT_EQ(read(*file, kSector - 3, 6), content.substr(kSector - 3, 6));
    EXPECT_EQ(read(*file, content.size() - 2, 100), content.substr(content.size() - 2));
    EXPECT_EQ(read(*file, content.size(), 10), "");
    EXPECT_EQ(read(*file, 10 * kSector, 10), "");
    EXPECT_EQ(read(*file, 7, 0), "");
}

TEST_P(PosixDisk, DirectFallsBackWhereTheFileSystemRefusesIt) {
    // procfs knows no O_DIRECT.
    Runtime other(RuntimeOptions{.root_directory = "/proc/self", .use_io_uring = GetParam()});

    auto opened =
        other.block_on(other.env().disk.open("status", {.writable = false, .direct = true}));
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto content = other.block_on((*opened)->read(0, 5));

    ASSERT_TRUE(content.ok());
    EXPECT_EQ(*content, "Name:");
}

TEST_P(PosixDisk, ManyCallsOnOneFileMayOverlap) {
    const auto file = open("f", {.create = true, .direct = true});
    struct Writer {
        static async::Task<void> run(env::File* file, std::uint64_t index, int* done) {
            const Sectors block(1, static_cast<char>('a' + index % 26));
            const Status written = co_await file->write_durable(index * kSector, block.view());
            EXPECT_TRUE(written.ok()) << written.to_string();
            ++*done;
        }
        static async::Task<void> wait(env::Clock* clock, const int* done, int count) {
            while (*done < count) {
                co_await clock->sleep(Duration::zero());
            }
        }
    };
    constexpr int kCount = 500;
    int done = 0;

    for (std::uint64_t i = 0; i < kCount; ++i) {
        async::spawn(Writer::run(file.get(), i, &done));
    }
    runtime.block_on(Writer::wait(&runtime.env().clock, &done, kCount));

    const Bytes all = read(*file, 0, (kCount + 1) * kSector);
    ASSERT_EQ(all.size(), kCount * kSector);
    for (std::size_t i = 0; i < all.size(); i += 1000) {
        ASSERT_EQ(all[i], static_cast<char>('a' + i / kSector % 26));
    }
}

TEST_P(PosixDisk, OpenSaysWhatIsWrongWithAName) {
    ASSERT_TRUE(run(disk().create_directories("folder")).ok());
    open("there", {.create = true});

    const auto missing = runtime.block_on(disk().open("missing", {}));
    const auto taken = runtime.block_on(disk().open("there", {.create = true, .exclusive = true}));
    const auto folder_as_file = runtime.block_on(disk().open("folder", {.writable = false}));
    const auto long_name = runtime.block_on(disk().open(Bytes(300, 'n'), {.create = true}));

    EXPECT_EQ(missing.status().code(), Code::kNotFound);
    EXPECT_THAT(missing.status().to_string(), HasSubstr(folder.path() + "/missing"));
    EXPECT_EQ(taken.status().code(), Code::kAlreadyExists);
    EXPECT_EQ(folder_as_file.status().code(), Code::kIoError);
    EXPECT_EQ(long_name.status().code(), Code::kInvalidArgument);
}

TEST_P(PosixDisk, RefusesNamesOutsideTheRoot) {
    for (const std::string path : {"/etc/passwd", "../x", "a/../../x", "..", "a/.."}) {
        EXPECT_EQ(runtime.block_on(disk().open(path, {})).status().code(), Code::kInvalidArgument)
            << path;
        EXPECT_EQ(run(disk().remove(path)).code(), Code::kInvalidArgument) << path;
        EXPECT_EQ(run(disk().rename("a", path)).code(), Code::kInvalidArgument) << path;
    }
    EXPECT_EQ(run(disk().remove("")).code(), Code::kInvalidArgument);
    EXPECT_TRUE(std::filesystem::exists(folder.path()));
}

TEST_P(PosixDisk, WriteToAFileOpenedForReadingFails) {
    open("f", {.create = true});
    const auto file = open("f", {.writable = false});

    const Status refused = run(file->write(0, "x"));

    EXPECT_EQ(refused.code(), Code::kIoError);
    EXPECT_EQ(refused.effect(), Effect::kUnknown);
    EXPECT_THAT(refused.to_string(), HasSubstr("/f"));
}

TEST_P(PosixDisk, ListsNamesInOrder) {
    ASSERT_TRUE(run(disk().create_directories("d/sub/deep")).ok());
    ASSERT_TRUE(run(disk().create_directories("d/sub")).ok());
    open("d/b", {.create = true});
    open("d/a", {.create = true});

    const auto entries = runtime.block_on(disk().list("d"));

    ASSERT_TRUE(entries.ok());
    ASSERT_EQ(entries->size(), 3U);
    EXPECT_EQ(entries.value()[0].name, "a");
    EXPECT_EQ(entries.value()[1].name, "b");
    EXPECT_EQ(entries.value()[2].name, "sub");
    EXPECT_FALSE(entries.value()[0].is_directory);
    EXPECT_TRUE(entries.value()[2].is_directory);
    EXPECT_EQ(runtime.block_on(disk().list("nowhere")).status().code(), Code::kNotFound);
    EXPECT_EQ(runtime.block_on(disk().list("")).value().size(), 1U);
}

TEST_P(PosixDisk, RenameReplacesAndRemoveTakesEverything) {
    ASSERT_TRUE(run(open("old", {.create = true})->write(0, "new content")).ok());
    ASSERT_TRUE(run(open("name", {.create = true})->write(0, "x")).ok());
    ASSERT_TRUE(run(disk().create_directories("d/sub")).ok());
    open("d/sub/f", {.create = true});

    ASSERT_TRUE(run(disk().rename("old", "name")).ok());
    ASSERT_TRUE(run(disk().remove("d")).ok());
    ASSERT_TRUE(run(disk().remove("d")).ok());
    ASSERT_TRUE(run(disk().sync_directory("")).ok());

    EXPECT_EQ(content_of("name"), "new content");
    EXPECT_FALSE(runtime.block_on(disk().exists("old")).value());
    EXPECT_FALSE(runtime.block_on(disk().exists("d")).value());
    EXPECT_TRUE(runtime.block_on(disk().exists("name")).value());
    EXPECT_FALSE(runtime.block_on(disk().exists("name/below")).value());
    EXPECT_EQ(run(disk().rename("old", "name")).code(), Code::kNotFound);
    EXPECT_EQ(run(disk().sync_directory("d")).code(), Code::kNotFound);
}

TEST_P(PosixDisk, ReplacesAFileAtomically) {
    ASSERT_TRUE(run(env::write_file_atomically(&disk(), "state", "one")).ok());
    ASSERT_TRUE(run(env::write_file_atomically(&disk(), "state", "two")).ok());

    EXPECT_EQ(runtime.block_on(env::read_file(&disk(), "state", 100)).value(), "two");
    EXPECT_EQ(runtime.block_on(env::read_file(&disk(), "state", 2)).status().code(),
              Code::kTooLarge);
}

TEST_P(PosixDisk, LockNamesTheProcessThatHoldsIt) {
    auto held = runtime.block_on(disk().lock("LOCK"));
    ASSERT_TRUE(held.ok());

    const auto refused = runtime.block_on(disk().lock("LOCK"));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.status().code(), Code::kConflict);
    EXPECT_THAT(refused.status().to_string(), HasSubstr("process " + std::to_string(::getpid())));

    held.value().reset();
    EXPECT_TRUE(runtime.block_on(disk().lock("LOCK")).ok());
}

TEST_P(PosixDisk, LockSurvivesClosingAnotherDescriptorOfTheFile) {
    const auto held = runtime.block_on(disk().lock("LOCK"));
    ASSERT_TRUE(held.ok());

    open("LOCK", {.writable = false});

    EXPECT_EQ(runtime.block_on(disk().lock("LOCK")).status().code(), Code::kConflict);
}

TEST_P(PosixDisk, RunsBlockingWorkOnAnotherThread) {
    std::thread::id where = std::this_thread::get_id();
    Callback<void()> work = [&where] {
        where = std::this_thread::get_id();
    };

    runtime.block_on(disk().run_blocking(std::move(work)));

    EXPECT_NE(where, std::this_thread::get_id());
}

TEST_P(PosixDisk, MeasuresSpace) {
    const auto space = runtime.block_on(disk().space());

    ASSERT_TRUE(space.ok());
    EXPECT_GT(space->total, 0U);
    EXPECT_LE(space->available, space->total);
}

TEST_P(PosixDisk, ReadOnlyFileSystemIsPermissionDenied) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "mounting needs root";
    }
    if (::mount("none", folder.path().c_str(), "tmpfs", MS_RDONLY, "size=64k") != 0) {
        GTEST_SKIP() << "cannot mount here: " << std::strerror(errno);
    }

    const auto refused = runtime.block_on(disk().open("f", {.create = true}));
    const Status refused_folder = run(disk().create_directories("d"));
    const auto refused_lock = runtime.block_on(disk().lock("LOCK"));
    ::umount(folder.path().c_str());

    EXPECT_EQ(refused.status().code(), Code::kPermissionDenied);
    EXPECT_EQ(refused_folder.code(), Code::kPermissionDenied);
    EXPECT_EQ(refused_lock.status().code(), Code::kPermissionDenied);
}

TEST_P(PosixDisk, FullFileSystemIsDiskFull) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "mounting needs root";
    }
    if (::mount("none", folder.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
        GTEST_SKIP() << "cannot mount here: " << std::strerror(errno);
    }
    {
        const auto file = open("f", {.create = true});

        const Status full = run(file->write(0, Bytes(256U << 10U, 'x')));
        const Status durably_full = run(file->write_durable(0, Bytes(256U << 10U, 'x')));

        EXPECT_EQ(full.code(), Code::kDiskFull) << full.to_string();
        EXPECT_EQ(full.effect(), Effect::kUnknown);
        EXPECT_EQ(durably_full.code(), Code::kDiskFull);
        EXPECT_EQ(runtime.block_on(file->size()).value(), 64U << 10U);
    }
    ::umount(folder.path().c_str());
}

}  // namespace
}  // namespace kvstore::posix
