// What this program was built from. The body is written by cmake/KvstoreVersion.cmake.
#pragma once

#include <string_view>

namespace kvstore {

struct BuildInfo {
    std::string_view version;     // "0.1.0"
    std::string_view git_commit;  // short hash, or "unknown" outside a checkout
    std::string_view git_date;    // of that commit, YYYY-MM-DD
    std::string_view compiler;    // "Clang 19.1.7"
    std::string_view build_type;  // "Dev" or "RelWithDebInfo"
    std::string_view sanitizers;  // "" or what -fsanitize= was given
};

const BuildInfo& build_info();

}  // namespace kvstore
