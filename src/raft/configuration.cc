#include "raft/configuration.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "raft/internal/mutants.h"

namespace kvstore::raft {

namespace {

Progress newcomer_progress(const NewcomerProgress& newcomer) {
    // The newcomer has not been heard; it is taken to be active, or the next
    // check-quorum would count it as dead before it had a chance to answer.
    Progress progress(std::max(newcomer.last_index, Index(1)),
                      newcomer.inflight_messages_max,
                      newcomer.inflight_bytes_max);
    progress.recently_active = true;
    return progress;
}

Progress& find_or_add(Membership& membership, NodeId id, const NewcomerProgress& newcomer) {
    Progress* progress = membership.progress.find(id);
    return progress != nullptr ? *progress
                               : membership.progress.insert(id, newcomer_progress(newcomer));
}

void make_voter(Membership& membership, NodeId id, const NewcomerProgress& newcomer) {
    find_or_add(membership, id, newcomer).learner = false;
    membership.configuration.learners.erase(id);
    membership.configuration.learners_next.erase(id);
    membership.configuration.voters.incoming.insert(id);
}

void make_learner(Membership& membership, NodeId id, const NewcomerProgress& newcomer) {
    Progress& progress = find_or_add(membership, id, newcomer);
    if (progress.learner) {
        return;
    }
    Configuration& configuration = membership.configuration;
    configuration.voters.incoming.erase(id);
    configuration.learners_next.erase(id);
    // A voter of the old majority keeps its vote until the joint configuration is left.
    if (configuration.voters.outgoing.contains(id)) {
        configuration.learners_next.insert(id);
    } else {
        progress.learner = true;
        configuration.learners.insert(id);
    }
}

void remove(Membership& membership, NodeId id) {
    Configuration& configuration = membership.configuration;
    configuration.voters.incoming.erase(id);
    configuration.learners.erase(id);
    configuration.learners_next.erase(id);
    if (!configuration.voters.outgoing.contains(id)) {
        membership.progress.erase(id);
    }
}

Status take_steps(Membership& membership,
                  const std::vector<ConfStep>& steps,
                  const NewcomerProgress& newcomer) {
    for (const ConfStep& step : steps) {
        // Whoever proposes cannot take an entry back; naming nobody turns a step into
        // a void one.
        if (step.node == kNoNode) {
            continue;
        }
        switch (step.operation) {
            case ConfOperation::kAddVoter: make_voter(membership, step.node, newcomer); break;
            case ConfOperation::kAddLearner: make_learner(membership, step.node, newcomer); break;
            case ConfOperation::kRemove: remove(membership, step.node); break;
        }
    }
    if (membership.configuration.voters.incoming.empty()) {
        return {Code::kInvalidArgument, "removed all voters"};
    }
    return {};
}

std::size_t differing(const Majority& a, const Majority& b) {
    std::vector<NodeId> difference;
    std::set_symmetric_difference(a.ids().begin(),
                                  a.ids().end(),
                                  b.ids().begin(),
                                  b.ids().end(),
                                  std::back_inserter(difference));
    return difference.size();
}

}  // namespace

ConfState Configuration::state() const {
    return {.voters = voters.incoming.ids(),
            .voters_outgoing = voters.outgoing.ids(),
            .learners = learners.ids(),
            .learners_next = learners_next.ids(),
            .auto_leave = auto_leave};
}

Status apply_simple(Membership& membership,
                    const std::vector<ConfStep>& steps,
                    const NewcomerProgress& newcomer) {
    if (membership.configuration.voters.joint()) {
        return {Code::kConflict, "can't apply simple config change in joint config"};
    }
    Membership next = membership;
    KVSTORE_CHECK_OK(take_steps(next, steps, newcomer));
    if (differing(membership.configuration.voters.incoming, next.configuration.voters.incoming) >
            1 &&
        !KVSTORE_RAFT_MUTANT(kManyVotersWithoutJoint)) {
        return {Code::kConflict, "more than one voter changed without entering joint config"};
    }
    membership = std::move(next);
    return {};
}

Status enter_joint(Membership& membership,
                   const std::vector<ConfStep>& steps,
                   bool auto_leave,
                   const NewcomerProgress& newcomer) {
    if (membership.configuration.voters.joint()) {
        return {Code::kConflict, "config is already joint"};
    }
    if (membership.configuration.voters.incoming.empty()) {
        return {Code::kConflict, "can't make a zero-voter config joint"};
    }
    Membership next = membership;
    next.configuration.voters.outgoing = next.configuration.voters.incoming;
    KVSTORE_CHECK_OK(take_steps(next, steps, newcomer));
    next.configuration.auto_leave = auto_leave;
    membership = std::move(next);
    return {};
}

Status leave_joint(Membership& membership) {
    Configuration& configuration = membership.configuration;
    if (!configuration.voters.joint()) {
        return {Code::kConflict, "can't leave a non-joint config"};
    }
    for (const NodeId id : configuration.learners_next.ids()) {
        configuration.learners.insert(id);
        if (Progress* progress = membership.progress.find(id)) {
            progress->learner = true;
        }
    }
    configuration.learners_next.clear();
    const Majority outgoing = std::exchange(configuration.voters.outgoing, Majority());
    for (const NodeId id : outgoing.ids()) {
        if (!configuration.contains(id)) {
            membership.progress.erase(id);
        }
    }
    configuration.auto_leave = false;
    return {};
}

Status apply_change(Membership& membership,
                    const ConfChange& change,
                    const NewcomerProgress& newcomer) {
    if (change.steps.empty() && change.transition == Transition::kAutomatic) {
        return leave_joint(membership);
    }
    if ((change.transition != Transition::kAutomatic || change.steps.size() > 1) &&
        !KVSTORE_RAFT_MUTANT(kManyVotersWithoutJoint)) {
        return enter_joint(
            membership, change.steps, change.transition != Transition::kJointExplicit, newcomer);
    }
    return apply_simple(membership, change.steps, newcomer);
}

Result<Membership> restore_membership(const ConfState& state, const NewcomerProgress& newcomer) {
    Membership membership;
    Configuration& configuration = membership.configuration;
    configuration.voters.incoming = Majority(state.voters);
    configuration.voters.outgoing = Majority(state.voters_outgoing);
    configuration.learners = Majority(state.learners);
    configuration.learners_next = Majority(state.learners_next);
    configuration.auto_leave = state.auto_leave;
    const Voters& voters = configuration.voters;
    for (const NodeId id : configuration.learners.ids()) {
        if (voters.contains(id)) {
            return Status(Code::kCorruption, "configuration: a voter is a learner too");
        }
    }
    for (const NodeId id : configuration.learners_next.ids()) {
        if (!voters.outgoing.contains(id)) {
            return Status(Code::kCorruption, "configuration: a learner to be is no outgoing voter");
        }
    }
    if (configuration.auto_leave && !voters.joint()) {
        return Status(Code::kCorruption, "configuration: leaves a joint state that it is not in");
    }
    if (voters.incoming.empty() && voters.joint()) {
        return Status(Code::kCorruption, "configuration: joint without incoming voters");
    }
    for (const NodeId id : voters.ids()) {
        membership.progress.insert(id, newcomer_progress(newcomer));
    }
    for (const NodeId id : configuration.learners.ids()) {
        membership.progress.insert(id, newcomer_progress(newcomer)).learner = true;
    }
    return membership;
}

}  // namespace kvstore::raft
