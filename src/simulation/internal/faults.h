// What goes wrong in a run, and when: kinds drawn by the seed, a few at a time, each with an end.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/callback.h"
#include "base/random.h"
#include "sim/world.h"
#include "simulation/fault_kind.h"
#include "simulation/internal/fleet.h"
#include "simulation/internal/operators.h"
#include "simulation/internal/plan.h"

namespace kvstore::simulation::internal {

// Lifetime  Of one run; ends before its world.
// Runs on   Outside all hosts.
class Faults {
public:
    Faults(sim::World& world, Fleet& fleet, Operators& operators, Random& random, const Plan& plan);
    Faults(const Faults&) = delete;
    Faults& operator=(const Faults&) = delete;

    void start();
    // Ends every fault at once, starts what is down, and begins no more.
    void heal();

    [[nodiscard]] const std::array<std::uint64_t, kFaultKinds>& counts() const { return counts_; }

private:
    void plan_next();
    void begin_one();
    // False when nobody can be struck so now. The fault ends by itself after `span`.
    bool begin(FaultKind kind, Duration span);

    bool crash_one(FaultKind kind, Duration span);
    bool crash_all(Duration span);
    bool pause_one(Duration span);
    bool crash_at_change();
    bool crash_in_recovery();
    bool cut(FaultKind kind, Duration span);
    void cut_halves();
    bool flap();
    bool spoil_links(FaultKind kind, Duration span);
    bool spoil_disk(FaultKind kind, Duration span);
    bool jump_clock();
    bool restart_all();
    void restart_next(std::size_t number);
    bool replace_disk(FaultKind kind, Duration span);
    bool send_away(FaultKind kind, Duration span);

    // A member that is up and is not struck by another fault of its kind; null: there is none.
    Member* choose(bool (*is_suitable)(const Member&));
    std::size_t choose_place();
    // Down for `span`.
    void hold_down(Member& member, Duration span);
    void end_after(Duration span, Callback<void()> end);
    void mend_disk(Member& member);
    [[nodiscard]] Duration some(std::uint64_t least_ms, std::uint64_t most_ms);

    sim::World& world_;
    Fleet& fleet_;
    Operators& operators_;
    Random& random_;
    Plan plan_;
    std::array<std::uint64_t, kFaultKinds> counts_{};
    std::uint32_t at_once_max_;
    std::uint32_t active_count_ = 0;
    Duration gap_max_;
    std::uint64_t epoch_ = 0;  // what was planned before the healing is void after it
    bool is_over_ = false;
    bool is_restarting_ = false;
    std::uint32_t disks_left_;  // that may yet be lost
};

}  // namespace kvstore::simulation::internal
