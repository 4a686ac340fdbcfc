#include "sim/internal/sim_disk.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "sim/internal/process.h"
#include "sim/internal/sim_file.h"
#include "sim/world.h"

namespace kvstore::sim::internal {
namespace {

class SimFileLock final : public env::FileLock {
public:
    SimFileLock(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
    SimFileLock(const SimFileLock&) = delete;
    SimFileLock& operator=(const SimFileLock&) = delete;
    ~SimFileLock() override { disk_.unlock(path_); }

private:
    SimDisk& disk_;
    std::string path_;
};

Status io_error(const std::string& path, std::string_view what) {
    return {
        Code::kIoError, Effect::kUnknown, path + ": " + std::string(what) + " failed (simulated)"};
}

Status not_found(const std::string& path) {
    return {Code::kNotFound, path + ": no such file or folder"};
}

}  // namespace

DurationRange SimDisk::latency_of(DiskCall call) const {
    switch (call) {
        case DiskCall::kRead: return options_.read;
        case DiskCall::kWrite: return options_.write;
        case DiskCall::kSync:
        case DiskCall::kSyncDirectory: return options_.sync;
        default: return options_.name;
    }
}

bool SimDisk::strikes(PerMillion chance, const std::string& path) {
    return path.starts_with(faults_.path_prefix) && process_.timeline().happens(chance);
}

SimDisk::Fate SimDisk::begin(DiskCall call, const std::string& path) {
    Timeline& timeline = process_.timeline();
    if (!process_.is_alive()) {
        return {};
    }
    timeline.trace(TraceKind::kDiskCall, static_cast<std::uint64_t>(call), hash64(path));
    Fate fate{.fails = false, .latency = timeline.pick(latency_of(call)) * faults_.slowness};
    if (strikes(faults_.stall_chance, path)) {
        fate.latency += faults_.stall;
    }
    CallFault& fault = faults_.on(call);
    const bool is_nth = path.starts_with(faults_.path_prefix) && fault.nth > 0 && --fault.nth == 0;
    fate.fails = is_nth || strikes(fault.chance, path);
    process_.host().count_disk_call(call);
    return fate;
}

bool SimDisk::has_room_for(std::uint64_t sectors) const {
    // Adding up all files is dear; without a bound nobody asks.
    const bool is_bounded = faults_.capacity != std::numeric_limits<std::uint64_t>::max();
    return sectors == 0 || !is_bounded ||
           names_.used() + sectors * env::kSectorSize <= faults_.capacity;
}

Result<std::unique_ptr<env::File>> SimDisk::open_now(const std::string& path,
                                                     env::OpenOptions options) {
    KVSTORE_TRY(const Place place, names_.place(path));
    NodeRef node = names_.find(path);
    if (node != nullptr && node->is_directory) {
        return Status(Code::kIoError, path + ": is a folder");
    }
    if (node != nullptr && options.create && options.exclusive) {
        return Status(Code::kAlreadyExists, path + ": exists already");
    }
    if (node == nullptr) {
        if (!options.create) {
            return not_found(path);
        }
        if (!has_room_for(1)) {
            return Status(Code::kDiskFull, path + ": no space left");
        }
        node = names_.create(place, false);
    }
    return std::unique_ptr<env::File>(
        std::make_unique<SimFile>(*this, std::move(node), path, options));
}

async::Task<Result<std::unique_ptr<env::File>>> SimDisk::open(std::string path,
                                                              env::OpenOptions options) {
    const Fate fate = begin(DiskCall::kOpen, path);
    co_await process_.delay(fate.latency);
    if (fate.fails) {
        co_return io_error(path, "open");
    }
    co_return open_now(path, options);
}

async::Task<Result<std::vector<env::DirectoryEntry>>> SimDisk::list(std::string path) {
    const Fate fate = begin(DiskCall::kLook, path);
    co_await process_.delay(fate.latency);
    if (fate.fails) {
        co_return io_error(path, "list");
    }
    const NodeRef node = names_.find(path);
    if (node == nullptr || !node->is_directory) {
        co_return not_found(path);
    }
    std::vector<env::DirectoryEntry> entries;
    for (const auto& [name, child] : node->names) {
        entries.push_back(env::DirectoryEntry{.name = name, .is_directory = child->is_directory});
    }
    // No file system promises an order.
    for (std::size_t i = entries.size(); i > 1; --i) {
        std::swap(entries[i - 1],
                  entries[static_cast<std::size_t>(process_.timeline().random().below(i))]);
    }
    co_return entries;
}

async::Task<Result<bool>> SimDisk::exists(std::string path) {
    const Fate fate = begin(DiskCall::kLook, path);
    co_await process_.delay(fate.latency);
    if (fate.fails) {
        co_return io_error(path, "exists");
    }
    co_return names_.find(path) != nullptr;
}

Status SimDisk::create_directories_now(const std::string& path) {
    KVSTORE_TRY(const std::vector<std::string> parts, NameTree::split(path));
    std::string at;
    for (const std::string& part : parts) {
        at += at.empty() ? part : "/" + part;
        const NodeRef node = names_.find(at);
        if (node == nullptr) {
            KVSTORE_TRY(const Place place, names_.place(at));
            names_.create(place, true);
        } else if (!node->is_directory) {
            return {Code::kAlreadyExists, at + ": is a file"};
        }
    }
    return {};
}

async::Task<Status> SimDisk::create_directories(std::string path) {
    const Fate fate = begin(DiskCall::kCreateDirectory, path);
    co_await process_.delay(fate.latency);
    if (fate.fails) {
        co_return io_error(path, "create_directories");
    }
    co_return create_directories_now(path);
}

Status SimDisk::rename_now(const std::string& from, const std::string& to) {
    KVSTORE_TRY(const Place source, names_.place(from));
    KVSTORE_TRY(const Place target, names_.place(to));
    const NodeRef moved = names_.find(from);
    if (moved == nullptr) {
        return not_found(from);
    }
    const NodeRef replaced = names_.find(to);
    if (replaced == moved) {
        return {};
    }
    if ((to + "/").starts_with(from + "/")) {
        return {Code::kInvalidArgument, to + ": lies within " + from};
    }
    const bool fits = replaced == nullptr ||
                      (replaced->is_directory == moved->is_directory && replaced->names.empty());
    if (!fits) {
        return {Code::kAlreadyExists, to + ": is a folder that is not empty, or of another kind"};
    }
    names_.rename(source, target);
    return {};
}

async::Task<Status> SimDisk::rename(std::string from, std::string to) {
    const Fate fate = begin(DiskCall::kRename, from);
    if (!fate.fails && process_.is_alive()) {
        // The change is made before the call returns, so that a crash may keep it.
        Status renamed = rename_now(from, to);
        co_await process_.delay(fate.latency);
        co_return renamed;
    }
    co_await process_.delay(fate.latency);
    co_return io_error(from, "rename");
}

Status SimDisk::remove_now(const std::string& path) {
    const auto place = names_.place(path);
    if (!place.ok()) {
        return place.status().code() == Code::kNotFound ? Status() : place.status();
    }
    if (names_.find(path) != nullptr) {
        names_.remove(*place);
    }
    return {};
}

async::Task<Status> SimDisk::remove(std::string path) {
    const Fate fate = begin(DiskCall::kRemove, path);
    if (!fate.fails && process_.is_alive()) {
        Status removed = remove_now(path);
        co_await process_.delay(fate.latency);
        co_return removed;
    }
    co_await process_.delay(fate.latency);
    co_return io_error(path, "remove");
}

async::Task<Status> SimDisk::sync_directory(std::string path) {
    const Fate fate = begin(DiskCall::kSyncDirectory, path);
    const NodeRef node = names_.find(path);
    const NameTree::Change last = names_.last_change();
    co_await process_.delay(fate.latency);
    if (node == nullptr || !node->is_directory) {
        co_return not_found(path);
    }
    if (fate.fails) {
        co_return io_error(path, "sync_directory");
    }
    names_.persist(node, last);
    co_return Status();
}

Result<std::unique_ptr<env::FileLock>> SimDisk::lock_now(const std::string& path) {
    KVSTORE_TRY(const Place place, names_.place(path));
    if (locks_.contains(path)) {
        return Status(Code::kConflict,
                      path + ": is locked by this process of host " + process_.host().name());
    }
    if (names_.find(path) == nullptr) {
        names_.create(place, false);
    }
    locks_.insert(path);
    return std::unique_ptr<env::FileLock>(std::make_unique<SimFileLock>(*this, path));
}

async::Task<Result<std::unique_ptr<env::FileLock>>> SimDisk::lock(std::string path) {
    const Fate fate = begin(DiskCall::kOpen, path);
    co_await process_.delay(fate.latency);
    if (fate.fails) {
        co_return io_error(path, "lock");
    }
    co_return lock_now(path);
}

async::Task<Result<env::DiskSpace>> SimDisk::space() {
    const Fate fate = begin(DiskCall::kLook, "");
    co_await process_.delay(fate.latency);
    if (fate.fails) {
        co_return io_error("", "space");
    }
    // A disk without a bound shows itself as large, not as endless.
    const std::uint64_t total = std::min<std::uint64_t>(faults_.capacity, 1ULL << 40U);
    const std::uint64_t used = names_.used();
    co_return env::DiskSpace{.total = total, .available = total > used ? total - used : 0};
}

async::Task<void> SimDisk::run_blocking(Callback<void()> work) {
    co_await process_.delay(process_.timeline().pick(options_.read));
    work();
}

}  // namespace kvstore::sim::internal
