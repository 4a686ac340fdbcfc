// The simulated disk: every call takes virtual time, may be made to fail, and leaves the trace.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "env/disk.h"
#include "sim/internal/name_tree.h"
#include "sim/options.h"

namespace kvstore::sim::internal {

class Process;

// Lifetime  Owned by its process; `names` and `faults` are the host's and survive it.
class SimDisk final : public env::Disk {
public:
    SimDisk(Process& process, NameTree& names, DiskFaults& faults, const DiskOptions& options)
        : process_(process), names_(names), faults_(faults), options_(options) {}

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
    [[nodiscard]] std::string native_path(std::string_view /*path*/) const override { return ""; }

    // What chance and the faults decided about one call when it began.
    struct Fate {
        bool fails = false;
        Duration latency{};
    };
    // Counts the call, crashes the host where that was asked for, and decides the rest.
    Fate begin(DiskCall call, const std::string& path);
    [[nodiscard]] bool strikes(PerMillion chance, const std::string& path);

    [[nodiscard]] Process& process() { return process_; }
    [[nodiscard]] NameTree& names() { return names_; }
    [[nodiscard]] const DiskFaults& faults() const { return faults_; }
    [[nodiscard]] bool has_room_for(std::uint64_t sectors) const;
    void unlock(const std::string& path) { locks_.erase(path); }

private:
    Result<std::unique_ptr<env::File>> open_now(const std::string& path, env::OpenOptions options);
    Status create_directories_now(const std::string& path);
    Status rename_now(const std::string& from, const std::string& to);
    Status remove_now(const std::string& path);
    Result<std::unique_ptr<env::FileLock>> lock_now(const std::string& path);
    [[nodiscard]] DurationRange latency_of(DiskCall call) const;

    Process& process_;
    NameTree& names_;
    DiskFaults& faults_;
    const DiskOptions& options_;
    std::set<std::string> locks_;
};

}  // namespace kvstore::sim::internal
