#include "server/data_directory.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/world.h"

namespace kvstore::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DataDirectories : public ::testing::Test {
protected:
    Result<DataDirectory> open(std::string id = "n1", std::uint64_t cluster = 7) {
        return world_.block_on(
            machine_,
            open_data_directory(
                &machine_.env().disk,
                std::move(id),
                {.cluster_id = cluster, .number = NodeId(1), .store = 9, .founding = {}}));
    }
    // What opening is refused with.
    Status refusal(std::string id = "n1") { return open(std::move(id)).status(); }
    std::vector<std::string> listing() {
        auto listed = world_.block_on(machine_, machine_.env().disk.list(""));
        std::vector<std::string> names;
        for (const env::DirectoryEntry& entry : *listed) {
            names.push_back(entry.name);
        }
        std::ranges::sort(names);
        return names;
    }
    Bytes read(std::string path) {
        auto content = world_.block_on(
            machine_, env::read_file(&machine_.env().disk, std::move(path), 1U << 20U));
        return content.ok() ? *content : "";
    }
    void write(std::string path, Bytes content) {
        const Status written = world_.block_on(
            machine_,
            env::write_file_atomically(&machine_.env().disk, std::move(path), std::move(content)));
        ASSERT_TRUE(written.ok()) << written.to_string();
    }
    void crash(sim::CrashKind kind = sim::CrashKind::kPowerLoss) {
        world_.crash(machine_, kind);
        world_.restart(machine_);
    }

    sim::World world_{1};
    sim::Host& machine_ = world_.add_host("n1");
};

TEST_F(DataDirectories, AreMadeOnceAndKeepWhoseTheyAre) {
    auto made = open("n1", 0x1234);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    EXPECT_EQ(made->node_id, "n1");
    EXPECT_EQ(made->cluster_id, "0000000000001234");
    EXPECT_NE(made->lock, nullptr);
    made->lock.reset();

    const auto opened = open("n1", 0x9999);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    EXPECT_EQ(opened->node_id, "n1");
    EXPECT_EQ(opened->cluster_id, "0000000000001234");
    EXPECT_NE(opened->lock, nullptr);
}

TEST_F(DataDirectories, HaveAFileThatPeopleCanRead) {
    ASSERT_TRUE(open("n1", ~0ULL).ok());
    EXPECT_THAT(read("kvstore"),
                ::testing::StartsWith("kvstore-data 1\nnode n1\ncluster ffffffffffffffff\n"
                                      "number 1\nstore 0000000000000009\ncrc "));
}

TEST_F(DataDirectories, KeepWhatBecameKnown) {
    {
        auto made = open("n1", 0);
        ASSERT_TRUE(made.ok());
        made->number = NodeId(7);
        made->cluster_id = cluster_id_text(0xabcdef);
        made->store = 0x1234567890abcdefULL;
        made->founding = "7:1:n1=a:1";
        made->has_begun = true;
        ASSERT_TRUE(world_.block_on(machine_, save_identity(&machine_.env().disk, &*made)).ok());
    }
    const auto opened = open("n1", 99);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    EXPECT_EQ(opened->number, NodeId(7));
    EXPECT_EQ(cluster_id_of(opened->cluster_id), 0xabcdefU);
    EXPECT_EQ(opened->store, 0x1234567890abcdefULL);
    EXPECT_EQ(opened->founding, "7:1:n1=a:1");
    EXPECT_TRUE(opened->has_begun);
}

TEST_F(DataDirectories, StayMadeWhenThePowerFails) {
    for (const char* id : {"n1", "n1"}) {
        {
            const auto opened = open(id);
            ASSERT_TRUE(opened.ok()) << opened.status().to_string();
        }
        crash();
    }
    EXPECT_EQ(refusal("other").code(), Code::kConflict);
}

