#include "raft/hibernation.h"

#include <utility>

#include "raft/append.h"
#include "raft/internal/mutants.h"

namespace kvstore::raft {

namespace {

bool is_at_rest(const Core& core) {
    const Log& log = core.log;
    if (log.committed() != log.last_index() || log.applied() != log.committed() || log.has_tail() ||
        core.voters().joint() || core.heir != kNoNode || !core.reads.pending.empty() ||
        core.config.reads == ReadMode::kLease) {
        return false;
    }
    for (const auto& [id, progress] : core.peers()) {
        if (id == core.id()) {
            continue;
        }
        if (progress.match() != log.last_index() || !progress.recently_active ||
            progress.state() != ProgressState::kReplicate) {
            return false;
        }
    }
    return true;
}

}  // namespace

void maybe_fall_asleep(Core& core) {
    if (core.config.hibernate_after_ticks == 0 ||
        ++core.idle_ticks < core.config.hibernate_after_ticks || !is_at_rest(core)) {
        return;
    }
    for (const auto& [id, progress] : core.peers()) {
        if (id == core.id()) {
            continue;
        }
        Message goodnight;
        goodnight.kind = MessageKind::kHeartbeat;
        goodnight.to = id;
        goodnight.commit = core.log.committed();
        goodnight.hibernate = true;
        send(core, std::move(goodnight));
    }
    core.asleep = true;
}

void follow_into_sleep(Core& core, const Message& message) {
    if (message.commit == core.log.last_index() && core.log.committed() == message.commit) {
        core.asleep = true;
    }
}

void wake(Core& core) {
    core.idle_ticks = 0;
    if (!core.asleep || KVSTORE_RAFT_MUTANT(kNeverWakes)) {
        return;
    }
    core.asleep = false;
    core.election_elapsed = 0;
    core.heartbeat_elapsed = 0;
    // Nobody was asked while asleep, so nobody is to blame for silence.
    for (auto& [id, progress] : core.peers()) {
        progress.recently_active = true;
    }
}

void wake_all(Core& core) {
    if (!core.asleep) {
        core.idle_ticks = 0;
        return;
    }
    wake(core);
    if (core.is_leader()) {
        broadcast_heartbeat(core);
    } else if (core.leader != kNoNode) {
        Message call;
        call.kind = MessageKind::kWakeUp;
        call.to = core.leader;
        send(core, std::move(call));
    }
}

void doubt_leader(Core& core) {
    if (!core.asleep) {
        return;
    }
    const bool follows = !core.is_leader();
    wake_all(core);
    if (follows) {
        core.election_elapsed = core.config.election_ticks;
    }
}

}  // namespace kvstore::raft
