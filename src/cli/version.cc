#include "cli/version.h"

#include "base/build_info.h"
#include "storage/engines.h"

namespace kvstore::cli {

std::string version_text() {
    const BuildInfo& build = build_info();
    std::string text = "kvstore ";
    text += build.version;
    text += " (git ";
    text += build.git_commit;
    text += ", ";
    text += build.git_date;
    text += ", ";
    text += build.compiler;
    text += ", rocksdb " + storage::lsm_library_version();
    text += ")\n";
    return text;
}

}  // namespace kvstore::cli
