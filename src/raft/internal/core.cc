#include "raft/internal/core.h"

#include <utility>

#include "base/assert.h"
#include "raft/internal/mutants.h"

namespace kvstore::raft {

namespace {

// Thesis 3.8: term, vote and log are durable before this member answers for them. A
// vote *request* waits too: it vouches for a last entry, and a voter that believed it
// could otherwise elect a member that has lost this entry in a crash and now counts
// votes that were cast for its former log.
bool waits_for_disk(MessageKind kind) {
    switch (kind) {
        case MessageKind::kVote: return !KVSTORE_RAFT_MUTANT(kCandidacyWithUnpersistedTail);
        case MessageKind::kVoteReply: return !KVSTORE_RAFT_MUTANT(kVoteBeforePersist);
        case MessageKind::kAppendReply: return !KVSTORE_RAFT_MUTANT(kAcknowledgeBeforePersist);
        case MessageKind::kPreVoteReply: return true;
        default: return false;
    }
}

}  // namespace

void send(Core& core, Message&& message) {
    message.from = core.id();
    message.group = core.config.group;
    if (message.term == Term()) {
        message.term = core.term;
    }
    KVSTORE_DEBUG_ASSERT(message.to != kNoNode && message.to != core.id());
    if (waits_for_disk(message.kind)) {
        core.send_after_persist.push_back(std::move(message));
        return;
    }
    if (core.send_now.empty()) {
        core.send_now.reserve(core.peers().size());  // mostly one for each
    }
    core.send_now.push_back(std::move(message));
}

void quarantine(Core& core, std::string reason) {
    if (core.quarantined || KVSTORE_RAFT_MUTANT(kSurvivesItsFailedWrite)) {
        return;
    }
    core.quarantined = true;
    core.quarantine_reason = std::move(reason);
    core.send_now.clear();
    core.send_after_persist.clear();
    core.self_answers.clear();
    core.ready_reads.clear();
    core.writes.clear();
    core.role = Role::kFollower;
    core.leader = kNoNode;
}

}  // namespace kvstore::raft
