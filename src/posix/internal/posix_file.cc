#include "posix/internal/posix_file.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "posix/internal/errors.h"

namespace kvstore::posix {
namespace {

struct FreeAligned {
    void operator()(char* memory) const {
        ::operator delete(memory, std::align_val_t{env::kSectorSize});
    }
};
using AlignedMemory = std::unique_ptr<char[], FreeAligned>;

AlignedMemory allocate_aligned(std::size_t size) {
    return AlignedMemory(
        static_cast<char*>(::operator new(size, std::align_val_t{env::kSectorSize})));
}

constexpr std::uint64_t round_down(std::uint64_t value) {
    return value / env::kSectorSize * env::kSectorSize;
}
constexpr std::uint64_t round_up(std::uint64_t value) {
    return round_down(value + env::kSectorSize - 1);
}

// One request of the kernel's is below 2 GiB; longer ones go in parts of this size.
constexpr std::size_t kRequestSizeMax = std::size_t{1} << 30U;

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        reset();
        value_ = other.release();
    }
    return *this;
}

int Descriptor::release() {
    return std::exchange(value_, -1);
}

void Descriptor::reset() {
    if (is_open()) {
        ::close(release());
    }
}

PosixFile::PosixFile(
    std::string path, Descriptor buffered, Descriptor direct, BlockingPool& pool, FileIo& io)
    : path_(std::move(path)),
      buffered_(std::move(buffered)),
      direct_(std::move(direct)),
      pool_(pool),
      io_(io) {}

async::Task<Result<std::size_t>> PosixFile::read_fully(int descriptor,
                                                       std::uint64_t offset,
                                                       char* to,
                                                       std::size_t size) {
    FileRequest request{.operation = FileOperation::kRead, .descriptor = descriptor};
    std::size_t done = 0;
    while (done < size) {
        request.offset = offset + done;
        request.data = to + done;
        request.size = std::min(size - done, kRequestSizeMax);
        const std::int64_t result = co_await io_.run(request);
        if (result == -EINTR || result == -EAGAIN) {
            continue;
        }
        if (result < 0) {
            co_return file_error(static_cast<int>(-result), "read of " + path_);
        }
        if (result == 0) {
            break;
        }
        done += static_cast<std::size_t>(result);
        // Direct I/O ends short, and unaligned, only at the end of the file.
        if (descriptor == direct_.value() && done % env::kSectorSize != 0) {
            break;
        }
    }
    co_return done;
}

async::Task<Result<Bytes>> PosixFile::read(std::uint64_t offset, std::size_t size) {
    if (direct_.is_open()) {
        auto through_direct = co_await read_direct(offset, size);
        co_return through_direct;
    }
    Bytes content(size, '\0');
    auto taken = co_await read_fully(buffered_.value(), offset, content.data(), size);
    KVSTORE_CO_TRY(const std::size_t count, std::move(taken));
    content.resize(count);
    co_return content;
}

async::Task<Result<Bytes>> PosixFile::read_direct(std::uint64_t offset, std::size_t size) {
    if (size == 0) {
        co_return Bytes();
    }
    const std::uint64_t begin = round_down(offset);
    const std::size_t skipped = offset - begin;
    const std::size_t length = round_up(offset + size) - begin;
    const AlignedMemory memory = allocate_aligned(length);
    auto taken = co_await read_fully(direct_.value(), begin, memory.get(), length);
    KVSTORE_CO_TRY(const std::size_t count, std::move(taken));
    const std::size_t available = count > skipped ? count - skipped : 0;
    co_return Bytes(memory.get() + skipped, std::min(available, size));
}

async::Task<Status> PosixFile::write_fully(FileOperation operation,
                                           int descriptor,
                                           std::uint64_t offset,
                                           ByteView data) {
    FileRequest request{.operation = operation, .descriptor = descriptor};
    std::size_t done = 0;
    while (done < data.size()) {
        request.offset = offset + done;
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): a write only reads it
        request.data = const_cast<char*>(data.data()) + done;
        request.size = std::min(data.size() - done, kRequestSizeMax);
        const std::int64_t result = co_await io_.run(request);
        if (result == -EINTR || result == -EAGAIN) {
            continue;
        }
        if (result <= 0) {
            const int error = result < 0 ? static_cast<int>(-result) : EIO;
            co_return file_error(error, "write to " + path_, Effect::kUnknown);
        }
        done += static_cast<std::size_t>(result);
    }
    co_return Status();
}

bool PosixFile::may_write_direct(std::uint64_t offset, ByteView data) const {
    const auto address = reinterpret_cast<std::uintptr_t>(data.data());
    return direct_.is_open() && (offset | data.size() | address) % env::kSectorSize == 0;
}

async::Task<Status> PosixFile::write(std::uint64_t offset, ByteView data) {
    const int descriptor = may_write_direct(offset, data) ? direct_.value() : buffered_.value();
    co_return co_await write_fully(FileOperation::kWrite, descriptor, offset, data);
}

async::Task<Status> PosixFile::write_durable(std::uint64_t offset, ByteView data) {
    if (may_write_direct(offset, data)) {
        co_return co_await write_fully(FileOperation::kWriteDurable, direct_.value(), offset, data);
    }
    const Status written =
        co_await write_fully(FileOperation::kWrite, buffered_.value(), offset, data);
    if (!written.ok()) {
        co_return written;
    }
    co_return co_await sync();
}

async::Task<Status> PosixFile::sync() {
    const FileRequest request{.operation = FileOperation::kSyncData,
                              .descriptor = buffered_.value()};
    std::int64_t result = -EINTR;
    while (result == -EINTR) {
        result = co_await io_.run(request);
    }
    if (result < 0) {
        co_return file_error(static_cast<int>(-result), "sync of " + path_, Effect::kUnknown);
    }
    co_return Status();
}

async::Task<Status> PosixFile::truncate(std::uint64_t size) {
    int error = 0;
    Callback<void()> work = [this, size, &error] {
        while (::ftruncate(buffered_.value(), static_cast<off_t>(size)) != 0) {
            if (errno != EINTR) {
                error = errno;
                return;
            }
        }
    };
    co_await pool_.run(std::move(work));
    co_return error == 0 ? Status() : file_error(error, "truncate of " + path_, Effect::kUnknown);
}

async::Task<Result<std::uint64_t>> PosixFile::size() {
    struct stat entry = {};
    int error = 0;
    Callback<void()> work = [this, &entry, &error] {
        error = ::fstat(buffered_.value(), &entry) == 0 ? 0 : errno;
    };
    co_await pool_.run(std::move(work));
    if (error != 0) {
        co_return file_error(error, "size of " + path_);
    }
    co_return static_cast<std::uint64_t>(entry.st_size);
}

}  // namespace kvstore::posix
