// A flipped bit is told, or has no effect: it is never served, and never looks like absence.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "storage/lsm/testing/lsm_fixture.h"

namespace kvstore::storage::lsm {
namespace {

constexpr std::uint64_t kKeys = 4500;

Bytes key_of(std::uint64_t number) {
    Bytes key = std::to_string(number);
    return Bytes(8 - key.size(), '0') + key;
}

// Not compressible, so that the table spans several files.
Bytes value_of(std::uint64_t number) {
    Random random(number);
    Bytes value;
    while (value.size() < 200) {
        value.push_back(static_cast<char>(random.below(256)));
    }
    return value;
}

class LsmCorruptionTest : public LsmFixture {
protected:
    // A table of several files in the last level, closed.
    void make_table() {
        open();
        for (std::uint64_t number = 0; number < kKeys; ++number) {
            engine().put(Table::kCurrent, key_of(number), value_of(number));
            if (number % 100 == 99) {
                commit(number / 100 + 1);
            }
        }
        persist();
        ASSERT_TRUE(run(engine().compact()).ok());
        close();
        std::filesystem::copy(directory(), spare_);
        tables_ = files(".sst");
        ASSERT_GE(tables_.size(), 3U);
    }

    void restore() {
        std::filesystem::remove_all(directory());
        std::filesystem::copy(spare_, directory());
    }

    // The table as make_table() left it, but for one bit.
    void damage(const std::filesystem::path& file, std::uint64_t offset, unsigned bit) {
        restore();
        flip(file, offset, bit);
    }

    enum class Told : std::uint8_t { kNo, kYes };

    // Opens the engine where the damage lets it. The state record stands in the first file.
    bool open_damaged() {
        const Status opened = try_open(small_options());
        if (!opened.ok()) {
            EXPECT_EQ(opened.code(), Code::kCorruption) << opened.to_string();
        }
        return opened.ok();
    }

    // Reads every row, and fails the test for a wrong or a missing one.
    Told scan_all() {
        const std::unique_ptr<View> view = engine().view();
        const std::unique_ptr<Cursor> cursor = view->cursor(Table::kCurrent);
        std::uint64_t number = 0;
        for (cursor->seek({}); cursor->valid(); cursor->next(), ++number) {
            EXPECT_EQ(cursor->key(), key_of(number));
            EXPECT_EQ(cursor->value(), value_of(number));
            if (HasFailure()) {
                return Told::kNo;
            }
        }
        if (!cursor->status().ok()) {
            EXPECT_EQ(cursor->status().code(), Code::kCorruption) << cursor->status().to_string();
            EXPECT_NE(cursor->status().message().find(directory().string()), std::string::npos);
            return Told::kYes;
        }
        EXPECT_EQ(number, kKeys);
        return Told::kNo;
    }

