#include "simulation/fault_kind.h"

#include <algorithm>
#include <array>

namespace kvstore::simulation {
namespace {

constexpr std::array<std::string_view, kFaultKinds> kNames{"power-loss",
                                                           "kill",
                                                           "kill-all",
                                                           "pause",
                                                           "crash-at-change",
                                                           "crash-in-recovery",
                                                           "isolate",
                                                           "halves",
                                                           "one-way",
                                                           "bridge",
                                                           "flap",
                                                           "slow-link",
                                                           "lossy-link",
                                                           "corrupt-link",
                                                           "reset-link",
                                                           "slow-disk",
                                                           "full-disk",
                                                           "failing-write",
                                                           "failing-sync",
                                                           "failing-read",
                                                           "clock-jump",
                                                           "rolling-restart",
                                                           "wipe",
                                                           "flip",
                                                           "drain",
                                                           "decommission",
                                                           "move-leader",
                                                           "move-shard"};

}  // namespace

std::string_view fault_name(FaultKind kind) noexcept {
    return kNames[static_cast<std::size_t>(kind)];
}

std::optional<FaultKind> find_fault(std::string_view name) noexcept {
    const auto* const at = std::ranges::find(kNames, name);
    if (at == kNames.end()) {
        return std::nullopt;
    }
    return static_cast<FaultKind>(at - kNames.begin());
}

}  // namespace kvstore::simulation