// Whatever a first start has left when the power failed, the next one goes on with.
TEST_F(DataDirectories, CanBeMadeAgainWhereTheFirstStartWasCutShort) {
    for (int steps = 0; steps < 40; ++steps) {
        sim::Host& machine = world_.add_host("m" + std::to_string(steps));
        auto task =
            open_data_directory(&machine.env().disk,
                                "n1",
                                {.cluster_id = 7, .number = NodeId(1), .store = 9, .founding = {}});
        (void)world_.try_block_on(machine, std::move(task), std::chrono::microseconds(20 * steps));
        world_.crash(machine);
        world_.restart(machine);
        const auto opened = world_.block_on(
            machine,
            open_data_directory(
                &machine.env().disk,
                "n1",
                {.cluster_id = 7, .number = NodeId(1), .store = 9, .founding = {}}));
        EXPECT_TRUE(opened.ok()) << steps << ": " << opened.status().to_string();
    }
}

TEST_F(DataDirectories, BelongToOneServerAtATime) {
    auto first = open();
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(refusal().code(), Code::kConflict);

    first->lock.reset();
    EXPECT_TRUE(open().ok());
}

TEST_F(DataDirectories, BelongToOneNode) {
    ASSERT_TRUE(open("n1").ok());
    const Status status = refusal("n2");
    EXPECT_EQ(status.code(), Code::kConflict);
    EXPECT_THAT(std::string(status.message()), HasSubstr("--id n1"));
    EXPECT_TRUE(open("n1").ok());
}

TEST_F(DataDirectories, OfANewerVersionAreLeftAlone) {
    ASSERT_TRUE(open().ok());
    Bytes newer = read("kvstore");
    newer.replace(0, 14, "kvstore-data 2");
    write("kvstore", newer);

    const Status status = refusal();

    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("format 2"));
    EXPECT_EQ(read("kvstore"), newer);
}

TEST_F(DataDirectories, AreRefusedWhenAnyByteOfTheirFileIsDamaged) {
    ASSERT_TRUE(open().ok());
    const Bytes good = read("kvstore");
    for (std::size_t at = 0; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        write("kvstore", bad);
        const Status status = refusal();
        // A digit of the version may have become a higher one.
        EXPECT_TRUE(status.code() == Code::kCorruption ||
                    (at == 13 && status.code() == Code::kInvalidArgument))
            << at << ": " << status.to_string();
        write("kvstore", good.substr(0, at));
        EXPECT_EQ(refusal().code(), Code::kCorruption) << at;
    }
    write("kvstore", good + good);
    EXPECT_EQ(refusal().code(), Code::kCorruption);
    write("kvstore", good);
    EXPECT_TRUE(open().ok());
}

// It got a lock file.
TEST_F(DataDirectories, OfSomethingElseAreLeftUntouched) {
    write("thesis.txt", "mine");
    const Status status = refusal();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("thesis.txt"));
    EXPECT_THAT(listing(), ElementsAre("thesis.txt"));
}

TEST_F(DataDirectories, OfSomethingElseAreNotTakenForHalfMadeOnes) {
    write("thesis.new", "mine");
    EXPECT_EQ(refusal().code(), Code::kInvalidArgument);
}

// The program itself, in the working directory.
TEST_F(DataDirectories, AreNotMistakenForAFolderWithAnotherFileOfThatName) {
    write("kvstore", Bytes(100'000, 'x'));
    const Status status = refusal();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("'kvstore'"));
    EXPECT_EQ(read("kvstore").size(), 100'000);
}

TEST_F(DataDirectories, MayBeAFreshFileSystem) {
    const Status made =
        world_.block_on(machine_, machine_.env().disk.create_directories("lost+found"));
    ASSERT_TRUE(made.ok());
    EXPECT_TRUE(open().ok());
}

TEST_F(DataDirectories, ReportWhatTheDiskReports) {
    for (const sim::DiskCall call : {sim::DiskCall::kWrite, sim::DiskCall::kSync}) {
        machine_.disk_faults().on(call).nth = 1;
        EXPECT_EQ(refusal().code(), Code::kIoError);
        machine_.disk_faults() = {};
        EXPECT_TRUE(open().ok());
        const Status removed = world_.block_on(machine_, machine_.env().disk.remove("kvstore"));
        ASSERT_TRUE(removed.ok());
    }
    machine_.disk_faults().capacity = 0;
    EXPECT_EQ(refusal().code(), Code::kDiskFull);
}

}  // namespace
}  // namespace kvstore::server
