// The state of one member, shared by the files that each hold one concern of the
// protocol. Outside the module it is reached through Node alone.
//
// The concerns, and what each may change:
//
//   election      term, vote, role, leader, timers, the tally
//   append        the log, peers' progress, the commit index
//   read_index    pending reads and the lease
//   membership    the configuration
//   snapshot      a log replaced as a whole
//   transfer      the heir
//   hibernation   whether time passes at all
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/random.h"
#include "raft/configuration.h"
#include "raft/log.h"
#include "raft/messages.h"
#include "raft/node_status.h"
#include "raft/types.h"
#include "raft/votes.h"

namespace kvstore::raft {

struct PendingRead {
    NodeId from;  // this member itself, or the follower that asked
    ReadToken token;
    Index at;
    std::uint64_t round;
};

struct Reads {
    std::uint64_t minted = 0;      // tokens so far in this life
    std::uint64_t last_round = 0;  // of leadership confirmation in this term
    std::deque<PendingRead> pending;
    // Lease mode: when each unconfirmed round began.
    struct LeaseRound {
        std::uint64_t round;
        std::uint64_t tick;
    };
    std::deque<LeaseRound> lease_rounds;
    std::uint64_t lease_until_tick = 0;
    // A transfer was begun in this term: its message may still make another leader by
    // force, so that no lease holds before the next term.
    bool lease_forfeited = false;
};

struct Core {
    Core(const Config& configuration, const LogView& view)
        : config(configuration), log(view, configuration), random(configuration.seed) {}

    Config config;
    Log log;
    Membership membership;
    Random random;

    Term term;
    NodeId vote;
    Role role = Role::kFollower;
    NodeId leader;
    bool is_learner = false;
    // Lease mode: until then this member has promised a leader to elect no other, itself
    // included. What a former life promised this one does not remember, and begins by
    // waiting out the longest such promise.
    std::uint64_t elects_from_tick = 0;
    Tally tally;

    std::uint64_t ticks = 0;
    std::uint32_t election_elapsed = 0;
    std::uint32_t heartbeat_elapsed = 0;
    std::uint32_t election_timeout = 0;
    std::uint32_t idle_ticks = 0;
    bool asleep = false;

    // Leader only.
    // A change of membership at or below this index may be unapplied.
    Index pending_conf_index;
    NodeId heir;
    std::size_t uncommitted_bytes = 0;
    Reads reads;

    // Peers are to be told of new entries or commits when the next Ready is taken.
    bool broadcast_due = false;

    // Output since the last Ready.
    std::vector<Message> send_now;
    std::vector<Message> send_after_persist;
    std::vector<SelfAnswer> self_answers;
    std::vector<ReadyRead> ready_reads;
    SoftState shown_soft;
    HardState shown_hard;

    struct Write {
        std::uint64_t seq;
        std::vector<SelfAnswer> self_answers;
    };
    std::uint64_t last_seq = 0;
    std::uint64_t persisted_seq = 0;
    std::deque<Write> writes;  // handed out and not yet persisted
    bool apply_awaits_log = false;

    Counters counters;
    bool quarantined = false;
    std::string quarantine_reason;

    [[nodiscard]] NodeId id() const noexcept { return config.id; }
    [[nodiscard]] bool is_leader() const noexcept { return role == Role::kLeader; }
    [[nodiscard]] Voters& voters() noexcept { return membership.configuration.voters; }
    [[nodiscard]] const Voters& voters() const noexcept { return membership.configuration.voters; }
    [[nodiscard]] ProgressMap& peers() noexcept { return membership.progress; }
    [[nodiscard]] const ProgressMap& peers() const noexcept { return membership.progress; }
    [[nodiscard]] HardState hard_state() const { return {term, vote, log.committed()}; }
    [[nodiscard]] SoftState soft_state() const { return {leader, role}; }
    [[nodiscard]] NewcomerProgress newcomer() const {
        return {log.last_index(), config.inflight_messages_max, config.inflight_bytes_max};
    }
};

// Fills in sender, group and, where it is not set, the term; puts the message where its
// kind belongs: promises and acknowledgements wait for the disk, the rest does not.
void send(Core& core, Message&& message);

// The log or a message shows that a promise was broken, here or elsewhere: this member
// takes no further part. The process lives.
void quarantine(Core& core, std::string reason);

}  // namespace kvstore::raft
