// File operations on the threads of a BlockingPool: for kernels without io_uring.
#pragma once

#include "posix/internal/blocking_pool.h"
#include "posix/internal/file_io.h"

namespace kvstore::posix {

// The operation itself, on the calling thread. Returns: as FileIo::run().
[[nodiscard]] std::int64_t run_file_request(const FileRequest& request);

class PoolFileIo final : public FileIo {
public:
    explicit PoolFileIo(BlockingPool& pool) : pool_(pool) {}

    async::Task<std::int64_t> run(FileRequest request) override;

private:
    BlockingPool& pool_;
};

}  // namespace kvstore::posix
