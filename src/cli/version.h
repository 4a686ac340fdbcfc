// `--version`: this program, and the versions of what it is built on.
#pragma once

#include <string>

namespace kvstore::cli {

[[nodiscard]] std::string version_text();

}  // namespace kvstore::cli
