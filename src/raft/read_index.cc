#include "raft/read_index.h"

#include <algorithm>
#include <utility>

#include "raft/append.h"
#include "raft/hibernation.h"
#include "raft/internal/mutants.h"

namespace kvstore::raft {

namespace {

constexpr unsigned kIncarnationShift = 40;

ReadToken mint(Core& core) {
    if (KVSTORE_RAFT_MUTANT(kReadTokensRepeat)) {
        return {core.term, 1};
    }
    ++core.reads.minted;
    return {core.term, (core.config.incarnation << kIncarnationShift) + core.reads.minted};
}

void answer(Core& core, const PendingRead& read) {
    if (read.from == core.id()) {
        core.ready_reads.push_back({read.token, read.at});
        return;
    }
    Message reply;
    reply.kind = MessageKind::kReadIndexReply;
    reply.to = read.from;
    reply.read = read.token;
    reply.index = read.at;
    send(core, std::move(reply));
}

std::uint64_t confirmed_by_majority(const Core& core) {
    const Index round = core.voters().committed([&core](NodeId id) {
        if (id == core.id()) {
            return Index(core.reads.last_round);
        }
        const Progress* progress = core.peers().find(id);
        return Index(progress != nullptr ? progress->confirmed_round : 0);
    });
    return round.value();
}

void release(Core& core) {
    const std::uint64_t confirmed = confirmed_by_majority(core);
    while (!core.reads.pending.empty() && core.reads.pending.front().round <= confirmed) {
        answer(core, core.reads.pending.front());
        core.reads.pending.pop_front();
    }
    std::deque<Reads::LeaseRound>& rounds = core.reads.lease_rounds;
    while (!rounds.empty() && rounds.front().round <= confirmed) {
        // A majority will elect nobody for an election timeout from when it answered,
        // which is not before the round began.
        const std::uint32_t length =
            core.config.election_ticks > core.config.lease_margin_ticks
                ? core.config.election_ticks - core.config.lease_margin_ticks
                : 0;
        core.reads.lease_until_tick =
            std::max(core.reads.lease_until_tick, rounds.front().tick + length);
        rounds.pop_front();
    }
}

void begin_read(Core& core, NodeId from, ReadToken token) {
    const Index at = core.log.committed();
    if (holds_lease(core) || KVSTORE_RAFT_MUTANT(kReadWithoutConfirmation)) {
        answer(core, {from, token, at, 0});
        return;
    }
    core.reads.pending.push_back({from, token, at, ++core.reads.last_round});
    release(core);
    if (!core.reads.pending.empty()) {
        broadcast_heartbeat(core);
    }
}

}  // namespace

Result<ReadToken> read_index(Core& core) {
    wake_all(core);
    if (core.is_leader()) {
        if (!has_committed_in_term(core) && !KVSTORE_RAFT_MUTANT(kReadBeforeOwnCommit)) {
            ++core.counters.reads_refused;
            return Status(Code::kUnavailable, "nothing of this term is committed yet");
        }
        const ReadToken token = mint(core);
        begin_read(core, core.id(), token);
        return token;
    }
    if (core.leader == kNoNode) {
        ++core.counters.reads_refused;
        return Status(Code::kNotLeader, "no leader is known");
    }
    Message request;
    request.kind = MessageKind::kReadIndex;
    request.to = core.leader;
    request.read = mint(core);
    const ReadToken token = request.read;
    send(core, std::move(request));
    return token;
}

void on_read_index(Core& core, const Message& message) {
    if (!core.is_leader() ||
        (!has_committed_in_term(core) && !KVSTORE_RAFT_MUTANT(kReadBeforeOwnCommit))) {
        // The follower's read times out and is asked again.
        ++core.counters.reads_refused;
        return;
    }
    begin_read(core, message.from, message.read);
}

void on_read_index_reply(Core& core, const Message& message) {
    core.ready_reads.push_back({message.read, message.index});
}

void on_round_confirmed(Core& core, NodeId from, std::uint64_t round) {
    Progress* progress = core.peers().find(from);
    if (progress == nullptr || round == 0 || round > core.reads.last_round) {
        return;
    }
    progress->confirmed_round = std::max(progress->confirmed_round, round);
    release(core);
}

std::uint64_t heartbeat_round(const Core& core) {
    const bool asks = !core.reads.pending.empty() || core.config.reads == ReadMode::kLease;
    return asks ? core.reads.last_round : 0;
}

void begin_lease_round(Core& core) {
    if (core.config.reads != ReadMode::kLease) {
        return;
    }
    core.reads.lease_rounds.push_back({++core.reads.last_round, core.ticks});
    // What is older than a lease can no longer found one.
    while (core.reads.lease_rounds.front().tick + core.config.election_ticks < core.ticks) {
        core.reads.lease_rounds.pop_front();
    }
    release(core);
}

bool holds_lease(const Core& core) {
    if (core.config.reads != ReadMode::kLease || !core.config.check_quorum) {
        return false;
    }
    const bool given_up = (core.heir != kNoNode || core.reads.lease_forfeited) &&
                          !KVSTORE_RAFT_MUTANT(kLeaseKeptAcrossTransfer);
    return !given_up && core.ticks < core.reads.lease_until_tick;
}

}  // namespace kvstore::raft
