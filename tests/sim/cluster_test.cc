// The proof that simulated clusters see: every bug that is planted where they look is found.
#include <array>
#include <cstdint>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "base/log.h"
#include "base/planted_bug.h"
#include "cluster_storm.h"
#include "simulation/simulation.h"

namespace kvstore::storm {
namespace {

class Quiet : public testing::Test {
protected:
    Quiet() { set_log_level(LogLevel::kOff); }
    ~Quiet() override { set_log_level(LogLevel::kInfo); }
};

simulation::Options half_a_minute() {
    simulation::Options options;
    options.nodes = 3;
    options.length = std::chrono::seconds(30);
    return options;
}

using SimulatedCluster = Quiet;

TEST_F(SimulatedCluster, SameSeedGivesTheSameTrace) {
    const simulation::Report once = simulation::run(11, half_a_minute());
    const simulation::Report again = simulation::run(11, half_a_minute());

    EXPECT_EQ(once.violation, "");
    EXPECT_GT(once.operations_ok, 0U);
    EXPECT_GT(once.digests_compared, 0U);
    EXPECT_EQ(once.trace_hash, again.trace_hash);
    EXPECT_NE(once.trace_hash, simulation::run(12, half_a_minute()).trace_hash);
}

TEST_F(SimulatedCluster, WithoutFaultsNothingFails) {
    simulation::Options options = half_a_minute();
    options.faults.emplace();

    const simulation::Report report = simulation::run(1, options);

    EXPECT_EQ(report.violation, "");
    EXPECT_EQ(report.starts, 3U);
    EXPECT_EQ(report.faults, (std::array<std::uint64_t, simulation::kFaultKinds>{}));
}

TEST_F(SimulatedCluster, ARecoveryThatTakesTooLongIsAViolation) {
    simulation::Options options = half_a_minute();
    options.recovery_max = Duration(1);

    EXPECT_FALSE(simulation::run(1, options).violation.empty());
}

#ifdef KVSTORE_PLANTED_BUGS

// A bug, and in how many seeds it is found at the latest.
struct Planted {
    PlantedBug bug;
    std::uint64_t seeds_max;
};

void PrintTo(const Planted& planted, std::ostream* out) {
    *out << planted_bug_name(planted.bug);
}

class PlantedInACluster : public testing::TestWithParam<Planted> {
protected:
    PlantedInACluster() { set_log_level(LogLevel::kOff); }
    ~PlantedInACluster() override { set_log_level(LogLevel::kInfo); }
};

TEST_P(PlantedInACluster, IsCaught) {
    const ScopedPlantedBug planted(GetParam().bug);

    EXPECT_TRUE(first_that_fails(1, GetParam().seeds_max, half_a_minute()).has_value())
        << planted_bug_name(GetParam().bug) << " was not found";
}

INSTANTIATE_TEST_SUITE_P(Simulation,
                         PlantedInACluster,
                         testing::Values(Planted{PlantedBug::kGroupAnswersLostProposal, 150},
                                         Planted{PlantedBug::kGroupDeniesLostProposals, 150},
                                         Planted{PlantedBug::kGroupTermNotPersisted, 3},
                                         Planted{PlantedBug::kGroupRecoversUncommitted, 200},
                                         Planted{PlantedBug::kGroupReadsWithoutBarrier, 20},
                                         Planted{PlantedBug::kGroupTrustsItsLeadership, 200},
                                         Planted{PlantedBug::kGroupReadsBeforeApplied, 20},
                                         Planted{PlantedBug::kGroupDropsLastRow, 40},
                                         Planted{PlantedBug::kGroupAcknowledgesBeforeDurable, 80},
                                         Planted{PlantedBug::kGroupForgetsAppliedIndex, 10},
                                         Planted{PlantedBug::kRouteRetriesUnknown, 60},
                                         Planted{PlantedBug::kRouteAppliesTwice, 3},
                                         Planted{PlantedBug::kRouteDropsConditions, 3},
                                         Planted{PlantedBug::kKvIgnoresSession, 40},
                                         Planted{PlantedBug::kKvForgetsOwnWrites, 60},
                                         Planted{PlantedBug::kKvBoundedReadsAreEventual, 300},
                                         Planted{PlantedBug::kNodeFoundsAgain, 300},
                                         Planted{PlantedBug::kMvccSkipsConditions, 3},
                                         Planted{PlantedBug::kMvccDigestNotRolled, 3},
                                         Planted{PlantedBug::kMemorySnapshotMissesPreimage, 100},
                                         Planted{PlantedBug::kMemoryForgetsAppliedIndex, 10},
                                         Planted{PlantedBug::kWalSkipSync, 10},
                                         Planted{PlantedBug::kWalAcknowledgeEarly, 200},
                                         Planted{PlantedBug::kWalRetryAfterFailure, 100},
                                         Planted{PlantedBug::kWalReleaseTooMuch, 120}),
                         [](const testing::TestParamInfo<Planted>& info) {
                             std::string name;
                             for (const char c : planted_bug_name(info.param.bug)) {
                                 if (c != '-') {
                                     name += c;
                                 }
                             }
                             return name;
                         });

#endif

}  // namespace
}  // namespace kvstore::storm
