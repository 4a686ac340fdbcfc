// One file operation of the kernel's, carried out off the core. PosixFile builds env::File of it;
// who carries it out is chosen when the process starts: io_uring or the threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "async/task.h"

namespace kvstore::posix {

enum class FileOperation : std::uint8_t {
    kRead,
    kWrite,
    kWriteDurable,  // as kWrite with O_DSYNC
    kSyncData,      // fdatasync()
};

struct FileRequest {
    FileOperation operation = FileOperation::kRead;
    int descriptor = -1;
    std::uint64_t offset = 0;
    void* data = nullptr;
    std::size_t size = 0;
};

class FileIo {
public:
    virtual ~FileIo() = default;

    // Suspends: until the kernel is done; `request.data` stays the kernel's until then.
    // Returns: how many bytes, or the negative errno. May be fewer than asked for.
    virtual async::Task<std::int64_t> run(FileRequest request) = 0;
};

}  // namespace kvstore::posix
