// Files on Linux below one root folder.
#pragma once

#include <memory>
#include <string>

#include "env/disk.h"
#include "posix/internal/blocking_pool.h"
#include "posix/internal/file_io.h"

namespace kvstore::posix {

// Calls about names run on the pool; reads and writes go through `io`.
class PosixDisk final : public env::Disk {
public:
    PosixDisk(std::string root, BlockingPool& pool, FileIo& io);

    async::Task<Result<std::unique_ptr<env::File>>> open(std::string path,
                                                         env::OpenOptions options) override;
    async::Task<Result<std::vector<env::DirectoryEntry>>> list(std::string path) override;
    async::Task<Result<bool>> exists(std::string path) override;
    async::Task<Status> create_directories(std::string path) override;
    async::Task<Status> rename(std::string from, std::string to) override;
    async::Task<Status> remove(std::string path) override;
    async::Task<Status> sync_directory(std::string path) override;
    async::Task<Result<std::unique_ptr<env::FileLock>>> lock(std::string path) override;
    async::Task<Result<env::DiskSpace>> space() override;
    async::Task<void> run_blocking(Callback<void()> work) override;
    [[nodiscard]] std::string native_path(std::string_view path) const override;

private:
    // Runs `work` on the pool. One that is about `path` first proves that this stays below the
    // root.
    async::Task<Status> run_about(std::string path, Callback<Status(const std::string&)> work);

    std::string root_;
    BlockingPool& pool_;
    FileIo& io_;
};

}  // namespace kvstore::posix
