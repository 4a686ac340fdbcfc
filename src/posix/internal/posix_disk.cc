#include "posix/internal/posix_disk.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/parse.h"
#include "posix/internal/errors.h"
#include "posix/internal/posix_file.h"

namespace kvstore::posix {
namespace {

constexpr mode_t kFileMode = 0640;

class PosixFileLock final : public env::FileLock {
public:
    explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

private:
    Descriptor descriptor_;  // closing it gives the lock back
};

struct OpenedFile {
    Descriptor buffered;
    Descriptor direct;
};

bool stays_below_root(std::string_view path) {
    if (path.starts_with('/') || path.find('\0') != std::string_view::npos) {
        return false;
    }
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        if (path.substr(0, slash) == "..") {
            return false;
        }
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return true;
}

int open_retrying(const std::string& path, int flags) {
    int descriptor = -1;
    do {
        descriptor = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

Status open_file(const std::string& path, env::OpenOptions options, OpenedFile* opened) {
    const int access = options.writable ? O_RDWR : O_RDONLY;
    const int creation =
        (options.create ? O_CREAT : 0) | (options.create && options.exclusive ? O_EXCL : 0);
    opened->buffered = Descriptor(open_retrying(path, access | creation));
    if (!opened->buffered.is_open()) {
        return file_error(errno, "cannot open " + path);
    }
    struct stat entry = {};
    if (::fstat(opened->buffered.value(), &entry) == 0 && S_ISDIR(entry.st_mode)) {
        return {Code::kIoError, "cannot open " + path + ": it is a directory"};
    }
    if (options.direct) {
        // A file system that refuses leaves this one closed, and the page cache serves.
        opened->direct = Descriptor(open_retrying(path, access | O_DIRECT));
        if (!opened->direct.is_open() && errno != EINVAL) {
            return file_error(errno, "cannot open " + path);
        }
    }
    return {};
}

Status list_directory(const std::string& path, std::vector<env::DirectoryEntry>* entries) {
    std::error_code error;
    std::filesystem::directory_iterator at(path, error);
    while (!error && at != std::filesystem::directory_iterator()) {
        std::error_code unknown;
        entries->push_back(
            {.name = at->path().filename().string(), .is_directory = at->is_directory(unknown)});
        at.increment(error);
    }
    std::ranges::sort(*entries, {}, &env::DirectoryEntry::name);
    return error ? file_error(error.value(), "cannot list " + path) : Status();
}

Status sync_directory_at(const std::string& path) {
    const Descriptor directory(open_retrying(path, O_RDONLY | O_DIRECTORY));
    if (!directory.is_open()) {
        return file_error(errno, "cannot open " + path);
    }
    while (::fsync(directory.value()) != 0) {
        if (errno != EINTR) {
            return file_error(errno, "sync of " + path, Effect::kUnknown);
        }
    }
    return {};
}

// What the holder of a lock has written into it.
std::string describe_holder(int descriptor) {
    std::array<char, 24> text = {};
    const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
    std::string_view digits(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    digits = digits.substr(0, digits.find('\n'));
    const auto process = parse_uint64(digits);
    return process ? "process " + std::to_string(*process) : std::string("another process");
}

Status lock_file(const std::string& path, Descriptor* locked) {
    Descriptor descriptor(open_retrying(path, O_RDWR | O_CREAT));
    if (!descriptor.is_open()) {
        return file_error(errno, "cannot open " + path);
    }
    // Of the open file rather than of the process: a second lock of our own conflicts as well, and
    // closing some other descriptor of the file does not give it back.
    struct flock whole = {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(descriptor.value(), F_OFD_SETLK, &whole) != 0) {
        if (errno != EAGAIN && errno != EACCES) {
            return file_error(errno, "cannot lock " + path);
        }
        return {Code::kConflict, path + " is locked by " + describe_holder(descriptor.value())};
    }
    const std::string process = std::to_string(::getpid()) + "\n";
    const bool is_written = ::ftruncate(descriptor.value(), 0) == 0 &&
                            ::pwrite(descriptor.value(), process.data(), process.size(), 0) ==
                                static_cast<ssize_t>(process.size());
    if (!is_written) {
        return file_error(errno, "cannot write " + path);
    }
    *locked = std::move(descriptor);
    return {};
}

}  // namespace

PosixDisk::PosixDisk(std::string root, BlockingPool& pool, FileIo& io)
    : root_(root.empty() ? "." : std::move(root)), pool_(pool), io_(io) {}

std::string PosixDisk::native_path(std::string_view path) const {
    return path.empty() ? root_ : root_ + "/" + std::string(path);
}

async::Task<void> PosixDisk::run_blocking(Callback<void()> work) {
    co_await pool_.run(std::move(work));
}

async::Task<Status> PosixDisk::run_about(std::string path,
                                         Callback<Status(const std::string&)> work) {
    if (!stays_below_root(path)) {
        co_return Status(Code::kInvalidArgument, "'" + path + "' is no path below the data folder");
    }
    const std::string native = native_path(path);
    Status outcome;
    Callback<void()> blocking = [&work, &native, &outcome] {
        outcome = work(native);
    };
    co_await pool_.run(std::move(blocking));
    co_return outcome;
}

async::Task<Result<std::unique_ptr<env::File>>> PosixDisk::open(std::string path,
                                                                env::OpenOptions options) {
    OpenedFile opened;
    Callback<Status(const std::string&)> work = [&opened, options](const std::string& native) {
        return open_file(native, options, &opened);
    };
    const Status outcome = co_await run_about(path, std::move(work));
    if (!outcome.ok()) {
        co_return outcome;
    }
    co_return std::make_unique<PosixFile>(
        native_path(path), std::move(opened.buffered), std::move(opened.direct), pool_, io_);
}

async::Task<Result<std::vector<env::DirectoryEntry>>> PosixDisk::list(std::string path) {
    std::vector<env::DirectoryEntry> entries;
    Callback<Status(const std::string&)> work = [&entries](const std::string& native) {
        return list_directory(native, &entries);
    };
    const Status outcome = co_await run_about(std::move(path), std::move(work));
    if (!outcome.ok()) {
        co_return outcome;
    }
    co_return entries;
}

async::Task<Result<bool>> PosixDisk::exists(std::string path) {
    bool is_there = false;
    Callback<Status(const std::string&)> work = [&is_there](const std::string& native) {
        struct stat entry = {};
        is_there = ::lstat(native.c_str(), &entry) == 0;
        if (is_there || errno == ENOENT || errno == ENOTDIR) {
            return Status();
        }
        return file_error(errno, "cannot look at " + native);
    };
    const Status outcome = co_await run_about(std::move(path), std::move(work));
    if (!outcome.ok()) {
        co_return outcome;
    }
    co_return is_there;
}

async::Task<Status> PosixDisk::create_directories(std::string path) {
    Callback<Status(const std::string&)> work = [](const std::string& native) {
        std::error_code error;
        std::filesystem::create_directories(native, error);
        return error ? file_error(error.value(), "cannot create " + native) : Status();
    };
    co_return co_await run_about(std::move(path), std::move(work));
}

async::Task<Status> PosixDisk::rename(std::string from, std::string to) {
    if (!stays_below_root(to)) {
        co_return Status(Code::kInvalidArgument, "'" + to + "' is no path below the data folder");
    }
    const std::string native_to = native_path(to);
    Callback<Status(const std::string&)> work = [&native_to](const std::string& native) {
        if (::rename(native.c_str(), native_to.c_str()) != 0) {
            return file_error(errno, "cannot rename " + native + " to " + native_to);
        }
        return Status();
    };
    co_return co_await run_about(std::move(from), std::move(work));
}

async::Task<Status> PosixDisk::remove(std::string path) {
    if (path.empty()) {
        co_return Status(Code::kInvalidArgument, "the data folder itself is not removed");
    }
    Callback<Status(const std::string&)> work = [](const std::string& native) {
        std::error_code error;
        std::filesystem::remove_all(native, error);
        return error ? file_error(error.value(), "cannot remove " + native, Effect::kUnknown)
                     : Status();
    };
    co_return co_await run_about(std::move(path), std::move(work));
}

async::Task<Status> PosixDisk::sync_directory(std::string path) {
    Callback<Status(const std::string&)> work = [](const std::string& native) {
        return sync_directory_at(native);
    };
    co_return co_await run_about(std::move(path), std::move(work));
}

async::Task<Result<std::unique_ptr<env::FileLock>>> PosixDisk::lock(std::string path) {
    Descriptor locked;
    Callback<Status(const std::string&)> work = [&locked](const std::string& native) {
        return lock_file(native, &locked);
    };
    const Status outcome = co_await run_about(std::move(path), std::move(work));
    if (!outcome.ok()) {
        co_return outcome;
    }
    co_return std::make_unique<PosixFileLock>(std::move(locked));
}

async::Task<Result<env::DiskSpace>> PosixDisk::space() {
    env::DiskSpace space;
    Callback<Status(const std::string&)> work = [&space](const std::string& native) {
        struct statvfs file_system = {};
        if (::statvfs(native.c_str(), &file_system) != 0) {
            return file_error(errno, "cannot measure " + native);
        }
        space.total = file_system.f_blocks * file_system.f_frsize;
        space.available = file_system.f_bavail * file_system.f_frsize;
        return Status();
    };
    const Status outcome = co_await run_about("", std::move(work));
    if (!outcome.ok()) {
        co_return outcome;
    }
    co_return space;
}

}  // namespace kvstore::posix
