#include "raft/testing/script.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace kvstore::raft::testing {
namespace {

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// KVSTORE_REWRITE=1 writes what happens into the scripts.
TEST(RaftScripts, TellWhatHappens) {
    std::vector<std::filesystem::path> scripts;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(KVSTORE_MODULE_DIR) + "/testdata")) {
        scripts.push_back(entry.path());
    }
    std::sort(scripts.begin(), scripts.end());
    ASSERT_GE(scripts.size(), 7U);
    for (const std::filesystem::path& path : scripts) {
        const std::string expected = read_file(path);
        const std::string happened = replay_script(expected);
        EXPECT_EQ(happened.find("BROKEN"), std::string::npos) << path;
        if (std::getenv("KVSTORE_REWRITE") != nullptr) {
            std::ofstream(path) << happened;
        } else {
            EXPECT_EQ(happened, expected) << path;
        }
    }
}

}  // namespace
}  // namespace kvstore::raft::testing
