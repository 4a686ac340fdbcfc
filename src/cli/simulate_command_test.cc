#include "cli/simulate_command.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace kvstore::cli {
namespace {

std::string workload(const std::string& text) {
    std::string path = testing::TempDir() + "simulate.workload";
    std::ofstream(path) << text;
    return path;
}

TEST(SimulateCommand, WrongArgumentsAreUsage) {
    EXPECT_EQ(run_simulate({"--nodes", "8"}), ExitCode::kUsage);
    EXPECT_EQ(run_simulate({"--nodes", "0"}), ExitCode::kUsage);
    EXPECT_EQ(run_simulate({"--seeds", "none"}), ExitCode::kUsage);
    EXPECT_EQ(run_simulate({"7"}), ExitCode::kUsage);
    EXPECT_EQ(run_simulate({"--sed", "7"}), ExitCode::kUsage);
}

TEST(SimulateCommand, AWrongWorkloadIsAWrongConfiguration) {
    EXPECT_EQ(run_simulate({"--workload", workload("nodes many")}), ExitCode::kConfigInvalid);
    EXPECT_EQ(run_simulate({"--workload", "/no/such/file"}), ExitCode::kConfigInvalid);
}

TEST(SimulateCommand, ARunThatHoldsEndsWithZeroAndOneThatDoesNotWithOne) {
    const std::string brief = "length 5s\nnodes 3\n";
    EXPECT_EQ(run_simulate({"--seed", "1", "--seeds", "2", "--workload", workload(brief)}),
              ExitCode::kOk);
    EXPECT_EQ(run_simulate({"--seed", "1", "--workload", workload(brief + "recovery 1ns\n")}),
              ExitCode::kError);
}

}  // namespace
}  // namespace kvstore::cli
