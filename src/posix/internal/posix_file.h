// An open file on Linux.
#pragma once

#include <cstdint>
#include <string>

#include "env/disk.h"
#include "posix/internal/blocking_pool.h"
#include "posix/internal/file_io.h"

namespace kvstore::posix {

// A file descriptor, or none.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int value) : value_(value) {}
    Descriptor(Descriptor&& other) noexcept : value_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { reset(); }

    [[nodiscard]] int value() const { return value_; }
    [[nodiscard]] bool is_open() const { return value_ >= 0; }
    int release();
    void reset();

private:
    int value_ = -1;
};

// Invariants
//   `direct_` is open only where the file system takes O_DIRECT; it then serves whatever is
//   aligned, and every read, so that reads show what is on the device
class PosixFile final : public env::File {
public:
    PosixFile(
        std::string path, Descriptor buffered, Descriptor direct, BlockingPool& pool, FileIo& io);

    async::Task<Result<Bytes>> read(std::uint64_t offset, std::size_t size) override;
    async::Task<Status> write(std::uint64_t offset, ByteView data) override;
    async::Task<Status> write_durable(std::uint64_t offset, ByteView data) override;
    async::Task<Status> sync() override;
    async::Task<Status> truncate(std::uint64_t size) override;
    async::Task<Result<std::uint64_t>> size() override;

private:
    async::Task<Result<std::size_t>> read_fully(int descriptor,
                                                std::uint64_t offset,
                                                char* to,
                                                std::size_t size);
    async::Task<Result<Bytes>> read_direct(std::uint64_t offset, std::size_t size);
    async::Task<Status> write_fully(FileOperation operation,
                                    int descriptor,
                                    std::uint64_t offset,
                                    ByteView data);
    [[nodiscard]] bool may_write_direct(std::uint64_t offset, ByteView data) const;

    std::string path_;
    Descriptor buffered_;
    Descriptor direct_;
    BlockingPool& pool_;
    FileIo& io_;
};

}  // namespace kvstore::posix
