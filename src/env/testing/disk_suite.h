// What env::Disk and env::File promise, but for crashes and faults. See env_suite.h.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "async/sync.h"
#include "env/testing/aligned_bytes.h"
#include "env/testing/env_suite.h"

namespace kvstore::env {

template <typename Fixture>
class EnvDiskSuite : public EnvSuite<Fixture> {
protected:
    [[nodiscard]] Disk& disk() { return this->env().disk; }

    std::unique_ptr<File> open(const std::string& path, OpenOptions options = {.create = true}) {
        auto opened = this->run(disk().open(path, options));
        EXPECT_TRUE(opened.ok()) << opened.status().to_string();
        return opened.ok() ? std::move(opened).value() : nullptr;
    }
    Status write(File& file, std::uint64_t offset, ByteView data) {
        return this->run(file.write(offset, data));
    }
    Bytes read(File& file, std::uint64_t offset, std::size_t size) {
        auto content = this->run(file.read(offset, size));
        EXPECT_TRUE(content.ok()) << content.status().to_string();
        return content.ok() ? *std::move(content) : Bytes();
    }
    std::uint64_t size(File& file) {
        auto measured = this->run(file.size());
        EXPECT_TRUE(measured.ok());
        return measured.ok() ? *measured : 0;
    }
    std::vector<std::string> names(const std::string& path) {
        auto entries = this->run(disk().list(path));
        EXPECT_TRUE(entries.ok()) << entries.status().to_string();
        std::vector<std::string> found;
        for (const DirectoryEntry& entry :
             entries.ok() ? *entries : std::vector<DirectoryEntry>()) {
            found.push_back(entry.is_directory ? entry.name + "/" : entry.name);
        }
        std::sort(found.begin(), found.end());
        return found;
    }
    void create(const std::string& path, ByteView content = "x") {
        const std::unique_ptr<File> file = open(path);
        EXPECT_TRUE(write(*file, 0, content).ok());
    }
    Bytes content(const std::string& path) {
        auto content = this->run(read_file(&disk(), path, 1U << 20U));
        return content.ok() ? *std::move(content) : Bytes("(" + content.status().to_string() + ")");
    }
    bool exists(const std::string& path) {
        auto found = this->run(disk().exists(path));
        EXPECT_TRUE(found.ok());
        return found.ok() && *found;
    }
};

TYPED_TEST_SUITE_P(EnvDiskSuite);

TYPED_TEST_P(EnvDiskSuite, DoesNotOpenWhatDoesNotExist) {
    const auto opened = this->run(this->disk().open("missing", OpenOptions{}));

    EXPECT_EQ(opened.status().code(), Code::kNotFound);
    EXPECT_NE(opened.status().message().find("missing"), std::string_view::npos);
}

TYPED_TEST_P(EnvDiskSuite, DoesNotCreateFilesInFoldersThatDoNotExist) {
    const auto opened = this->run(this->disk().open("no/file", OpenOptions{.create = true}));

    EXPECT_EQ(opened.status().code(), Code::kNotFound);
}

TYPED_TEST_P(EnvDiskSuite, CreatesExclusivelyOnlyOnce) {
    const OpenOptions exclusive{.create = true, .exclusive = true};
    this->open("a", exclusive);

    const auto again = this->run(this->disk().open("a", exclusive));

    EXPECT_EQ(again.status().code(), Code::kAlreadyExists);
    EXPECT_NE(again.status().message().find('a'), std::string_view::npos);
}

TYPED_TEST_P(EnvDiskSuite, KeepsTheContentOfAFileThatIsOpenedToBeCreated) {
    this->create("a", "content");

    const auto file = this->open("a", OpenOptions{.create = true});

    EXPECT_EQ(this->read(*file, 0, 100), "content");
}

TYPED_TEST_P(EnvDiskSuite, OpensNoFolderAsFile) {
    ASSERT_TRUE(this->run(this->disk().create_directories("d")).ok());

    EXPECT_FALSE(this->run(this->disk().open("d", OpenOptions{})).ok());
}

TYPED_TEST_P(EnvDiskSuite, ReadsLessOnlyAtTheEnd) {
    const auto file = this->open("a");
    ASSERT_TRUE(this->write(*file, 0, "0123456789").ok());

    EXPECT_EQ(this->read(*file, 2, 3), "234");
    EXPECT_EQ(this->read(*file, 8, 100), "89");
    EXPECT_EQ(this->read(*file, 10, 5), "");
    EXPECT_EQ(this->read(*file, 1'000'000, 5), "");
    EXPECT_EQ(this->read(*file, 3, 0), "");
}

TYPED_TEST_P(EnvDiskSuite, FillsTheGapBeforeAFarWriteWithZeros) {
    const auto file = this->open("a");

    ASSERT_TRUE(this->write(*file, 10'000, "end").ok());

    EXPECT_EQ(this->size(*file), 10'003U);
    EXPECT_EQ(this->read(*file, 0, 20'000), Bytes(10'000, '\0') + "end");
}

TYPED_TEST_P(EnvDiskSuite, OverwritesInPlaceAcrossSectors) {
    const auto file = this->open("a");
    ASSERT_TRUE(this->write(*file, 0, Bytes(3 * kSectorSize, 'a')).ok());

    ASSERT_TRUE(this->write(*file, kSectorSize - 1, Bytes(kSectorSize + 2, 'b')).ok());

    EXPECT_EQ(
        this->read(*file, 0, 4 * kSectorSize),
        Bytes(kSectorSize - 1, 'a') + Bytes(kSectorSize + 2, 'b') + Bytes(kSectorSize - 1, 'a'));
}

TYPED_TEST_P(EnvDiskSuite, WritesNothingWhenThereIsNothingToWrite) {
    const auto file = this->open("a");

    EXPECT_TRUE(this->write(*file, 500, "").ok());

    EXPECT_EQ(this->size(*file), 0U);
}

TYPED_TEST_P(EnvDiskSuite, ReadsBackDurableWritesOfAnySizeAndPlace) {
    const auto file = this->open("a");
    const Bytes odd(5'001, 'o');

    EXPECT_TRUE(this->run(file->write_durable(0, odd)).ok());
    EXPECT_TRUE(this->run(file->write_durable(4'999, "tail")).ok());

    EXPECT_EQ(this->read(*file, 4'998, 100), "otail");
}

TYPED_TEST_P(EnvDiskSuite, WritesAndReadsDirectly) {
    const auto file = this->open("a", OpenOptions{.create = true, .direct = true});
    const AlignedBytes data(4 * kSectorSize, 'd');

    EXPECT_TRUE(this->run(file->write_durable(0, data.view())).ok());
    EXPECT_TRUE(
        this->run(file->write_durable(kSectorSize, data.view().substr(0, kSectorSize))).ok());

    EXPECT_EQ(this->size(*file), 4 * kSectorSize);
    EXPECT_EQ(this->read(*file, 0, 4 * kSectorSize), Bytes(data.view()));
    EXPECT_EQ(this->content("a"), Bytes(data.view()));
}

TYPED_TEST_P(EnvDiskSuite, TakesUnalignedCallsOnADirectFile) {
    const auto file = this->open("a", OpenOptions{.create = true, .direct = true});

    EXPECT_TRUE(this->write(*file, 3, "unaligned").ok());
    EXPECT_TRUE(this->run(file->write_durable(12, "!")).ok());

    EXPECT_EQ(this->read(*file, 3, 100), "unaligned!");
}

TYPED_TEST_P(EnvDiskSuite, SyncsWhatWasWritten) {
    const auto file = this->open("a");
    ASSERT_TRUE(this->write(*file, 0, "x").ok());

    EXPECT_TRUE(this->run(file->sync()).ok());
    EXPECT_TRUE(this->run(this->disk().sync_directory("")).ok());
}

TYPED_TEST_P(EnvDiskSuite, TruncatesToLessAndToMore) {
    const auto file = this->open("a");
    ASSERT_TRUE(this->write(*file, 0, Bytes(10'000, 'a')).ok());

    ASSERT_TRUE(this->run(file->truncate(5'000)).ok());
    EXPECT_EQ(this->size(*file), 5'000U);
    ASSERT_TRUE(this->run(file->truncate(9'000)).ok());

    EXPECT_EQ(this->read(*file, 0, 20'000), Bytes(5'000, 'a') + Bytes(4'000, '\0'));
}

TYPED_TEST_P(EnvDiskSuite, RefusesToWriteWhatWasOpenedForReading) {
    this->create("a", "content");
    const auto file = this->open("a", OpenOptions{.writable = false});

    EXPECT_FALSE(this->write(*file, 0, "x").ok());

    EXPECT_EQ(this->read(*file, 0, 100), "content");
}

TYPED_TEST_P(EnvDiskSuite, TakesManyCallsOnOneFileAtATime) {
    const auto file = this->open("a");
    const Bytes data(kSectorSize, 'x');
    async::Gate gate(this->env().scheduler);
    const auto write_one =
        [](File* to, std::uint64_t offset, const Bytes* from, int* failed) -> async::Task<void> {
        const Status written = co_await to->write(offset, *from);
        *failed += written.ok() ? 0 : 1;
    };
    int failed = 0;
    for (std::uint64_t i = 0; i < 64; ++i) {
        ASSERT_TRUE(gate.spawn(write_one(file.get(), i * kSectorSize, &data, &failed)));
    }

    EXPECT_TRUE(this->run_until([&gate] { return gate.count() == 0; }));

    EXPECT_EQ(failed, 0);
    EXPECT_EQ(this->read(*file, 0, 65 * kSectorSize), Bytes(64 * kSectorSize, 'x'));
}

TYPED_TEST_P(EnvDiskSuite, ReadsAFileThatWasRemovedWhileOpen) {
    this->create("a", "content");
    const auto file = this->open("a");

    ASSERT_TRUE(this->run(this->disk().remove("a")).ok());

    EXPECT_FALSE(this->exists("a"));
    EXPECT_EQ(this->read(*file, 0, 100), "content");
}

TYPED_TEST_P(EnvDiskSuite, ListsFilesAndFolders) {
    ASSERT_TRUE(this->run(this->disk().create_directories("d/e")).ok());
    this->create("d/b");
    this->create("d/a");

    EXPECT_EQ(this->names("d"), (std::vector<std::string>{"a", "b", "e/"}));
    EXPECT_EQ(this->names("d/e"), std::vector<std::string>());
    EXPECT_EQ(this->run(this->disk().list("missing")).status().code(), Code::kNotFound);
}

TYPED_TEST_P(EnvDiskSuite, CreatesFoldersWithTheirParentsOnceOrTwice) {
    EXPECT_TRUE(this->run(this->disk().create_directories("a/b/c")).ok());
    EXPECT_TRUE(this->run(this->disk().create_directories("a/b/c")).ok());
    EXPECT_TRUE(this->run(this->disk().create_directories("")).ok());

    EXPECT_TRUE(this->exists("a/b/c"));
    EXPECT_FALSE(this->exists("a/x"));
}

TYPED_TEST_P(EnvDiskSuite, CreatesNoFolderWhereAFileIs) {
    this->create("a");

    EXPECT_FALSE(this->run(this->disk().create_directories("a")).ok());
    EXPECT_FALSE(this->run(this->disk().create_directories("a/b")).ok());
}

TYPED_TEST_P(EnvDiskSuite, RenamesOverAnExistingFile) {
    this->create("old", "old");
    this->create("new", "new");

    EXPECT_TRUE(this->run(this->disk().rename("new", "old")).ok());

    EXPECT_EQ(this->content("old"), "new");
    EXPECT_FALSE(this->exists("new"));
}

TYPED_TEST_P(EnvDiskSuite, RenamesAFolderWithWhatIsInIt) {
    ASSERT_TRUE(this->run(this->disk().create_directories("a")).ok());
    this->create("a/f", "content");

    EXPECT_TRUE(this->run(this->disk().rename("a", "b")).ok());

    EXPECT_EQ(this->content("b/f"), "content");
    EXPECT_FALSE(this->exists("a"));
}

TYPED_TEST_P(EnvDiskSuite, RenamesNothingThatDoesNotExist) {
    EXPECT_EQ(this->run(this->disk().rename("missing", "to")).code(), Code::kNotFound);
}

TYPED_TEST_P(EnvDiskSuite, RemovesAFolderWithEverythingInIt) {
    ASSERT_TRUE(this->run(this->disk().create_directories("a/b")).ok());
    this->create("a/b/f");
    this->create("a/g");

    EXPECT_TRUE(this->run(this->disk().remove("a")).ok());

    EXPECT_FALSE(this->exists("a"));
}

TYPED_TEST_P(EnvDiskSuite, IsContentWhenWhatItShouldRemoveDoesNotExist) {
    EXPECT_TRUE(this->run(this->disk().remove("missing")).ok());
    EXPECT_TRUE(this->run(this->disk().remove("missing/too")).ok());
}

TYPED_TEST_P(EnvDiskSuite, GivesALockAgainOnceItWasReleased) {
    auto first = this->run(this->disk().lock("LOCK"));
    ASSERT_TRUE(first.ok()) << first.status().to_string();
    first->reset();

    EXPECT_TRUE(this->run(this->disk().lock("LOCK")).ok());
}

TYPED_TEST_P(EnvDiskSuite, TellsItsSpace) {
    const auto space = this->run(this->disk().space());

    ASSERT_TRUE(space.ok());
    EXPECT_GT(space->total, 0U);
    EXPECT_LE(space->available, space->total);
}

TYPED_TEST_P(EnvDiskSuite, RunsBlockingWorkAndComesBackToItsCore) {
    const auto work = [](Env* env, bool* did_run) -> async::Task<bool> {
        Callback<void()> blocking = [did_run] {
            *did_run = true;
        };
        co_await env->disk.run_blocking(std::move(blocking));
        co_return async::Scheduler::current() == &env->scheduler;
    };
    bool did_run = false;

    EXPECT_TRUE(this->run(work(&this->env(), &did_run)));

    EXPECT_TRUE(did_run);
}

TYPED_TEST_P(EnvDiskSuite, ReadsNoWholeFileThatIsTooLarge) {
    this->create("a", "12345");

    EXPECT_EQ(this->run(read_file(&this->disk(), "a", 4)).status().code(), Code::kTooLarge);
    EXPECT_EQ(*this->run(read_file(&this->disk(), "a", 5)), "12345");
}

TYPED_TEST_P(EnvDiskSuite, ReplacesASmallFileAtomically) {
    ASSERT_TRUE(this->run(this->disk().create_directories("d")).ok());
    this->create("d/a", "a longer old text");
    this->create("d/a.new", "left over by a crash, and longer than what comes");

    EXPECT_TRUE(this->run(write_file_atomically(&this->disk(), "d/a", "new")).ok());

    EXPECT_EQ(this->content("d/a"), "new");
    EXPECT_EQ(this->names("d"), std::vector<std::string>{"a"});
}

REGISTER_TYPED_TEST_SUITE_P(EnvDiskSuite,
                            DoesNotOpenWhatDoesNotExist,
                            DoesNotCreateFilesInFoldersThatDoNotExist,
                            CreatesExclusivelyOnlyOnce,
                            KeepsTheContentOfAFileThatIsOpenedToBeCreated,
                            OpensNoFolderAsFile,
                            ReadsLessOnlyAtTheEnd,
                            FillsTheGapBeforeAFarWriteWithZeros,
                            OverwritesInPlaceAcrossSectors,
                            WritesNothingWhenThereIsNothingToWrite,
                            ReadsBackDurableWritesOfAnySizeAndPlace,
                            WritesAndReadsDirectly,
                            TakesUnalignedCallsOnADirectFile,
                            SyncsWhatWasWritten,
                            TruncatesToLessAndToMore,
                            RefusesToWriteWhatWasOpenedForReading,
                            TakesManyCallsOnOneFileAtATime,
                            ReadsAFileThatWasRemovedWhileOpen,
                            ListsFilesAndFolders,
                            CreatesFoldersWithTheirParentsOnceOrTwice,
                            CreatesNoFolderWhereAFileIs,
                            RenamesOverAnExistingFile,
                            RenamesAFolderWithWhatIsInIt,
                            RenamesNothingThatDoesNotExist,
                            RemovesAFolderWithEverythingInIt,
                            IsContentWhenWhatItShouldRemoveDoesNotExist,
                            GivesALockAgainOnceItWasReleased,
                            TellsItsSpace,
                            RunsBlockingWorkAndComesBackToItsCore,
                            ReadsNoWholeFileThatIsTooLarge,
                            ReplacesASmallFileAtomically);

}  // namespace kvstore::env
