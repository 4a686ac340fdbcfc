#include "posix/testing/temporary_folder.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/assert.h"

namespace kvstore::posix {

TemporaryFolder::TemporaryFolder()
    : path_((std::filesystem::temp_directory_path() / "kvstore_test_XXXXXX").string()) {
    KVSTORE_ASSERT(::mkdtemp(path_.data()) != nullptr);
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace kvstore::posix