    std::filesystem::path spare_ = root_ / "spare";
    std::vector<std::filesystem::path> tables_;
};

TEST_F(LsmCorruptionTest, AFlippedBitInATableIsToldOrHarmless) {
    make_table();
    Random random(9);
    int told = 0;

    for (int round = 0; round < 40 && !HasFailure(); ++round) {
        const auto& file = tables_[random.below(tables_.size())];
        const std::uint64_t offset =
            random.below(std::filesystem::file_size(spare_ / file.filename()));
        SCOPED_TRACE(file.string() + " offset " + std::to_string(offset));
        damage(file, offset, static_cast<unsigned>(random.below(8)));
        if (open_damaged()) {
            told += scan_all() == Told::kYes ? 1 : 0;
            close();
        } else {
            ++told;
        }
    }

    EXPECT_GT(told, 30);
}

// A known weakness of RocksDB 7.8: an error in the first block of a file that is not the first of
// its level is lost, and a scan ends there without a word (facebook/rocksdb#11782). Ignoring range
// deletions keeps clear of it: without that setting this test fails.
TEST_F(LsmCorruptionTest, AFlippedBitInTheFirstBlockOfAFileIsTold) {
    make_table();

    for (const auto& file : tables_) {
        damage(file, 10, 3);
        if (open_damaged()) {
            EXPECT_EQ(scan_all(), Told::kYes) << file;
            close();
        }
    }
}

TEST_F(LsmCorruptionTest, AFlippedBitInTheFirstBlockIsToldWhenScanningBackwards) {
    make_table();

    for (const auto& file : tables_) {
        damage(file, 10, 3);
        if (!open_damaged()) {
            continue;
        }
        {
            const std::unique_ptr<View> view = engine().view();
            const std::unique_ptr<Cursor> cursor = view->cursor(Table::kCurrent);
            std::uint64_t number = kKeys;
            for (cursor->seek_to_last(); cursor->valid(); cursor->previous()) {
                ASSERT_EQ(cursor->key(), key_of(--number));
            }
            EXPECT_EQ(cursor->status().code(), Code::kCorruption);
        }
        close();
    }
}

TEST_F(LsmCorruptionTest, ACompactionOverADamagedBlockLosesNothing) {
    make_table();
    damage(tables_[1], 10, 3);
    if (open_damaged()) {
        const Status compacted = run(engine().compact());
        EXPECT_EQ(compacted.code(), Code::kCorruption) << compacted.to_string();
        close();
    }

    ASSERT_TRUE(std::filesystem::exists(tables_[1]));
    flip(tables_[1], 10, 3);
    open();

    EXPECT_EQ(scan_all(), Told::kNo);
}

TEST_F(LsmCorruptionTest, AfterACorruptReadEveryCallSaysSo) {
    make_table();
    damage(tables_[1], 10, 3);
    ASSERT_TRUE(open_damaged());
    ASSERT_EQ(scan_all(), Told::kYes);

    ByteView value;
    EXPECT_EQ(engine().find(Table::kCurrent, "any", &value), Lookup::kMustLoad);
    EXPECT_EQ(run(engine().load(Table::kCurrent, "any")).status().code(), Code::kCorruption);
    EXPECT_EQ(engine().find_blocking(Table::kCurrent, "any", &value).status().code(),
              Code::kCorruption);
    EXPECT_EQ(engine().view()->find(Table::kCurrent, "any", &value).status().code(),
              Code::kCorruption);
    EXPECT_EQ(run(engine().prefetch({"any"})).code(), Code::kCorruption);
    engine().put(Table::kCurrent, "any", "1");
    EXPECT_EQ(engine().commit(Index(1000)).code(), Code::kCorruption);
    EXPECT_EQ(run(engine().commit_when_ready(Index(1000))).code(), Code::kCorruption);
    EXPECT_EQ(run(engine().persist()).code(), Code::kCorruption);
    EXPECT_EQ(run(engine().compact()).code(), Code::kCorruption);
    EXPECT_EQ(run(engine().verify()).code(), Code::kCorruption);
    EXPECT_EQ(run(engine().snapshot_source()->next(100)).status().code(), Code::kCorruption);
}

TEST_F(LsmCorruptionTest, VerifyFindsAFlippedBitAnywhereInATable) {
    make_table();
    open();
    EXPECT_TRUE(run(engine().verify()).ok());
    close();
    Random random(10);

    for (int round = 0; round < 20 && !HasFailure(); ++round) {
        const auto& file = tables_[random.below(tables_.size())];
        const std::uint64_t offset =
            random.below(std::filesystem::file_size(spare_ / file.filename()));
        SCOPED_TRACE(file.string() + " offset " + std::to_string(offset));
        damage(file, offset, 5);
        if (open_damaged()) {
            const Status verified = run(engine().verify());
            EXPECT_EQ(verified.code(), Code::kCorruption) << verified.to_string();
            close();
        }
    }
}

TEST_F(LsmCorruptionTest, AMissingTableIsToldAtOpen) {
    make_table();
    std::filesystem::remove(tables_[1]);

    const Status opened = try_open(small_options());

    EXPECT_EQ(opened.code(), Code::kCorruption) << opened.to_string();
    EXPECT_NE(opened.message().find(directory().string()), std::string::npos);
}

TEST_F(LsmCorruptionTest, ATableCutShortIsToldAtOpen) {
    make_table();
    std::filesystem::resize_file(tables_[1], std::filesystem::file_size(tables_[1]) - 1);

    const Status opened = try_open(small_options());

    EXPECT_EQ(opened.code(), Code::kCorruption) << opened.to_string();
}

// All 1,314 bytes of such a manifest were tried once; a sample keeps it so.
TEST_F(LsmCorruptionTest, AFlippedBitInTheManifestIsTold) {
    make_table();
    const auto manifest = files("MANIFEST").back();
    const std::uint64_t size = std::filesystem::file_size(manifest);
    int told = 0;
    int older = 0;
    Random random(11);

    for (int round = 0; round < 60 && !HasFailure(); ++round) {
        const std::uint64_t offset = random.below(size);
        SCOPED_TRACE("offset " + std::to_string(offset));
        damage(manifest, offset, static_cast<unsigned>(random.below(8)));
        if (!open_damaged()) {
            ++told;
            continue;
        }
        if (engine().applied_index() == Index(kKeys / 100)) {
            EXPECT_EQ(scan_all(), Told::kNo);
        } else {
            ++older;
        }
        close();
    }
    EXPECT_GT(told, 50);
    EXPECT_EQ(older, 0);
}

}  // namespace
}  // namespace kvstore::storage::lsm
