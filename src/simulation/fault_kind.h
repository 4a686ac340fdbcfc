// What can go wrong in a simulated cluster, one name each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kvstore::simulation {

// New ones go to the end: a seed draws by number.
enum class FaultKind : std::uint8_t {
    kPowerLoss,        // all that is not durable may be lost
    kKill,             // as kill -9
    kKillAll,          // every node at once
    kPause,            // as SIGSTOP, from moments to half a minute
    kCrashAtChange,    // in the middle of a call that changes the disk
    kCrashInRecovery,  // again and again while the node starts
    kIsolate,          // one node from all others
    kHalves,           // two groups that do not reach each other
    kOneWay,           // one node is heard and does not hear, or the other way round
    kBridge,           // two nodes cut from each other, both reach the rest
    kFlap,             // one node cut off and joined again, many times
    kSlowLink,
    kLossyLink,
    kCorruptLink,  // a flipped bit that the transport's own checks let pass
    kResetLink,    // connections break
    kSlowDisk,
    kFullDisk,
    kFailingWrite,
    kFailingSync,
    kFailingRead,
    kClockJump,
    kRollingRestart,  // one node after another, gracefully
    kWipe,            // a node loses its disk and comes back under its old name
    kFlip,            // a bit of a stopped node's files
    kDrain,           // a node is to lead nothing, for a while
    kDecommission,    // a node is to give everything away; taken back, or done and begun anew
    kMoveLeader,
    kMoveShard,  // a replica, also of the system shard
    kCount,
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::kCount);

// "power-loss", "crash-at-change", ...
[[nodiscard]] std::string_view fault_name(FaultKind kind) noexcept;
[[nodiscard]] std::optional<FaultKind> find_fault(std::string_view name) noexcept;

}  // namespace kvstore::simulation
