#include "simulation/workload.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvstore::simulation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string complaint(std::string_view text) {
    Options options;
    return std::string(apply_workload(options, text).message());
}

TEST(Workload, SetsWhatItNamesAndLeavesTheRest) {
    Options options;

    const Status applied = apply_workload(options,
                                          "# a cluster of five\n"
                                          "nodes 5\n\n"
                                          "  clients\t12   # busy\n"
                                          "length 90s\r\n"
                                          "keyspaces 4\n"
                                          "mix read=80 write=20 expire=3\n"
                                          "faults kill one-way");

    ASSERT_TRUE(applied.ok()) << applied.to_string();
    EXPECT_EQ(options.nodes, 5U);
    EXPECT_EQ(options.clients, 12U);
    EXPECT_EQ(options.keys, Options().keys);
    EXPECT_EQ(options.length, std::chrono::seconds(90));
    EXPECT_EQ(options.mix.read, 80U);
    EXPECT_EQ(options.mix.write, 20U);
    EXPECT_EQ(options.keyspaces, 4U);
    EXPECT_EQ(options.mix.expire, 3U);
    EXPECT_EQ(options.mix.increment, 0U);
    EXPECT_EQ(options.mix.scan, 0U);
    ASSERT_TRUE(options.faults.has_value());
    EXPECT_THAT(*options.faults, ElementsAre(FaultKind::kKill, FaultKind::kOneWay));
}

TEST(Workload, FaultsMayBeNoneOrAll) {
    Options options;
    ASSERT_TRUE(apply_workload(options, "faults none").ok());
    EXPECT_TRUE(options.faults.has_value() && options.faults->empty());
    ASSERT_TRUE(apply_workload(options, "faults all").ok());
    EXPECT_EQ(options.faults->size(), kFaultKinds);
}

TEST(Workload, AWrongLineIsToldWithItsNumberAndWhatIsAllowed) {
    EXPECT_EQ(complaint("nodes 3\nnode 3"), "line 2: 'node' is no setting, did you mean 'nodes'?");
    EXPECT_THAT(complaint("colour blue"), HasSubstr("line 1: 'colour' is no setting: nodes, "));
    EXPECT_EQ(complaint("nodes 8"), "line 1: nodes takes a whole number from 1 to 7");
    EXPECT_EQ(complaint("nodes"), "line 1: nodes takes a whole number from 1 to 7");
    EXPECT_EQ(complaint("keys 1 2"), "line 1: keys takes a whole number from 1 to 1000");
    EXPECT_THAT(complaint("length 0s"), HasSubstr("line 1: length takes a time"));
    EXPECT_THAT(complaint("mix read=x"), HasSubstr("line 1: 'read=x' is no weight"));
    EXPECT_THAT(complaint("mix"), HasSubstr("line 1: mix needs an operation"));
    EXPECT_EQ(complaint("faults kil"), "line 1: 'kil' is no kind of fault, did you mean 'kill'?");
    EXPECT_THAT(complaint("faults"), HasSubstr("line 1: faults takes none, all, or kinds"));
}

TEST(FaultKind, EveryKindHasANameThatFindsIt) {
    for (std::size_t i = 0; i < kFaultKinds; ++i) {
        const auto kind = static_cast<FaultKind>(i);
        EXPECT_EQ(find_fault(fault_name(kind)), kind);
    }
    EXPECT_EQ(find_fault("no-such-fault"), std::nullopt);
}

}  // namespace
}  // namespace kvstore::simulation
