// Bugs planted on purpose, one at a time, to prove that the tests and the simulator catch them.
//
// Only builds with KVSTORE_PLANTED_BUGS (Dev and the sanitizers) can plant; in a release build
// every question below is a constant false and the wrong branch is gone from the program.
//
//     if (!planted_bug(PlantedBug::kWalSkipSync)) {
//         KVSTORE_CO_CHECK_OK(co_await file->sync());
//     }
//
// Adding one: an enumerator here with a line that says what goes wrong, its name in planted_bug.cc,
// the branch, and a test that plants it and fails.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvstore {

enum class PlantedBug : std::uint8_t {
    kNone,
    // ---- write-ahead log ----
    kWalSkipSync,            // acknowledged without reaching the device
    kWalAcknowledgeEarly,    // acknowledged when the write begins
    kWalCutDamagedMiddle,    // a damaged record that later ones continue is cut like a torn tail
    kWalAcceptStaleRecords,  // records of a recycled segment's earlier life count
    kWalIgnoreChain,         // a record need not continue the checksum of the one before
    kWalTrustPageCache,      // the tail is served after a restart without being made durable again
    kWalSkipDirectorySync,   // a segment is used before its name is durable
    kWalRetryAfterFailure,   // goes on after a failed write as if nothing had happened
    kWalReleaseTooMuch,      // recycles the segment that holds the last entry still needed
    // ---- snapshots ----
    kSnapshotRenameBeforeSync,  // takes its final name before its content is on the device
    kSnapshotSkipBlockCheck,    // a block's checksum is not looked at
    // ---- groups ----
    kGroupAcknowledgesBeforeDurable,  // applied and answered when appended, before the disk has it
    kGroupForgetsAppliedIndex,        // replays what the engine holds already
    kSleepersMissLeadersDeath,        // groups that sleep are not woken when their leader is gone
    // ---- memory engine ----
    kMemorySnapshotMissesPreimage,  // writes during a snapshot show up in it
    kMemoryForgetsAppliedIndex,     // opens a snapshot and applies the whole log again
    // ---- the state machine of a shard ----
    kMvccDigestNotRolled,      // an overwritten record's hash stays in the digest
    kMvccExpiryIgnoresStamp,   // nothing has ever expired
    kMvccRevisionSkipsOnNoop,  // a command that changes nothing takes a revision
    kMvccForgetAppliedIndex,   // a batch is committed as if its last entry were not in it
    // ---- whole nodes ----
    kGroupAnswersLostProposal,   // another leader's entry in its place counts as the proposal
    kGroupDeniesLostProposals,   // what a lost leader had under way is said to have done nothing
    kGroupForgetsVote,           // a restart knows the term and not for whom it voted in it
    kGroupTermNotPersisted,      // term and vote never reach the log
    kGroupRecoversUncommitted,   // a restart applies the whole log, whatever was committed
    kGroupReadsWithoutBarrier,   // a linearizable read shows what is here
    kGroupTrustsItsLeadership,   // a leader reads without asking: stale after a pause
    kGroupReadsBeforeApplied,    // a confirmed read does not wait until that index is applied
    kGroupDropsLastRow,          // the state for a peer lacks its last row
    kRouteRetriesUnknown,        // a forwarded command is sent again though it may be applied
    kRouteAppliesTwice,          // a forwarded command is proposed twice
    kRouteDropsConditions,       // a forwarded command is done whether or not it may be
    kKvIgnoresSession,           // what a session has seen does not matter
    kKvForgetsOwnWrites,         // what a session wrote is not noted in it
    kKvBoundedReadsAreEventual,  // however old what is here may be
    kRpcSkipsChecksum,           // damaged frames are taken
    kNodeFoundsAgain,            // a wiped node takes part under its old number
    kMvccSkipsConditions,        // a compare-and-set always matches
    kMvccExpiresRewritten,       // what ran out is deleted though it was written anew meanwhile
    kGroupForgetsRemovals,       // members need not know after a crash who was removed before it
    kRouteIgnoresConditionKeys,  // a condition is looked at in the shard of what depends on it
    kKvScanSkipsBorderKey,       // a page that begins with a shard begins behind its first key
    kKvReadManyMixesShards,      // answers stand in the order of the shards
    kKvNotesFirstShard,          // what a session wrote is noted of the keyspace's first shard
    kKvShowsExpired,             // what has run out is seen until its deletion is logged
    kKvExpiresByLaterClock,      // a read hides what ran out while it waited
    kCount,
};

// The name in kebab case, "wal-skip-sync"; for reports and the command line.
[[nodiscard]] std::string_view planted_bug_name(PlantedBug bug) noexcept;
[[nodiscard]] std::optional<PlantedBug> find_planted_bug(std::string_view name) noexcept;

#ifdef KVSTORE_PLANTED_BUGS

// Plants `bug` and takes away the one before; kNone takes it away.
void plant_bug(PlantedBug bug) noexcept;
[[nodiscard]] bool planted_bug(PlantedBug bug) noexcept;

// Plants a bug for the length of a scope.
class ScopedPlantedBug {
public:
    explicit ScopedPlantedBug(PlantedBug bug) noexcept { plant_bug(bug); }
    ScopedPlantedBug(const ScopedPlantedBug&) = delete;
    ScopedPlantedBug& operator=(const ScopedPlantedBug&) = delete;
    ~ScopedPlantedBug() { plant_bug(PlantedBug::kNone); }
};

#else

[[nodiscard]] constexpr bool planted_bug(PlantedBug) noexcept {
    return false;
}

#endif

}  // namespace kvstore
