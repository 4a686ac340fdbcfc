// The keyspaces of a run beside `default`, made while it goes on.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "async/task.h"
#include "sim/world.h"
#include "simulation/internal/fleet.h"
#include "simulation/internal/plan.h"

namespace kvstore::simulation::internal {

// Lifetime  Of one run; ends before its world.
// Runs on   Outside all hosts; what it asks runs on them.
class Keyspaces {
public:
    Keyspaces(sim::World& world, Fleet& fleet, const std::vector<KeyspacePlan>& plans);
    Keyspaces(const Keyspaces&) = delete;
    Keyspaces& operator=(const Keyspaces&) = delete;

    // Asks one node after another for each, until they are made.
    void start();
    [[nodiscard]] bool are_made() const;

private:
    struct Making {
        KeyspacePlan plan;
        bool is_made = false;
    };

    void try_to_make(const std::shared_ptr<Making>& making, std::size_t at);
    static async::Task<void> make(kv::Kv* kv, std::shared_ptr<Making> making);

    sim::World& world_;
    Fleet& fleet_;
    std::vector<std::shared_ptr<Making>> all_;
};

}  // namespace kvstore::simulation::internal
