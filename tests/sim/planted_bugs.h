// What tests of planted bugs share.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "base/planted_bug.h"

namespace kvstore::storm {

// A parameter's name in gtest: without what that does not take.
inline std::string planted_bug_test_name(const testing::TestParamInfo<PlantedBug>& bug) {
    std::string name(planted_bug_name(bug.param));
    std::erase(name, '-');
    return name;
}

}  // namespace kvstore::storm
