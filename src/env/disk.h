// Files, as one of the four doors to the world.
//
// What may be lost in a crash is part of the contract, and the simulator takes all of it away:
// written bytes before sync() or a durable write returned, in any sector-sized part; created,
// renamed and removed names before sync_directory() returned.
//
// Paths are relative to the disk's root folder, with '/' between parts; "" is the root.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/bytes.h"
#include "base/callback.h"
#include "base/status.h"

namespace kvstore::env {

// The unit in which a crash may tear a write, and the alignment of direct I/O.
inline constexpr std::size_t kSectorSize = 4096;

// An open file.
//
// Lifetime  Owned by its opener. Destroying it closes it; Requires: no call is under way.
// Runs on   One core; calls on one file may overlap, and overlapping writes to the same bytes
//           leave either.
class File {
public:
    virtual ~File() = default;

    // Reads up to `size` bytes; fewer only at the end of the file.
    // Errors: kIoError.
    virtual async::Task<Result<Bytes>> read(std::uint64_t offset, std::size_t size) = 0;

    // Writes all of `data`, which the caller keeps alive and unchanged until the call returns.
    // The file grows as needed.
    // Errors: kDiskFull, kIoError; any part may have been written (Effect::kUnknown).
    virtual async::Task<Status> write(std::uint64_t offset, ByteView data) = 0;

    // As write(), and durable when it returns, with everything this file needs to be read back.
    // Fastest where offset, size and address of `data` are multiples of kSectorSize and the bytes
    // were written before (see OpenOptions::direct): one device write without a journal commit.
    // Errors: as write(). After a failure the file must not be trusted again (FAULTS.md, rule 4).
    virtual async::Task<Status> write_durable(std::uint64_t offset, ByteView data) = 0;

    // Makes every write that has returned durable.
    // Errors: kIoError: unsynced data may be gone for good although it reads back. Never retried.
    virtual async::Task<Status> sync() = 0;

    virtual async::Task<Status> truncate(std::uint64_t size) = 0;
    virtual async::Task<Result<std::uint64_t>> size() = 0;
};

struct OpenOptions {
    bool create = false;     // make it when it does not exist
    bool exclusive = false;  // with create: kAlreadyExists when it does
    bool writable = true;
    // Bypass the page cache where the file system can. Reads then show what is on the device.
    bool direct = false;
};

struct DirectoryEntry {
    std::string name;
    bool is_directory = false;
};

// Holds a file lock until destroyed.
class FileLock {
public:
    virtual ~FileLock() = default;
};

struct DiskSpace {
    std::uint64_t total = 0;
    std::uint64_t available = 0;
};

// Runs on   One core; each core has its own over the same files.
class Disk {
public:
    virtual ~Disk() = default;

    // Errors: kNotFound, kAlreadyExists, kPermissionDenied, kDiskFull, kIoError; the message names
    // the path.
    virtual async::Task<Result<std::unique_ptr<File>>> open(std::string path,
                                                            OpenOptions options) = 0;

    // Errors: kNotFound.
    virtual async::Task<Result<std::vector<DirectoryEntry>>> list(std::string path) = 0;
    virtual async::Task<Result<bool>> exists(std::string path) = 0;
    // With all parents. Done when it exists already.
    virtual async::Task<Status> create_directories(std::string path) = 0;
    // Replaces `to` atomically.
    virtual async::Task<Status> rename(std::string from, std::string to) = 0;
    // A file, or a directory with everything in it. Done when it does not exist.
    virtual async::Task<Status> remove(std::string path) = 0;
    // Makes creations, renames and removals in this directory durable.
    virtual async::Task<Status> sync_directory(std::string path) = 0;

    // Takes an exclusive lock that ends with the process.
    // Errors: kConflict when another process holds it; the message says which, where known.
    virtual async::Task<Result<std::unique_ptr<FileLock>>> lock(std::string path) = 0;

    virtual async::Task<Result<DiskSpace>> space() = 0;

    // Runs `work`, which may block on files, off the core: for libraries that do their own I/O.
    // `work` may touch nothing that belongs to the core.
    // Suspends: until `work` has returned.
    virtual async::Task<void> run_blocking(Callback<void()> work) = 0;

    // Where the root folder is for the operating system, for libraries that open files by
    // themselves; empty in the simulator.
    [[nodiscard]] virtual std::string native_path(std::string_view path) const = 0;
};

// Reads a whole file of at most `size_max` bytes. Errors: as open() and read(); kTooLarge.
async::Task<Result<Bytes>> read_file(Disk* disk, std::string path, std::uint64_t size_max);

// Replaces a small file durably and atomically: written aside, synced, renamed, directory synced.
async::Task<Status> write_file_atomically(Disk* disk, std::string path, Bytes content);

}  // namespace kvstore::env
