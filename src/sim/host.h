// One machine of a simulated world: its program, its disk, its clocks.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "async/task.h"
#include "base/bytes.h"
#include "base/status.h"
#include "env/env.h"
#include "sim/internal/name_tree.h"
#include "sim/internal/timeline.h"
#include "sim/options.h"

namespace kvstore::sim {

class World;

namespace internal {
class Process;
class SimClock;
class SimDisk;
class SimNetwork;
class Wires;
}  // namespace internal

// Lifetime  Owned by its world. Its disk, its faults and its clock skew survive crashes.
class Host {
public:
    Host(World& world, std::string name, std::uint64_t index);
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    ~Host();

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::uint64_t index() const { return index_; }
    [[nodiscard]] World& world() { return world_; }
    [[nodiscard]] bool is_up() const { return process_ != nullptr; }
    // Raised by every restart.
    [[nodiscard]] std::uint64_t life() const { return life_; }

    // The world as this host's program sees it; another one after each restart.
    // Requires: is_up().
    [[nodiscard]] env::Env& env();
    // Starts `task` in the host's next turn. Requires: is_up().
    void spawn(async::Task<void> task);
    // Keeps `component` as long as the process: destroyed with the world when all was stopped,
    // buried by a crash. Requires: is_up().
    template <typename T>
    T& own(std::unique_ptr<T> component) {
        T& kept = *component;
        own_shared(std::shared_ptr<T>(std::move(component)));
        return kept;
    }

    [[nodiscard]] DiskFaults& disk_faults() { return disk_faults_; }
    // How many such calls this host has made in all its lives.
    [[nodiscard]] std::uint64_t disk_calls(DiskCall call) const {
        return disk_calls_[static_cast<std::size_t>(call)];
    }
    // Of calls that change something: write, sync, truncate, rename, remove, create,
    // sync_directory.
    [[nodiscard]] std::uint64_t disk_changes() const;
    // Crashes the host at the end of the turn in which it begins the n-th changing call from now
    // on: the call takes effect as far as one under way can, and does not return.
    void crash_at_change(std::uint64_t n) { crash_at_change_ = n; }

    // Damages stored bytes behind everybody's back. Errors: kNotFound, kOutOfRange.
    Status flip_bit(std::string_view path, std::uint64_t offset, unsigned bit);
    // Flips one bit of a file chosen by chance among those whose path begins with `prefix`.
    // Returns: the place, as "path:offset:bit". Errors: kNotFound when there are no bytes.
    Result<std::string> flip_random_bit(std::string_view prefix = "");
    // What a crash right now would leave of a file's bytes for certain. Errors: kNotFound.
    Result<Bytes> durable_content(std::string_view path) const;

    // A new, empty disk in the place of the old one. Requires: it is not up.
    void wipe_disk();

    void jump_wall_clock(Duration span) { wall_skew_ += span; }
    void set_wall_clock_skew(Duration skew) { wall_skew_ = skew; }

private:
    friend class World;
    friend class internal::Process;
    friend class internal::SimDisk;
    friend class internal::SimNetwork;

    void own_shared(std::shared_ptr<void> component);
    void count_disk_call(DiskCall call);

    World& world_;
    std::string name_;
    std::uint64_t index_;
    std::uint64_t life_ = 0;
    bool is_powered_ = true;  // a machine without a program still refuses connections
    internal::NameTree names_;
    DiskFaults disk_faults_;
    DiskOptions disk_options_;
    DurationRange turn_;
    Duration wall_skew_{};
    std::array<std::uint64_t, kDiskCallKinds> disk_calls_{};
    std::uint64_t crash_at_change_ = 0;
    std::shared_ptr<internal::Process> process_;
};

}  // namespace kvstore::sim
