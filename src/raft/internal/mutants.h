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
    kOwnCopyCountsBeforePersist,
    kLearnerCountsForCommit,
    kJointCommitByIncomingOnly,
    kCommitsOnlyTheLastIndex,
    kCommitsOldTerm,
    kNoConsistencyCheck,
    kCommitBeyondAppend,
    kAcknowledgesWholeLog,
    kStaleRejectRegressesNext,
    kManyVotersWithoutJoint,
    kNoOpeningEntry,
    kVotesDoNotSpreadCommit,
    kHalfIsAMajority,
    kNoCheckQuorum,
    kVotesTwiceInATerm,
    kLearnerCampaigns,
    kCampaignWithUnappliedChange,
    kCampaignsOnThoughRemoved,
    kNeverWakes,
    kCandidacyWithUnpersistedTail,
    kVoteBeforePersist,
    kAcknowledgeBeforePersist,
    kVoteIgnoresLastTerm,
    kVoteIgnoresLastIndex,
    kOverwrittenWriteCountsAsDurable,
    kAppliesBeforePersist,
    kConfChangeUnchecked,
    kConfChangeBeforeOwnCommit,
    kConfChangeIndexOffByOne,
    kNeverLeavesJoint,
    kDisturbedByVoteRequests,
    kLeaseForgottenByRestart,
    kLeaseForgottenWithLeader,
    kAppliesTwiceAfterRestart,
    kAcceptsEarlierTerms,
    kProposesDuringTransfer,
    kVoteNotPersisted,
    kTermNotPersisted,
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
    kSurvivesItsFailedWrite,
};

// In the order of Mutant.
inline constexpr auto kMutantNames = std::to_array<std::string_view>({
    "none",
    "append always truncates",
    "heartbeat commit unbounded",
    "own copy counts before persist",
    "learner counts for commit",
    "joint commit by incoming only",
    "commits only the last index",
    "commits old term",
    "no consistency check",
    "commit beyond append",
    "acknowledges whole log",
    "stale reject regresses next",
    "many voters without joint",
    "no opening entry",
    "votes do not spread commit",
    "half is a majority",
    "no check quorum",
    "votes twice in a term",
    "learner campaigns",
    "campaign with unapplied change",
    "campaigns on though removed",
    "never wakes",
    "candidacy with unpersisted tail",
    "vote before persist",
    "acknowledge before persist",
    "vote ignores last term",
    "vote ignores last index",
    "overwritten write counts as durable",
    "applies before persist",
    "conf change unchecked",
    "conf change before own commit",
    "conf change index off by one",
    "never leaves joint",
    "disturbed by vote requests",
    "lease forgotten by restart",
    "lease forgotten with leader",
    "applies twice after restart",
    "accepts earlier terms",
    "proposes during transfer",
    "vote not persisted",
    "term not persisted",
    "next at or below match",
    "read tokens repeat",
    "read without confirmation",
    "read before own commit",
    "lease kept across transfer",
    "installs older snapshot",
    "snapshot conf taken blindly",
    "sends snapshot below log",
    "transfer to learner",
    "transfer to laggard",
    "survives its failed write",
});

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
