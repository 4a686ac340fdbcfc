#include "base/planted_bug.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace kvstore {
namespace {

TEST(PlantedBug, EveryBugHasANameOfItsOwnThatFindsItAgain) {
    std::set<std::string> names;
    for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(PlantedBug::kCount); ++i) {
        const auto bug = static_cast<PlantedBug>(i);
        const std::string_view name = planted_bug_name(bug);
        EXPECT_FALSE(name.empty());
        EXPECT_TRUE(names.insert(std::string(name)).second) << name;
        EXPECT_EQ(find_planted_bug(name), bug);
    }
    EXPECT_EQ(find_planted_bug("no-such-bug"), std::nullopt);
}

#ifdef KVSTORE_PLANTED_BUGS

TEST(PlantedBug, OneIsPlantedAtATimeAndOnlyWithinItsScope) {
    EXPECT_FALSE(planted_bug(PlantedBug::kWalSkipSync));
    {
        const ScopedPlantedBug bug(PlantedBug::kWalSkipSync);
        EXPECT_TRUE(planted_bug(PlantedBug::kWalSkipSync));
        EXPECT_FALSE(planted_bug(PlantedBug::kWalIgnoreChain));
    }
    EXPECT_FALSE(planted_bug(PlantedBug::kWalSkipSync));
}

#endif

}  // namespace
}  // namespace kvstore
