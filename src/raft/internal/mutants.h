// The planted-bug museum: historical mistakes that a test build can switch on, one at a
// time, to prove that the tests would notice them. In every other build each switch is
// the constant false, and nothing of this reaches the program.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace kvstore::raft {

enum class Mutant : std::uint8_t {
    kNone,
    kAppendAlwaysTruncates,
    kHeartbeatCommitUnbounded,
    kLearnerCountsForCommit,
    kJointCommitByIncomingOnly,
    kCommitsOldTerm,
    kNoConsistencyCheck,
    kCommitBeyondAppend,
    kAcknowledgesWholeLog,
    kStaleRejectRegressesNext,
    kManyVotersWithoutJoint,
    kNoOpeningEntry,
    kHalfIsAMajority,
    kNoCheckQuorum,
    kVotesTwiceInATerm,
    kLearnerCampaigns,
    kCampaignWithUnappliedChange,
    kNeverWakes,
    kCandidacyWithUnpersistedTail,
    kVoteBeforePersist,
    kAcknowledgeBeforePersist,
    kLeaseForgottenByRestart,
    kVotesDoNotSpreadCommit,
    kVoteIgnoresLastTerm,
    kVoteIgnoresLastIndex,
    kOverwrittenWriteCountsAsDurable,
    kConfChangeUnchecked,
    kConfChangeBeforeOwnCommit,
    kConfChangeIndexOffByOne,
    kNeverLeavesJoint,
    kDisturbedByVoteRequests,
    kAppliesTwiceAfterRestart,
    kAcceptsEarlierTerms,
    kProposesDuringTransfer,
    kNextAtOrBelowMatch,
    kReadTokensRepeat,
    kReadWithoutConfirmation,
    kReadBeforeOwnCommit,
    kLeaseKeptAcrossTransfer,
    kInstallsOlderSnapshot,
    kSnapshotConfTakenBlindly,
    kSendsSnapshotBelowLog,
    kTransferToLearner,
    kTransferToLaggard,
};

}  // namespace kvstore::raft

#ifdef KVSTORE_RAFT_MUTANTS
namespace kvstore::raft {
inline Mutant active_mutant = Mutant::kNone;
}  // namespace kvstore::raft
#define KVSTORE_RAFT_MUTANT(name) (::kvstore::raft::active_mutant == ::kvstore::raft::Mutant::name)
#define KVSTORE_RAFT_MUTANTS_ACTIVE \
    (::kvstore::raft::active_mutant != ::kvstore::raft::Mutant::kNone)
#else
#define KVSTORE_RAFT_MUTANT(name) false
#define KVSTORE_RAFT_MUTANTS_ACTIVE false
#endif
