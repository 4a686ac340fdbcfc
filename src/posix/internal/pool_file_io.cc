#include "posix/internal/pool_file_io.h"

#include <cerrno>
#include <utility>

#include <sys/uio.h>
#include <unistd.h>

namespace kvstore::posix {

std::int64_t run_file_request(const FileRequest& request) {
    const auto offset = static_cast<off_t>(request.offset);
    const iovec part{.iov_base = request.data, .iov_len = request.size};
    std::int64_t result = 0;
    switch (request.operation) {
        case FileOperation::kRead: result = ::preadv(request.descriptor, &part, 1, offset); break;
        case FileOperation::kWrite: result = ::pwritev(request.descriptor, &part, 1, offset); break;
        case FileOperation::kWriteDurable:
            result = ::pwritev2(request.descriptor, &part, 1, offset, RWF_DSYNC);
            break;
        case FileOperation::kSyncData: result = ::fdatasync(request.descriptor); break;
    }
    return result < 0 ? -errno : result;
}

async::Task<std::int64_t> PoolFileIo::run(FileRequest request) {
    std::int64_t result = 0;
    Callback<void()> work = [&request, &result] {
        result = run_file_request(request);
    };
    co_await pool_.run(std::move(work));
    co_return result;
}

}  // namespace kvstore::posix
